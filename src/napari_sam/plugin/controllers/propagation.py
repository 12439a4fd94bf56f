"""Objects propagated to other frames while the window lives."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal

from napari_sam.engine import FrameIndex, Pace, SamError
from napari_sam.plugin.layers.network_input import letters_of
from napari_sam.plugin.panels.stack import PageOptions, StackPanel
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import BULK, Job
from napari_sam.session import Annotation, Key, Propagated, Session
from napari_sam.stacks import Plan, Through, ids_between, plan

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_sam.plugin.layers.bridge import LayerBridge

PROPAGATE = "propagate"  # job slot
SLIDER = "slider"  # as napari calls an axis without a name
TIMES, DEPTHS = ("t", "time", "frame"), ("z", "depth", "slice", "plane")  # labels of axes
STOPS_SHOWN = 2  # reasons spelt out below the button; all are in the list to review


@dataclass(eq=False)
class Run:
    """Objects on their way: one step of undo."""

    number: int
    session: Session
    pace: Pace = field(default_factory=Pace)
    frames: set[FrameIndex] = field(default_factory=set)
    objects: set[int] = field(default_factory=set)
    stops: list[Propagated] = field(default_factory=list)
    last: tuple[int, FrameIndex] | None = None  # what landed last
    landed: Annotation | None = None  # and how it stood then

    @property
    def summary(self) -> str:
        """The result so far, in a sentence."""
        n, m = len(self.objects), len(self.frames)
        objects, frames = f"{n} object{'s' * (n != 1)}", f"{m} frame{'s' * (m != 1)}"
        ended = len({stop.object_id for stop in self.stops})
        ends = f"; {ended} ended on the way" if ended else ""
        return f"Propagated {objects} over {frames}{ends}." if m else "Nothing was propagated."

    @property
    def outcome(self) -> str:
        """The same, and why objects ended."""
        sentences = [
            self.summary,
            *(stop.stopped for stop in self.stops[:STOPS_SHOWN]),
        ]
        more = len(self.stops) - STOPS_SHOWN
        if more > 0:
            sentences.append(f"{more} more ended: see Review.")
        return " ".join(sentences)


class Propagation(Controller):
    """Has objects propagated in the worker, and lets each frame land as soon as it is done.

    Parameters
    ----------
    panel
        What is to be propagated where.
    chosen
        Gives the objects chosen in the list.
    """

    ended = Signal()
    asked = Signal()  # the user is to say something on the page

    def __init__(
        self, window: Window, panel: StackPanel, chosen: Callable[[], Sequence[int]]
    ) -> None:
        super().__init__(window)
        self.runs: dict[Hashable, Run] = {}  # by the slot of their job
        self._told: Run | None = None  # whose outcome is shown
        self._panel, self._chosen = panel, chosen
        self._is_chosen = False  # what to propagate, by the user
        self._is_suggesting = False
        panel.propagate_clicked.connect(self.propagate)
        panel.through_chosen.connect(self._on_through)
        panel.which.currentIndexChanged.connect(self._on_which)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the layers of an image."""
        self._bridge = bridge
        bridge.session.landed.connect(self._on_landed)
        bridge.frame_changed.connect(self._suggest)
        shape = bridge.session.stack.shape
        axes = [axis for axis, n in enumerate(shape[:-2]) if n > 1]
        longest = max((shape[axis] for axis in axes), default=0)
        names = [(axis, _axis_name(bridge, axis)) for axis in axes]
        letters = letters_of(bridge.image)
        known = dict(through_of(bridge.points, axes, letters)) | bridge.session.through
        self._panel.show_axes(names, longest, known)
        self._suggest()

    def detach(self) -> None:
        """Let go of the image; what is there stays."""
        if self._bridge is not None:
            self.stop()
            self._bridge.session.landed.disconnect(self._on_landed)
            self._bridge.frame_changed.disconnect(self._suggest)
            self._bridge = self._told = None

    def _on_through(self, axis: int, through: str) -> None:
        if self._bridge is not None:
            self._bridge.session.through[axis] = through

    def _on_which(self, _: int) -> None:
        self._is_chosen = not self._is_suggesting

    def _suggest(self, _: object = None) -> None:
        """Where several objects were annotated, all of them are meant unless said otherwise."""
        bridge = self._bridge
        if self._is_chosen or bridge is None or bridge.frame is None:
            return
        there = bridge.session.annotations_in(bridge.frame)
        n = sum(bool(annotation.footprint.landed) for _, annotation in there)
        which, self._is_suggesting = self._panel.which, True
        which.setCurrentIndex(which.findData("all" if n > 1 else "active"))
        self._is_suggesting = False

    def propagate(self) -> None:
        """Propagate objects from the frame shown, as the page says."""
        bridge = self._bridge
        if bridge is None:
            return
        options = self._panel.options()
        axis = self._panel.chosen_axis()
        try:
            if bridge.frame is None:
                raise SamError("No frame is shown. Show the image in 2D, inside its range.")
            steps = plan(
                bridge.session,
                self._ids(bridge.session, bridge.frame, options),
                bridge.frame,
                direction=options.direction,
                n_frames=options.n_frames,
                axis=axis,
                through=self.through(axis),
            )
        except SamError as error:
            self._tell(error)
            return
        self.begin(steps, PROPAGATE)

    @property
    def reach(self) -> int | None:
        """How many frames the page says; ``None`` for all."""
        return self._panel.options().n_frames

    def through(self, axis: int | None) -> Through:
        """Whether an axis, by default the one on the page, is time or depth.

        Raises
        ------
        SamError
            If nobody said so yet: then the page asks.
        """
        axis = self._panel.axis.currentData() if axis is None else axis
        known = self._panel.chosen_through(axis)
        if known is None and self._bridge is not None:
            name, n = _axis_name(self._bridge, axis), self._bridge.session.stack.shape[axis]
            self.asked.emit()
            raise SamError(f"Is {name} ({n} frames) time or depth? Choose it beside “Through”.")
        return "depth" if known == "depth" else "time"

    def axis_name(self, axis: int) -> str:
        """What the slider of an axis is called: ``t``, ``slider -3``."""
        return "" if self._bridge is None else _axis_name(self._bridge, axis)

    def begin(self, steps: Plan, slot: Hashable, number: int | None = None) -> None:
        """Go through a plan, in place of an earlier one in the same slot.

        Parameters
        ----------
        number
            Of an earlier run that it is one step of undo with.
        """
        if self._bridge is None:
            return
        if self.predictor is None:
            self._tell(SamError("No model is loaded yet. Wait for it, or choose one above."))
            return
        session, model = self._bridge.session, self.predictor.model
        session.models[model.name] = (model.hash, model.precision)
        number = session.new_run() if number is None else number
        run = self.runs[slot] = Run(number, session)
        self._tell_outcome(run, "")
        self._show_progress(run, 0, 0)
        job = Job(
            slot,
            partial(tasks.propagate, steps, self._cache, self.predictor, session.stack),
            done=lambda _: self._end(run),
            failed=partial(self._on_failed, run),
            progress=partial(self._show_progress, run),
            priority=BULK,
            each=partial(self._land, run),
        )
        self._worker.submit(job)

    def stop(self) -> None:
        """Cancel all runs; what is there stays, and each is one step of undo."""
        for slot, run in self.runs.items():
            self._worker.cancel(slot)
            self._tell_outcome(run, f"Cancelled. {run.outcome}")
        self.runs.clear()
        self.ended.emit()

    def _ids(self, session: Session, frame: FrameIndex, options: PageOptions) -> Sequence[int]:
        """The objects that the page names."""
        if options.which == "active":
            return [session.active]
        if options.which == "chosen":
            return self._chosen() or [session.active]
        if options.direction == "between":
            return ids_between(session, frame, self._panel.chosen_axis())
        if ids := session.ids_in(frame):
            return ids
        raise SamError("There is no object in this frame. Go to a frame that has some.")

    def _land(self, run: Run, propagated: Propagated) -> None:
        """One object is brought to one frame, or ends before it."""
        try:
            run.session.land_propagated(propagated, run.number)
        except SamError as error:
            self._on_failed(run, error)
            return
        if propagated.stopped:
            run.stops.append(propagated)
            return
        run.frames.add(propagated.frame)
        run.objects.add(propagated.object_id)
        run.last = (propagated.object_id, propagated.frame)
        run.landed = run.session.current(*run.last)
        if self._bridge is not None and self._panel.follow.isChecked():
            self._bridge.show_one_of([propagated.frame])

    def _on_landed(self, keys: Sequence[Key]) -> None:
        """Stop a run that was undone, and do not report it."""
        bridge = self._bridge
        if bridge is not None and any(frame == bridge.frame for _, frame in keys):
            self._defer(self._suggest)
        if bridge is None or not bridge.is_replaying:
            return
        for run in (*self.runs.values(), self._told):
            if run is None or run.last is None or run.last not in keys:
                continue
            is_back = bridge.session.current(*run.last) is run.landed
            if not is_back:
                self.stop()
            self._tell_outcome(run, run.outcome if is_back else "")
            return

    def _tell_outcome(self, run: Run, text: str) -> None:
        self._told = run
        self._panel.show_outcome(text)

    def _show_progress(self, run: Run, done: int, total: int) -> None:
        """Reports come in hundredths of a frame."""
        left = run.pace.time_left(done, total)
        frame = f"frame {min(done // 100 + 1, total // 100)} of {total // 100}" if total else "…"
        text = f"Propagating: {frame}"
        self._status.show_busy(f"{text}, {left} left" if left else text, done, total)

    def _end(self, run: Run) -> None:
        self.runs = {slot: each for slot, each in self.runs.items() if each is not run}
        self._tell_outcome(run, run.outcome)
        self._status.show_idle(run.summary)
        self.ended.emit()

    def _on_failed(self, run: Run, error: Exception) -> None:
        self.stop()
        self._tell(error)
        self._tell_outcome(run, f"Not finished. {run.outcome}")


def through_of(
    layer: Layer, axes: Iterable[int], letters: str = ""
) -> Iterator[tuple[int, Through]]:
    """Which axes are time and which depth: by their labels, their units, or letters in a file."""
    for axis in axes:
        label, letter = str(layer.axis_labels[axis]).lower(), letters[axis : axis + 1].lower()
        unit = layer.units[axis].dimensionality
        if label in TIMES or "[time]" in unit:
            yield axis, "time"
        elif label in DEPTHS or "[length]" in unit:
            yield axis, "depth"
        elif letter in TIMES or letter in DEPTHS:
            yield axis, "time" if letter in TIMES else "depth"


def _axis_name(bridge: LayerBridge, axis: int) -> str:
    """The name of an axis' slider: ``t``, ``slider -3``."""
    dims = bridge.viewer.dims
    name = str(dims.axis_labels[axis + dims.ndim - bridge.session.stack.ndim])
    return f"{SLIDER} {name}" if name.lstrip("-").isdigit() else name
