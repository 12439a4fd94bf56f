"""Labels of other tools refined beside the window: one step of undo, the rest for Review."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_sam.engine import SamError
from napari_sam.plugin.panels.prompting import PromptPanel
from napari_sam.plugin.work import prompting as tasks
from napari_sam.plugin.work.jobs import BULK, Job
from napari_sam.session import Session, land_refined

from .controller import Controller, Window
from .prompting import NO_MODEL

if TYPE_CHECKING:
    from napari_sam.stacks import Refined

REFINE = "refine labels"  # job slot
ABOUT = (
    "Each object that you did not annotate prompts the model by its mask, in all frames. It is "
    "replaced only where the answer agrees; the rest is listed under Review."
)


@dataclass(eq=False)
class Run:
    """Objects on their way: one step of undo."""

    session: Session
    number: int
    n_refined: int = 0
    n_kept: int = 0

    @property
    def outcome(self) -> str:
        """The result so far, in sentences."""
        said = f"{self.n_refined} of {self.n_refined + self.n_kept} objects refined."
        kept = "is kept" if self.n_kept == 1 else "are kept"
        return f"{said} {self.n_kept} {kept} as before: see Review." if self.n_kept else said


class Refining(Controller):
    """Has the objects of the labels asked for again, and lets the answers land.

    Parameters
    ----------
    panel
        Where it is chosen and begun.
    """

    def __init__(self, window: Window, panel: PromptPanel) -> None:
        super().__init__(window)
        self.run: Run | None = None
        self._panel = panel
        panel.refine_chosen.connect(lambda: panel.show_refining(ABOUT))
        panel.refine_clicked.connect(self.begin)

    @property
    def is_busy(self) -> bool:
        """Whether objects are being refined."""
        return self.run is not None

    def detach(self) -> None:
        """Let go of the image; what has landed stays."""
        self.stop()
        super().detach()

    def stop(self) -> None:
        """Cancel; what has landed stays, and is one step of undo."""
        self._worker.cancel(REFINE)
        if self.run is not None:
            self._end(self.run, "Cancelled. ")

    def begin(self) -> None:
        """Refine all objects that the user did not annotate."""
        bridge = self._bridge
        if bridge is None:
            return
        try:
            if self.predictor is None:
                raise SamError(NO_MODEL)
            rules = self._panel.rules.value()
        except SamError as error:
            self._tell(error)
            return
        session = bridge.session
        run = self.run = Run(session, session.new_run())
        mine = {key for key, annotation in session.annotations() if annotation.is_anchor}
        self._panel.run.setEnabled(False)
        self._show_progress(0, 0)
        given = (session.labels, session.stack, mine, rules, self._cache, self.predictor)
        job = Job(
            REFINE,
            partial(tasks.refine, *given),
            done=lambda _: self._end(run),
            failed=partial(self._on_failed, run),
            progress=self._show_progress,
            priority=BULK,
            each=partial(self._land, run),
        )
        self._worker.submit(job)

    def _land(self, run: Run, refined: Refined) -> None:
        if not run.session.accepts(run.number):  # it was undone
            self.stop()
            return
        try:
            landed = land_refined(
                run.session, refined.answer, run.number, iou=refined.iou, kept=refined.kept
            )
        except SamError as error:
            self._on_failed(run, error)
            return
        run.n_refined += landed
        run.n_kept += not landed

    def _show_progress(self, done: int, total: int) -> None:
        of = f" {done} of {total}" if total > 1 else ""
        self._status.show_busy(f"Refining objects:{of} …", done, total)

    def _on_failed(self, run: Run, error: Exception) -> None:
        self._worker.cancel(REFINE)
        self._tell(error)
        self._end(run, "Not finished. ")

    def _end(self, run: Run, begin: str = "") -> None:
        self.run = None
        self._status.show_idle(f"{begin}{run.outcome}")
        self._panel.show_refining(f"{begin}{run.outcome}")
