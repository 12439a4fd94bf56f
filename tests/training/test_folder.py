"""Annotated images are found in a folder, with the axes that image and labels agree on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.engine import FrameError
from napari_sam.training.data import frames_of
from napari_sam.training.folder import colour_axes, find_items

FRAME = (9, 8)


def write(folder: Path, image: str, labels: str, shape: tuple[int, ...] = FRAME) -> None:
    """An image and labels with one object of 4 x 5 px in every frame."""
    folder.mkdir(parents=True, exist_ok=True)
    objects = np.zeros(shape, np.uint16)
    objects[..., 2:6, 2:7] = 3
    tifffile.imwrite(folder / image, (objects * 50).astype(np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / labels, objects, photometric="minisblack")


def test_pairs_beside_each_other_and_in_folders_of_their_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data, "a.image.tif", "a.labels.tif")
    write(data / "yeast", "b.tif", "b.labels.tif")
    write(data / "yeast", "not annotated.tif", "no labels at all.tif")
    write(data / "embryo" / "one", "image.tif", "labels.tif", (3, *FRAME))
    write(data / "embryo" / "two", "image.tiff", "labels.tiff")
    items = find_items(data)
    assert [(item.source, item.id) for item in items] == [
        ("data", "a"),
        ("embryo", "embryo/one"),
        ("embryo", "embryo/two"),
        ("yeast", "yeast/b"),
    ]
    frames = [frame for item in items for frame in frames_of(item)]
    assert [str(frame.name) for frame in frames] == [
        "a", "embryo/one, frame 0", "embryo/one, frame 1", "embryo/one, frame 2", "embryo/two",
        "yeast/b",
    ]  # fmt: skip
    for frame in frames:
        assert frame.image.shape == (*FRAME, 3)
        assert (frame.image[frame.labels == 3] > frame.image[0, 0]).all()


@dataclass(frozen=True)
class Colours:
    """An image's shape, that of its labels, and the axes they agree on."""

    name: str
    image: tuple[int, ...]
    labels: tuple[int, ...]
    axes: str
    photometric: str = "minisblack"


COLOURS = (
    Colours("grey", FRAME, FRAME, "YX"),
    Colours("RGB", (*FRAME, 3), FRAME, "YXC", "rgb"),
    Colours("RGB that the file does not name", (*FRAME, 3), FRAME, "YXC"),
    Colours("planes of RGB", (3, *FRAME), FRAME, "CYX", "rgb"),
    Colours("two channels", (2, *FRAME), FRAME, "CYX"),
    Colours("three slices are no colours", (3, *FRAME), (3, *FRAME), "QYX"),
    Colours("stack of two channels", (5, 2, *FRAME), (5, *FRAME), "QCYX"),
    Colours("movie in colours", (5, *FRAME, 3), (5, *FRAME), "QYXC", "rgb"),
    Colours("movie of stacks", (5, 4, *FRAME), (5, 4, *FRAME), "QQYX"),
)


@pytest.mark.parametrize("case", COLOURS, ids=lambda c: c.name)
def test_the_axis_that_labels_do_not_have_holds_colours(case: Colours, tmp_path: Path) -> None:
    image, labels = tmp_path / "image.tif", tmp_path / "labels.tif"
    tifffile.imwrite(image, np.zeros(case.image, np.uint8), photometric=case.photometric)
    tifffile.imwrite(labels, np.ones(case.labels, np.uint8), photometric="minisblack")
    assert colour_axes(image, labels) == case.axes
    (item, *_) = find_items(tmp_path)
    frames = list(frames_of(item))
    assert len(frames) == min(6, np.prod(case.labels[:-2], dtype=int))
    assert frames[0].image.shape == (*FRAME, 3)


STRANGERS = ("._a.labels.tif", "._a.image.tif", ".git/b.labels.tif", "old_labels.tif")


def test_what_is_hidden_or_named_otherwise_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.image.TIF", "a.Labels.tif")
    (tmp_path / ".git").mkdir()
    for stranger in STRANGERS:
        (tmp_path / stranger).write_bytes(b"\0\5\x16\7")
    (item,) = find_items(tmp_path)
    assert (item.id, item.image.name) == (f"{tmp_path.name}/a".partition("/")[2], "a.image.TIF")


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damaged", ["b.image.tif", "b.labels.tif"])
def test_damaged_images_are_left_out_and_said(tmp_path: Path, damaged: str) -> None:
    for name in "abc":
        write(tmp_path, f"{name}.image.tif", f"{name}.labels.tif")
    cut_in_half(tmp_path / damaged)
    left_out: list[FrameError] = []
    assert [item.id for item in find_items(tmp_path, left_out)] == ["a", "c"]
    (reason,) = left_out
    assert damaged in str(reason)
    for name in "ac":
        cut_in_half(tmp_path / f"{name}.image.tif")
    with pytest.raises(FrameError, match=r"a\.image\.tif"):
        find_items(tmp_path, [])


def index(folder: Path, **changed: str) -> None:
    write(folder, "a.tif", "b.tif")
    entry = {"id": "a", "source": "s", "image": "a.tif", "labels": "b.tif", "axes": "YX"}
    (folder / "index.json").write_text(json.dumps([{**entry, **changed}]))


def test_an_index(tmp_path: Path) -> None:
    index(tmp_path)
    write(tmp_path, "c.image.tif", "c.labels.tif")  # the index does not name it
    assert [(item.source, item.id) for item in find_items(tmp_path)] == [("s", "a")]


def other_shape(folder: Path) -> None:
    write(folder, "a.image.tif", "b.labels.tif")
    write(folder, "b.image.tif", "a.labels.tif", (9, 7))


def labels_with_fractions(folder: Path) -> None:
    write(folder, "a.image.tif", "a.labels.tif")
    tifffile.imwrite(folder / "a.labels.tif", np.full(FRAME, 0.5, np.float32))


def negative_labels(folder: Path) -> None:
    write(folder, "a.image.tif", "a.labels.tif")
    labels = tifffile.imread(folder / "a.labels.tif").astype(np.int32)
    tifffile.imwrite(folder / "a.labels.tif", labels - 1)


def broken_labels(folder: Path) -> None:
    write(folder, "a.image.tif", "a.labels.tif")
    (folder / "a.labels.tif").write_text("not a TIFF")


def broken_index(folder: Path) -> None:
    (folder / "index.json").write_text('{"id": ')


def index_without_axes(folder: Path) -> None:
    (folder / "index.json").write_text('[{"id": "a", "source": "s", "image": "a", "labels": "b"}]')


@dataclass(frozen=True)
class Refusal:
    """A folder that cannot be used, and what is said."""

    name: str
    make: Callable[[Path], None]
    says: str


REFUSALS = (
    Refusal("no folder", lambda folder: folder.rmdir(), "There is no folder"),
    Refusal("empty", lambda folder: None, "No annotated image was found"),
    Refusal("no image", lambda f: write(f, "b.tif", "a.labels.tif"), "has no image beside it"),
    Refusal("other shape", other_shape, r"\(9, 7\), its image \(9, 8\)"),
    Refusal("fractions", labels_with_fractions, "these hold 0.5"),
    Refusal("broken labels", broken_labels, "could not be read"),
    Refusal("a background of -1", negative_labels, r"a\.labels\.tif.* reach from -1 to 2"),
    Refusal("broken index", broken_index, "index.json cannot be read"),
    Refusal("no axes", index_without_axes, "KeyError: 'axes'"),
    Refusal("wrong axes", lambda folder: index(folder, axes="YXC"), "axes are given as YXC"),
    Refusal("missing file", lambda folder: index(folder, image="no.tif"), "no.tif could not"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    case.make(folder)
    with pytest.raises(FrameError, match=case.says):
        find_items(folder)
