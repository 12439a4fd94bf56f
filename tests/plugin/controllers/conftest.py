"""Windows on small stacks with a scripted network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bright import Bright, Gate
from napari_sam.engine import LoadedModel, Predictor


@pytest.fixture
def open_stack(open_window):
    """A window on a stack, the network a scripted one, the first frame shown."""

    def open_(data: np.ndarray, **options):
        user = open_window(data, **options)
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
