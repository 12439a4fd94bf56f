"""Embeddings ahead: which, in what order, behind what, and until when. A real worker, no window."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import SMALL
from napari_sam.engine import (
    Crop,
    EmbeddingCache,
    EmbeddingStore,
    FrameIndex,
    FrameStack,
    LoadedModel,
    Predictor,
)
from napari_sam.model import build_network
from napari_sam.plugin.controllers.embeddings import EmbeddingAhead
from napari_sam.plugin.panels.embeddings import EmbeddingPanel
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import CLICK, Job, Worker

N_FRAMES = 12
PATIENCE_MS = 60_000


class Watched(EmbeddingCache):
    """A cache that remembers in which order it was asked, and what the encoder reported."""

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options)
        self.asked: list[int] = []

    def embed(self, predictor, stack, index, progress=None, crop=None):
        self.asked.append(index[0] if crop is None else crop)
        return super().embed(predictor, stack, index, progress, crop)


class Ahead:
    """The controller with all that is around it."""

    def __init__(self, qtbot, folder: Path) -> None:
        self.qtbot = qtbot
        self.worker = Worker("tested")
        self.cache = Watched(store=EmbeddingStore(folder))
        self.panel = EmbeddingPanel()
        qtbot.addWidget(self.panel)
        self.errors: list[Exception] = []
        self.controller = EmbeddingAhead(self.worker, self.cache, self.panel, self.errors.append)
        pixels = np.random.default_rng(0).integers(0, 255, (N_FRAMES, 20, 30)).astype(np.uint8)
        self.stack = FrameStack.from_array(pixels, rgb=False)

    def show(self, predictor: Predictor, position: int) -> None:
        """The user rests at a frame, which was just embedded."""
        self.controller.look_ahead(predictor, self.stack, at(position))

    def settle(self) -> None:
        self.qtbot.waitUntil(lambda: self.worker.idle, timeout=PATIENCE_MS)
        self.qtbot.wait(1)
        self.qtbot.waitUntil(lambda: self.worker.idle, timeout=PATIENCE_MS)


def at(position: int) -> FrameIndex:
    return (position, None, None)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = build_network(SMALL)
    return Predictor(LoadedModel(network, "small", "sha256:1", torch.device("cpu"), "fp32"))


@pytest.fixture
def ahead(qtbot, tmp_path: Path) -> Iterator[Ahead]:
    ahead = Ahead(qtbot, tmp_path / "embeddings")
    yield ahead
    ahead.worker.shutdown()
    ahead.worker._thread.join(20)


def test_neighbours_in_the_direction_of_travel(ahead: Ahead, predictor: Predictor) -> None:
    ahead.show(predictor, 5)
    ahead.settle()
    assert ahead.cache.asked == [6, 4, 7, 3, 8, 2]
    ahead.cache.asked.clear()
    ahead.show(predictor, 4)
    ahead.settle()
    assert ahead.cache.asked == [3, 2, 1, 5]
    assert "in memory" in ahead.panel.sizes.text()


def test_nothing_if_the_user_prefers_so(ahead: Ahead, predictor: Predictor) -> None:
    ahead.controller.prefetch = False
    ahead.show(predictor, 5)
    ahead.settle()
    assert ahead.cache.asked == []


def test_a_click_goes_before_within_one_block(ahead: Ahead, predictor: Predictor) -> None:
    """It is submitted in the midst of an encoder, and answered before the next block's report."""
    blocks: list[str] = []
    network = predictor.model.network
    encode = network.encode

    def encode_watched(pixels, progress):
        def report(done: int, total: int) -> None:
            blocks.append("block")
            if len(blocks) == 1:
                click = Job("click", lambda _: blocks.append("click"), print, print, priority=CLICK)
                ahead.worker.submit(click)
            progress(done, total)

        return encode(pixels, report)

    network.encode = encode_watched
    try:
        ahead.show(predictor, 5)
        ahead.settle()
    finally:
        del network.encode
    assert blocks[:3] == ["block", "click", "block"]
    assert len(ahead.cache) == 6, "and then it continues"


def test_a_click_in_the_frame_being_embedded_waits_for_it(
    ahead: Ahead, predictor: Predictor
) -> None:
    frame, encoded = at(6), []
    encode = predictor.encode

    def encode_counted(*args, **options):
        encoded.append(1)
        if len(encoded) == 1:
            work = partial(tasks.embed, ahead.cache, predictor, ahead.stack, frame)
            click = Job(
                "click", work, print, print, priority=CLICK, subject=(ahead.stack, frame, None)
            )
            ahead.worker.submit(click)
        return encode(*args, **options)

    predictor.encode = encode_counted
    try:
        ahead.show(predictor, 5)
        ahead.settle()
    finally:
        del predictor.encode
    assert len(encoded) == 6, "no frame twice"


def test_another_image_or_model_ends_it(ahead: Ahead, predictor: Predictor) -> None:
    ahead.show(predictor, 5)
    ahead.controller.stop()
    ahead.settle()
    assert len(ahead.cache.asked) <= 1
    ahead.cache.asked.clear()
    ahead.show(predictor, 4)
    ahead.settle()
    assert ahead.cache.asked[:2] == [5, 3], "and where it came from is forgotten"


def test_a_frame_that_cannot_be_read_is_passed_over(ahead: Ahead, predictor: Predictor) -> None:
    read = ahead.stack.levels[0]

    class Damaged:
        shape, dtype, ndim = read.shape, read.dtype, read.ndim

        def __getitem__(self, where):
            if where[0] == 6:
                raise OSError("damaged")
            return read[where]

    ahead.stack = FrameStack.from_array(Damaged(), rgb=False)
    ahead.show(predictor, 5)
    ahead.settle()
    assert ahead.cache.asked == [6, 4, 7, 3, 8, 2]
    assert ahead.errors == [], "nobody requested it"


def test_all_frames_from_the_shown_one_on(ahead: Ahead, predictor: Predictor) -> None:
    ahead.controller.embed_all(predictor, ahead.stack, at(9))
    assert not ahead.panel.embed.isEnabled()
    ahead.settle()
    assert len(ahead.cache.store) == N_FRAMES
    assert ahead.panel.text.text() == f"All {N_FRAMES} frames are embedded."
    assert ahead.panel.embed.isEnabled()
    assert ahead.errors == []


def test_the_part_on_screen_of_large_frames(ahead: Ahead, predictor: Predictor) -> None:
    ahead.controller.embed_all(predictor, ahead.stack, at(0), Crop(2, 3, 12, 13))
    ahead.settle()
    assert ahead.panel.text.text() == f"Embedded: the part on screen of {N_FRAMES} frames."
    assert len(ahead.cache.store) == N_FRAMES
    ahead.cache.embed(predictor, ahead.stack, at(4), crop=Crop(2, 3, 12, 13))
    assert len(ahead.cache.store) == N_FRAMES, "it was there"


def test_too_little_room_is_said_before_the_night(ahead: Ahead, predictor: Predictor) -> None:
    ahead.cache.keep(predictor, ahead.stack, at(0))
    ahead.cache.store.limit_bytes = 3 * ahead.cache.store.nbytes
    ahead.controller.embed_all(predictor, ahead.stack, at(0))
    ahead.qtbot.waitUntil(lambda: bool(ahead.errors), timeout=PATIENCE_MS)
    assert f"{N_FRAMES} frames take about" in str(ahead.errors[0])
    ahead.settle()
    assert len(ahead.cache.store) == 1
    assert ahead.panel.embed.isEnabled()
