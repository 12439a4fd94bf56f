"""What is learned from and what is kept out: never the same frame on both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import tifffile

from napari_sam.engine import FrameError
from napari_sam.training import TrainingData, find_items, read_pocket_data, read_training_data
from napari_sam.training.training_data import MIN_OBJECTS, n_objects


def write(folder: Path, name: str, labels: np.ndarray) -> None:
    """Labels and an image whose levels are all different, so that frames can be told apart."""
    folder.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(crc32(name.encode())).integers(0, 60000, labels.shape)
    tifffile.imwrite(
        folder / f"{name}.image.tif", image.astype(np.uint16), photometric="minisblack"
    )
    tifffile.imwrite(folder / f"{name}.labels.tif", labels, photometric="minisblack")


def squares(shape: tuple[int, ...] = (40, 40), first: int = 1) -> np.ndarray:
    """Nine squares of 6 px in every frame, ten pixels apart."""
    labels = np.zeros(shape, np.int32)
    for n in range(9):
        y, x = 10 * (n // 3) + 4, 10 * (n % 3) + 4
        labels[..., y : y + 6, x : x + 6] = first + n
    return labels


def images(n: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        for i in range(n):
            write(folder, f"im{i:02}", squares())

    return make


def stack(n_frames: int) -> Callable[[Path], None]:
    return lambda folder: write(folder, "stack", squares((n_frames, 40, 40)))


def wide(folder: Path) -> None:
    """Squares at x = 4, 14, … 94; the cut at 75 goes through the eighth, at 74."""
    labels = np.zeros((20, 100), np.uint8)
    for n in range(10):
        labels[4:12, 10 * n + 4 : 10 * n + 10] = n + 1
    write(folder, "wide", labels)


@dataclass(frozen=True)
class Division:
    """A folder, and how many frames learn and judge; with what is said about it."""

    name: str
    make: Callable[[Path], None]
    training: int
    validation: int
    says: str = ""


DIVISIONS = (
    Division("two images", images(2), 1, 1, "9 objects in 1 frame to learn from; 9 objects in 1"),
    Division("four images", images(4), 3, 1),
    Division("eleven images", images(11), 9, 2, "81 objects in 9 frames to learn from"),
    Division("one stack", stack(10), 8, 2, "one stack only: its last frames"),
    Division("a long stack", stack(60), 39, 9, "figures are too optimistic"),
    Division("a pair of frames", stack(2), 1, 1, "9 objects to learn from are few"),
    Division("one image", wide, 1, 1, "a quarter of it is kept out"),
    Division("one small image", images(1), 1, 1, "with too few objects to keep any out"),
)


@pytest.mark.parametrize("case", DIVISIONS, ids=lambda c: c.name)
def test_divisions(case: Division, tmp_path: Path) -> None:
    case.make(tmp_path)
    found = read_training_data(find_items(tmp_path))
    assert (len(found.training), len(found.validation)) == (case.training, case.validation)
    assert case.says in " ".join(found.notes)
    if "too few objects to keep any out" not in case.says:
        assert not contents(found.training) & contents(found.validation)


def contents(frames: list) -> set[bytes]:
    return {frame.image.tobytes() for frame in frames}


def test_a_cut_goes_through_no_object_judged(tmp_path: Path) -> None:
    wide(tmp_path)
    found = read_training_data(find_items(tmp_path))
    (learned,), (judged,) = found.training, found.validation
    assert learned.image.shape == (20, 75, 3)
    assert judged.image.shape == (20, 25, 3)
    assert n_objects([judged]) == 2
    assert judged.labels[:, :9].max() == 0


@pytest.mark.parametrize("first", [2_000_000_000, 4_000_000_000])
def test_large_ids(first: int, tmp_path: Path) -> None:
    """Ids in the millions take no memory."""
    labels = squares(first=2_000_000_000).astype(np.uint32)
    labels[labels > 0] += first - 2_000_000_000
    for name in ("a", "b"):
        write(tmp_path, name, labels)
    found = read_training_data(find_items(tmp_path))
    for frame in (*found.training, *found.validation):
        assert np.unique(frame.labels).tolist() == list(range(10))


def test_images_without_objects_are_left_out(tmp_path: Path) -> None:
    images(3)(tmp_path)
    write(tmp_path, "im99", np.zeros((40, 40), np.uint8))
    found = read_training_data(find_items(tmp_path))
    assert (len(found.training), len(found.validation)) == (2, 1)
    assert "im99.labels.tif holds no object: left out." in found.notes[0]


def empty(folder: Path) -> None:
    for name in ("a", "b"):
        write(folder, name, np.zeros((40, 40), np.uint8))


def specks(folder: Path) -> None:
    """Objects of 9 px."""
    for name in ("a", "b"):
        labels = np.zeros((40, 40), np.uint8)
        labels[10:13, 10:13] = 1
        write(folder, name, labels)


def one_object(folder: Path) -> None:
    for name in ("a", "b"):
        write(folder, name, np.where(squares() == 1, 1, 0).astype(np.uint8))


@dataclass(frozen=True)
class Refusal:
    """A folder from which nothing can be learned, and what is said."""

    name: str
    make: Callable[[Path], None]
    says: str


REFUSALS = (
    Refusal("empty labels", empty, "labels of 2 images are empty. Annotate some"),
    Refusal("specks only", specks, "labels of 2 images are empty"),
    Refusal("one object", one_object, f"There is 1 object .* at least {MIN_OBJECTS} are needed"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, tmp_path: Path) -> None:
    case.make(tmp_path)
    with pytest.raises(FrameError, match=case.says):
        read_training_data(find_items(tmp_path))


def test_the_embedded_models_own_split(tmp_path: Path) -> None:
    """Sources by name: one that is held out is on neither side."""
    for n in range(8):
        write(tmp_path / "cells", f"c{n}", squares())
        write(tmp_path / "axon_sem", f"a{n}", squares((40, 41)))
    found: TrainingData = read_pocket_data(find_items(tmp_path), held_out=True)
    assert (len(found.training), len(found.validation)) == (7, 1)
    assert {frame.source for frame in found.training + found.validation} == {"cells"}
    found = read_pocket_data(find_items(tmp_path), held_out=False)
    assert (len(found.training), len(found.validation)) == (14, 2)
