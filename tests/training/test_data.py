"""The folder of annotated images, and who learns from what."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.training.data import (
    SPLIT,
    Item,
    Split,
    frames_of,
    load_index,
    source_of,
    split_items,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A grey time-lapse whose frame t has the object t, none in frame 1; and a colour image."""
    stack = np.zeros((4, 10, 12), np.uint16)
    labels = np.zeros_like(stack)
    for t in (0, 2, 3):
        labels[t, 2:6, 3:8] = t + 1
        stack[t, 2:6, 3:8] = 1000 * (t + 1)
    colour = np.full((9, 11, 3), (10, 20, 30), np.uint8)
    mask = np.zeros((9, 11), np.uint16)
    mask[4, 4] = 1
    for name, image, objects in (("t", stack, labels), ("c", colour, mask)):
        colours = "rgb" if image.dtype == np.uint8 else "minisblack"
        tifffile.imwrite(tmp_path / f"{name}.image.tif", image, photometric=colours)
        tifffile.imwrite(tmp_path / f"{name}.labels.tif", objects, photometric="minisblack")
    entries = [
        {"id": name, "source": name, "modality": "any", "axes": axes,
         "image": f"{name}.image.tif", "labels": f"{name}.labels.tif"}
        for name, axes in (("t", "TYX"), ("c", "YXC"))
    ]  # fmt: skip
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def test_frames_with_objects_only(folder: Path) -> None:
    stack, colour = load_index(folder)
    found = list(frames_of(stack))
    assert [frame.labels.max() for frame in found] == [1, 3, 4]
    for frame in found:
        assert frame.image.shape == (10, 12, 3)
        assert frame.image.max() == 255  # each frame is stretched by itself
    assert [frame.labels.max() for frame in frames_of(stack, n_frames=2)] == [1, 4]
    (only,) = frames_of(colour)
    assert (only.image == (10, 20, 30)).all()


SOURCES = (
    ("dsb2018", "smear", "dsb2018: smear"),
    ("usiigaci", "phase contrast", "usiigaci"),
    ("usiigaci_timelapse", "phase contrast", "usiigaci"),
    ("davis_clips", "natural", "davis"),
    ("davis_stills", "natural", "davis"),
)


@pytest.mark.parametrize(("source", "modality", "expected"), SOURCES)
def test_source_of(source: str, modality: str, expected: str) -> None:
    assert source_of(source, modality) == expected


def item(source: str, n: int) -> Item:
    return Item(f"{source}/{n}", source, Path("i"), Path("l"), "YX")


def test_split() -> None:
    """Whole sources are held out; of the others every third image is for validation."""
    split = Split(frozenset("h"), frozenset("n"), frozenset("v"), validation_share=3)
    items = [item(source, n) for n in range(4) for source in "hnvt"]
    parts = split_items(items, split)
    assert {part: [i.id for i in found] for part, found in parts.items()} == {
        "train": ["t/0", "t/1", "t/3"],
        "validation": ["v/0", "v/1", "v/2", "t/2", "v/3"],
        "held out": ["h/0", "h/1", "h/2", "h/3"],
        "natural": ["n/0", "n/1", "n/2", "n/3"],
    }


def test_the_real_split(data_folder: Path) -> None:
    """Every held-out source is there, and none of it on the other side."""
    parts = split_items(load_index(data_folder))
    sources = {part: {item.source for item in items} for part, items in parts.items()}
    assert sources["held out"] == SPLIT.held_out
    assert sources["natural"] == SPLIT.natural
    assert not (sources["train"] | sources["validation"]) & (SPLIT.held_out | SPLIT.natural)
    assert not sources["train"] & SPLIT.validation
