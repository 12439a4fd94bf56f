"""Classes in a real window: made, given by keys and menu, proposed, corrected, undone, saved."""

from __future__ import annotations

import numpy as np
import torch
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from automatic_page import Page
from bright import SIDE, Bright
from napari_sam.engine import LoadedModel, Predictor
from napari_sam.session import GivenClass, load

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
CENTRES = [(y, x) for y in (10, 32, 54) for x in (10, 32, 54)]


class Sized(Bright):
    """Scores of masks grow with their area, so that whole discs are better than parts of them."""

    def decode(self, features, prompts):
        logits, _ = super().decode(features, prompts)
        return logits, 0.8 + (logits > 0).sum((-2, -1)) / 300


def discs() -> np.ndarray:
    """Nine discs, every other one dim, the last one in between."""
    ys, xs = np.mgrid[:SIDE, :SIDE]
    image = np.full((SIDE, SIDE), 20, np.uint8)
    for n, (y, x) in enumerate(CENTRES):
        level = 190 if n == 8 else (240, 150)[n % 2]
        image[(ys - y) ** 2 + (xs - x) ** 2 <= 9] = level
    return image


class ClassPage(Page):
    """The page Classes of a window in which nine discs are objects."""

    def __init__(self, user) -> None:
        user.widget.ahead.prefetch = False
        model = LoadedModel(Sized(), "sized", "sha256:0", torch.device("cpu"), "fp32")
        user.widget._on_model(Predictor(model))
        user.ready()
        super().__init__(user)
        self.choose("method", "grid")
        self.set("points_per_side", 8)
        self.find()
        self.press(self.panel.accept_all)
        self.page = user.widget.class_panel
        user.widget.pages.tabs.setCurrentIndex(user.widget.classes_page)
        self.session, self.labels = self.bridge.session, self.bridge.labels
        self.ids = [int(self.labels.data[at]) for at in CENTRES]

    def type_class(self, name: str) -> None:
        QTest.keyClicks(self.page.name, name)
        self.press(self.page.add)

    def select(self, *nth: int) -> None:
        for n, each in enumerate(nth):
            self.user.click(CENTRES[each], modifiers=SHIFT if not n else SHIFT | CONTROL)
            self.settle()

    def key(self, digit: int) -> None:
        self.user.press(getattr(Qt.Key, f"Key_{digit}"), CONTROL)
        self.settle()

    @property
    def names(self) -> list[str]:
        """The class of each disc."""
        classes = [self.session.classes.of(i) for i in self.ids]
        return ["" if each is None else each.name for each in classes]

    @property
    def own(self) -> list[int]:
        """The discs of which the user said the class."""
        classes = self.session.classes
        return [n for n, i in enumerate(self.ids) if (g := classes.of(i)) and g.is_own]


def test_make_give_propose_correct_undo_save_reopen(open_window, tmp_path) -> None:
    page = ClassPage(open_window(discs(), Bright()))
    widget, session, panel = page.widget, page.session, page.page
    own_colour = page.labels.get_color(page.ids[0])

    page.type_class("bright")
    page.type_class("dim")
    assert panel.table.texts(1) == ["bright", "dim"]
    page.type_class(" Dim ")
    assert "a class “dim” already" in widget.status.text.text()
    assert panel.table.texts(0) == ["1", "2"]
    panel.name.clear()

    page.key(3)
    assert "No class has the key 3" in widget.status.text.text()
    page.select(0, 2)
    page.key(1)
    assert page.own == [0, 2]
    page.select(1)
    page.press(panel.propose)
    assert "Only “bright” has examples" in widget.status.text.text()
    page.key(2)
    assert page.names[1] == "dim"

    page.press(panel.propose)
    assert page.names[:8] == ["bright", "dim"] * 4
    assert panel.table.texts(2) == ["2", "1"]
    assert "Proposed classes for 6 objects" in panel.text.text()

    def rows_of_features():
        features = page.labels.features
        return features[features["index"] == page.ids[3]]

    page.qtbot.waitUntil(lambda: list(rows_of_features().get("class", ())) == ["dim"])
    assert 0.5 < rows_of_features()["class_probability"].item() < 1
    objects = widget.objects.table
    assert objects.texts(4)[objects.texts().index(str(page.ids[0]))] == "bright"

    panel.colour.setChecked(True)
    page.settle()
    assert len({tuple(page.labels.get_color(i)) for i in page.ids}) == 2
    proposed = page.names
    page.select(8)
    page.key(1 if proposed[8] == "dim" else 2)  # what was proposed is wrong
    assert 8 in page.own
    assert page.names[8] != proposed[8]
    page.user.press("z", CONTROL)  # the correction, and what followed from it
    page.settle()
    assert page.names == proposed
    assert 8 not in page.own
    page.user.press("z", CONTROL)
    page.settle()
    assert page.names.count("") == 6
    for _ in range(2):
        page.user.press("z", CONTROL | SHIFT)
        page.settle()
    assert 8 in page.own
    panel.colour.setChecked(False)
    page.settle()
    np.testing.assert_array_equal(page.labels.get_color(page.ids[0]), own_colour)

    page.save()
    opened = load(session.saved.folder, session.stack)
    assert opened.classes.given == session.classes.given
    assert opened.classes.defined == session.classes.defined


def test_unsure_ones_are_reviewed_first_and_classes_are_changed(open_window) -> None:
    page = ClassPage(open_window(discs(), Bright()))
    widget, panel = page.widget, page.page
    for nth, name in ((0, "bright"), (1, "dim")):
        page.type_class(name)
        page.select(nth)
        page.press(panel.give)
    page.press(panel.propose)
    unsure = widget.review
    page.qtbot.waitUntil(lambda: any(each.class_name for each in unsure.entries))
    widget.pages.tabs.setCurrentIndex(widget.review_page)
    first = unsure.entries[0]
    assert first.class_name
    assert first.score == min(each.score for each in unsure.entries if each.class_name)
    page.press(widget.review_panel.next)
    assert f"may be “{first.class_name}”" in widget.review_panel.text.text()
    assert page.session.active == first.object_id
    page.press(widget.review_panel.right)
    assert page.session.classes.of(first.object_id) == GivenClass(first.class_name)
    assert first.about not in [each.about for each in unsure.entries]

    panel.choose("dim")
    QTest.keyClicks(panel.name, "faint & small")
    panel._fill_menu()
    entries = {each.text(): each for each in panel.menu.actions()}
    entries["Rename to “faint & small”"].trigger()
    page.settle()
    assert page.names[1] == "faint & small"
    panel._fill_menu()
    menus = {each.text(): each.menu() for each in panel.menu.actions() if each.menu()}
    next(each for each in menus["Kind of"].actions() if each.text() == "bright").trigger()
    next(each for each in menus["Key"].actions() if each.text() == "Ctrl+9").trigger()
    page.settle()
    assert panel.table.texts(1) == ["bright", "↳ faint & small"]
    assert panel.table.texts(0) == ["1", "9"]

    page.select(3)
    menu = widget.objects.menu
    given = {each.text(): each for each in menu._classes.actions()}
    given["No class"].trigger()
    page.settle()
    assert 3 not in page.own
    given["bright\tCtrl+1"].trigger()
    page.settle()
    assert page.names[3] == "bright"
    panel.removed.emit("bright")
    page.settle()
    assert panel.table.texts(1) == ["faint & small"]
    assert "bright" not in page.names
