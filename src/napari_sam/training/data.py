"""Annotated images: a folder with an ``index.json`` → frames of 8 bit RGB and their labels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameError, FrameStack, read_image, read_labels

FRAMES_PER_STACK = 6  # neighbouring slices are nearly the same image


@dataclass(frozen=True)
class Item:
    """One entry of the index: an image or a stack, and its labels."""

    id: str
    source: str
    image: Path
    labels: Path
    axes: str
    modality: str = ""  # what made the image, as `modality_of` calls it
    complete: bool = False  # every object is labelled: what has no label is known to be ground


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
    modality: str = ""
    complete: bool = False  # every object is labelled


SAME_SOURCE = {
    "usiigaci_timelapse": "usiigaci",
    "davis_clips": "davis",
    "davis_stills": "davis",
}


MODALITIES = {  # the first whose words are in the description
    "electron microscopy": ("electron",),
    "membranes": ("membrane", "cell walls"),
    "brightfield": ("brightfield budding", "brightfield/phase", "brightfield yeast"),
    "phase contrast": ("phase",),
    "stained": ("stained", "histology", "H&E"),
    "fluorescence": ("fluorescence", "confocal", "light-sheet"),
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
            modality_of(entry.get("modality", "")),
            bool(entry.get("all_objects_annotated", False)),
        )
        for entry in entries
    ]


def source_of(source: str, modality: str) -> str:
    """The source an item counts for: what would look alike must not be on both sides of a split."""
    if source == "dsb2018":
        return f"{source}: {modality}"
    return SAME_SOURCE.get(source, source)


def modality_of(description: str) -> str:
    """The kind of microscopy that a description names, or the description where it names none."""
    found = (name for name, words in MODALITIES.items() if any(w in description for w in words))
    return next(found, description)


def frames_of(item: Item, n_frames: int = FRAMES_PER_STACK) -> Iterator[AnnotatedFrame]:
    """At most ``n_frames`` evenly spaced frames with objects, grey ones stretched to 8 bit."""
    stack = FrameStack.from_array(read_image(item.image)[0], axes=item.axes)
    labels = read_ids(item.labels)
    planes = {index: labels[tuple(slice(None) if i is None else i for i in index)]
              for index in stack.indices()}  # fmt: skip
    annotated = [index for index, plane in planes.items() if plane.any()]
    spread = np.linspace(0, len(annotated) - 1, min(n_frames, len(annotated))).round()
    for index in (annotated[int(i)] for i in spread):
        name = FrameName(item.id, tuple(position for position in index if position is not None))
        image = stack.frame(index, long_side=None)
        yield AnnotatedFrame(item.source, image, planes[index], name, item.modality, item.complete)


def read_ids(path: Path) -> NDArray[np.int32]:
    """All labels in a file; ids that are too high for their type are numbered again.

    Raises
    ------
    FrameError
        If the file cannot be read, or holds no object ids.
    """
    try:
        ids = read_labels(path)[0][...]
    except FrameError as error:
        raise error if str(path) in str(error) else FrameError(f"{path}: {error}") from error
    if ids.max(initial=0) > np.iinfo(np.int32).max:
        values, numbered = np.unique(ids, return_inverse=True)
        ids = numbered.reshape(ids.shape) + (values[0] > 0)
    return ids.astype(np.int32)
