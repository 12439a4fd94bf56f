"""The folder of annotated images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.engine import FrameError
from napari_sam.training.data import Item, frames_of, load_index, modality_of, source_of


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


MODALITY_CASES = (
    ("time-lapse brightfield budding yeast in microfluidic traps", "brightfield"),
    ("brightfield stained cytology smear (greyscale) nuclei", "stained"),
    ("3D confocal cell membranes (Arabidopsis ovule; boundary-like signal)", "membranes"),
    ("3D fluorescence nuclei (Arabidopsis ovule, noisy confocal)", "fluorescence"),
    ("electron microscopy (SEM), myelinated axons", "electron microscopy"),
    ("natural video (DAVIS)", "natural video (DAVIS)"),
    ("", ""),
)


@pytest.mark.parametrize(("description", "expected"), MODALITY_CASES)
def test_modality_of(description: str, expected: str) -> None:
    assert modality_of(description) == expected


def test_whole_numbers_may_be_floats(tmp_path: Path) -> None:
    """As ImageJ saves them; fractions are refused, and the file is named."""
    labels = np.zeros((8, 9), np.float32)
    labels[2:5, 2:6] = 3
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((8, 9), np.uint8))
    tifffile.imwrite(tmp_path / "l.tif", labels)
    item = Item("i", "s", tmp_path / "i.tif", tmp_path / "l.tif", "YX")
    (frame,) = frames_of(item)
    assert frame.labels.dtype == np.int32
    np.testing.assert_array_equal(frame.labels, labels)
    tifffile.imwrite(tmp_path / "l.tif", labels / 2)
    with pytest.raises(FrameError, match=r"l\.tif: Labels are whole numbers, but these hold 1\.5"):
        list(frames_of(item))
