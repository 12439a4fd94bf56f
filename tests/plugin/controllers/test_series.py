"""A TIFF with several series in a real window: which one is shown, and how to get another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.engine import read_image
from napari_sam.plugin.sessions.places import SERIES
from napari_sam.session import is_session, session_path

FIRST = np.random.default_rng(0).integers(0, 255, (40, 50), np.uint8)
SECOND = np.random.default_rng(1).integers(0, 255, (2, 30, 60), np.uint8)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with tifffile.TiffWriter(tmp_path / "two.tif") as file:
        file.write(FIRST, photometric="minisblack")
        file.write(SECOND, photometric="minisblack")
    return tmp_path / "two.tif"


def listed(user) -> list[str]:
    series = user.widget.source.series
    return [series.itemText(n) for n in range(series.count())]


def choose(user, number: int) -> None:
    series = user.widget.source.series
    series.setCurrentIndex(number)
    series.activated.emit(number)
    user.qtbot.waitUntil(
        lambda: user.widget.bridge and user.widget.bridge.image.metadata.get(SERIES, 0) == number,
        timeout=30_000,
    )
    user.ready()


def test_another_series_is_chosen_annotated_and_comes_back(open_window, path: Path) -> None:
    user = open_window(path)
    source = user.widget.source
    user.qtbot.waitUntil(lambda: source.series.count() == 2, timeout=30_000)
    assert source.series.isVisibleTo(source)
    assert source.series.currentIndex() == 0
    assert [text.partition(": ")[0] for text in listed(user)] == ["0", "1"]
    assert "40 × 50" in listed(user)[0]
    assert "2 × 30 × 60" in listed(user)[1]

    choose(user, 1)
    bridge = user.widget.bridge
    np.testing.assert_array_equal(bridge.image.data, read_image(path, series=1)[0])
    assert bridge.session.stack.shape == SECOND.shape
    user.qtbot.waitUntil(lambda: source.series.count() == 2, timeout=30_000)
    assert source.series.currentIndex() == 1
    bridge.labels.data_setitem(tuple(np.array([n]) for n in (0, 3, 4)), 1)
    user.refit()
    user.viewer.dims.set_current_step(0, 0)
    user.click((0, 10, 20))
    user.ready()
    choose(user, 0)
    assert user.widget.bridge.image.name == "two"
    user.viewer.close()
    assert is_session(session_path(path.with_name("two.tif.1")))
    assert not is_session(session_path(path)), "nothing was annotated in the first one"


def test_a_file_of_one_series_says_nothing(open_window, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", FIRST)
    user = open_window(tmp_path / "one.tif")
    user.qtbot.waitUntil(lambda: user.widget.worker.idle, timeout=60_000)
    assert not user.widget.source.series.isVisibleTo(user.widget.source)
