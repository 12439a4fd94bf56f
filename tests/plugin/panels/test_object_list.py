"""The list of objects by itself: sorted, explained, its active row in sight."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt

from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.session import ObjectSummary

FRAMES = [(t, None, None) for t in range(9)]
OBJECTS = [
    ObjectSummary(1, (FRAMES[4],), 0.9, 3),
    ObjectSummary(2, tuple(FRAMES[:3]), None, 1),
    ObjectSummary(3, (FRAMES[2],), 0.5, 2),
]
BY_COLUMN = [(0, [1, 2, 3]), (1, [3, 1, 2]), (2, [3, 1, 2]), (3, [2, 3, 1])]


@pytest.fixture
def panel(qtbot) -> ObjectPanel:
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    panel.resize(300, 250)
    panel.show_objects(OBJECTS, 3)
    return panel


def shown(panel: ObjectPanel) -> list[int]:
    return [int(text) for text in panel.table.texts()]


@pytest.mark.parametrize(("column", "order"), BY_COLUMN)
def test_a_click_on_a_title_sorts_and_a_second_one_turns(panel, column, order) -> None:
    header = panel.table.horizontalHeader()
    if column:
        header.sectionClicked.emit(column)
    assert shown(panel) == order
    assert panel.chosen() == [3], "what was highlighted still is"
    assert panel.table.chosen_rows() == [order.index(3)]
    header.sectionClicked.emit(column)
    assert shown(panel) == order[::-1]
    panel.show_objects([*OBJECTS, ObjectSummary(4, (FRAMES[8],), 0.1, 9)], 3)
    assert shown(panel) != order, "it stays sorted as more come"


def test_titles_explain_themselves(panel) -> None:
    header, across = panel.table.model(), Qt.Orientation.Horizontal
    tips = [header.headerData(n, across, Qt.ItemDataRole.ToolTipRole) for n in range(5)]
    assert "frame" in tips[1]
    assert "sure" in tips[2]
    assert all(tips)


@pytest.mark.parametrize("key", [Qt.Key.Key_Delete, Qt.Key.Key_Backspace])
def test_a_key_deletes_rows(panel, qtbot, key) -> None:
    with qtbot.waitSignal(panel.table.deleted):
        qtbot.keyClick(panel.table, key)


@pytest.mark.parametrize("active", [1, 50, 99])
def test_the_active_row_is_in_sight_however_high_the_list(qtbot, active: int) -> None:
    panel = ObjectPanel()
    qtbot.addWidget(panel)
    many = [ObjectSummary(n, (FRAMES[0],), 0.9, 1) for n in range(1, 100)]
    panel.show()
    for height in (700, 200, 400):
        panel.resize(300, height)
        panel.show_objects(many, active)
        qtbot.wait(1)
        viewport = panel.table.viewport().rect()
        row = panel.table.visualRect(panel.table.model().index(active - 1, 0))
        assert viewport.contains(row.center())
