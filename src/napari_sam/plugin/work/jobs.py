"""Work beside the GUI thread: the newest of a kind wins, long work reports and can be cancelled.

The only file with threads.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from math import inf
from time import monotonic
from typing import Any
from weakref import ref

from qtpy.QtCore import QObject, Signal

from napari_sam.engine import Cancelled

Report = Callable[[int, int], None]

CLICK, PREVIEW, EMBED, PREFETCH, BULK = range(5)  # what waits behind what
UNASKED = PREFETCH  # from here on a job makes way even while it runs
BETWEEN_REPORTS_S = 0.1  # each repaints a window, which takes it some 30 ms
LAST_BLOCK_S = 20.0  # at the end of the process, for the block that a thread is in


@dataclass(eq=False)
class Job:
    """A piece of work. ``work`` runs in the worker's thread, all other functions in the GUI thread.

    ``work`` is given ``report(done, total)``, which it calls now and then, and which raises
    :class:`Cancelled` once the job is cancelled. A job that nobody waits for (``PREFETCH``,
    ``BULK``) yields there: more urgent jobs run first, then it resumes.

    With ``each``, ``work`` returns an iterator, and every item is delivered as soon as it is made.
    """

    slot: Hashable  # a waiting job of the same slot is replaced
    work: Callable[[Report], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    progress: Report = field(default=lambda done, total: None)
    priority: int = CLICK
    subject: Hashable = (
        None  # jobs on one subject need the same, so that none makes way for another
    )
    each: Callable[[Any], None] | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    reported_at: float = -inf  # of the clock that only goes forward


class Worker(QObject):
    """One daemon thread that takes the most urgent waiting job, oldest first.

    Call :meth:`shutdown` before letting go of it: the thread then ends with the block it is in.
    The process ends after the thread, whichever way it ends: Python would unwind a thread that
    computes, and C++ code in it would abort the process.

    Parameters
    ----------
    name
        Of the thread.
    at_end
        What the thread does last.
    """

    _reported = Signal(object, object, object)  # bytes go beyond 32 bits
    _came = Signal(object, object)
    _ended = Signal(object, object)

    def __init__(self, name: str, at_end: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._at_end = at_end
        self._reported.connect(self._deliver_report)
        self._came.connect(self._deliver_item)
        self._ended.connect(self._deliver)
        self._condition = threading.Condition()
        self._waiting: dict[Hashable, Job] = {}
        self._running: list[Job] = []  # the last one is at work, those before made way for it
        self._undelivered: list[Job] = []  # ended, and their outcome is on its way
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        atexit.register(_end, ref(self))

    # In the GUI thread

    def submit(self, job: Job) -> None:
        """Queue a job, in place of a waiting one of its slot.

        A running job of the same slot is cancelled too, unless it answers a click.
        """
        with self._condition:
            self._waiting.pop(job.slot, None)
            if job.priority != CLICK:
                self._stop(job.slot)
            self._waiting[job.slot] = job
            self._condition.notify()

    def cancel(self, slot: Hashable | None = None) -> None:
        """Cancel the job of one slot, or all; of a cancelled job nothing is heard again."""
        with self._condition:
            for waiting in [s for s in self._waiting if slot is None or s == slot]:
                del self._waiting[waiting]
            self._stop(slot)

    def shutdown(self) -> None:
        """End the thread as soon as the running job reports; nothing is delivered any more."""
        with self._condition:
            self._stopped = True
            self._waiting.clear()
            self._stop()
            self._condition.notify()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, so long at most."""
        self._thread.join(seconds)

    @property
    def idle(self) -> bool:
        """Whether nothing runs, nothing waits, and everything is delivered."""
        with self._condition:
            return not (self._waiting or self._running or self._undelivered)

    @property
    def is_waited_for(self) -> bool:
        """Whether an answer to a click, or the embedding of what is shown, is still to come."""
        with self._condition:
            jobs = (*self._waiting.values(), *self._running, *self._undelivered)
            return any(job.priority in (CLICK, EMBED) for job in jobs)

    @property
    def alive(self) -> bool:
        """Whether the thread still runs."""
        return self._thread.is_alive()

    def _stop(self, slot: Hashable | None = None) -> None:
        for job in self._running:
            if slot is None or job.slot == slot:
                job.stop.set()

    def _deliver_report(self, job: Job, done: int, total: int) -> None:
        if not self._stopped and not job.stop.is_set():
            job.progress(done, total)

    def _deliver_item(self, job: Job, item: Any) -> None:
        if not self._stopped and not job.stop.is_set() and job.each is not None:
            job.each(item)

    def _deliver(self, job: Job, outcome: Any) -> None:
        with self._condition:
            self._undelivered.remove(job)
        if self._stopped or isinstance(outcome, Cancelled):
            return
        if isinstance(outcome, Exception):
            job.failed(outcome)
        else:
            job.done(outcome)

    # In the worker's thread

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._do(job)
            del job  # its image would stay until the next one comes
        self._at_end()

    def _do(self, job: Job) -> None:
        outcome = self._outcome(job)
        with self._condition:
            self._running.pop()
            if not self._stopped:
                self._undelivered.append(job)
                self._ended.emit(job, outcome)

    def _outcome(self, job: Job) -> Any:
        """The result of a job; errors go to the GUI thread, which tells the user."""
        try:
            result = job.work(partial(self._report, job))
            if job.each is None:
                return result
            for item in result:
                self._came.emit(job, item)
                self._make_way(job)
        except (Cancelled, Exception) as error:  # noqa: BLE001 a worker thread has nobody above it
            return error

    def _next(self) -> Job | None:
        with self._condition:
            while not self._waiting and not self._stopped:
                self._condition.wait()
            return None if self._stopped else self._take(list(self._waiting.values()))

    def _take(self, jobs: list[Job]) -> Job:
        job = min(jobs, key=lambda job: job.priority)
        del self._waiting[job.slot]
        self._running.append(job)
        return job

    def _report(self, job: Job, done: int, total: int) -> None:
        self._make_way(job)
        now = monotonic()
        if done < total and now - job.reported_at < BETWEEN_REPORTS_S:
            return
        job.reported_at = now
        with self._condition:
            if not self._stopped:
                self._reported.emit(job, done, total)

    def _make_way(self, job: Job) -> None:
        """Run jobs that are more urgent than this one; then it resumes, unless it was cancelled."""
        while (urgent := self._before(job)) is not None:
            self._do(urgent)
        if job.stop.is_set():
            raise Cancelled

    def _before(self, job: Job) -> Job | None:
        with self._condition:
            urgent = [waiting for waiting in self._waiting.values() if _makes_way(job, waiting)]
            return self._take(urgent) if urgent else None


def _end(worker: ref[Worker]) -> None:
    """At the end of the process."""
    if (living := worker()) is not None:
        living.shutdown()
        living.join(LAST_BLOCK_S)


def _makes_way(running: Job, urgent: Job) -> bool:
    """Whether a running job lets another go first: not if it makes what the urgent one needs."""
    same = running.subject is not None and running.subject == urgent.subject
    return running.priority >= UNASKED and urgent.priority < running.priority and not same
