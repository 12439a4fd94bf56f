"""What refining other tools' labels is worth: IoU with the annotation before and after.

Labels of annotated images are changed deliberately, as a tool might be wrong, and refined as
`napari-sam refine` does. Writes the table of docs/prompts-from-anywhere.md to stdout.

    python benchmarks/refining.py DATA [--model pocket] [--objects 15] [--loosen 0]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam import FrameStack, Predictor, Session, load_model, read_image
from napari_sam.engine import read_labels
from napari_sam.headless import one_thread, refine
from napari_sam.stacks import RefineRules

AMOUNT, SHIFT = 0.1, 0.15  # of an object's diameter
SMALLEST = 30  # pixels
CHANGES = ("exact", "too small", "too large", "shifted")
IMAGES = 2  # a source


def changed(labels: NDArray[Any], change: str, rng: np.random.Generator) -> NDArray[Any]:
    """Labels whose objects are all smaller, larger, or elsewhere; the first keeps a pixel."""
    result = np.zeros_like(labels)
    for object_id in np.unique(labels[labels > 0]):
        mask = labels == object_id
        diameter = 2 * np.sqrt(mask.sum() / np.pi)
        if change == "too small":
            inside = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            mask = inside > min(AMOUNT * diameter, inside.max() - 1)
        elif change == "too large":
            mask = ndimage.distance_transform_edt(~mask) <= AMOUNT * diameter
        elif change == "shifted":
            angle = rng.uniform(0, 2 * np.pi)
            way = SHIFT * diameter * np.array([np.sin(angle), np.cos(angle)])
            mask = ndimage.shift(mask.astype(np.uint8), way, order=0) > 0
        result[mask & (result == 0)] = object_id
    return result


def some(labels: NDArray[Any], n: int, rng: np.random.Generator) -> NDArray[Any]:
    """A few objects of an image, of those that are not tiny."""
    ids, areas = np.unique(labels[labels > 0], return_counts=True)
    ids = ids[areas >= SMALLEST]
    chosen = rng.choice(ids, min(n, len(ids)), replace=False)
    return np.where(np.isin(labels, chosen), labels, 0).astype(np.uint32)


def measured(
    predictor: Predictor, folder: Path, item: dict[str, Any], n: int, rules: RefineRules
) -> Iterator[tuple[str, float, float, bool]]:
    """For each change and object the IoU before and after, and whether it was replaced."""
    rng = np.random.default_rng(0)
    image, axes = read_image(folder / item["image"])
    truth = some(np.asarray(read_labels(folder / item["labels"])[0][...]), n, rng)
    stack = FrameStack.from_array(image, axes=axes)
    for change in CHANGES:
        given = changed(truth, change, rng)
        session = Session(stack, given.copy())
        replaced = {each.object_id: not each.kept for each in refine(session, predictor, rules)}
        for object_id in np.unique(given[given > 0]).tolist():
            true = truth == object_id
            before, after = (
                (true & (labels == object_id)).sum() / (true | (labels == object_id)).sum()
                for labels in (given, session.labels)
            )
            yield change, float(before), float(after), replaced[object_id]


def main() -> None:
    """Measure each source, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--objects", type=int, default=15)
    parser.add_argument("--loosen", type=float, default=0.0)
    given = parser.parse_args()
    rules = RefineRules(loosen=given.loosen)
    predictor = Predictor(load_model(given.model))
    items = json.loads((given.data / "index.json").read_text())
    sources: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if item["kind"] == "2d":
            sources.setdefault(item["source"], []).append(item)
    sys.stdout.write(
        "| source | " + " | ".join(CHANGES) + " |\n|" + "---|" * (1 + len(CHANGES)) + "\n"
    )
    means = []
    for source, its in sources.items():
        with one_thread():
            rows = [
                row
                for item in its[:IMAGES]
                for row in measured(predictor, given.data, item, given.objects, rules)
            ]
        each = [[r[1:] for r in rows if r[0] == change] for change in CHANGES]
        means.append([np.mean(cells, axis=0) for cells in each])
        show(source, means[-1])
    show("all sources alike", np.mean(means, axis=0))


def show(name: str, cells: Any) -> None:
    """A row: before → after, and the share that was replaced."""
    texts = (f"{b:.2f} → {a:.2f} ({r:.0%})" for b, a, r in cells)
    sys.stdout.write(f"| {name} | " + " | ".join(texts) + " |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
