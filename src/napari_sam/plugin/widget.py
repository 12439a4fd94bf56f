"""The dock widget: it owns one session's layers and two workers, and wires them to the panels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_error, show_info, show_warning
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QApplication,
    QLineEdit,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam.engine import EmbeddingCache, FrameStack, ModelError, SamError
from napari_sam.installation import rival_distribution, rival_warning
from napari_sam.plugin.controllers.answering import Answering
from napari_sam.plugin.controllers.embeddings import EmbeddingAhead
from napari_sam.plugin.controllers.hover import Hover
from napari_sam.plugin.controllers.models import ModelChoice
from napari_sam.plugin.controllers.object_actions import ObjectActions
from napari_sam.plugin.controllers.object_list import ObjectList
from napari_sam.plugin.controllers.propagation import Propagation
from napari_sam.plugin.controllers.review import Review
from napari_sam.plugin.controllers.tracks import TracksView
from napari_sam.plugin.layers.bridge import LayerBridge, remove_layers
from napari_sam.plugin.layers.own_layers import new_labels
from napari_sam.plugin.panels.annotate import ObjectPanel, SourcePanel, StatusPanel, ToolPanel
from napari_sam.plugin.panels.stack import Pages, ReviewPanel, StackPanel
from napari_sam.plugin.panels.storage import EmbeddingPanel, SessionPanel
from napari_sam.plugin.sessions.reopening import Reopening
from napari_sam.plugin.sessions.saving import AUTOSAVE_MS, Saving
from napari_sam.plugin.work.jobs import Job, Worker

from .preferences import on_preferences_changed, open_store, read_preferences

if TYPE_CHECKING:
    import napari

    from napari_sam.engine import Predictor

RIVAL = "rival"  # job slot
ONE_FRAME = "A single image has no other frames that objects could be propagated to."
UNSEEN_MS = 1000  # a panel behind others, or in a hidden window, begins its work all the same

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
        self.cache = EmbeddingCache()  # only ever used in the thread of self.worker
        self.worker = Worker("napari-sam")
        self.downloads = Worker("napari-sam downloads")
        self.saver = Worker("napari-sam saving")
        self._discarded: list[Layer] = []  # by an earlier bridge
        self._deferred: dict[Hashable, Callable[[], None]] = {}
        self._soon = _timer(self, 0, self._run_deferred)
        self._unseen = _timer(self, UNSEEN_MS, self._begin_work)
        self._lay_out()
        self._make_controllers()
        self._autosave = QTimer(self)
        self._autosave.timeout.connect(self.saving.tick)
        self._autosave.start(AUTOSAVE_MS)
        self._connect()
        self.destroyed.connect(partial(_stop, self.saving, self.worker, self.downloads, self.saver))
        self._unseen.start()

    def _begin_work(self) -> None:
        """Take an image and load torch. The window cannot draw meanwhile: the panel comes first."""
        self._list_layers()
        self._use_preferences()
        self.models.show()
        self.models.choose()
        self._look_for_rival()

    # Looks

    def _lay_out(self) -> None:
        self.source, self.status = SourcePanel(), StatusPanel()
        self.tools, self.objects = ToolPanel(), ObjectPanel()
        self.embeddings, self.kept = EmbeddingPanel(), SessionPanel()
        self.stack, self.review_panel = StackPanel(), ReviewPanel()
        self.pages = Pages()
        self.pages.add_page("Annotate", self.tools)
        self.stack_page = self.pages.add_page("Stack", self.stack, self.embeddings)
        self.review_page = self.pages.add_page("Review", self.review_panel)
        for panel in (self.source, self.status):  # as high on every page
            panel.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setWidget(_column(self.source, self.status, self.pages, self.objects))
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        outer.addWidget(scroll)
        outer.addWidget(_column(self.kept))  # whether all is saved can be seen at any time
        self.setMinimumWidth(300)
        self._leave_keys_to_image()

    def _leave_keys_to_image(self) -> None:
        """A click in the panel gives the keys to the image, but where a number is typed."""
        for control in self.findChildren(QWidget):
            if control.focusPolicy() & Qt.FocusPolicy.ClickFocus:
                control.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for box in self.findChildren(QSpinBox):
            box.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        for line in self.findChildren(QLineEdit):
            line.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
            line.returnPressed.connect(self.setFocus)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.viewer.window._qt_viewer.canvas.native)

    def _make_controllers(self) -> None:
        """All that is done; what follows the layers in hand comes in the order it is attached."""
        worker, cache, status = self.worker, self.cache, self.status
        self.models = ModelChoice(self.source, status, worker, self.downloads, self._tell)
        self.ahead = EmbeddingAhead(worker, cache, self.embeddings, self._tell)
        self.saving = Saving(self.saver, self.kept, _inform)
        self.reopening = Reopening(self.viewer, self.saver, self._attach, _inform, self._tell)
        self.propagation = Propagation(
            self.stack, status, worker, cache, self.objects.chosen, self._tell
        )
        self.review = Review(self.review_panel, self.propagation)
        self.object_actions = ObjectActions(
            self.objects, self.stack.chosen_axis, worker, status, self._tell
        )
        self.tracks = TracksView()
        self.object_list = ObjectList(self.objects, self.source.show_cell_size, self._defer)
        self.hover = Hover(self.tools.hover, worker, cache, self._tell)
        self.answering = Answering(worker, cache, self.ahead, status, self._tell)
        self._followers = (
            self.propagation,
            self.review,
            self.object_actions,
            self.tracks,
            self.object_list,
            self.hover,
            self.answering,
        )
        for controller in (self.models, *self._followers):
            controller.setParent(self)  # their timers end with the widget

    def _connect(self) -> None:
        self.viewer.layers.events.inserted.connect(self._on_layers)
        self.viewer.layers.events.removed.connect(self._on_layers)
        self.source.image.activated.connect(self._choose_image)
        self.source.labels.activated.connect(self._choose_labels)
        self.source.cell_size.valueChanged.connect(self._set_cell_size)
        self.models.loaded.connect(self._on_model)
        self.status.cancel_clicked.connect(self._cancel)
        self.tools.tool_clicked.connect(self._use)
        self.tools.negative.toggled.connect(self._set_negative)
        self.tools.single.toggled.connect(self._set_single)
        self.tools.protect.toggled.connect(self._set_protect)
        self.embeddings.embed_clicked.connect(self.answering.embed_all)
        self.review.listed.connect(self._show_low_confidence)
        self.stack.tracks_toggled.connect(self.tracks.show)
        self.tracks.removed.connect(partial(self.stack.tracks.setChecked, False))
        self.kept.open_chosen.connect(self._open_session)
        self._forget_preferences = on_preferences_changed(self._use_preferences)
        if app := QApplication.instance():
            app.aboutToQuit.connect(self._save_the_rest)
        self._keys: dict[str, Callable[[Any], None]] = {
            "N": lambda viewer: self.object_list.next_object(),
            "K": lambda viewer: self.object_list.next_candidate(),
            "G": lambda viewer: self.tools.negative.toggle(),
            "H": lambda viewer: self.tools.hover.toggle(),
            "J": lambda viewer: self.tools.single.toggle(),
            "Q": lambda viewer: self._use("point"),
            "W": lambda viewer: self._use("rectangle"),
            ".": lambda viewer: self.propagation.propagate(),
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
        own = [*self._discarded, self.bridge.preview] if self.bridge else self._discarded
        labels = [layer for layer in labels if layer not in own]
        current = self.bridge.image if self.bridge else None
        _fill(self.source.image, images, current)
        _fill(self.source.labels, [None, *labels], self.bridge.labels if self.bridge else None)
        if self.bridge is None and images and self.reopening.image not in images:
            self._begin(images[-1])
        elif not images:
            self._remove_discarded()
            self.status.show_idle("Open an image to begin: drop a file into the window.")

    def _choose_image(self, _: int = 0) -> None:
        self._begin(self.source.image.currentData())

    def _choose_labels(self, _: int = 0) -> None:
        """Go on with other labels, or with new ones. Blank ones that were made here go."""
        before = self.bridge
        if before is None:
            return
        image, stack = before.image, before.session.stack
        self._attach(image, self.source.labels.currentData() or new_labels(image, stack))
        is_left = self.bridge is not None and self.bridge.labels is not before.labels
        if is_left and before.is_blank:
            remove_layers(self.viewer, [before.labels])

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
            self._go_on(self._bridge_to(image, labels))
        except SamError as error:
            if before is not None:
                self._go_on(self._bridge_to(before.image, before.labels))
            self._tell(error)

    def _go_on(self, bridge: LayerBridge) -> None:
        """Let all parts of the window work on the layers of a bridge."""
        self.bridge, session = bridge, bridge.session
        self._remove_discarded()
        bridge.notice.connect(self.status.show_idle)
        bridge.closed.connect(self._on_closed)
        session.explained.connect(self.status.show_idle)
        bridge.set_negative(self.tools.negative.isChecked())
        bridge.set_one_object_per_prompt(self.tools.single.isChecked())
        session.protect_neighbours = self.tools.protect.isChecked()
        session.cell_diameter = float(self.source.cell_size.value()) or None
        session.learns_diameter = True
        bridge.tools.changed.connect(self._on_tool)
        self.tools.show_tool(bridge.tools.active)
        self._show_pages(session.stack)
        self.saving.begin(session, bridge.image)
        self._list_layers()
        for follower in self._followers:
            follower.attach(bridge)

    def _bridge_to(self, image: Image, labels: Labels | None) -> LayerBridge:
        return LayerBridge(self.viewer, image, labels, self._defer, self._discard)

    def _discard(self, layers: Iterable[Layer]) -> None:
        """Hide layers that are used no more, until their successors are there.

        Removed before these are added, napari would draw with memory it has freed (Linux, Windows).
        """
        for layer in layers:
            layer.visible, layer.name = False, f"{layer.name} before"
            self._discarded.append(layer)

    def _remove_discarded(self) -> None:
        remove_layers(self.viewer, self._discarded)
        self._discarded.clear()

    def _detach(self) -> None:
        if self.bridge is not None:
            self.bridge.close()

    def _on_closed(self) -> None:
        """The image or the labels are gone, or another image was chosen. What was landed stays."""
        if self.bridge is None:
            return
        self.saving.end()
        for follower in reversed(self._followers):
            follower.detach()
        self.bridge.session.explained.disconnect(self.status.show_idle)
        self.bridge = None
        self._defer(self._list_layers)

    # What is done with it

    @property
    def predictor(self) -> Predictor | None:
        """The model in use, once one is loaded."""
        return self.answering.predictor

    def _on_model(self, predictor: Predictor) -> None:
        self.propagation.predictor = self.hover.predictor = predictor
        for notice in predictor.model.notices:
            show_warning(notice)
        self.answering.use(predictor)
        if self.bridge is None:
            self._list_layers()

    def _cancel(self) -> None:
        """Cancel everything."""
        self.ahead.stop()
        self.propagation.stop()
        self.downloads.cancel()
        self.answering.give_up()
        self.status.show_idle("Cancelled. The next click or frame goes on.")

    def _show_pages(self, stack: FrameStack) -> None:
        """A single frame has nothing to be propagated to."""
        why_not = "" if any(n > 1 for n in stack.shape[:-2]) else ONE_FRAME
        for page in (self.stack_page, self.review_page):
            self.pages.allow(page, why_not)

    def _show_low_confidence(self, n: int) -> None:
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

    def _on_tool(self, tool: str) -> None:
        self.tools.show_tool(tool)
        self.answering.show_ready()

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
            self.object_list.update()

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
        """Say in the panel what the user can fix, and in a notification what is not seen there."""
        if isinstance(error, SamError):
            self.status.show_idle(f"⚠ {error}")
            if isinstance(error, ModelError):
                show_error(str(error))
            elif self.status.visibleRegion().isEmpty():
                show_warning(str(error))
            return
        self.status.show_idle("Something went wrong; see the notification.")
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
        kind = None if event is None else event.type()
        if kind == QEvent.Type.Paint and self._unseen.isActive():
            self._unseen.start(0)
        if kind == QEvent.Type.ParentChange and self.parent() is None and self._keys:
            self.shutdown()
            self.deleteLater()
        return super().event(event)

    def shutdown(self) -> None:
        """Stop the threads and let go of the viewer. Labels and session stay."""
        self._detach()
        self._remove_discarded()
        self.saving.end()
        for worker in (self.worker, self.downloads, self.saver):
            worker.shutdown()
        self._forget_preferences()
        self.viewer.layers.events.inserted.disconnect(self._on_layers)
        self.viewer.layers.events.removed.disconnect(self._on_layers)
        for timer in (self._soon, self._unseen, self._autosave):
            timer.stop()  # letting go asked for more
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


def _column(*panels: QWidget) -> QWidget:
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(6, 6, 6, 6)
    layout.setSpacing(8)
    for panel in panels:
        layout.addWidget(panel)
    return column


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
