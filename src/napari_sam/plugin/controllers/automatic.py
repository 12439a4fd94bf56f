"""Everything in a frame, or in each frame of a stack: looked for, filtered, accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam.engine import FrameIndex, SamError
from napari_sam.plugin.layers.levels import is_huge
from napari_sam.plugin.layers.proposals import draw_proposals
from napari_sam.plugin.panels.automatic import AutomaticPanel
from napari_sam.plugin.work import automatic as tasks
from napari_sam.plugin.work.jobs import BULK, PREVIEW, Job
from napari_sam.session import Key

from .accepting import NOTHING_CHOSEN, Accepting
from .automatic_run import Run, examples_chosen, frames_along
from .controller import Controller, Window
from .propagation import Propagation

if TYPE_CHECKING:
    from napari_sam.engine import Examples
    from napari_sam.plugin.layers.bridge import LayerBridge

FIND = "find objects"  # job slot
FIXED = ("what", "method", "within", "cell_size")  # as they were when the search began
NO_IMAGE = "There is no image to search. Open one: drop a file into the window."
NO_MODEL = "No model is loaded yet. Wait for it, or choose one above."
NO_FRAME = "No frame is shown. Show the image in 2D, inside its range."
AT_IT = "A search is running already. Wait for it, or press Cancel first."
LANDING = "The accepted objects are being written. Wait a moment."
TOO_LARGE = (
    "To search all of an image this large takes hours. Choose “In the box drawn”, or have "
    "napari-sam auto find all objects and write them to disk."
)
NONE_REMOVED = "No proposal is selected. Shift+click those that are not like your examples."
CHANGED = "The image has changed, so its proposals were removed. Press “Find objects” again."


class Automatic(Controller):
    """Has objects found in the worker, and shows which of them stand as the filters are.

    Parameters
    ----------
    panel
        What is looked for where.
    propagation
        Knows which axes are time and which depth.
    selected
        The objects selected in the list.
    """

    def __init__(
        self,
        window: Window,
        panel: AutomaticPanel,
        propagation: Propagation,
        selected: Callable[[], Sequence[int]],
    ) -> None:
        super().__init__(window)
        self._selected = selected
        self.run: Run | None = None
        self.accepting = Accepting(self, window, self._on_accepted)
        self._panel, self._propagation = panel, propagation
        self._stale: set[FrameIndex] = set()  # frames whose labels were changed
        panel.draw_clicked.connect(self.draw)
        panel.run_clicked.connect(self.begin)
        panel.filtered.connect(self._on_filtered)
        panel.compared.connect(self._show)
        panel.all_accepted.connect(partial(self.accept, only_chosen=False))
        panel.chosen_accepted.connect(partial(self.accept, only_chosen=True))
        panel.chosen_removed.connect(self.remove_chosen)
        panel.discarded.connect(self.discard)

    @property
    def is_busy(self) -> bool:
        """Whether objects are looked for, or land."""
        return self.accepting.is_running or (self.run is not None and not self.run.is_over)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the layers of an image."""
        self._bridge = bridge
        bridge.frame_changed.connect(self._on_frame)
        bridge.session.landed.connect(self._on_landed)
        bridge.tools.picked.connect(self._on_picked)
        bridge.area.changed.connect(self._on_area)
        shape = bridge.session.stack.shape
        axes = [axis for axis, n in enumerate(shape[:-2]) if n > 1]
        self._panel.show_axes([(a, self._propagation.axis_name(a), shape[a]) for a in axes])

    def detach(self) -> None:
        """Let go of them; what was accepted stays."""
        bridge = self._bridge
        if bridge is not None:
            self.accepting.finish()
            self._forget()
            bridge.frame_changed.disconnect(self._on_frame)
            bridge.session.landed.disconnect(self._on_landed)
            bridge.tools.picked.disconnect(self._on_picked)
            bridge.area.changed.disconnect(self._on_area)
            self._bridge = None

    def release(self) -> None:
        """Keep no image alive."""
        super().release()
        self.run = None

    # Looking for objects

    def draw(self) -> None:
        """Let the user drag a box: to look in, or over what is chosen."""
        if self._bridge is None:
            self._tell(SamError(NO_IMAGE))
        else:
            if self.run is None or self.run.is_accepted:
                self._panel.search_in_area()
            self._bridge.area.draw()

    def begin(self) -> None:
        """Look for objects where the page says."""
        try:
            run, work, chosen = self._new_run()
        except SamError as error:
            self._tell(error)
            return
        if chosen is not None and self.run is not None and self.run.answers(run):
            self._compare(self.run, chosen, self.predictor)
            return
        self._forget()
        self.run = run
        job = Job(
            FIND,
            work,
            done=lambda _: self._end(run, run.progress),
            failed=partial(self._on_failed, run),
            progress=partial(self._show_progress, run),
            priority=BULK,
            each=partial(self._on_found, run),
        )
        self._show_progress(run, 0, 0)
        self._worker.submit(job)

    def _new_run(self) -> tuple[Run, Any, tasks.ExampleObjects | None]:
        """A run as the page says, what the worker does for it, and the examples, if any."""
        bridge, predictor = self._bridge, self.predictor
        if bridge is None:
            raise SamError(NO_IMAGE)
        if predictor is None:
            raise SamError(NO_MODEL)
        if bridge.frame is None:
            raise SamError(NO_FRAME)
        if self.is_busy:
            raise SamError(LANDING if self.accepting.is_running else AT_IT)
        session, model = bridge.session, predictor.model
        options, axis = replace(self._panel.options(), cell_size=session.expected_diameter), None
        frames: Iterable[FrameIndex] = (bridge.frame,)
        if options.where == "area":
            options = replace(options, within=bridge.area.outline(bridge.frame))
        elif is_huge(session.stack.frame_shape):
            raise SamError(TOO_LARGE)
        elif options.where == "stack":
            axis = self._panel.chosen_axis()
            frames = frames_along(session.stack.shape, bridge.frame, axis, options)
        run = Run(session, session.stack, options, model.name, tuple(frames), axis)
        session.models[model.name] = (model.hash, model.precision)
        chosen = None
        if options.what == "alike":
            chosen = examples_chosen(session, self._selected(), bridge.frame)
        given = (self._cache, predictor, run.stack, run.frames, options.wanted)
        find = (*given, session.labels, chosen)
        return run, partial(tasks.find, *find), chosen

    def _compare(self, run: Run, chosen: tasks.ExampleObjects, predictor: Any) -> None:
        """Compare what was found before with the examples as they are now: nothing is decoded."""
        run.accepted = None
        run.note_deleted()

        def decide(examples: Examples) -> None:
            run.compare_with(examples)
            self._decide(run, run.proposals)

        work = partial(tasks.read_chosen, self._cache, predictor, chosen)
        self._worker.submit(Job(FIND, work, done=decide, failed=self._tell, priority=BULK))

    def stop(self) -> None:
        """Look no further; what was found can be accepted."""
        run = self.run
        if run is None:
            return
        if not run.is_over:
            self._worker.cancel(FIND)
            self._end(run, f"Cancelled. {run.progress}")
        else:
            self._decide(run, run.proposals)  # what waited for that was given up

    def _on_found(self, run: Run, found: tasks.Searched) -> None:
        """One frame is done."""
        frame, proposals, likeness = found
        run.proposals[frame] = proposals
        run.accepted = None  # these were not
        if likeness is not None:
            run.likeness[frame] = likeness
            run.compare_with(likeness.examples)
        elif proposals:
            self._panel.show_thresholds(*run.options.thresholds(proposals[0].method))
        self._decide(run, [frame])

    def _end(self, run: Run, said: str) -> None:
        run.is_over = True
        self._status.show_idle(said)
        self._decide(run, run.proposals)
        self._show_outcome(run)

    def _on_failed(self, run: Run, error: Exception) -> None:
        self._end(run, run.progress)
        self._tell(error)

    def _show_progress(self, run: Run, done: int, total: int) -> None:
        """Reports come in hundredths of a frame."""
        left = run.pace.time_left(done, total)
        text, n = "Finding objects", len(run.frames)
        if n > 1:
            text += f": frame {min(done // 100 + 1, n)} of {n}"
        self._status.show_busy(f"{text}, {left} left" if left else f"{text} …", done, total)

    # Which of them stand

    def _on_filtered(self) -> None:
        run = self.run
        if run is None:
            return
        try:
            said = self._panel.options()
        except SamError as error:
            self._tell(error)
            return
        fixed = {name: getattr(run.options, name) for name in FIXED}
        run.options = replace(said, **fixed)
        self._decide(run, run.proposals)

    def _decide(self, run: Run, frames: Iterable[FrameIndex]) -> None:
        """Decide anew on some frames; the one on screen comes first, and is shown."""
        shown = self._bridge.frame if self._bridge is not None else None
        for frame in sorted(frames, key=lambda frame: frame != shown):
            if frame not in run.proposals:
                continue
            decision = run.decision(frame, run.chosen.get(frame, ()))
            draw = draw_proposals if frame == shown else None
            job = Job(
                ("decide", frame),
                partial(tasks.show_decision, decision, draw),
                done=partial(self._on_decided, run, frame),
                failed=self._tell,
                priority=PREVIEW,
            )
            self._worker.submit(job)

    def _on_decided(
        self, run: Run, frame: FrameIndex, decision: tuple[tasks.Proposals, Any]
    ) -> None:
        if run is not self.run or self._bridge is None:
            return
        decided, picture = decision
        run.note(frame, decided)
        if picture is not None and frame == self._bridge.frame and not run.is_accepted:
            self._bridge.proposals.show(picture, frame)
        self._show()
        self._show_outcome(run)

    def _show(self, _: bool = False) -> None:
        """Show what was found, unless it was accepted, or the image is to be seen without it."""
        bridge, run = self._bridge, self.run
        if bridge is not None:
            is_there = run is not None and bridge.frame in run.decided and not run.is_accepted
            bridge.proposals.set_visible(is_there and not self._panel.before.isChecked())

    def _show_outcome(self, run: Run) -> None:
        if run is self.run:
            self._panel.show_outcome(run.summary)
            self._panel.allow_decisions(bool(run.decided) and not run.is_accepted)
            self._panel.name_chosen(run.n_chosen)

    def compare(self) -> None:
        """Show the image without what was found, or with it again."""
        if self._panel.before.isEnabled():
            self._panel.before.toggle()

    # Choosing some

    def _on_picked(self, point_world: Sequence[float], also: bool) -> None:
        """Choose what stands there, or let go of it."""
        run, bridge = self.run, self._bridge
        if run is None or bridge is None or bridge.frame is None or run.is_accepted:
            return
        point = bridge.point_in_frame(point_world)
        if point is not None and run.choose_at(bridge.frame, point):
            self._decide(run, [bridge.frame])

    def _on_area(self) -> None:
        """What lies in the box drawn is chosen."""
        if self.run is not None and not self.run.is_accepted and self._choose_drawn(self.run):
            self._decide(self.run, self.run.proposals)

    def _choose_drawn(self, run: Run) -> bool:
        """Choose what lies in the box drawn; ``False`` if none is."""
        bridge = self._bridge
        if bridge is None or bridge.frame is None:
            return False
        try:
            run.choose_within(bridge.frame, bridge.area.outline(bridge.frame))
        except SamError:
            return False
        return True

    def remove_chosen(self) -> None:
        """What is chosen is not like the examples: decide again on all that was found."""
        run = self.run
        if run is None or not run.likeness:
            return
        if not run.n_chosen and not self._choose_drawn(run):
            self._tell(SamError(NONE_REMOVED))
            return
        run.remove_chosen()
        self._decide(run, run.proposals)

    # What becomes of them

    def accept(self, only_chosen: bool) -> None:
        """Make objects of all that stand, or of those clicked, or else in the box drawn."""
        run = self.run
        if run is None or self._bridge is None or run.is_accepted:
            return
        if self.accepting.is_running:
            self._tell(SamError(LANDING))
        elif only_chosen and not run.n_chosen and not self._choose_drawn(run):
            self._tell(SamError(NOTHING_CHOSEN))
        else:
            try:
                is_linked = self._panel.link.isChecked() and len(run.frames) > 1
                through = self._propagation.through(run.axis) if is_linked else None
            except SamError as error:
                self._tell(error)
                return
            self.accepting.begin(run, only_chosen, through)

    def _on_accepted(self, run: Run) -> None:
        if self._bridge is not None:
            self._bridge.show_object()
        self._show()
        self._show_outcome(run)
        self._decide(run, run.proposals)

    def discard(self) -> None:
        """Forget what was found and not accepted."""
        if self.run is not None:
            self._forget()
            self._status.show_idle("The proposals were removed. Nothing else has changed.")

    def _forget(self) -> None:
        run, self.run = self.run, None
        if run is not None:
            for slot in (FIND, *(("decide", frame) for frame in run.proposals)):
                self._worker.cancel(slot)
        self._stale.clear()
        self._panel.show_outcome("")
        self._panel.name_chosen(0)
        self._panel.allow_decisions(False)
        self._show()

    # What else goes on

    def _on_frame(self, frame: FrameIndex | None) -> None:
        run, bridge = self.run, self._bridge
        if run is None or bridge is None:
            return
        if run.stack is not run.session.stack:
            self._forget()
            self._panel.show_outcome(CHANGED)
            return
        bridge.proposals.set_visible(False)  # until the picture of this frame is there
        if frame is not None:
            self._decide(run, [frame])

    def _on_landed(self, keys: Sequence[Key]) -> None:
        """Labels were changed, so other proposals may stand."""
        if self.run is not None:
            self._stale |= {frame for _, frame in keys if frame in self.run.proposals}
            self._defer(self._decide_stale)

    def _decide_stale(self) -> None:
        stale, self._stale = self._stale, set()
        if self.run is not None and not self.accepting.is_landing:
            self._decide(self.run, stale)
