"""Review states in a real window: given by key and menu, listed, filtered, noted, undone."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt

CONTROL = Qt.KeyboardModifier.ControlModifier


def test_reviewed_in_the_window(open_results) -> None:
    labels = np.zeros((40, 100), np.uint16)
    for n in range(5):
        labels[10:20, 20 * n + 4 : 20 * n + 14] = n + 1
    user = open_results((50 * labels).astype(np.uint8), labels.copy())
    widget, bridge = user.widget, user.widget.bridge
    panel, session = widget.objects, bridge.session

    def settled() -> None:
        user.qtbot.waitUntil(lambda: not widget.deferred.is_waiting)

    def states() -> dict[int, str]:
        return {i: each.state for i, each in session.reviews.items()}

    settled()
    assert panel.filter.isHidden(), "nothing is in the way of who reviews nothing"
    panel.choose([1, 2])
    for expected in ("approved", "unclear", "to check", None, "approved"):
        user.press(Qt.Key.Key_0, CONTROL)
        assert states() == ({} if expected is None else {1: expected, 2: expected})
    settled()
    panel.choose([3])
    entries = {each.text().split("\t")[0]: each for each in panel.menu._reviews.actions()}
    entries["Unclear"].trigger()
    panel.note_typed.emit("two nuclei?")
    settled()
    assert states() == {1: "approved", 2: "approved", 3: "unclear"}
    assert session.reviews[3].note == "two nuclei?"
    assert panel.table.texts(5) == ["✓", "✓", "?", "", ""]
    row = panel.table.model().index(2, 5)
    assert "two nuclei?" in row.data(Qt.ItemDataRole.ToolTipRole)
    user.qtbot.waitUntil(lambda: "review" in bridge.labels.features, timeout=60_000)
    user.qtbot.waitUntil(lambda: "unclear" in set(bridge.labels.features["review"]))

    listed = [panel.filter.itemText(n) for n in range(panel.filter.count())]
    counts = ["All objects (5)", "To check (0)", "Approved (2)", "Unclear (1)", "Not reviewed (2)"]
    assert listed == counts
    for state, ids in (("approved", [1, 2]), ("not reviewed", [4, 5]), ("unclear", [3])):
        panel.filter.setCurrentIndex(panel.filter.findData(state))
        panel.filter.activated.emit(panel.filter.currentIndex())
        assert [int(text) for text in panel.table.texts()] == ids
    panel.choose([3])
    user.press(Qt.Key.Key_0, CONTROL)
    settled()
    assert panel.table.texts() == [], "it is to be checked now, which is not listed"
    for _ in range(9):
        widget.active.undo()
    settled()
    assert states() == {}
    assert len(panel.table.texts()) == 5, "without states all are listed"
    np.testing.assert_array_equal(bridge.labels.data, labels)
