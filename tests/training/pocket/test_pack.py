"""Annotated images packed to travel: the same frames, objects and sources."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.training import find_items, frames_of
from napari_sam.training.pocket import pack


@pytest.fixture
def items(tmp_path: Path) -> Path:
    """A time-lapse of 16 bit, and an image in colour with large ids."""
    rng = np.random.default_rng(0)
    movie = rng.integers(0, 4000, (3, 40, 50)).astype(np.uint16)
    labels = np.zeros(movie.shape, np.uint16)
    labels[:, 5:20, 8:30] = 7
    colour = rng.integers(0, 256, (30, 36, 3)).astype(np.uint8)
    ids = np.zeros(colour.shape[:2], np.uint32)
    ids[2:12, 3:20] = 900_000
    ids[20:28, 3:20] = 5
    entries = []
    for name, image, objects, axes in (("m", movie, labels, "TYX"), ("c", colour, ids, "YXC")):
        kind = "rgb" if axes == "YXC" else "minisblack"
        tifffile.imwrite(tmp_path / f"{name}.image.tif", image, photometric=kind)
        tifffile.imwrite(tmp_path / f"{name}.labels.tif", objects, photometric="minisblack")
        entries.append(
            {"id": name, "source": f"source {name}", "axes": axes, "modality": "phase contrast",
             "image": f"{name}.image.tif", "labels": f"{name}.labels.tif",
             "all_objects_annotated": name == "m"}
        )  # fmt: skip
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def test_packed_frames_are_the_same(items: Path, tmp_path: Path) -> None:
    before = [frame for item in find_items(items) for frame in frames_of(item)]
    n_bytes = pack.pack(find_items(items), tmp_path / "packed")
    after = [frame for item in find_items(tmp_path / "packed") for frame in frames_of(item)]
    assert len(before) == len(after) == 4
    for old, new in zip(before, after, strict=True):
        assert (old.source, old.modality, old.complete) == (new.source, new.modality, new.complete)
        assert np.abs(old.image.astype(int) - new.image.astype(int)).max() <= 1
        np.testing.assert_array_equal(old.labels > 0, new.labels > 0)
        assert len(np.unique(old.labels)) == len(np.unique(new.labels))
    assert n_bytes == sum(path.stat().st_size for path in (tmp_path / "packed").iterdir())


def test_large_frames_are_cut(items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into parts that hold objects, each with its own share of them."""
    monkeypatch.setattr(pack, "MAX_SIDE", 18)
    pack.pack(find_items(items), tmp_path / "packed")
    after = [frame for item in find_items(tmp_path / "packed") for frame in frames_of(item)]
    assert max(max(frame.labels.shape) for frame in after) == 18
    n_pixels = sum(int((frame.labels > 0).sum()) for frame in after)
    assert n_pixels == 3 * 15 * 22 + 10 * 17 + 8 * 17
