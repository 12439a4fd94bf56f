"""More like these in a real window, on a real image with the embedded model."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy import ndimage
from skimage import data

from automatic_page import Page

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
EXAMPLES = ((45, 38), (45, 100))  # coins
FRAME = (None, None)


@pytest.mark.slow
def test_more_coins_like_two_are_found_removed_accepted_and_compared_again(open_window) -> None:
    page = Page(open_window(data.coins()[:200, :260]))
    panel, user, session = page.panel, page.user, page.bridge.session
    page.choose("what", "alike")
    assert panel.run.text() == "Find alike"
    assert not panel.control("method").isVisible()
    page.press(panel.run)
    assert "There is no example" in page.said
    for n, point in enumerate(EXAMPLES):
        if n:
            user.press("n")
        user.click(point)
        page.settle()
    examples = page.bridge.labels.data.copy()
    assert len(np.unique(examples)) == 3
    page.widget.objects.choose([1, 2])
    page.find()
    run = page.automatic.run
    n_all = _standing(run)
    assert len(n_all) > 3, panel.outcome.text()

    # The threshold decides without decoding
    page.set("min_likeness", 0.99)
    page.settle()
    assert "unlike the examples" in panel.outcome.text()
    assert not _standing(run)
    page.set("min_likeness", 0.4)
    page.settle()
    assert _standing(run) == n_all

    # A counter-example
    page.press(panel.remove_chosen)
    assert "No proposal is selected" in page.said
    least = min(n_all, key=lambda n: run.decided[FRAME][n].likeness)
    user.click(_inside(run.proposals[FRAME][least]), modifiers=SHIFT)
    page.settle()
    assert run.n_chosen == 1
    page.press(panel.remove_chosen)
    assert least not in _standing(run)
    assert run.decided[FRAME][least].dropped == "unlike the examples"

    # Accepted: reviewed from the least alike on, the examples as they were
    page.press(panel.accept_all)
    labels = page.bridge.labels.data
    np.testing.assert_array_equal(labels[examples > 0], examples[examples > 0])
    page.qtbot.waitUntil(lambda: len(page.widget.review.entries) > 1)
    scores = [entry.score for entry in page.widget.review.entries]
    assert scores == sorted(scores)
    assert scores[0] == min(
        run.decided[FRAME][n].likeness for _, _, taken in run.taken for n in taken
    )

    # One that is deleted is a counter-example when the same is looked for again
    worst = page.widget.review.entries[0].object_id
    page.widget.objects.choose([worst])
    page.qtbot.waitUntil(lambda: session.active == worst)
    page.widget.object_actions.do("delete here")
    page.settle()
    page.widget.objects.choose([1, 2])
    page.find()
    assert page.automatic.run is run, "nothing was decoded again"
    assert len(run.unlike[FRAME]) == 2
    page.press(panel.discard)
    page.choose("what", "everything")
    assert panel.run.text() == "Find objects"
    assert panel.control("method").isVisible()


def _standing(run) -> list[int]:
    return [n for n, each in enumerate(run.decided[FRAME]) if not each.dropped]


def _inside(found) -> tuple[int, int]:
    """The deepest pixel of a proposal."""
    depth = ndimage.distance_transform_edt(np.pad(found.mask, 1))
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(y) - 1 + found.window[0], int(x) - 1 + found.window[1]
