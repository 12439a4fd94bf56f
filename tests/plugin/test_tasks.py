"""What runs in the worker's thread, with the worker itself: embedding all frames and clicks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import SMALL
from napari_sam.engine import EmbeddingCache, EmbeddingStore, FrameStack, LoadedModel, Predictor
from napari_sam.model import build_network
from napari_sam.plugin import tasks
from napari_sam.plugin.jobs import BULK, CLICK, Job, Worker


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
