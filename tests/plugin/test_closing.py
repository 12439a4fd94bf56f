"""A panel that was closed keeps no model and no embedding alive."""

from __future__ import annotations

import gc
from weakref import ref

import pytest
from skimage import data

PATIENCE_MS = 60_000
WAYS = {
    "the panel is closed": lambda viewer, widget: viewer.window.remove_dock_widget(widget),
    "the window is closed": lambda viewer, widget: viewer.close(),
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_large_outlives_the_panel(way, open_window, qtbot) -> None:
    user = open_window(data.coins(), name="image")
    user.click((54, 45))
    user.ready()
    viewer, widget = user.viewer, user.widget
    large = {
        "model": ref(widget.predictor.model.network),
        "embedding": ref(next(iter(widget.cache._entries.values()))),
    }
    WAYS[way](viewer, widget)
    del user, widget

    def alive() -> list[str]:
        gc.collect()
        return [name for name, reference in large.items() if reference() is not None]

    qtbot.waitUntil(lambda: not alive(), timeout=PATIENCE_MS)
