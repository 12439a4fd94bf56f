"""The dock widget: it owns the workers and the controllers, and wires them to the panels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam.engine import EmbeddingCache, FrameStack
from napari_sam.session import CLASS_KEYS

from .controllers.active_image import ActiveImage
from .controllers.answering import Answering
from .controllers.automatic import Automatic
from .controllers.classes import ObjectClasses
from .controllers.controller import Controller, Window
from .controllers.embeddings import EmbeddingAhead
from .controllers.exporting import Exporting
from .controllers.folder import FolderBrowser
from .controllers.hover import Hover
from .controllers.measuring import Measuring
from .controllers.messages import Messages
from .controllers.models import ModelChoice
from .controllers.network_input import InputChoice
from .controllers.object_actions import ObjectActions
from .controllers.object_list import ObjectList
from .controllers.prompting import Prompting
from .controllers.propagation import Propagation
from .controllers.recipes import Recipes
from .controllers.refining import Refining
from .controllers.review import Review
from .controllers.review_states import ReviewStates
from .controllers.series import SeriesChoice
from .controllers.tools import ToolChoice
from .controllers.tracks import TracksView
from .controllers.words import Words
from .layers import LayerBridge
from .panels.automatic import AutomaticPanel
from .panels.classes import ClassPanel
from .panels.dock import lay_out, leave_keys_to
from .panels.embeddings import EmbeddingPanel
from .panels.exporting import ExportPanel
from .panels.folder import FolderPanel
from .panels.measuring import MeasurePanel
from .panels.objects import ObjectPanel
from .panels.pages import Pages
from .panels.prompting import PromptPanel
from .panels.recipe import RecipePanel
from .panels.review import ReviewPanel
from .panels.sessions import SessionPanel
from .panels.source import SourcePanel
from .panels.stack import StackPanel
from .panels.status import StatusPanel
from .panels.tools import ToolPanel
from .preferences import on_preferences_changed, open_store, read_preferences
from .sessions.saving import AUTOSAVE_MS, Saving
from .work import tasks
from .work.deferred import Deferred
from .work.jobs import Job, Worker

if TYPE_CHECKING:
    import napari

    from napari_sam.engine import Predictor

    from .sessions.reopening import Reopening

ONE_FRAME = "A single image has no other frames to propagate objects to."
UNSEEN_MS = 1000  # a panel behind others, or in a hidden window, begins its work all the same

AnyController = TypeVar("AnyController", bound=Controller)


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
        self.cache = EmbeddingCache()  # only ever used in the thread of self.worker
        self.worker = Worker("napari-sam", at_end=self.cache.clear)
        self.downloads = Worker("napari-sam downloads")
        self.saver = Worker("napari-sam saving")
        self.deferred = Deferred(self)
        self._why_not = ONE_FRAME
        self._folder_dock: Any = None
        self._lay_out()
        self._make_controllers()
        self._connect()
        self._bind_keys()
        workers = (self.worker, self.downloads, self.saver)
        self.destroyed.connect(partial(_stop, self.saving, self.active, self.controllers, workers))
        self._autosave = QTimer(self)
        self._autosave.timeout.connect(self.saving.tick)
        self._autosave.start(AUTOSAVE_MS)
        self._unseen = QTimer(self)
        self._unseen.setSingleShot(True)
        self._unseen.timeout.connect(self._begin_work)
        self._unseen.start(UNSEEN_MS)

    def _begin_work(self) -> None:
        """The panel is on screen: load what layers need, beside the window, which stays awake."""
        self.models.show()
        self.status.show_idle("Loading the libraries …")
        begin, failed = self._take_an_image, self.messages.tell
        self.saver.submit(Job("libraries", tasks.load_libraries, begin, failed))

    def _take_an_image(self, _: None) -> None:
        self._use_preferences()
        self.active.list_layers()
        self.models.choose()
        self.messages.check_installation(self.downloads)

    # Panels

    def _lay_out(self) -> None:
        self.source, self.status = SourcePanel(), StatusPanel()
        self.tools, self.objects = ToolPanel(), ObjectPanel()
        self.embeddings, self.kept = EmbeddingPanel(), SessionPanel()
        self.stack, self.review_panel = StackPanel(), ReviewPanel()
        self.everything, self.class_panel = AutomaticPanel(), ClassPanel()
        self.measurements, self.exports = MeasurePanel(), ExportPanel()
        self.strip = FolderPanel()
        self.strip.setParent(self)  # until a folder is opened
        self.strip.hide()
        self.prompt_panel = PromptPanel()
        self.pages = Pages()
        self.pages.add_page("Annotate", self.tools.more)
        self.recipe_panel = RecipePanel()
        self.automatic_page = self.pages.add_page(
            "Automatic", self.everything, self.recipe_panel, self.prompt_panel
        )
        self.classes_page = self.pages.add_page("Classes", self.class_panel)
        self.stack_page = self.pages.add_page("Stack", self.stack, self.embeddings)
        self.review_page = self.pages.add_page("Review", self.review_panel)
        self.results_page = self.pages.add_page("Results", self.measurements, self.exports)
        self.pages.tabs.currentChanged.connect(self.objects.candidates.leave_no_gap)
        always = [self.source, self.tools]
        lay_out(self, always, self.pages, self.status, self.objects, self.kept)
        leave_keys_to(self.viewer.window._qt_viewer.canvas.native, self)

    # Controllers: a capability is one line here

    def _make_controllers(self) -> None:
        """All that can be done; they are attached in this order, and detached in reverse."""
        self.messages = Messages(self.status)
        tell, inform = self.messages.tell, self.messages.inform
        window = Window(self.viewer, self.worker, self.cache, self.status, tell, self.deferred)
        self.models = ModelChoice(self.source, self.status, self.worker, self.downloads, tell)
        self.ahead = EmbeddingAhead(self.worker, self.cache, self.embeddings, tell)
        self.saving = Saving(self.saver, self.kept, inform)
        self.active = ActiveImage(window, self.source, self.messages, self.saver)
        for owned in (self.models, self.active):
            owned.setParent(self)
        self.controllers: list[Controller] = []
        self.series = self._add(SeriesChoice(window, self.source))
        self.input = self._add(InputChoice(window, self.source.input))
        self.tool_choice = self._add(ToolChoice(window, self.tools))
        self.propagation = self._add(Propagation(window, self.stack, self.objects.chosen))
        self.propagation.asked.connect(self._show_stack_page)
        self.automatic = self._add(
            Automatic(window, self.everything, self.propagation, self.objects.chosen)
        )
        self.recipes = self._add(Recipes(window, self.recipe_panel, self.everything))
        self.prompting = self._add(Prompting(window, self.prompt_panel))
        self.words = self._add(Words(window, self.prompt_panel, self.downloads, self.prompting))
        self.refining = self._add(Refining(window, self.prompt_panel))
        self.review = self._add(Review(window, self.review_panel, self.propagation))
        self.object_actions = self._add(ObjectActions(window, self.objects, self.stack.chosen_axis))
        self.classes = self._add(ObjectClasses(window, self.class_panel, self.objects))
        self.review_states = self._add(ReviewStates(window, self.objects))
        self.tracks = self._add(TracksView(window))
        self.object_list = self._add(ObjectList(window, self.objects, self.source.show_cell_size))
        self.measuring = self._add(Measuring(window, self.measurements, self.objects))
        self.exporting = self._add(Exporting(window, self.exports, self.objects))
        self.folder = self._add(
            FolderBrowser(window, self.strip, self.downloads, self.saving.settle)
        )
        self.hover = self._add(Hover(window, self.tools.hover))
        self.answering = self._add(Answering(window, self.ahead))

    def _add(self, controller: AnyController) -> AnyController:
        controller.setParent(self)  # its timers end with the widget
        self.controllers.append(controller)
        return controller

    def _connect(self) -> None:
        self.active.attached.connect(self._on_attached)
        self.active.detached.connect(self._on_detached)
        self.input.axis_chosen.connect(self.active.tell_channel_axis)
        self.active.sight_changed.connect(self.answering.show_ready)
        self.active.is_busy = self.folder.is_busy = self._is_busy
        self.source.folder_chosen.connect(self._show_folder)
        self.models.loaded.connect(self._on_model)
        self.status.cancel_clicked.connect(self._cancel)
        self.source.cell_size.valueChanged.connect(self.object_list.update)
        self.source.cell_size.valueChanged.connect(self.answering.look_again)
        self.embeddings.embed_clicked.connect(self.answering.embed_all)
        self.review.listed.connect(self._show_low_confidence)
        self.review.class_confirmed.connect(self.classes.follow)
        self.stack.tracks_toggled.connect(self.tracks.show)
        self.tracks.removed.connect(partial(self.stack.tracks.setChecked, False))
        self.kept.open_chosen.connect(self.active.open_session)
        self._forget_preferences = on_preferences_changed(self._use_preferences)
        if app := QApplication.instance():
            app.aboutToQuit.connect(self._save_the_rest)

    def _is_busy(self) -> bool:
        """Whether masks are on their way that nobody clicked for."""
        bulk = (self.automatic, self.prompting, self.refining)
        return bool(self.propagation.runs) or any(each.is_busy for each in bulk)

    def _bind_keys(self) -> None:
        self._keys: dict[str, Callable[[Any], None]] = {
            "N": lambda viewer: self.object_list.next_object(),
            "K": lambda viewer: self.object_list.next_candidate(),
            "G": lambda viewer: self.tools.negative.toggle(),
            "H": lambda viewer: self.tools.hover.toggle(),
            "J": lambda viewer: self.tools.single.toggle(),
            "Q": lambda viewer: self.tool_choice.use_tool("point"),
            "W": lambda viewer: self.tool_choice.use_tool("rectangle"),
            ".": lambda viewer: self.propagation.propagate(),
            ",": lambda viewer: self.automatic.compare(),
            "U": lambda viewer: self.review.next(),
            "PageDown": lambda viewer: self.folder.next(),
            "PageUp": lambda viewer: self.folder.previous(),
            "8": lambda viewer: self.object_actions.do("trim first"),
            "9": lambda viewer: self.object_actions.do("trim last"),
            "/": lambda viewer: self.object_actions.do("zoom"),
            "0": lambda viewer: self.review.looks_right(),
            **{f"Control-{key}": self._giving(key) for key in CLASS_KEYS},
            "Control-0": lambda viewer: self.review_states.give_next(),
            "Control-Z": lambda viewer: self.active.undo(),
            "Control-Shift-Z": lambda viewer: self.active.redo(),
        }
        for key, action in self._keys.items():
            self.viewer.bind_key(key, action, overwrite=True)

    def _giving(self, key: int) -> Callable[[Any], None]:
        """What a class's key does. napari asks it for its name, which a partial has not."""
        return lambda viewer: self.classes.give_by_key(key)

    # Running work

    @property
    def bridge(self) -> LayerBridge | None:
        """The layers being annotated, if any."""
        return self.active.bridge

    @property
    def reopening(self) -> Reopening:
        """Reads saved sessions."""
        return self.active.reopening

    @property
    def predictor(self) -> Predictor | None:
        """The model in use, once one is loaded."""
        return self.answering.predictor

    def _on_attached(self, bridge: LayerBridge) -> None:
        self._show_pages(bridge.session.stack)
        self.saving.begin(bridge.session, bridge.image)
        for controller in self.controllers:
            controller.attach(bridge)

    def _on_detached(self, bridge: LayerBridge) -> None:
        self.saving.end()
        for controller in reversed(self.controllers):
            controller.detach()

    def _on_model(self, predictor: Predictor) -> None:
        for notice in predictor.model.notices:
            show_warning(notice)
        for controller in self.controllers:
            controller.use(predictor)
        if self.bridge is None:
            self.active.list_layers()

    def _cancel(self) -> None:
        """Cancel everything."""
        self.ahead.stop()
        self.propagation.stop()
        self.downloads.cancel()
        self.answering.give_up()
        self.automatic.stop()
        self.words.stop()
        self.prompting.stop()
        self.refining.stop()
        self.classes.stop()
        self.measuring.stop()
        self.exporting.stop()
        self.status.show_idle("Cancelled. Click, or go to another frame, to continue.")

    def _show_pages(self, stack: FrameStack) -> None:
        """A single frame has no others to propagate to."""
        self._why_not = "" if any(n > 1 for n in stack.shape[:-2]) else ONE_FRAME
        for page in (self.stack_page, self.review_page):
            self.pages.allow(page, self._why_not)

    def _show_low_confidence(self, n: int) -> None:
        """What was found automatically is reviewed in a single frame as well."""
        self.pages.allow(self.review_page, "" if n else self._why_not)
        self.pages.rename(self.review_page, f"Review ({n})" if n else "Review")

    def _show_stack_page(self) -> None:
        """Where the user is asked for something."""
        self.pages.tabs.setCurrentIndex(self.stack_page)
        self.stack.through.setFocus()

    def use_as_prompts(self, name: str) -> None:
        """Show what a layer would prompt, on the page where it can be segmented."""
        self.pages.tabs.setCurrentIndex(self.automatic_page)
        self.prompting.choose(name)

    def _show_folder(self, folder: str) -> None:
        """Show the images of a folder below the image."""
        if self._folder_dock is None:
            dock = self.viewer.window.add_dock_widget(self.strip, name="Folder", area="bottom")
            self._folder_dock = dock
        self.strip.show()
        self._folder_dock.show()
        self.folder.choose(Path(folder))

    def _use_preferences(self, event: object = None) -> None:
        preferences = read_preferences()
        self.ahead.prefetch = preferences.prefetch
        self.cache.store = open_store(preferences)
        self.ahead.show_sizes()

    def _save_the_rest(self) -> None:
        self.saving.end()

    # End

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
        self.folder.close()
        self.active.shutdown()
        self.saving.end()
        for worker in (self.worker, self.downloads, self.saver):
            worker.shutdown()
        self._forget_preferences()
        self.deferred.stop()  # letting go requested more
        for timer in (self._unseen, self._autosave):
            timer.stop()
        for key in self._keys:
            self.viewer.bind_key(key, None, overwrite=True)
        self._keys = {}
        if self._folder_dock is not None:
            self.viewer.window.remove_dock_widget(self._folder_dock)
            self.strip.deleteLater()


def _stop(
    saving: Saving,
    active: ActiveImage,
    controllers: Sequence[Controller],
    workers: Sequence[Worker],
    *_: object,
) -> None:
    """Qt has deleted the widget: with the dock, or with the whole window."""
    saving.end()
    active.bridge = None
    for controller in controllers:
        controller.release()
    for worker in workers:
        worker.shutdown()
