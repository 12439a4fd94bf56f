"""Which sources the embedded network learns from."""

from __future__ import annotations

from pathlib import Path

from napari_sam.training.data import Item, load_index
from napari_sam.training.pocket.split import EVERYTHING, SPLIT, Split, split_items


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


def test_everything_learns_but_one_image_of_eight(data_folder: Path) -> None:
    items = load_index(data_folder)
    parts = split_items(items, EVERYTHING)
    assert {item.source for item in parts["train"]} == {item.source for item in items}
    assert len(parts["train"]) + len(parts["validation"]) == len(items)
    assert len(parts["validation"]) == sum(
        sum(item.source == source for item in items) // 8 for source in {i.source for i in items}
    )
