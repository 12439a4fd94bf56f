"""The dock widget: it owns one session's layers and two workers, and wires them to the panels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Hashable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.notifications import show_error, show_info, show_warning
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QScrollArea, QVBoxLayout, QWidget

from napari_sam.engine import (
    EmbeddingCache,
    FrameIndex,
    FrameStack,
    ModelEntry,
    SamError,
    known_models,
    model_state,
)
from napari_sam.installation import rival_distribution, rival_warning
from napari_sam.session import Answer, ObjectSummary, Request, Session

from . import tasks
from .embedding_ahead import EmbeddingAhead
from .jobs import CLICK, EMBED, PREVIEW, Job, Report, Worker
from .layers import LayerBridge
from .object_actions import ObjectActions
from .onwards import Onwards
from .own_layers import new_labels
from .panels import ObjectPanel, SourcePanel, StatusPanel, ToolPanel, candidate_pictures
from .preferences import on_preferences_changed, open_store, read_preferences
from .reopening import Reopening
from .review import Review
from .saving import AUTOSAVE_MS, Saving
from .stack_panel import Pages, ReviewPanel, StackPanel
from .storage_panels import EmbeddingPanel, SessionPanel
from .tracks_view import TracksView

if TYPE_CHECKING:
    import napari

    from napari_sam.engine import Predictor

DEFAULT_MODEL = "pocket"
MOST_PIXELS_SEARCHED = 2**24  # of a frame, for objects of others; takes a tenth of a second
SETTLE_MS = 150  # the slider rests this long before its frame is embedded
MODEL, FRAME, HOVER, FETCH, RIVAL = "model", "frame", "hover", "fetch", "rival"  # job slots
STATE_TEXT = {
    "embedded": "embedded, works offline",
    "here": "on this computer",
    "elsewhere": "on this computer, from another tool",
}

log = logging.getLogger(__name__)


class SamWidget(QWidget):
    """Annotate an image layer with Segment Anything.

    Parameters
    ----------
    napari_viewer
        The viewer to annotate in; napari passes it.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        # napari passes a proxy of its viewer; layers reached through it would be proxies too
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.bridge: LayerBridge | None = None
        self.predictor: Predictor | None = None
        self.cache = EmbeddingCache()  # only ever used in the thread of self.worker
        self.worker = Worker("napari-sam")
        self.downloads = Worker("napari-sam downloads")
        self.saver = Worker("napari-sam saving")
        self._lay_out()
        self._make_controllers()
        self.ahead = EmbeddingAhead(self.worker, self.cache, self.embeddings, self._tell)
        self.saving = Saving(self.saver, self.kept, _inform)
        self.reopening = Reopening(self.viewer, self.saver, self._attach, _inform, self._tell)
        self._soon = _timer(self, 0, self._run_deferred)
        self._found: list[ObjectSummary] = []
        self._deferred: dict[Hashable, Callable[[], None]] = {}
        self._settled = _timer(self, SETTLE_MS, self._embed_shown)
        self._autosave = QTimer(self)
        self._autosave.timeout.connect(self.saving.tick)
        self._autosave.start(AUTOSAVE_MS)
        self._connect()
        self._use_preferences()
        self.destroyed.connect(partial(_stop, self.saving, self.worker, self.downloads, self.saver))
        self._list_models()
        self._choose_model()
        self._list_layers()
        self._look_for_rival()

    # Looks

    def _lay_out(self) -> None:
        self.source, self.status = SourcePanel(), StatusPanel()
        self.tools, self.objects = ToolPanel(), ObjectPanel()
        self.embeddings, self.kept = EmbeddingPanel(), SessionPanel()
        self.stack, self.doubts = StackPanel(), ReviewPanel()
        self.pages = Pages()
        self.pages.add_page("Annotate", self.tools)
        self.stack_page = self.pages.add_page("Stack", self.stack, self.embeddings)
        self.review_page = self.pages.add_page("Review", self.doubts)
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setSpacing(10)
        for panel in (self.source, self.status, self.pages):
            layout.addWidget(panel)
        layout.addWidget(self.objects, stretch=1)
        layout.addWidget(self.kept)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(content)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scroll)
        self.setMinimumWidth(300)

    def _make_controllers(self) -> None:
        """What concerns many frames or whole objects; each follows the layers in hand."""
        self.onwards = Onwards(
            self.stack, self.status, self.worker, self.cache, self.objects.chosen, self._tell
        )
        self.review = Review(self.doubts, self.onwards)
        self.object_actions = ObjectActions(
            self.objects, self.stack.chosen_axis, self.status.show_idle, self._tell
        )
        self.tracks = TracksView()
        self.review.listed.connect(self._show_doubts)
        self.stack.tracks_toggled.connect(self.tracks.show)
        self.tracks.removed.connect(partial(self.stack.tracks.setChecked, False))
        for controller in (self.onwards, self.review, self.object_actions, self.tracks):
            controller.setParent(self)  # their timers end with the widget

    def _connect(self) -> None:
        self.viewer.layers.events.inserted.connect(self._on_layers)
        self.viewer.layers.events.removed.connect(self._on_layers)
        self.source.image.activated.connect(self._choose_image)
        self.source.labels.activated.connect(self._choose_labels)
        self.source.model.activated.connect(self._choose_model)
        self.source.fetch_clicked.connect(self._fetch)
        self.source.open_clicked.connect(self._open_model)
        self.source.cell_size.valueChanged.connect(self._set_cell_size)
        self.status.cancel_clicked.connect(self._cancel)
        self.tools.tool_clicked.connect(self._use)
        self.tools.negative.toggled.connect(self._set_negative)
        self.tools.single.toggled.connect(self._set_single)
        self.tools.protect.toggled.connect(self._set_protect)
        self.tools.hover.toggled.connect(self._set_hover)
        self.embeddings.embed_clicked.connect(self._embed_all)
        self.kept.open_chosen.connect(self._open_session)
        self._forget_preferences = on_preferences_changed(self._use_preferences)
        if app := QApplication.instance():
            app.aboutToQuit.connect(self._save_the_rest)
        self.objects.next_clicked.connect(self._next_object)
        self.objects.object_clicked.connect(self._select)
        self.objects.candidates.chosen.connect(self._choose_candidate)
        self._keys: dict[str, Callable[[Any], None]] = {
            "N": lambda viewer: self._next_object(),
            "K": lambda viewer: self._next_candidate(),
            "G": lambda viewer: self.tools.negative.toggle(),
            "H": lambda viewer: self.tools.hover.toggle(),
            "J": lambda viewer: self.tools.single.toggle(),
            "Q": lambda viewer: self._use("point"),
            "W": lambda viewer: self._use("rectangle"),
            ".": lambda viewer: self.onwards.propagate(),
            "U": lambda viewer: self.review.next(),
            "0": lambda viewer: self.review.looks_right(),
            "Control-Z": lambda viewer: self._undo(),
            "Control-Shift-Z": lambda viewer: self._redo(),
        }
        for key, action in self._keys.items():
            self.viewer.bind_key(key, action, overwrite=True)

    # Which image

    def _on_layers(self, event: Any = None) -> None:
        self._defer(self._list_layers)
        layer = getattr(event, "value", None)
        if self.reopening.is_session(layer):
            self._defer(partial(self._begin, layer))  # dropped into the window to go on with it

    def _list_layers(self) -> None:
        """Show the layers there are; begin with an image if none is being annotated."""
        images = [layer for layer in self.viewer.layers if isinstance(layer, Image)]
        labels = [layer for layer in self.viewer.layers if isinstance(layer, Labels)]
        if self.bridge is not None:
            labels = [layer for layer in labels if layer is not self.bridge.preview]
        current = self.bridge.image if self.bridge else None
        _fill(self.source.image, images, current)
        _fill(self.source.labels, [None, *labels], self.bridge.labels if self.bridge else None)
        if self.bridge is None and images and self.reopening.image not in images:
            self._begin(images[-1])
        elif not images:
            self.status.show_idle("Open an image to begin: drop a file into the window.")

    def _choose_image(self, _: int = 0) -> None:
        self._begin(self.source.image.currentData())

    def _choose_labels(self, _: int = 0) -> None:
        """Go on with other labels, or with new ones."""
        if self.bridge is not None:
            image, stack = self.bridge.image, self.bridge.session.stack
            self._attach(image, self.source.labels.currentData() or new_labels(image, stack))

    def _begin(self, image: Image) -> None:
        """Annotate an image: with its session, where one is held here or was saved."""
        if image in self.viewer.layers and not (self.bridge and self.bridge.image is image):
            self.reopening.begin(image)

    def _open_session(self, folder: str) -> None:
        try:
            self.reopening.open(Path(folder), self.bridge.image if self.bridge else None)
        except SamError as error:
            self._tell(error)

    def _save_the_rest(self) -> None:
        self.saving.end()

    def _attach(self, image: Image, labels: Labels | None = None) -> None:
        """Annotate an image; if that cannot be, go on with the one before."""
        before = self.bridge
        self._detach()
        try:
            self.bridge = LayerBridge(self.viewer, image, labels, self._defer)
        except SamError as error:
            self._tell(error)
            if before is None:
                return
            self.bridge = LayerBridge(self.viewer, before.image, before.labels, self._defer)
        bridge, session = self.bridge, self.bridge.session
        bridge.frame_changed.connect(self._on_frame)
        bridge.cursor_moved.connect(self._on_cursor)
        bridge.notice.connect(self.status.show_idle)
        bridge.closed.connect(self._on_closed)
        session.wanted.connect(self._answer)
        session.landed.connect(self._show_session)
        session.active_changed.connect(self._show_session)
        session.explained.connect(self.status.show_idle)
        bridge.set_negative(self.tools.negative.isChecked())
        bridge.set_one_object_per_prompt(self.tools.single.isChecked())
        session.protect_neighbours = self.tools.protect.isChecked()
        session.cell_diameter = float(self.source.cell_size.value()) or None
        session.learns_diameter = True
        self.tools.show_tool("point")
        for follower in (self.onwards, self.review, self.object_actions, self.tracks):
            follower.attach(bridge)
        self._show_pages(session.stack)
        self._find_objects()
        self.saving.begin(session, image)
        self._list_layers()
        self._show_session()
        self._answer_all()
        self._embed_shown()

    def _detach(self) -> None:
        if self.bridge is not None:
            self.bridge.close()

    def _on_closed(self) -> None:
        """The image or the labels are gone, or another image was chosen. What was landed stays."""
        if self.bridge is None:
            return
        self.saving.end()
        self.ahead.stop()
        for follower in (self.tracks, self.object_actions, self.review, self.onwards):
            follower.detach()
        session = self.bridge.session
        session.wanted.disconnect(self._answer)
        session.landed.disconnect(self._show_session)
        session.active_changed.disconnect(self._show_session)
        session.explained.disconnect(self.status.show_idle)
        for slot in (FRAME, HOVER, *(request.key for request in session.pending())):
            self.worker.cancel(slot)
        self.bridge = None
        self._defer(self._list_layers)

    # Which model

    def _list_models(self, chosen: str = DEFAULT_MODEL) -> None:
        models = known_models()
        self.source.model.clear()
        for entry in models:
            state = model_state(entry)
            here = entry.name if state != "to fetch" else f"{entry.name}  ·  {entry.size} to fetch"
            self.source.model.addItem(here, entry)
        names = [entry.name for entry in models]
        self.source.model.setCurrentIndex(names.index(chosen))

    def _choose_model(self, _: int = 0) -> None:
        """Load the chosen model, or offer to fetch it; the one in use stays until then."""
        entry = self._entry()
        state = model_state(entry)
        text = STATE_TEXT.get(state, f"{entry.size} to fetch from the internet")
        self.source.about.setText(f"{entry.suits} <i>{text}; {entry.licence}.</i>")
        self.source.fetch.setText(f"Fetch {entry.name} ({entry.size})")
        self.source.fetch.setVisible(state == "to fetch")
        if state != "to fetch":
            self._load_model(entry.name)

    def _open_model(self) -> None:
        """Use a checkpoint of the user's own."""
        path, _ = QFileDialog.getOpenFileName(
            self, "Open a model", filter="Checkpoints (*.pth *.pt *.safetensors)"
        )
        if path:
            self._load_model(path)

    def _load_model(self, name_or_path: str) -> None:
        self.status.show_busy(f"Loading {Path(name_or_path).stem} …")
        self._submit(MODEL, partial(tasks.load, name_or_path), self._on_model)

    def _on_model(self, predictor: Predictor) -> None:
        self.ahead.stop()
        self.predictor = self.onwards.predictor = predictor
        for notice in predictor.model.notices:
            show_warning(notice)
        self._answer_all()
        self._embed_shown()

    def _fetch(self) -> None:
        entry = self._entry()
        self.status.show_busy(f"Fetching {entry.name} ({entry.size}) …")
        job = Job(
            FETCH,
            partial(tasks.fetch, entry.name),
            done=lambda _: self._on_fetched(entry.name),
            failed=self._tell,
            progress=lambda done, total: self.status.show_busy(
                f"Fetching {entry.name}: {done / 1e6:.0f} of {total / 1e6:.0f} MB",
                done // 2**10,
                total // 2**10,
            ),
        )
        self.downloads.submit(job)

    def _on_fetched(self, name: str) -> None:
        self._list_models(name)
        self._choose_model()

    def _entry(self) -> ModelEntry:
        entry: ModelEntry = self.source.model.currentData()
        return entry

    # What is embedded and decoded

    def _on_frame(self, frame: FrameIndex | None) -> None:
        self._settled.start()
        self._find_objects()
        self._show_session()

    def _embed_shown(self) -> None:
        """Embed the frame on screen, so that the first click in it is answered at once."""
        if self.bridge is None or self.predictor is None:
            return
        frame = self.bridge.frame
        if frame is None:
            self.status.show_idle("Show the image in 2D, inside its range, to annotate it.")
            return
        stack = self.bridge.session.stack
        self._submit(
            FRAME,
            partial(tasks.embed, self.cache, self.predictor, stack, frame),
            partial(self._on_embedded, self.predictor, stack, frame),
            f"Embedding {_frame_text(frame)} with {self.predictor.model.name}",
            priority=EMBED,
            subject=(stack, frame),
        )

    def _on_embedded(
        self, predictor: Predictor, stack: FrameStack, frame: FrameIndex, cached: object
    ) -> None:
        self._show_ready()
        if self.bridge is not None and self.bridge.frame == frame and predictor is self.predictor:
            self.ahead.look_ahead(predictor, stack, frame)

    def _embed_all(self) -> None:
        if self.bridge is not None and self.predictor is not None:
            session = self.bridge.session
            self.ahead.embed_all(self.predictor, session.stack, self.bridge.frame)

    def _answer_all(self) -> None:
        """Have decoded what was asked for before there was a model, or an open panel."""
        if self.bridge is not None:
            for request in self.bridge.session.pending():
                self._answer(request)

    def _answer(self, request: Request) -> None:
        """Have a request decoded; its frame is embedded first where that is not done yet."""
        if self.bridge is None or self.predictor is None:
            return
        self.bridge.promote(request.object_id)
        session = self.bridge.session
        self._submit(
            request.key,
            partial(tasks.answer, self.cache, self.predictor, session.stack, request),
            partial(self._land, session),
            f"Embedding {_frame_text(request.frame)} with {self.predictor.model.name}",
            failed=partial(self._on_unanswered, session, request),
            subject=(session.stack, request.frame),
        )

    def _land(self, session: Session, answer: Answer) -> None:
        try:
            session.land(answer)
        except SamError as error:
            self._tell(error)
        if self.bridge is not None:
            self.bridge.show_preview(None)
        self._show_ready()

    def _on_unanswered(self, session: Session, request: Request, error: Exception) -> None:
        session.fail(request)
        self._tell(error)

    def _on_cursor(self, point_yx: tuple[float, float] | None) -> None:
        """Preview the mask that a click here would give."""
        if self.bridge is None or self.predictor is None or not self.tools.hover.isChecked():
            return
        frame = self.bridge.frame
        if point_yx is None or frame is None:
            self.worker.cancel(HOVER)
            self.bridge.show_preview(None)
            return
        stack, diameter = self.bridge.session.stack, self.bridge.session.expected_diameter
        self._submit(
            HOVER,
            partial(tasks.preview, self.cache, self.predictor, stack, frame, point_yx, diameter),
            partial(self._show_preview, frame),
            priority=PREVIEW,
        )

    def _show_preview(self, frame: FrameIndex, mask: NDArray[np.bool_] | None) -> None:
        if self.bridge is not None and self.bridge.frame == frame and self.tools.hover.isChecked():
            self.bridge.show_preview(mask)

    def _submit(
        self,
        slot: Hashable,
        work: Callable[[Report], Any],
        done: Callable[[Any], None],
        text: str = "",
        *,
        failed: Callable[[Exception], None] | None = None,
        priority: int = CLICK,
        subject: Hashable = None,
    ) -> None:
        def progress(n: int, total: int) -> None:
            self.status.show_busy(f"{text} …", n, total)

        failed = failed or self._tell
        self.worker.submit(Job(slot, work, done, failed, progress, priority, subject))

    def _cancel(self) -> None:
        """Cancel everything. Prompts that were waiting are decoded with the next click."""
        self.ahead.stop()
        self.onwards.stop()
        self.worker.cancel()
        self.downloads.cancel()
        if self.bridge is not None:
            for request in self.bridge.session.pending():
                self.bridge.session.fail(request)
        self.status.show_idle("Cancelled. The next click or frame goes on.")

    # What is shown

    def _show_ready(self) -> None:
        if not self.worker.is_waited_for and self.predictor is not None:
            model = self.predictor.model
            self.status.show_idle(f"Ready: {model.name}, {model.device.type} {model.precision}.")

    def _show_session(self, *_: object) -> None:
        """Bring panel and layers in line with the session, once for many changes."""
        self._defer(self._refresh)

    def _refresh(self) -> None:
        if self.bridge is None:
            return
        session = self.bridge.session
        colour = self.bridge.labels.get_color(session.active)
        self.objects.show_active(session.active, colour)
        known = session.objects()
        ids = {each.object_id for each in known}
        found = [each for each in self._found if each.object_id not in ids]
        listed = sorted([*known, *found], key=lambda each: each.object_id)
        self.objects.show_objects(listed, session.active)
        self.source.show_cell_size(session.usual_diameter)
        answer = self._shown_answer()
        if answer is None:
            self.objects.candidates.show_candidates([], [], 0)
            return
        prediction = answer.prediction
        self.objects.candidates.show_candidates(
            candidate_pictures(answer.picture, prediction.low_res_logits),
            [float(score) for score in prediction.iou_predictions],
            prediction.best,
        )

    def _find_objects(self) -> None:
        """What the labels of the shown frame hold, whoever wrote it."""
        self._found = []
        if self.bridge is None or self.bridge.frame is None:
            return
        session, frame = self.bridge.session, self.bridge.frame
        if math.prod(session.stack.frame_shape_of(frame)) <= MOST_PIXELS_SEARCHED:
            ids = session.ids_in(frame)
            self._found = [ObjectSummary(object_id, (frame,), None, 0) for object_id in ids]

    def _show_pages(self, stack: FrameStack) -> None:
        """A single frame has nothing to be carried to."""
        is_stack = any(n > 1 for n in stack.shape[:-2])
        self.pages.tabs.setTabEnabled(self.stack_page, is_stack)
        self.pages.tabs.setTabEnabled(self.review_page, is_stack)

    def _show_doubts(self, n: int) -> None:
        self.pages.tabs.setTabText(self.review_page, f"Review ({n})" if n else "Review")

    # What the user does

    def _undo(self) -> None:
        if self.bridge is not None:
            self.bridge.undo()

    def _redo(self) -> None:
        if self.bridge is not None:
            self.bridge.redo()

    def _use(self, tool: str) -> None:
        if self.bridge is not None:
            self.bridge.use(tool)
            self.tools.show_tool(tool)

    def _next_object(self) -> None:
        if self.bridge is not None:
            self.bridge.next_object()

    def _select(self, object_id: int) -> None:
        if self.bridge is not None:
            self.bridge.select(object_id)
            self.bridge.go_to(object_id)

    def _next_candidate(self) -> None:
        """Take the candidate after the one in hand."""
        shown = self._shown_answer()
        if shown is not None:
            n_candidates = len(shown.prediction.tokens)
            self._choose_candidate((shown.prediction.best + 1) % n_candidates)

    def _choose_candidate(self, position: int) -> None:
        shown = self._shown_answer()
        if self.bridge is not None and shown is not None:
            token = shown.prediction.tokens[position]
            self.bridge.session.choose(*shown.request.key, token)

    def _shown_answer(self) -> Answer | None:
        """What landed last for the object in hand in the frame on screen."""
        if self.bridge is None or self.bridge.frame is None:
            return None
        return self.bridge.session.answer(self.bridge.session.active, self.bridge.frame)

    def _set_negative(self, on: bool) -> None:
        if self.bridge is not None:
            self.bridge.set_negative(on)

    def _set_single(self, on: bool) -> None:
        if self.bridge is not None:
            self.bridge.set_one_object_per_prompt(on)

    def _set_protect(self, on: bool) -> None:
        if self.bridge is not None:
            self.bridge.session.protect_neighbours = on

    def _set_cell_size(self, diameter: int) -> None:
        if self.bridge is not None:
            self.bridge.session.cell_diameter = float(diameter) or None
            self._show_session()

    def _set_hover(self, on: bool) -> None:
        if self.bridge is not None and not on:
            self.worker.cancel(HOVER)
            self.bridge.show_preview(None)

    # Preferences, errors, timers, end

    def _use_preferences(self) -> None:
        preferences = read_preferences()
        self.ahead.prefetch = preferences.prefetch
        self.cache.store = open_store(preferences)
        self.ahead.show_sizes()

    def _look_for_rival(self) -> None:
        """Say so if another package of the same import name is installed."""

        def warn(rival: str | None) -> None:
            if rival is not None:
                show_warning(rival_warning(rival))

        self.downloads.submit(Job(RIVAL, lambda report: rival_distribution(), warn, self._tell))

    def _tell(self, error: Exception) -> None:
        """Errors written for the user go to napari's notifications as they are."""
        self.status.show_idle("Something went wrong; see the notification.")
        if isinstance(error, SamError):
            show_error(str(error))
            return
        log.error("unexpected error", exc_info=error)
        show_error(f"{type(error).__name__}: {error}. What was annotated so far is kept.")

    def _defer(self, function: Callable[[], None]) -> None:
        """Run a function when napari is done with its own event; once if asked several times."""
        self._deferred[function] = function
        self._soon.start()

    def _run_deferred(self) -> None:
        deferred, self._deferred = self._deferred, {}
        for function in deferred.values():
            function()

    def event(self, event: QEvent | None) -> bool:
        """napari takes a dock widget away by giving it no parent; there is no closeEvent."""
        gone = event is not None and event.type() == QEvent.Type.ParentChange
        if gone and self.parent() is None and self._keys:
            self.shutdown()
            self.deleteLater()
        return super().event(event)

    def shutdown(self) -> None:
        """Stop the threads and let go of the viewer. Labels and session stay."""
        for timer in (self._soon, self._settled, self._autosave):
            timer.stop()
        self._detach()
        self.saving.end()
        for worker in (self.worker, self.downloads, self.saver):
            worker.shutdown()
        self._forget_preferences()
        self.viewer.layers.events.inserted.disconnect(self._on_layers)
        self.viewer.layers.events.removed.disconnect(self._on_layers)
        for key in self._keys:
            self.viewer.bind_key(key, None, overwrite=True)
        self._keys = {}


def _inform(sentence: str, is_warning: bool) -> None:
    (show_warning if is_warning else show_info)(sentence)


def _stop(saving: Saving, *workers: Worker | object) -> None:
    saving.end()
    for worker in workers:
        if isinstance(worker, Worker):
            worker.shutdown()


def _timer(parent: QWidget, milliseconds: int, action: Callable[[], None]) -> QTimer:
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(action)
    return timer


def _fill(combo: Any, layers: list[Any], current: Any) -> None:
    combo.clear()
    for layer in layers:
        combo.addItem("New labels" if layer is None else layer.name, layer)
    index = next((i for i, layer in enumerate(layers) if layer is current), 0)
    combo.setCurrentIndex(index)


def _frame_text(frame: FrameIndex) -> str:
    leading = [str(i) for i in frame if i is not None]
    return f"frame {', '.join(leading)}" if leading else "the image"
