"""How good proposed classes are with 3, 5 and 10 examples of each, and how long a correction takes.

    python benchmarks/classes.py [--draws N]

On real images with ground truth, from ../shared/data or NAPARI_SAM_DATA. What the classes are is
known by how the pictures are made: tiles of several images in one, single nuclei of several images
on one ground, nuclei that divide in a time-lapse, axons by size.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from measuring import REPOSITORY, markdown, seconds
from napari_sam.engine import (
    FrameStack,
    Predictor,
    load_model,
    measured_features,
    pooled_features,
    propose_classes,
)
from napari_sam.engine.features import placed_mask
from napari_sam.engine.masks import windows_of

DATA = Path(os.environ.get("NAPARI_SAM_DATA", REPOSITORY.parent / "shared" / "data"))
EXAMPLES = (3, 5, 10)
BACTERIA = ("Sample000033", "Sample000252", "caulo_15", "ec_5I_t141xy5c1")
NUCLEI = ("2D (256, 256)", "2D (520, 696)", "2D (large) (360, 360)")
SIDE, CELL = 512, 96  # pixels of a tile, and of the place of a single nucleus
DIVIDING = "cancer_migration_timelapse/nuclei"
AXONS = "axon_sem/sub-rat1_sample-data1_SEM"

Picture = tuple[NDArray[np.uint8], NDArray[np.int64], dict[int, int]]  # labels, class by object


def read(name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """An image from 0 to 255, and its labels."""
    image = tifffile.imread(DATA / f"{name}.image.tif").astype(float)
    low, high = np.percentile(image, [1, 99.7])
    labels = tifffile.imread(DATA / f"{name}.labels.tif").astype(np.int64)
    return np.clip((image - low) / (high - low), 0, 1) * 255, labels


def tiles(names: Sequence[str]) -> Picture:
    """Images beside each other; the class of an object is the image it is from."""
    image = np.zeros((SIDE, SIDE * len(names)))
    labels, classes = np.zeros(image.shape, np.int64), {}
    for kind, name in enumerate(names):
        pixels, its = (each[:SIDE, :SIDE] for each in read(name))
        height, width = its.shape
        where = (slice(0, height), slice(SIDE * kind, SIDE * kind + width))
        image[where], labels[where] = pixels, np.where(its, its + 10_000 * kind, 0)
    ids, areas = np.unique(labels, return_counts=True)
    for object_id in ids[areas < 16]:
        labels[labels == object_id] = 0
    classes = {int(i): int(i) // 10_000 for i in ids[areas >= 16] if i}
    return image.astype(np.uint8), labels, classes


def among_each_other(names: Sequence[str], seed: int) -> Picture:
    """Single objects in a random order on one noisy ground, each turned at random."""
    rng = np.random.default_rng(seed)
    cut = [(kind, *each) for kind, name in enumerate(names) for each in singles(name, rng)]
    columns = int(np.ceil(len(cut) ** 0.5))
    image = 110 + 2 * ndimage.gaussian_filter(rng.normal(0, 6, (columns * CELL,) * 2), 1)
    labels, classes = np.zeros(image.shape, np.int64), {}
    for place, nth in enumerate(rng.permutation(len(cut))):
        kind, pixels, mask = cut[nth]
        y, x = (
            CELL * at + (CELL - side) // 2
            for at, side in zip(divmod(place, columns), mask.shape, strict=True)
        )
        where = (slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1]))
        image[where] += pixels
        labels[where][mask] = place + 1
        classes[place + 1] = kind
    return np.clip(image, 0, 255).astype(np.uint8), labels, classes


def singles(
    name: str, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """Up to 40 objects of an image, less their surroundings, which fade out within 5 pixels."""
    image, labels = read(name)
    windows = windows_of(labels)
    sides = {i: max(s.stop - s.start for s in where) for i, where in windows.items()}
    fitting = [i for i, side in sides.items() if side < CELL - 14]
    for object_id in rng.permutation(fitting)[:40]:
        where = tuple(slice(max(0, s.start - 6), s.stop + 6) for s in windows[object_id])
        mask = labels[where] == object_id
        around = ndimage.binary_dilation(mask, iterations=5) & (labels[where] == 0)
        if around.sum() < 5 or mask.sum() < 16:
            continue
        fade = np.clip(1 - ndimage.distance_transform_edt(~mask) / 5, 0, 1)
        fade[(labels[where] > 0) & ~mask] = 0
        turns = rng.integers(4)
        pixels = (image[where] - image[where][around].mean()) * fade
        yield np.rot90(pixels, turns), np.rot90(mask, turns)


def dividing() -> Picture:
    """All frames of a time-lapse in one; 1: a mother about to divide, and daughters just born."""
    image, labels = read(DIVIDING)
    columns, side = 6, image.shape[1] + 10
    rows = -(-len(image) // columns)
    whole, known = (
        np.zeros((rows * side, columns * side)),
        np.zeros((rows * side, columns * side), np.int64),
    )
    classes = {}
    divided = set(divisions(labels))
    for t, frame in enumerate(labels):
        y, x = (side * at for at in divmod(t, columns))
        where = (slice(y, y + frame.shape[0]), slice(x, x + frame.shape[1]))
        whole[where], known[where] = image[t], np.where(frame, frame + 1000 * t, 0)
        for object_id in np.unique(frame[frame > 0]):
            classes[int(object_id) + 1000 * t] = int((int(object_id), t) in divided)
    return whole.astype(np.uint8), known, classes


def divisions(labels: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Objects and frames of a division: a new object lies where another one was before."""
    for t in range(1, len(labels)):
        for new in np.setdiff1d(labels[t], labels[:t]):
            before = labels[t - 1][ndimage.binary_dilation(labels[t] == new, iterations=3)]
            before = before[before > 0]
            if len(before) > 0.3 * (labels[t] == new).sum():
                mother = int(np.bincount(before).argmax())
                yield from ((mother, t - 1), (mother, t), (int(new), t))


def by_size() -> Picture:
    """Axons: the smallest, the middle and the largest third."""
    image, labels = read(AXONS)
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    ids, areas = ids[areas >= 16], areas[areas >= 16]
    thirds = np.digitize(areas, np.quantile(areas, [1 / 3, 2 / 3]))
    return image.astype(np.uint8), labels, dict(zip(ids.tolist(), thirds.tolist(), strict=True))


def nuclei_like(nth: int) -> list[str]:
    """The image with the n-th most nuclei of each kind of fluorescence."""
    names: dict[str, list[tuple[int, str]]] = {}
    for each in json.loads((DATA / "index.json").read_text()):
        kind = f"{each['modality'].removeprefix('fluorescence nuclei ')} {tuple(each['shape'])}"
        names.setdefault(kind, []).append((-each["n_objects"], each["id"]))
    return [sorted(names[kind])[nth][1] for kind in NUCLEI]


TASKS: dict[str, Callable[[], list[Picture]]] = {
    "four bacteria, beside each other": lambda: [
        tiles([f"omnipose_bacteria/{n}" for n in BACTERIA])
    ],
    "three kinds of nuclei, beside each other": lambda: [tiles(nuclei_like(n)) for n in range(3)],
    "the same, among each other": lambda: [among_each_other(nuclei_like(n), n) for n in range(3)],
    "axons in three sizes": lambda: [by_size()],
    "nuclei: dividing or not": lambda: [dividing()],
}

Features = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]


def look(predictor: Predictor, picture: Picture) -> Features:
    """What is seen and measured of each object, and its class."""
    image, labels, classes = picture
    windows = windows_of(labels)
    ids = [object_id for object_id in windows if object_id in classes]
    masks = [placed_mask(labels, i, windows[i]) for i in ids]
    stack = FrameStack.from_array(image)
    frame = stack.frame(stack.index())
    seen = pooled_features(predictor.encode(frame), masks)
    measured = measured_features(frame, labels.shape, masks)
    return seen, measured, np.array([classes[i] for i in ids])


def accuracy(features: Features, n: int, draws: int, *, measured_only: bool = False) -> float:
    """Mean over the classes, and over draws of n examples of each, of the share that is right."""
    seen, measured, truth = features
    if measured_only:
        seen = np.zeros((len(truth), 1), np.float32)
    right = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        kinds = np.unique(truth)
        chosen = np.concatenate([rng.choice(np.flatnonzero(truth == k), n, False) for k in kinds])
        known: list[str | None] = [None] * len(truth)
        for at in chosen:
            known[at] = str(truth[at])
        hit = np.array(
            [name for name, _ in propose_classes(seen, measured, known)]
        ) == truth.astype(str)
        rest = np.setdiff1d(np.arange(len(truth)), chosen)
        right.append(np.mean([hit[rest][truth[rest] == kind].mean() for kind in kinds]))
    return float(np.mean(right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10)
    draws = parser.parse_args().draws
    predictor = Predictor(load_model("pocket", device="cpu"))
    rows, largest = [], None
    for name, make in TASKS.items():
        all_of = [look(predictor, picture) for picture in make()]
        largest = all_of[0] if largest is None else largest
        counts = f"{sum(len(each[2]) for each in all_of)}, {len(np.unique(all_of[0][2]))}"
        means = [np.mean([accuracy(each, n, draws) for each in all_of]) for n in EXAMPLES]
        alone = np.mean([accuracy(each, 5, draws, measured_only=True) for each in all_of])
        rows.append((name, counts, *(f"{mean:.2f}" for mean in means), f"{alone:.2f}"))
    header = ("", "objects, classes", *map(str, EXAMPLES), "5, measurements alone")
    sys.stdout.write(markdown(header, rows))
    if largest is not None:
        thousand = tuple(np.resize(each, (1000, *each.shape[1:])) for each in largest)
        took = seconds(lambda: accuracy(thousand, 10, 1), 5)
        sys.stdout.write(f"\nA correction among 1,000 objects: {1000 * took:.0f} ms.\n")


if __name__ == "__main__":
    main()
