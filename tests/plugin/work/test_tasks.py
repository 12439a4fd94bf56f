"""What runs in the worker's thread, with the worker itself: embedding all frames and clicks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import SMALL
from napari_sam.engine import EmbeddingCache, EmbeddingStore, FrameStack, LoadedModel, Predictor
from napari_sam.model import build_network
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import BULK, CLICK, EMBED, Job, Worker


@pytest.fixture
def worker(qtbot):
    worker = Worker("tested")
    yield worker
    worker.shutdown()
    worker._thread.join(20)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    network = build_network(SMALL)
    return Predictor(LoadedModel(network, "small", "sha256:1", torch.device("cpu"), "fp32"))


def new_stack(n: int) -> FrameStack:
    pixels = np.random.default_rng(n).integers(0, 255, (n, 20, 30)).astype(np.uint8)
    return FrameStack.from_array(pixels, rgb=False)


def test_embedding_all_frames_goes_on_after_each_click(
    worker: Worker, predictor: Predictor, tmp_path: Path, qtbot
) -> None:
    cache, stack = EmbeddingCache(store=EmbeddingStore(tmp_path)), new_stack(6)
    pending, heard, reports = list(stack.indices()), [], []
    work = partial(tasks.embed_all, cache, predictor, stack, pending, len(pending))

    def progress(done: int, total: int) -> None:
        if done % 100 and not any(worker._waiting):  # in mid-frame: the user clicks
            click = Job("click", lambda report: done, heard.append, heard.append, priority=CLICK)
            worker.submit(click)
        reports.append((done, total))

    end = []
    worker.submit(Job("all", work, end.append, end.append, progress, priority=BULK))
    qtbot.waitUntil(lambda: end == [None], timeout=60_000)
    assert pending == []
    assert len(cache.store) == 6
    assert heard, "clicks were answered"
    assert reports[-1] == (600, 600)
    frames_done = [done // 100 for done, _ in reports]
    assert frames_done == sorted(frames_done), "no frame is done twice"


def test_without_a_disk_an_interrupted_job_begins_no_frame_anew(predictor: Predictor) -> None:
    cache, stack = EmbeddingCache(), new_stack(3)
    pending = list(stack.indices())[1:]
    reports = []
    tasks.embed_all(cache, predictor, stack, pending, 3, lambda *report: reports.append(report))
    assert pending == []
    assert 100 < reports[0][0] < 200, "one frame was done before"
    assert reports[-1] == (300, 300)
    assert len(cache) == 2


class Watch:
    """Sees each block of an encoder begin, and holds it in its second one."""

    def __init__(self, blocks: torch.nn.ModuleList) -> None:
        self.begun: list[int] = []
        self.is_in_second, self.may_go_on = threading.Event(), threading.Event()
        self.handles = [
            block.register_forward_pre_hook(partial(self._on_block, n))
            for n, block in enumerate(blocks)
        ]

    def _on_block(self, n: int, block: torch.nn.Module, given: object) -> None:
        self.begun.append(n)
        if len(self.begun) == 2:
            self.is_in_second.set()
            assert self.may_go_on.wait(20)


@pytest.fixture
def watch(predictor: Predictor):
    watch = Watch(predictor.model.network.image_encoder.blocks)
    yield watch
    watch.may_go_on.set()
    for handle in watch.handles:
        handle.remove()


ENDS: dict[str, Callable[[Worker], None]] = {
    "another frame is shown": lambda worker: None,
    "the image is closed": lambda worker: worker.cancel("frame"),
    "Cancel": lambda worker: worker.cancel(),
    "the panel is closed": lambda worker: worker.shutdown(),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_frame_nobody_looks_at_any_more_costs_no_further_block(
    worker: Worker, predictor: Predictor, watch: Watch, qtbot, end: str
) -> None:
    cache, stack, heard = EmbeddingCache(), new_stack(2), []

    def show(t: int) -> None:
        work = partial(tasks.embed, cache, predictor, stack, stack.index(t))
        worker.submit(
            Job("frame", work, lambda _: heard.append(t), heard.append, priority=EMBED, subject=t)
        )

    show(0)
    assert watch.is_in_second.wait(20)
    ENDS[end](worker)
    show(1)
    watch.may_go_on.set()
    n_blocks = len(watch.handles)
    if end == "the panel is closed":
        worker._thread.join(20)
        assert watch.begun == [0, 1]
        return
    qtbot.waitUntil(lambda: heard == [1], timeout=20_000)
    assert watch.begun == [0, 1, *range(n_blocks)], "the second block was the last of the old frame"
    assert len(cache) == 1
