"""Work beside the GUI thread: the newest wish of a kind wins, long work reports and is cancelled.

The only file with threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_sam.engine import Cancelled

Report = Callable[[int, int], None]

CLICK, PREVIEW, EMBED = range(3)  # what waits behind what


@dataclass(eq=False)
class Job:
    """A piece of work. ``work`` runs in the worker's thread, all other functions in the GUI thread.

    ``work`` is given ``report(done, total)``, which it calls now and then, and which raises
    :class:`Cancelled` once the job is cancelled.
    """

    slot: Hashable  # a waiting job of the same slot is replaced
    work: Callable[[Report], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    progress: Report = field(default=lambda done, total: None)
    priority: int = CLICK
    stop: threading.Event = field(default_factory=threading.Event)


class Worker(QObject):
    """One daemon thread that takes the most urgent waiting job, oldest first.

    Call :meth:`shutdown` before letting go of it: the thread then ends with the block it is in.
    """

    _reported = Signal(object, object, object)  # bytes go beyond 32 bits
    _ended = Signal(object, object)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._reported.connect(self._deliver_report)
        self._ended.connect(self._deliver)
        self._condition = threading.Condition()
        self._waiting: dict[Hashable, Job] = {}
        self._running: Job | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # In the GUI thread

    def submit(self, job: Job) -> None:
        """Queue a job, in place of a waiting one of its slot.

        A running job of the same slot is cancelled too, unless it answers a click.
        """
        with self._condition:
            self._waiting.pop(job.slot, None)
            if self._running and self._running.slot == job.slot and job.priority != CLICK:
                self._running.stop.set()
            self._waiting[job.slot] = job
            self._condition.notify()

    def cancel(self, slot: Hashable | None = None) -> None:
        """Cancel the job of one slot, or all; of a cancelled job nothing is heard again."""
        with self._condition:
            for waiting in [s for s in self._waiting if slot is None or s == slot]:
                del self._waiting[waiting]
            if self._running and (slot is None or self._running.slot == slot):
                self._running.stop.set()

    def shutdown(self) -> None:
        """End the thread as soon as the running job reports; nothing is delivered any more."""
        with self._condition:
            self._stopped = True
            self._waiting.clear()
            if self._running:
                self._running.stop.set()
            self._condition.notify()

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        with self._condition:
            return not self._waiting and self._running is None

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _deliver_report(self, job: Job, done: int, total: int) -> None:
        if not self._stopped and not job.stop.is_set():
            job.progress(done, total)

    def _deliver(self, job: Job, outcome: Any) -> None:
        if self._stopped or isinstance(outcome, Cancelled):
            return
        if isinstance(outcome, Exception):
            job.failed(outcome)
        else:
            job.done(outcome)

    # In the worker's thread

    def _run(self) -> None:
        while (job := self._next()) is not None:
            outcome = _outcome(job, partial(self._report, job))
            with self._condition:
                self._running = None
                if not self._stopped:
                    self._ended.emit(job, outcome)

    def _next(self) -> Job | None:
        with self._condition:
            while not self._waiting and not self._stopped:
                self._condition.wait()
            if self._stopped:
                return None
            self._running = min(self._waiting.values(), key=lambda job: job.priority)
            del self._waiting[self._running.slot]
            return self._running

    def _report(self, job: Job, done: int, total: int) -> None:
        if job.stop.is_set():
            raise Cancelled
        with self._condition:
            if not self._stopped:
                self._reported.emit(job, done, total)


def _outcome(job: Job, report: Report) -> Any:
    """What a job comes to; whatever goes wrong goes to the GUI thread, which tells the user."""
    try:
        return job.work(report)
    except (Cancelled, Exception) as error:  # noqa: BLE001 a worker thread has nobody above it
        return error
