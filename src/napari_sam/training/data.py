"""Annotated images: a folder with an ``index.json`` → frames of 8 bit RGB and their labels.

Whole sources are kept out of training: images of one source are too alike to judge a model by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameStack, read_image

FRAMES_PER_STACK = 6  # neighbouring slices are nearly the same image


@dataclass(frozen=True)
class Item:
    """One entry of the index: an image or a stack, and its labels."""

    id: str
    source: str
    image: Path
    labels: Path
    axes: str


@dataclass(frozen=True)
class FrameName:
    """Which frame: the item's id, and the position on the axes besides y and x."""

    item: str = ""
    position: tuple[int, ...] = ()

    def __str__(self) -> str:
        at = ", ".join(map(str, self.position))
        return f"{self.item}, frame {at}" if at else self.item


@dataclass(frozen=True, eq=False)
class AnnotatedFrame:
    """One frame as the network sees it, and its objects."""

    source: str
    image: NDArray[np.uint8]  # (H, W, 3)
    labels: NDArray[np.int32]  # (H, W), 0 = background
    name: FrameName = FrameName()


@dataclass(frozen=True)
class Split:
    """Who learns, who decides and who judges: sources by name, fixed before the first training."""

    held_out: frozenset[str]
    natural: frozenset[str]  # held out too, but reported separately
    validation: frozenset[str]
    validation_share: int = (
        8  # one image of every so many of the other sources is for validation as well
    )

    def part(self, item: Item, nth: int) -> str:
        """``train``, ``validation``, ``held out`` or ``natural`` for the nth item of its source."""
        if item.source in self.held_out:
            return "held out"
        if item.source in self.natural:
            return "natural"
        shared = nth % self.validation_share == self.validation_share - 1
        return "validation" if item.source in self.validation or shared else "train"


SPLIT = Split(
    held_out=frozenset(
        {
            "dsb2018: fluorescence nuclei 2D (dim/tissue)",
            "dsb2018: fluorescence nuclei 2D (Drosophila embryo)",
            "dsb2018: brightfield stained cytology smear (greyscale) nuclei",
            "omnipose_bacteria",
            "yeast_ep",
            "axon_sem",
            "mouse_embryo_3d",
        }
    ),
    natural=frozenset({"davis"}),
    validation=frozenset({"dsb2018: fluorescence nuclei 2D (dense)", "cancer_migration_timelapse"}),
)

SAME_SOURCE = {
    "usiigaci_timelapse": "usiigaci",
    "davis_clips": "davis",
    "davis_stills": "davis",
}


def load_index(folder: Path) -> list[Item]:
    """The items of ``folder / "index.json"``."""
    entries = json.loads((folder / "index.json").read_text())
    return [
        Item(
            entry["id"],
            source_of(entry["source"], entry.get("modality", "")),
            folder / entry["image"],
            folder / entry["labels"],
            entry["axes"],
        )
        for entry in entries
    ]


def source_of(source: str, modality: str) -> str:
    """The source an item counts for: what would look alike must not be on both sides of a split."""
    if source == "dsb2018":
        return f"{source}: {modality}"
    return SAME_SOURCE.get(source, source)


def split_items(items: list[Item], split: Split = SPLIT) -> dict[str, list[Item]]:
    """Items by part: ``train``, ``validation``, ``held out``, ``natural``."""
    parts: dict[str, list[Item]] = {"train": [], "validation": [], "held out": [], "natural": []}
    seen: dict[str, int] = {}
    for item in items:
        nth = seen.get(item.source, 0)
        seen[item.source] = nth + 1
        parts[split.part(item, nth)].append(item)
    return parts


def frames_of(item: Item, n_frames: int = FRAMES_PER_STACK) -> Iterator[AnnotatedFrame]:
    """At most ``n_frames`` evenly spaced frames with objects, grey ones stretched to 8 bit."""
    stack = FrameStack.from_array(read_image(item.image)[0], axes=item.axes)
    labels = np.asarray(read_image(item.labels)[0]).astype(np.int32)
    planes = {index: labels[tuple(slice(None) if i is None else i for i in index)]
              for index in stack.indices()}  # fmt: skip
    annotated = [index for index, plane in planes.items() if plane.any()]
    spread = np.linspace(0, len(annotated) - 1, min(n_frames, len(annotated))).round()
    for index in (annotated[int(i)] for i in spread):
        name = FrameName(item.id, tuple(position for position in index if position is not None))
        yield AnnotatedFrame(item.source, stack.frame(index, long_side=None), planes[index], name)
