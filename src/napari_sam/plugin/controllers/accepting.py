"""Found objects become objects: they land between the turns of the window, as one step of undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from qtpy.QtCore import QObject, QTimer

from napari_sam.engine import FrameIndex, SamError
from napari_sam.plugin.work import automatic as tasks
from napari_sam.plugin.work.jobs import BULK, PREVIEW, Job
from napari_sam.plugin.work.tasks import link
from napari_sam.session import Claim, Landing, land_claims
from napari_sam.stacks import IN_DEPTH, Links, make_links

from .automatic_run import Run
from .controller import Window

CLAIM, LINK = "claim objects", "link found objects"  # job slots
AT_ONCE_S = 0.03  # so long objects are written before the window has its turn
NOTHING_CHOSEN = (
    "No object is selected. Shift+click objects, or press “Draw a box” and drag one over them."
)
NONE_PASSES = (
    "No object passes the filters, so there is nothing to accept. Lower them, or click the objects "
    "by hand."
)


@dataclass(eq=False)
class Acceptance:
    """What is accepted of a run."""

    run: Run
    only_chosen: bool
    through: str | None  # linked over time or depth; None: not linked
    number: int = 0  # the step of undo
    first_id: int = 0  # of those that landed
    n: int = 0  # how many landed so far


class Accepting(QObject):
    """Claims pixels in the worker, lands the objects, and links them over the frames.

    Parameters
    ----------
    ended
        Called when objects have landed, or no more can.
    """

    def __init__(self, parent: QObject, window: Window, ended: Callable[[Run], None]) -> None:
        super().__init__(parent)
        self._worker, self._status, self._tell = window.worker, window.status, window.tell
        self._ended = ended
        self._acceptance: Acceptance | None = None
        self._steps: Iterator[int] = iter(())
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._go_on)

    @property
    def is_running(self) -> bool:
        """Whether objects are about to land."""
        return self._acceptance is not None

    @property
    def is_landing(self) -> bool:
        """Whether objects land just now."""
        return self._timer.isActive()

    def begin(self, run: Run, only_chosen: bool, through: str | None) -> None:
        """Let what stands land, all of it or what is chosen."""
        frames = [frame for frame in run.proposals if not only_chosen or run.chosen.get(frame)]
        decisions = [
            run.decision(frame, run.chosen[frame] if only_chosen else None) for frame in frames
        ]
        acceptance = self._acceptance = Acceptance(run, only_chosen, through)
        job = Job(
            CLAIM,
            partial(tasks.claim, decisions),
            done=partial(self._land, acceptance),
            failed=self._give_up,
            priority=PREVIEW,
        )
        self._worker.submit(job)

    def finish(self) -> None:
        """Land all that began to: there is no later."""
        while self._timer.isActive():
            self._go_on()
        for slot in (CLAIM, LINK):
            self._worker.cancel(slot)
        self._acceptance = None

    def _land(
        self, acceptance: Acceptance, claims: Sequence[tuple[FrameIndex, Sequence[Claim]]]
    ) -> None:
        run = acceptance.run
        if not any(claimed for _, claimed in claims):
            self._give_up(SamError(NOTHING_CHOSEN if acceptance.only_chosen else NONE_PASSES))
            return
        acceptance.number, acceptance.first_id = run.session.new_run(), run.session.next_id()
        if not acceptance.only_chosen and len(claims) == len(run.proposals):
            run.accepted = acceptance.number
        self._steps = _steps(acceptance, claims)
        self._status.show_busy("Writing the objects …")
        self._timer.start(0)

    def _go_on(self) -> None:
        acceptance, end = self._acceptance, perf_counter() + AT_ONCE_S
        if acceptance is None:
            self._timer.stop()
            return
        try:
            while perf_counter() < end:
                acceptance.n += next(self._steps)
        except StopIteration:
            self._timer.stop()
            self._finish(acceptance)
        except Exception as error:  # noqa: BLE001 what landed is told and can be undone
            self._timer.stop()
            acceptance.run.accepted = None
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """No more can land; what did is one step of undo."""
        acceptance, self._acceptance = self._acceptance, None
        self._tell(error)
        if acceptance is not None:
            self._ended(acceptance.run)

    def _finish(self, acceptance: Acceptance) -> None:
        run, n, self._acceptance = acceptance.run, acceptance.n, None
        run.note_taken(acceptance.number, only_chosen=acceptance.only_chosen)
        run.chosen.clear()
        if not run.session.accepts(acceptance.number):  # undone meanwhile
            self._status.show_idle("The objects were taken back.")
            self._ended(run)
            return
        objects, them = ("object", "it") if n == 1 else ("objects", "them")
        self._status.show_idle(f"Accepted {n} {objects}. Ctrl+Z takes {them} back.")
        self._ended(run)
        if acceptance.through is not None and len(run.frames) > 1:
            self._link(acceptance)

    # Linked from frame to frame

    def _link(self, acceptance: Acceptance) -> None:
        run, session = acceptance.run, acceptance.run.session
        work = partial(
            link,
            session.labels,
            run.frames[0],
            run.axis,
            session.next_id(),
            dict(session.parents),
            among=_landed(acceptance),
            rules=IN_DEPTH if acceptance.through == "depth" else None,
        )
        job = Job(
            LINK,
            work,
            done=partial(self._on_linked, acceptance, session.n_changes),
            failed=self._tell,
            progress=partial(self._status.show_busy, "Linking objects from frame to frame …"),
            priority=BULK,
        )
        self._worker.submit(job)

    def _on_linked(self, acceptance: Acceptance, n_changes: int, links: Links) -> None:
        session = acceptance.run.session
        if not session.accepts(acceptance.number):
            return
        if session.n_changes != n_changes:  # what was read is not what stands now
            self._link(acceptance)
            return
        try:
            make_links(session, links, acceptance.number)
        except SamError as error:
            self._tell(error)
            return
        n, m = len(links.tracks), links.tracks.n_tracks
        self._status.show_idle(f"Accepted, and {n} labels linked: they are {m} objects now.")
        self._ended(acceptance.run)


def _landed(acceptance: Acceptance) -> set[int]:
    """The ids of the objects that were accepted."""
    run = acceptance.run
    return {
        object_id
        for frame in run.frames
        for object_id, annotation in run.session.annotations_in(frame)
        if annotation.found_by and object_id >= acceptance.first_id
    }


def _steps(
    acceptance: Acceptance, claims: Sequence[tuple[FrameIndex, Sequence[Claim]]]
) -> Iterator[int]:
    """Land frame by frame: all of it one step of undo."""
    run = acceptance.run
    for frame, claimed in claims:
        at = Landing(frame, run.model, acceptance.number, run.options.replaces)
        yield from land_claims(run.session, claimed, at)
