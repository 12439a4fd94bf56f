"""The worker: newest wish first, progress, cancel, and an end. Real threads, met at events."""

from __future__ import annotations

import threading

import pytest

from napari_sam.plugin.jobs import CLICK, EMBED, PREVIEW, Job, Worker


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


def test_after_shutdown_nothing_is_heard(worker, occupied, qtbot) -> None:
    gate, heard = occupied
    worker.shutdown()
    gate.released.set()
    worker._thread.join(20)
    qtbot.wait(1)
    assert not worker.alive
    assert heard == []
