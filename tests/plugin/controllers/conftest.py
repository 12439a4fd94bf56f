"""Windows on small stacks with a scripted network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bright import Bright, Gate
from napari_sam.engine import LoadedModel, Predictor


@pytest.fixture
def open_stack(open_window):
    """A window on a time-lapse, the network a scripted one, the first frame shown."""

    def open_(data: np.ndarray, **options):
        names = {2: "yx", 3: "tyx", 4: "tzyx"}[data.ndim]
        options.setdefault("axis_labels", tuple(names))
        user = open_window(data, Bright(), **options)
        network = Bright()
        model = LoadedModel(network, "bright", "sha256:0", torch.device("cpu"), "fp32")
        user.widget._on_model(Predictor(model))
        user.network = network
        user.widget.ahead.prefetch = False
        user.viewer.dims.set_current_step(0, 0)
        user.ready()
        return user

    return open_


@pytest.fixture
def hold():
    """Hold a network in the middle of its next frames, until they are let go one by one."""
    gates = []

    def hold_(network: Bright) -> Gate:
        gates.append(Gate())
        network.on_block = gates[-1].wait
        return gates[-1]

    yield hold_
    for gate in gates:
        gate.open()


@pytest.fixture
def open_results(open_window):
    """A window with objects of another tool on an image, the page Results in front."""

    def open_(pixels: np.ndarray, labels: np.ndarray, **place):
        user = open_window(pixels, Bright(), **place)
        widget = user.widget
        widget.ahead.prefetch = False
        mine = user.viewer.add_labels(labels, name="mine", **place)
        user.qtbot.waitUntil(lambda: widget.source.labels.findText("mine") > 0)
        index = widget.source.labels.findText("mine")
        widget.source.labels.setCurrentIndex(index)
        widget.source.labels.activated.emit(index)
        user.qtbot.waitUntil(lambda: widget.bridge.labels.name == mine.name, timeout=60_000)
        user.ready()
        widget.pages.tabs.setCurrentIndex(widget.results_page)
        return user

    return open_
