"""The image of a saved session comes back as it was annotated, whoever read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from npe2 import DynamicPlugin

from napari_sam.engine import FrameStack
from napari_sam.plugin.contributions import read_session
from napari_sam.plugin.sessions.images import IMAGE_READER
from napari_sam.session import Session, load, save, session_path

SHAPE = (3, 16, 20)
LayerData = tuple[Any, dict[str, Any], str]


def pixels(seed: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, shape).astype(np.uint8)


@pytest.fixture
def odd_reader() -> Iterator[DynamicPlugin]:
    """A plugin that reads what nobody else does: several layers, and one by channels."""
    with DynamicPlugin("odd-reader") as plugin:

        @plugin.contribute.reader(filename_patterns=["*.odd"])
        def get_reader(path: str) -> Callable[[str], list[LayerData]]:
            return lambda path: [
                (np.zeros(SHAPE, int), {"name": "labels"}, "labels"),
                (pixels(1), {"name": "first", "metadata": {"microscope": 1}}, "image"),
                (pixels(2), {"name": "second", "scale": (2, 1, 1), "opacity": 0.1}, "image"),
                (np.stack([pixels(3), pixels(4)], 1), {"channel_axis": 1}, "image"),
            ]

        yield plugin


def saved(path: Path, image: np.ndarray, reader: str | None) -> Path:
    """A session of an image that napari had read from this file."""
    labels = np.zeros(image.shape, np.uint16)
    labels[0, 3:6, 3:6] = 1
    session = Session(FrameStack.from_array(image, rgb=False), labels)
    session.image_reader = reader
    save(session, folder := session_path(path), image_path=path)
    return folder


@dataclass(frozen=True)
class Annotated:
    name: str
    seed: int
    told: dict[str, Any]


ANNOTATED = [
    Annotated("the first layer", 1, {"name": "first"}),
    Annotated("the second layer", 2, {"name": "second", "scale": (2, 1, 1)}),
    Annotated("a channel", 4, {"name": "a"}),
]


@pytest.mark.usefixtures("odd_reader")
@pytest.mark.parametrize("case", ANNOTATED, ids=lambda c: c.name)
def test_a_plugin_reads_again_what_it_read(case: Annotated, tmp_path: Path) -> None:
    path = tmp_path / "a.odd"
    path.write_text("odd")
    image, labels = read_session(str(saved(path, pixels(case.seed), "odd-reader")))
    np.testing.assert_array_equal(image[0], pixels(case.seed))
    assert {key: image[1][key] for key in case.told} == case.told
    assert image[1]["metadata"][IMAGE_READER] == "odd-reader"
    assert ("microscope" in image[1]["metadata"]) == (case.seed == 1)
    assert "opacity" not in image[1]
    assert labels[1].get("scale") == case.told.get("scale")
    assert labels[0][0, 4, 4] == 1


def test_of_several_series_the_annotated_one_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for seed in (5, 6):
            file.write(pixels(seed), photometric="minisblack", metadata={"axes": "ZYX"})
    image, _ = read_session(str(saved(path, pixels(6), None)))
    np.testing.assert_array_equal(np.asarray(image[0]), pixels(6))


def test_without_the_plugin_the_objects_come_alone_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "a.odd"
    path.write_text("odd")
    folder = saved(path, pixels(1), "odd-reader")
    (labels,) = read_session(str(folder))
    assert labels[2] == "labels"
    assert "objects are shown without it" in notification_manager.records[-1].message


@pytest.mark.parametrize(
    "name", ["x" * 240 + ".tif", "é" * 120 + ".tif"], ids=["long", "long in UTF-8"]
)
def test_long_names_have_sessions(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    tifffile.imwrite(path, pixels(1), photometric="minisblack")
    folder = saved(path, pixels(1), None)
    assert len(folder.name.encode()) <= 255
    assert folder == session_path(path)
    assert folder != session_path(path.with_name("y" + name[1:]))
    image, _ = read_session(str(folder))
    np.testing.assert_array_equal(np.asarray(image[0]), pixels(1))


def test_names_that_are_no_text_have_sessions(tmp_path: Path) -> None:
    """Linux names files by bytes."""
    path = tmp_path / b"caf\xe9.tif".decode("utf-8", "surrogateescape")
    try:
        tifffile.imwrite(path, pixels(1), photometric="minisblack")
    except (OSError, UnicodeError):
        pytest.skip("names are text here")
    folder = saved(path, pixels(1), None)
    image, _ = read_session(str(folder))
    np.testing.assert_array_equal(np.asarray(image[0]), pixels(1))
    assert load(folder, FrameStack.from_array(pixels(1), rgb=False)).is_of_image
