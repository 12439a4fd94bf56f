"""Layers that the user deletes: napari goes on drawing, and the widget goes on annotating."""

from __future__ import annotations

import pytest
from skimage import data

PATIENCE_MS = 60_000
OWN = {"image objects", "image outline", "image shapes", "image points"}


@pytest.fixture
def coins():
    return data.coins()


@pytest.fixture
def user(open_window, coins):
    """Somebody who has clicked one coin."""
    user = open_window(coins, name="image")
    user.click((54, 45))
    user.ready()
    return user


def names(viewer) -> set[str]:
    return {layer.name for layer in viewer.layers}


def test_deleted_labels_make_way_for_new_ones(user, qtbot) -> None:
    """What is drawn after the layers' memory is freed once ended the whole program."""
    before = user.widget.bridge
    user.viewer.layers.remove(before.labels)
    qtbot.waitUntil(lambda: user.widget.bridge not in (None, before), timeout=PATIENCE_MS)
    user.ready()
    assert names(user.viewer) == {"image", *OWN}
    assert not user.widget.bridge.labels.data.any()
    user.click((54, 45))
    user.ready()
    assert user.widget.bridge.labels.data[54, 45] == 1


def test_all_layers_are_deleted_at_once(user, coins, qtbot) -> None:
    user.viewer.layers.select_all()
    user.viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: user.widget.bridge is None, timeout=PATIENCE_MS)
    qtbot.wait(100)
    assert names(user.viewer) == set()
    user.viewer.add_image(coins, name="image")
    user.ready()
    user.click((54, 45))
    user.ready()
    assert user.widget.bridge.labels.data[54, 45] == 1


def test_the_image_is_deleted_its_labels_stay(user, qtbot) -> None:
    user.viewer.layers.remove("image")
    qtbot.waitUntil(lambda: user.widget.bridge is None, timeout=PATIENCE_MS)
    qtbot.wait(100)
    assert names(user.viewer) == {"image objects"}
    assert user.viewer.layers["image objects"].data[54, 45] == 1
