"""What the panel shows and takes: choosing in lists, keys, texts that keep their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QObject, QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QProgressBar,
    QScrollArea,
    QWidget,
)

from bright import Bright
from napari_sam.plugin.panels.controls import Choice, Number, ShortText
from napari_sam.plugin.panels.embeddings import EmbeddingPanel
from napari_sam.plugin.panels.object_menu import ObjectMenu
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.plugin.panels.pages import Pages
from napari_sam.plugin.panels.sessions import SessionPanel
from napari_sam.plugin.panels.status import StatusPanel
from napari_sam.session import ObjectSummary

LEFT, CONTROL, SHIFT = (
    Qt.MouseButton.LeftButton,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)
NONE = Qt.KeyboardModifier.NoModifier
LONG = "A sentence of which nobody expects that it goes on and on, over many lines. " * 5


class List:
    """A list of objects with an owner that selects what it is told to."""

    def __init__(self, qtbot, n: int) -> None:
        self.panel, self.qtbot = ObjectPanel(), qtbot
        qtbot.addWidget(self.panel)
        self.panel.resize(360, 300)
        self.panel.show()
        self.objects = [ObjectSummary(i, ((0, None, None),), 0.9, 1) for i in range(1, n + 1)]
        self.active, self.shown = 1, 0
        self.panel.object_taken.connect(self.take)
        self.panel.object_clicked.connect(self.take)
        self.panel.object_clicked.connect(lambda object_id: setattr(self, "shown", object_id))
        self.take(1)

    def take(self, object_id: int) -> None:
        self.active = object_id
        self.panel.show_objects(self.objects, object_id)

    def click(self, object_id: int, modifier=NONE, button=LEFT) -> None:
        self.qtbot.mouseClick(
            self.panel.table.viewport(), button, modifier, self.place(object_id).center()
        )

    def press(self, key) -> None:
        self.qtbot.keyClick(self.panel.table, key)

    def place(self, object_id: int):
        return self.panel.table.visualRect(self.panel.table.model().index(object_id - 1, 0))

    def click_below(self) -> None:
        viewport = self.panel.table.viewport()
        self.qtbot.mouseClick(viewport, LEFT, NONE, QPoint(50, viewport.height() - 4))


@dataclass(frozen=True)
class Choosing:
    name: str
    steps: tuple
    chosen: list[int]
    active: int
    shown: int  # the object that is gone to last


CHOOSING = (
    Choosing("click", (("click", 2),), [2], 2, 2),
    Choosing("arrow key", (("click", 1), ("press", Qt.Key.Key_Down)), [2], 2, 2),
    Choosing("two keys", (("click", 3), *[("press", Qt.Key.Key_Up)] * 2), [1], 1, 1),
    Choosing("one more", (("click", 2), ("click", 3, CONTROL)), [2, 3], 2, 2),
    Choosing("a range", (("click", 3), ("click", 1, SHIFT)), [1, 2, 3], 3, 3),
    Choosing(
        "away with the active one",
        (("click", 1), ("click", 2, CONTROL), ("click", 3, CONTROL), ("click", 1, CONTROL)),
        [2, 3],
        2,
        1,
    ),
    Choosing("away with the only one", (("click", 2), ("click", 2, CONTROL)), [2], 2, 2),
    Choosing("below the list", (("click", 2), ("click_below",)), [2], 2, 2),
)


@pytest.mark.parametrize("case", CHOOSING, ids=lambda c: c.name)
def test_what_is_highlighted_is_what_is_meant(case: Choosing, qtbot) -> None:
    listed = List(qtbot, 3)
    for step, *arguments in case.steps:
        getattr(listed, step)(*arguments)
    assert listed.panel.chosen() == case.chosen
    assert (listed.active, listed.shown) == (case.active, case.shown)


def test_the_menu_is_about_what_is_highlighted(qtbot) -> None:
    listed = List(qtbot, 3)
    listed.click(3, button=Qt.MouseButton.RightButton)
    listed.panel._show_menu(listed.place(3).center())
    listed.panel.menu.close()
    assert listed.panel.chosen() == [listed.active] == [3]
    assert listed.shown == 0, "the frame stays"


def test_the_list_scrolls_to_the_object_in_hand(qtbot) -> None:
    listed = List(qtbot, 60)
    listed.take(55)
    seen = listed.panel.table.viewport().rect()
    assert seen.contains(listed.place(55))
    listed.panel.table.scrollToTop()
    listed.take(55)
    assert not seen.contains(listed.place(55)), "whoever scrolls away is not brought back"
    listed.objects = listed.objects[:54]
    listed.take(55)
    listed.objects.append(ObjectSummary(55, ((0, None, None),), 0.9, 1))
    listed.take(55)
    assert seen.contains(listed.place(55)), "its first mask has landed"


def test_candidates_take_room_from_the_first_ones_on(qtbot) -> None:
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    panel.resize(360, 400)
    panel.show()
    without = panel.table.height()
    panel.candidates.show_candidates([np.zeros((20, 20, 3), np.uint8)] * 3, [0.9, 0.8, 0.7], 0)
    qtbot.waitUntil(lambda: panel.table.height() < without)
    with_them = panel.table.height()
    panel.candidates.show_candidates([], [], 0)
    QApplication.processEvents()
    assert panel.table.height() == with_them, "nothing jumps any more"
    panel.candidates.leave_no_gap()
    qtbot.waitUntil(lambda: panel.table.height() == without)


@dataclass(frozen=True)
class Said:
    name: str
    text: str
    n_lines: int
    cut: Qt.TextElideMode
    begins: str
    ends: str
    is_whole: bool


RIGHT, MIDDLE = Qt.TextElideMode.ElideRight, Qt.TextElideMode.ElideMiddle
PATH = f"Saved 20:28 in {'very_' * 20}long_name.tif.napari-sam"
SAID = (
    Said("nothing", "", 2, RIGHT, "", "", True),
    Said("short", "Ready.", 2, RIGHT, "Ready.", "Ready.", True),
    Said("two lines", LONG[:76], 2, RIGHT, LONG[:20], "lines. ", True),
    Said("too long", LONG, 2, RIGHT, LONG[:20], "…", False),
    Said("a path", PATH, 1, MIDDLE, "Saved 20:28 in very_", ".napari-sam", False),
    Said("no path", f"{LONG[:75]}", 1, MIDDLE, LONG[:10], "lines.", False),
    Said("one word", "x" * 500, 2, RIGHT, "xxx", "x…", False),
)


@pytest.mark.parametrize("case", SAID, ids=lambda c: c.name)
def test_texts_keep_their_height(case: Said, qtbot) -> None:
    label = ShortText(case.n_lines, "Something else.", case.cut)
    qtbot.addWidget(label)
    label.resize(300, label.height())
    label.show()
    before = label.height()
    label.say(case.text)
    assert label.minimumHeight() == label.maximumHeight() == before
    assert label.text() == case.text
    shown = lines_of(label)
    assert len(shown) <= case.n_lines
    assert all(label.fontMetrics().horizontalAdvance(line) <= 300 for line in shown)
    assert shown[0].startswith(case.begins)
    assert shown[-1].endswith(case.ends)
    assert (label.toolTip() == "") == case.is_whole
    assert case.is_whole or case.text.strip() in label.toolTip()


def lines_of(label: ShortText) -> list[str]:
    """The lines that the label shows."""
    return super(ShortText, label).text().split("\n")


def places(panel: QWidget) -> dict[str, tuple[int, int]]:
    """Where everything in a panel that is shown stands."""
    QApplication.processEvents()
    return {
        name: (each.pos().y(), each.height())
        for name, each in vars(panel).items()
        if isinstance(each, QWidget) and each.isVisible()
    }


PANELS = {"status": StatusPanel, "embedding": EmbeddingPanel}


@pytest.mark.parametrize("name", PANELS)
def test_nothing_moves_when_work_begins_and_ends(name: str, qtbot) -> None:
    panel = PANELS[name]()
    qtbot.addWidget(panel)
    panel.resize(300, panel.sizeHint().height())
    panel.show()
    idle, height = places(panel), panel.sizeHint().height()
    panel.show_busy(LONG, 1, 2)
    busy = places(panel)
    assert busy["cancel"][1] > 0
    assert {each: busy[each] for each in idle} == idle
    panel.show_idle(LONG)
    assert places(panel) == idle
    assert panel.sizeHint().height() == height


def test_that_nothing_is_saved_is_never_cut(qtbot) -> None:
    panel = SessionPanel()
    qtbot.addWidget(panel)
    panel.resize(180, 100)
    panel.show()
    warning = "Not saved! “Save as …” takes another place."
    panel.show_problem(warning, "The disk is full.")
    QApplication.processEvents()
    assert panel.warning.text() == warning
    needed = panel.warning.heightForWidth(panel.warning.width())
    assert panel.warning.isVisible()
    assert panel.warning.height() >= needed > panel.warning.fontMetrics().lineSpacing()
    panel.show_place("Saved 20:28 in cells.tif.napari-sam", "/data/cells.tif.napari-sam")
    assert not panel.warning.isVisible()
    assert "/data/cells.tif.napari-sam" in panel.text.toolTip()


@pytest.mark.parametrize("width", [500, 286, 270, 150])
def test_every_page_can_be_reached_however_narrow_the_dock(qtbot, width: int) -> None:
    pages = Pages()
    qtbot.addWidget(pages)
    for title in ("Annotate", "Automatic", "Classes", "Stack", "Review", "Results"):
        pages.add_page(title, QWidget())
    pages.resize(width, 200)
    pages.show()
    pages.rename(4, "Review (12)")
    qtbot.wait(1)
    assert pages.width() == width
    assert pages.tabs.tabRect(5).right() <= width
    is_cut = pages.tabs.elideMode() != Qt.TextElideMode.ElideNone
    assert is_cut == (width == 150)


def test_the_menu_names_the_objects(qtbot) -> None:
    owner = QWidget()
    qtbot.addWidget(owner)
    menu = ObjectMenu(owner)
    shown = {name: action.text() for name, action in menu.entries.items()}
    assert not [text for text in shown.values() if "{" in text]
    menu.name_objects({"chosen": "objects 3 and 7", "first": "object 3", "second": "object 7"})
    menu.allow({"swap", "join"})
    assert menu.entries["swap"].text() == "Swap objects 3 and 7 from here on"
    assert menu.entries["join"].text() == "Object 7 continues as object 3 from here"
    titles = {action.text(): action.isEnabled() for action in menu.actions() if action.menu()}
    assert titles == {
        "Delete objects 3 and 7": False,
        "Merge objects 3 and 7": False,
        "Class of objects 3 and 7": False,
        "Review of objects 3 and 7": True,
    }


CONTROLS = {
    "choice": lambda: Choice("", [("a", "A"), ("b", "B")]),
    "number": lambda: Number("", ""),
}


@pytest.mark.parametrize("name", CONTROLS)
def test_the_wheel_changes_nothing(name: str, qtbot) -> None:
    control = CONTROLS[name]()
    qtbot.addWidget(control)
    control.show()
    before = value_of(control)
    down, still = QPoint(0, -120), Qt.ScrollPhase.NoScrollPhase
    middle = QPointF(control.rect().center())
    event = QWheelEvent(middle, middle, down, down, Qt.MouseButton.NoButton, NONE, still, False)
    QApplication.sendEvent(control, event)
    assert value_of(control) == before
    assert not event.isAccepted(), "the panel scrolls"


def value_of(control: Choice | Number) -> object:
    """What a control says now."""
    return control.currentText() if isinstance(control, Choice) else control.text()


# In a real window


@pytest.fixture
def on_stack(open_window):
    """A window on three small frames."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 48, 48)).astype(np.uint8)
    return open_window(pixels, Bright())


def key_wherever_the_focus_is(user, key: str) -> None:
    """A key as the system sends it: to the window, which gives it to whoever has the focus."""
    window = user.viewer.window._qt_window
    user.qtbot.keyClick(window.focusWidget() or window, key)


def visible(widget: QWidget, *kinds: type) -> list[QWidget]:
    """The controls of a page that can be clicked."""
    children = (each for kind in kinds for each in widget.findChildren(kind))
    return [each for each in children if each.isVisible() and each.isEnabled()]


def test_keys_work_after_a_click_on_any_control(on_stack, monkeypatch) -> None:
    user, widget = on_stack, on_stack.widget
    monkeypatch.setattr(QComboBox, "showPopup", lambda combo: None)  # a window of its own
    window = user.viewer.window._qt_window
    window.activateWindow()
    user.qtbot.waitUntil(window.isActiveWindow)
    user.click((1, 1, 20, 20))
    user.ready()

    def keys_arrive(after: QWidget) -> None:
        before = widget.tools.negative.isChecked()
        key_wherever_the_focus_is(user, "g")
        name = f"{type(after).__name__} {getattr(after, 'text', str)()}"
        assert widget.tools.negative.isChecked() != before, f"after a click on {name}"

    tables = {"Annotate": widget.objects.table, "Review": widget.review_panel.table}
    for page in range(3):
        widget.pages.tabs.setCurrentIndex(page)
        QApplication.processEvents()
        for combo in visible(widget, QComboBox):
            user.qtbot.mouseClick(combo, LEFT)
            keys_arrive(combo)
        for button in visible(widget.pages, QAbstractButton):
            if button is not widget.stack.button:
                user.canvas.native.clearFocus()
                user.qtbot.mousePress(button, LEFT)
                keys_arrive(button)
                user.qtbot.mouseRelease(button, LEFT, NONE, QPoint(-9, -9))  # not pressed after all
    for table in tables.values():
        user.qtbot.mouseClick(table.viewport(), LEFT, NONE, QPoint(20, 10))
        keys_arrive(table)
    for box in (widget.source.cell_size, widget.stack.reach):
        widget.pages.tabs.setCurrentIndex(widget.stack_page)
        user.qtbot.mouseClick(box, LEFT, NONE, box.rect().center())
        assert box.hasFocus()
        QApplication.processEvents()
        user.qtbot.keyClick(box, "1")
        user.qtbot.keyClick(box, Qt.Key.Key_Return)
        keys_arrive(box)
        user.qtbot.mouseClick(box, LEFT, NONE, box.rect().center())
        user.qtbot.mouseClick(widget.pages.tabs, LEFT, NONE, widget.pages.tabs.tabRect(0).center())
        keys_arrive(box)
    assert widget.source.cell_size.value() == widget.stack.reach.value() == 1


def test_the_whole_panel_fits(on_stack, qtbot) -> None:
    user, widget = on_stack, on_stack.widget
    scroll = widget.findChild(QScrollArea)
    user.viewer.window._qt_window.resize(1280, 800)
    widget.kept.show_problem("Not saved! “Save as …” takes another place.", "The disk is full.")
    widget.source.show_series(["a field", "another"], 0)
    for page in range(widget.pages.tabs.count()):
        widget.pages.tabs.setCurrentIndex(page)
        qtbot.wait(50)
        warning = widget.kept.warning
        for always in (warning, widget.status.text):
            assert always.visibleRegion().boundingRect() == always.rect()
        at = warning.mapTo(widget, QPoint(0, warning.height()))
        assert at.y() <= widget.height()
        assert scroll.widget().minimumSizeHint().width() <= widget.minimumWidth() - 15


def test_words(on_stack) -> None:
    widget = on_stack.widget
    labels = on_stack.viewer.dims.axis_labels
    axes = [widget.stack.axis.itemText(i) for i in range(widget.stack.axis.count())]
    assert axes == [f"slider {label}" for label in labels[:2]]
    assert widget.status.text.text() == "Ready: click on an object. scripted runs on the processor."
    widget.object_actions.show_possible()
    assert widget.objects.menu.entries["mother"].text() == "Object 1 divides …"


def test_why_a_page_is_greyed_out(open_window) -> None:
    user = open_window(np.zeros((48, 48), np.uint8), Bright())
    tabs = user.widget.pages.tabs
    for page in (user.widget.stack_page, user.widget.review_page):
        assert not tabs.isTabEnabled(page)
        assert "single image" in tabs.tabToolTip(page)
    user.viewer.add_image(np.zeros((3, 48, 48), np.uint8), name="stack")
    user.qtbot.waitUntil(lambda: user.widget.source.image.count() == 2)
    user.widget.source.image.setCurrentIndex(1)
    user.widget.source.image.activated.emit(1)
    user.qtbot.waitUntil(lambda: tabs.isTabEnabled(user.widget.stack_page), timeout=60_000)
    assert tabs.tabToolTip(user.widget.stack_page) == ""


class Painting(QObject):
    """Notes what a bar shows each time it is painted."""

    def __init__(self, bar: QProgressBar) -> None:
        super().__init__(bar)
        self.values: list[int] = []
        bar.installEventFilter(self)

    def eventFilter(self, bar: QObject, event: QEvent) -> bool:  # noqa: N802 Qt's name
        if event.type() == QEvent.Type.Paint:
            self.values.append(bar.value())
        return False


def test_progress_is_painted_with_all_else_not_at_once(qtbot) -> None:
    panel = StatusPanel()
    qtbot.addWidget(panel)
    with qtbot.waitExposed(panel):
        panel.show()
    panel.show_busy("Embedding …", 1, 10)
    painting = Painting(panel.bar)
    qtbot.waitUntil(lambda: bool(painting.values))
    painting.values.clear()
    panel.show_busy("Embedding …", 4, 10)
    panel.show_busy("Embedding …", 5, 10)
    assert not painting.values
    qtbot.waitUntil(lambda: bool(painting.values))
    assert painting.values == [5]
