"""Prompts of layers and files: looked at, decoded beside the window, one step of undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Labels, Points, Shapes

from napari_sam.engine import FrameIndex, PromptError, PromptSet, SamError, positions_of
from napari_sam.plugin.layers.as_prompts import PromptLayer, read_layer
from napari_sam.plugin.layers.proposals import Picture, draw_boxes
from napari_sam.plugin.panels.prompting import PromptPanel
from napari_sam.plugin.work import prompting as tasks
from napari_sam.plugin.work.jobs import BULK, Job
from napari_sam.session import Answer, Session, classes

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.plugin.layers.bridge import LayerBridge

LOOK, DECODE = "look at prompts", "decode prompts"  # job slots
IS_ANNOTATED = (
    "is what is annotated here. To prompt with it, choose other labels under Labels; to correct "
    "its outlines, choose “These labels, refined”."
)
STAY = "What is segmented stays as it is; to decide again, undo it first."
NO_MODEL = "No model is loaded yet. Wait for it, or choose one above."


@dataclass(eq=False)
class Run:
    """Prompts on their way: one step of undo."""

    session: Session
    number: int
    prompts: PromptSet = field(default_factory=PromptSet)
    landed: set[int] = field(default_factory=set)
    n_refused: int = 0

    @property
    def outcome(self) -> str:
        """The result so far, in sentences."""
        n = len(self.landed)
        said = f"{n} object{'' if n == 1 else 's'} segmented."
        if self.n_refused:
            said += f" {self.n_refused} found nothing new: what is there is another object."
        return " ".join((said, *self.prompts.problems))


class Prompting(Controller):
    """Shows what a layer or a file holds, and has it segmented.

    Parameters
    ----------
    panel
        Where it is chosen.
    """

    def __init__(self, window: Window, panel: PromptPanel) -> None:
        super().__init__(window)
        self.run: Run | None = None
        self.found = PromptSet()  # what would be decoded
        self._given: PromptSet | None = None  # what the source holds
        self._is_offered = False  # whether nothing else shows its boxes
        self._draws = False  # whether they are drawn
        self._last: Run | None = None  # what of it was segmented
        self._awaited = ""  # the layer to be used once an image is there
        self._panel = panel
        panel.layer_chosen.connect(self._use_layer)
        panel.file_chosen.connect(self._use_file)
        panel.changed.connect(self._choose_again)
        panel.run_clicked.connect(self.begin)
        self._show()

    @property
    def is_busy(self) -> bool:
        """Whether objects are being segmented."""
        return self.run is not None

    def attach(self, bridge: LayerBridge) -> None:
        """Prompt the objects of an image."""
        self._bridge = bridge
        bridge.frame_changed.connect(self._on_frame)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed):
            event.connect(self._list_later)
        self._list_layers()
        self._choose_awaited()

    def detach(self) -> None:
        """Let go of the image; what has landed stays."""
        if self._bridge is not None:
            self.stop()
            self._bridge.frame_changed.disconnect(self._on_frame)
            events = self._viewer.layers.events
            for event in (events.inserted, events.removed):
                event.disconnect(self._list_later)
        super().detach()
        self._panel.show_layers([])
        self._forget()

    def stop(self) -> None:
        """Cancel; what has landed stays, and is one step of undo."""
        for slot in (LOOK, DECODE):
            self._worker.cancel(slot)
        if self.run is not None:
            self._end(self.run, "Cancelled. ")

    # What there is to prompt with

    def _list_later(self, event: object = None) -> None:
        self._defer(self._list_layers)

    def _layers(self) -> dict[str, PromptLayer]:
        """The layers that are not the annotation's own, by name."""
        bridge = self._bridge
        if bridge is None:
            return {}
        own = (bridge.labels, bridge.points, bridge.shapes, bridge.area.layer)
        shown = (*own, *bridge.shown_layers)
        return {
            layer.name: layer
            for layer in self._viewer.layers
            if isinstance(layer, Points | Shapes | Labels)
            and not any(layer is each for each in shown)
        }

    def choose(self, name: str) -> None:
        """Make a layer the source of prompts, now or when an image is annotated."""
        self._awaited = name
        self._choose_awaited()

    def _choose_awaited(self) -> None:
        name, self._awaited = self._awaited, "" if self._bridge is not None else self._awaited
        if not name or self._bridge is None:
            return
        self._list_layers()
        if name in self._layers():
            self._panel.choose_layer(name)
        else:
            self._tell(PromptError(f"{name} {IS_ANNOTATED}"))

    def offer(self, prompts: PromptSet, min_score: float) -> None:
        """Show prompts that a detector has found; those with lower scores are left out at first."""
        self._panel.show_min_score(min_score)
        self._last, self._is_offered, self._draws = None, True, True
        self._look(lambda: lambda: prompts)

    def _list_layers(self) -> None:
        self._panel.show_layers(list(self._layers()))

    def _use_layer(self, name: str) -> None:
        layer, bridge = self._layers().get(name), self._bridge
        self._forget()
        if layer is not None and bridge is not None:
            self._look(lambda: read_layer(layer, bridge.labels, bridge.session.stack))

    def _use_file(self, name: str) -> None:
        self._forget()
        if self._bridge is None:
            return
        path, stack = Path(name), self._bridge.session.stack
        self._panel.show_file(path)
        source = self._bridge.image.source.path
        image = "" if source is None else Path(source).name
        self._look(lambda: partial(tasks.read_file, path, stack, image))

    def _forget(self) -> None:
        self._given, self.found, self._last = None, PromptSet(), None
        self._is_offered = self._draws = False
        self._worker.cancel(LOOK)
        self._show()

    def _look(self, source: Callable[[], Callable[[], PromptSet]]) -> None:
        """Read a source in the worker, and show what is in it."""
        bridge = self._bridge
        if bridge is None:
            return
        try:
            read, choice = source(), self._panel.choice()
        except SamError as error:
            self._tell(error)
            return
        self._panel.show_found("Reading …", 0)
        job = Job(
            LOOK,
            partial(tasks.look, read, bridge.session.stack, self.frame, choice),
            done=self._on_looked,
            failed=self._on_not_read,
            priority=BULK,
        )
        self._worker.submit(job)

    def _choose_again(self) -> None:
        """Another score or shape: what would be segmented is seen again, before it is."""
        self._draws = self._is_offered
        self._look_again()

    def _look_again(self) -> None:
        given = self._given
        if given is not None:
            self._look(lambda: lambda: given)

    def _on_frame(self, frame: FrameIndex | None) -> None:
        """Prompts without a frame are for the one shown."""
        self._draw()
        if self._given is not None and any(each.at is None for each in self._given.objects):
            self._look_again()

    @property
    def frame(self) -> FrameIndex | None:
        """The frame shown, if it is one that prompts can name."""
        bridge = self._bridge
        if bridge is None or bridge.frame is None:
            return None
        spans = tuple(axis for axis, at in enumerate(bridge.frame) if at is None)
        return bridge.frame if spans == tuple(bridge.session.stack.displayed) else None

    def _on_looked(self, looked: tuple[PromptSet, PromptSet]) -> None:
        self._given, self.found = looked
        self._show()

    def _on_not_read(self, error: Exception) -> None:
        self._forget()
        self._panel.show_layers(list(self._layers()))
        self._tell(error)

    def _show(self, outcome: str = "") -> None:
        """How many there are of what kind, and what is left out."""
        given = () if self._given is None else self._given.objects
        scores = [each.score for each in given if each.score is not None]
        extent = [f"Scores from {min(scores):.2f} to {max(scores):.2f}."] if scores else []
        last = self._last
        stays = [STAY] if last and last.landed and last.session.accepts(last.number) else []
        counted = (f"{self.found.summary}.", *extent, *stays, *self.found.problems)
        said = " ".join(counted) if given else ""
        self._panel.show_found(
            outcome or said,
            len(self.found),
            shapes=any(each.mask is not None for each in given),
            scores=bool(scores),
        )
        self._draw()

    def _draw(self) -> None:
        """Show the boxes in this frame, until they are segmented."""
        bridge, frame = self._bridge, self.frame
        if bridge is None:
            return
        if not self._draws or frame is None or not self.found:
            bridge.boxes.set_visible(False)
            return
        at = positions_of(frame)
        boxes = [
            (each.prompts.box, each.class_name)
            for each in self.found.objects
            if each.at == at and each.prompts.box is not None
        ]
        shape = bridge.session.stack.frame_shape_of(frame)
        bridge.boxes.show(Picture(draw_boxes(boxes, shape)), frame)

    # Decoding

    def begin(self) -> None:
        """Segment an object for each prompt."""
        bridge, given = self._bridge, self._given
        if bridge is None or given is None:
            return
        if self.predictor is None:
            self._tell(SamError(NO_MODEL))
            return
        session = bridge.session
        run = self.run = Run(session, session.new_run())
        self._panel.run.setEnabled(False)
        self._show_progress(0, 0)
        stack, cache = session.stack, self._cache
        job = Job(
            DECODE,
            partial(
                tasks.decode,
                given,
                self.frame,
                self._panel.choice(),
                session.labels,
                cache,
                self.predictor,
                stack,
            ),
            done=lambda _: self._end(run),
            failed=partial(self._on_failed, run),
            progress=self._show_progress,
            priority=BULK,
            each=partial(self._land, run),
        )
        self._worker.submit(job)

    def _land(self, run: Run, item: PromptSet | Answer) -> None:
        """First the prompts by their numbers, then one mask after the other."""
        if not run.session.accepts(run.number):  # it was undone
            self.stop()
            return
        try:
            if isinstance(item, PromptSet):
                run.prompts = item
                run.session.make_room(max(1, item.highest_id))
                self._make_way(run.session, item)
            elif run.session.land(item, run.number) is None:
                run.n_refused += 1
            else:
                run.landed.add(item.request.object_id)
        except SamError as error:
            self._on_failed(run, error)

    def _make_way(self, session: Session, prompts: PromptSet) -> None:
        """The object that the next click makes is none of these."""
        if session.active in {each.object_id for each in prompts.objects}:
            session.select(max(session.next_id(), prompts.highest_id + 1))
            if self._bridge is not None:
                self._bridge.show_object()

    def _show_progress(self, done: int, total: int) -> None:
        of = f" {done} of {total}" if total > 1 else ""
        self._status.show_busy(f"Segmenting prompts:{of} …", done, total)

    def _on_failed(self, run: Run, error: Exception) -> None:
        self._worker.cancel(DECODE)
        self._tell(error)
        self._end(run, "Not finished. ")

    def _end(self, run: Run, begin: str = "") -> None:
        """Give the objects their classes, and say how many there are."""
        self.run, self._last = None, run
        self._draws = False
        names = {i: name for i, name in run.prompts.classes.items() if i in run.landed}
        classes.give_named_classes(run.session, names, run.number, "prompt")
        self._status.show_idle(f"{begin}{run.outcome}")
        self._show(f"{begin}{run.outcome}")
