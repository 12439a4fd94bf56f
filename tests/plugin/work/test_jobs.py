"""The worker: newest candidate first, progress, cancel, and an end. Real threads, met at events."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from qtpy.QtCore import Qt

from napari_sam.plugin.work.jobs import BULK, CLICK, EMBED, PREFETCH, PREVIEW, Job, Worker


class Gate:
    """Work that has begun when ``entered`` is set, and goes on when ``released`` is."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Event(), threading.Event()

    def work(self, report):
        self.entered.set()
        assert self.released.wait(20)
        report(1, 2)
        return "finished"


@pytest.fixture
def worker(qtbot):
    worker = Worker("tested")
    yield worker
    worker.shutdown()
    worker._thread.join(20)
    assert not worker.alive


@pytest.fixture
def occupied(worker):
    """The worker busy in a gate, so that what is submitted now waits."""
    gate, heard = Gate(), []
    worker.submit(Job("gate", gate.work, heard.append, heard.append, priority=EMBED))
    assert gate.entered.wait(20)
    yield gate, heard
    gate.released.set()


def submit(worker: Worker, heard: list, slot: str, result: object, priority: int = CLICK) -> None:
    worker.submit(Job(slot, lambda report: result, heard.append, heard.append, priority=priority))


def test_the_newest_of_a_slot_wins(worker, occupied, qtbot) -> None:
    gate, _ = occupied
    heard = []
    for n in range(50):
        submit(worker, heard, "hover", n)
    gate.released.set()
    qtbot.waitUntil(lambda: worker.idle and bool(heard))
    assert heard == [49]


def test_clicks_before_previews_before_embeddings(worker, occupied, qtbot) -> None:
    gate, _ = occupied
    heard = []
    for name, priority in [("e", EMBED), ("p", PREVIEW), ("c1", CLICK), ("c2", CLICK)]:
        submit(worker, heard, name, name, priority)
    gate.released.set()
    qtbot.waitUntil(lambda: len(heard) == 4)
    assert heard == ["c1", "c2", "p", "e"]


def test_a_newer_frame_stops_the_one_being_embedded(worker, occupied, qtbot) -> None:
    gate, gate_heard = occupied
    heard = []
    submit(worker, heard, "gate", "newer", EMBED)
    gate.released.set()
    qtbot.waitUntil(lambda: heard == ["newer"])
    assert gate_heard == [], "the stopped one is not heard of"


def test_a_click_being_answered_is_not_stopped_by_the_next(worker, qtbot) -> None:
    gate, heard = Gate(), []
    worker.submit(Job("object 1", gate.work, heard.append, heard.append))
    assert gate.entered.wait(20)
    submit(worker, heard, "object 1", "second")
    gate.released.set()
    qtbot.waitUntil(lambda: heard == ["finished", "second"])


def test_cancel_stops_what_runs_and_drops_what_waits(worker, occupied, qtbot) -> None:
    gate, gate_heard = occupied
    heard = []
    submit(worker, heard, "waiting", 1)
    worker.cancel()
    gate.released.set()
    submit(worker, heard, "after", 2)
    qtbot.waitUntil(lambda: heard == [2])
    assert gate_heard == []


def test_errors_are_heard_and_the_worker_lives_on(worker, qtbot) -> None:
    errors, heard = [], []
    worker.submit(Job("bad", lambda report: 1 / 0, heard.append, errors.append))
    submit(worker, heard, "good", "fine")
    qtbot.waitUntil(lambda: heard == ["fine"])
    assert isinstance(errors[0], ZeroDivisionError)


def test_progress_arrives_in_the_gui_thread_unharmed(worker, qtbot) -> None:
    reports, here = [], threading.current_thread()
    size = 2_564_550_879

    def progress(done: int, total: int) -> None:
        assert threading.current_thread() is here
        reports.append((done, total))

    worker.submit(
        Job("big", lambda report: report(size, size), lambda r: None, reports.append, progress)
    )
    qtbot.waitUntil(lambda: bool(reports))
    assert reports == [(size, size)]


def test_of_a_flood_of_reports_few_arrive_the_last_among_them(worker, qtbot) -> None:
    reports, heard = [], []

    def flood(report) -> None:
        for done in range(10_001):
            report(done, 10_000)

    worker.submit(
        Job("flood", flood, heard.append, heard.append, lambda *report: reports.append(report))
    )
    qtbot.waitUntil(lambda: bool(heard))
    assert reports[0] == (0, 10_000)
    assert reports[-1] == (10_000, 10_000)
    assert len(reports) < 1000


def test_what_is_not_delivered_is_waited_for(worker, qtbot) -> None:
    heard = []
    ended = threading.Event()
    worker._ended.connect(lambda *_: ended.set(), Qt.ConnectionType.DirectConnection)
    submit(worker, heard, "click", "answer")
    assert ended.wait(20)
    assert not heard, "no event has been handled yet"
    assert worker.is_waited_for
    assert not worker.idle
    qtbot.waitUntil(lambda: worker.idle)
    assert heard == ["answer"]
    assert not worker.is_waited_for


def test_after_shutdown_nothing_is_heard(worker, occupied, qtbot) -> None:
    gate, heard = occupied
    worker.shutdown()
    gate.released.set()
    worker._thread.join(20)
    qtbot.wait(1)
    assert not worker.alive
    assert heard == []


class Blocks:
    """An encoder of three blocks that waits before each, so that a test can meet it there."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.entered, self.released = threading.Semaphore(0), threading.Semaphore(0)

    def work(self, report):
        for block in range(3):
            self.begun.append(block)
            self.entered.release()
            assert self.released.acquire(timeout=20)
            report(block + 1, 3)
        return "embedded"

    def let(self, n_blocks: int) -> None:
        for _ in range(n_blocks):
            self.released.release()


@pytest.fixture
def ahead(worker):
    """A frame being prefetched, in its first block."""
    blocks, heard = Blocks(), []
    job = Job(
        "ahead", blocks.work, heard.append, heard.append, priority=PREFETCH, subject="frame 1"
    )
    worker.submit(job)
    assert blocks.entered.acquire(timeout=20)
    yield blocks, heard
    blocks.let(20)


@pytest.mark.parametrize("urgent", [CLICK, PREVIEW, EMBED])
def test_prefetching_makes_way_within_a_block_and_goes_on(worker, ahead, qtbot, urgent) -> None:
    blocks, heard = ahead
    submit(worker, heard, "urgent", "answer", urgent)
    blocks.let(1)
    qtbot.waitUntil(lambda: heard == ["answer"])
    assert blocks.entered.acquire(timeout=20)
    assert blocks.begun == [0, 1], "one block, the answer, and on with the next block"
    blocks.let(2)
    qtbot.waitUntil(lambda: heard == ["answer", "embedded"])
    assert blocks.begun == [0, 1, 2]


def test_what_is_just_being_made_is_waited_for(worker, ahead, qtbot) -> None:
    blocks, heard = ahead
    worker.submit(
        Job("shown", lambda report: "shown", heard.append, heard.append, subject="frame 1")
    )
    blocks.let(3)
    qtbot.waitUntil(lambda: heard == ["embedded", "shown"])
    assert blocks.begun == [0, 1, 2]


def test_all_frames_make_way_for_the_neighbours(worker, ahead, qtbot) -> None:
    blocks, heard = ahead
    submit(worker, heard, "all frames", "all", BULK)
    submit(worker, heard, "other neighbours", "neighbours", PREFETCH)
    blocks.let(3)
    qtbot.waitUntil(lambda: len(heard) == 3)
    assert heard == ["embedded", "neighbours", "all"]


@pytest.mark.parametrize("end", ["cancelled", "replaced"])
def test_an_interrupted_job_can_be_called_off(worker, ahead, qtbot, end: str) -> None:
    blocks, heard = ahead
    submit(worker, heard, "click", "answer")
    if end == "cancelled":
        worker.cancel("ahead")
    else:
        submit(worker, heard, "ahead", "newer", PREFETCH)
    blocks.let(1)
    wanted = ["answer"] if end == "cancelled" else ["answer", "newer"]
    qtbot.waitUntil(lambda: heard == wanted and worker.idle)
    assert blocks.begun == [0]


def test_interrupted_again_and_again_it_comes_to_its_end(worker, ahead, qtbot) -> None:
    blocks, heard = ahead
    for n in range(2):
        submit(worker, heard, "click", n)
        blocks.let(1)
        qtbot.waitUntil(lambda n=n: heard == list(range(n + 1)))
        assert blocks.entered.acquire(timeout=20)
    submit(worker, heard, "click", 2)
    blocks.let(1)
    qtbot.waitUntil(lambda: heard == [0, 1, 2, "embedded"])
    assert blocks.begun == [0, 1, 2], "no block is encoded twice"


def test_shutdown_ends_an_interrupted_job(worker, ahead) -> None:
    blocks, heard = ahead
    submit(worker, heard, "click", "answer")
    worker.shutdown()
    blocks.let(1)
    worker._thread.join(20)
    assert not worker.alive
    assert blocks.begun == [0]


class Steps:
    """Three frames propagated one after the other; each waits for the test."""

    def __init__(self) -> None:
        self.blocks = Blocks()

    def work(self, report):
        for frame in range(3):
            yield frame
            self.blocks.begun.append(frame)
            self.blocks.entered.release()
            assert self.blocks.released.acquire(timeout=20)
            report(frame + 1, 3)


@pytest.fixture
def propagating(worker):
    """A run of three frames, in its first."""
    steps, heard = Steps(), []
    worker.submit(
        Job(
            "run",
            steps.work,
            lambda result: heard.append("end"),
            heard.append,
            priority=BULK,
            each=heard.append,
        )
    )
    assert steps.blocks.entered.acquire(timeout=20)
    yield steps.blocks, heard
    steps.blocks.let(20)


def test_what_is_made_one_by_one_arrives_one_by_one(worker, propagating, qtbot) -> None:
    blocks, heard = propagating
    qtbot.waitUntil(lambda: heard == [0])
    blocks.let(1)
    qtbot.waitUntil(lambda: heard == [0, 1])
    blocks.let(2)
    qtbot.waitUntil(lambda: heard == [0, 1, 2, "end"])


def test_a_run_makes_way_for_a_click_and_goes_on_where_it_was(worker, propagating, qtbot) -> None:
    blocks, heard = propagating
    submit(worker, heard, "click", "answer")
    blocks.let(1)
    qtbot.waitUntil(lambda: heard == [0, "answer", 1])
    blocks.let(2)
    qtbot.waitUntil(lambda: heard == [0, "answer", 1, 2, "end"])
    assert blocks.begun == [0, 1, 2]


def test_of_a_cancelled_run_nothing_more_arrives(worker, propagating, qtbot) -> None:
    blocks, heard = propagating
    qtbot.waitUntil(lambda: heard == [0])
    worker.cancel("run")
    blocks.let(3)
    qtbot.waitUntil(lambda: worker.idle)
    submit(worker, heard, "after", "after")
    qtbot.waitUntil(lambda: heard == [0, "after"])


def test_a_run_cancelled_while_a_click_is_answered_ends_after_it(
    worker, propagating, qtbot
) -> None:
    blocks, heard = propagating
    gate = Gate()
    worker.submit(Job("click", gate.work, heard.append, heard.append))
    blocks.let(1)
    assert gate.entered.wait(20)
    worker.cancel("run")
    gate.released.set()
    qtbot.waitUntil(lambda: heard[-1] == "finished" and worker.idle)
    assert 1 not in heard


def test_a_run_that_fails_says_so_once(worker, qtbot) -> None:
    heard, errors = [], []

    def work(report):
        yield 1
        raise ZeroDivisionError

    worker.submit(Job("run", work, heard.append, errors.append, each=heard.append))
    qtbot.waitUntil(lambda: len(errors) == 1)
    assert heard == [1]


AT_WORK = """
import sys, threading
import torch
from qtpy.QtCore import QCoreApplication
from napari_sam.plugin.work.jobs import Job, Worker

begun = threading.Event()

def work(report):
    while True:
        torch.rand(200, 200) @ torch.rand(200, 200)
        begun.set()
        report(0, 1)

app = QCoreApplication([])
workers = [Worker("test") for _ in range(4)]
for worker in workers:
    worker.submit(Job("work", work, print, print))
begun.wait()
sys.exit(0)
"""


@pytest.mark.slow
def test_the_process_ends_after_the_threads() -> None:
    """Else Python unwinds them within torch, and the process is aborted."""
    ended = subprocess.run(
        [sys.executable, "-c", AT_WORK], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
