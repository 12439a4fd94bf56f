"""Which sources the embedded network learns from, and which it is scored on.

Whole sources are kept out: images of one source are too alike to judge a model by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from napari_sam.training.data import Item
from napari_sam.training.training_data import TrainingData, read_divided


@dataclass(frozen=True)
class Split:
    """Which sources train, decide and judge, by name, fixed before the first training."""

    held_out: frozenset[str]
    natural: frozenset[str]  # held out too, but reported separately
    validation: frozenset[str]
    validation_share: int = 8  # one image of so many of the other sources is for validation too

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
EVERYTHING = Split(frozenset(), frozenset(), frozenset())  # but one image of every so many


def split_items(items: Sequence[Item], split: Split = SPLIT) -> dict[str, list[Item]]:
    """Items by part: ``train``, ``validation``, ``held out``, ``natural``."""
    parts: dict[str, list[Item]] = {"train": [], "validation": [], "held out": [], "natural": []}
    seen: dict[str, int] = {}
    for item in items:
        nth = seen.get(item.source, 0)
        seen[item.source] = nth + 1
        parts[split.part(item, nth)].append(item)
    return parts


def read_pocket_data(items: Sequence[Item], *, held_out: bool) -> TrainingData:
    """Read the images that the embedded network learns from, with or without those of `SPLIT`.

    Raises
    ------
    FrameError
        If there are too few objects to learn from.
    """
    parts = split_items(items, SPLIT if held_out else EVERYTHING)
    return read_divided(parts["train"], parts["validation"])
