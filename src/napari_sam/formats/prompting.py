"""Files of other programs become prompts: entries that are wrong are left out, the rest goes on."""

from __future__ import annotations

from pathlib import Path

from napari_sam.engine import (
    FrameStack,
    PromptError,
    PromptSet,
    SamError,
    Shape,
    decoding,
    prompts_of_labels,
    read_labels,
    read_prompt_set,
)

from .canvas import Canvas
from .catalogue import Format, find_format

TABLES = (".csv", ".tsv", ".txt")
ROIS = (".roi",)
PROMPTING = ("coco", "geojson", "imagej-rois", "trackmate")  # formats that say more than labels


def read_prompt_file(
    path: str | Path, stack: FrameStack, *, image: str = "", shape: Shape = "mask"
) -> PromptSet:
    """Read prompts from a file of another program.

    A table, GeoJSON, COCO, ROIs of ImageJ, spots of TrackMate; or labels of any tool, such as
    Cellpose's ``_seg.npy`` or a TIFF, of which each object becomes a prompt.

    Parameters
    ----------
    stack
        The image that they are for.
    image
        The name of its file, for files about many images.
    shape
        What objects with pixels are prompted by.

    Returns
    -------
    All prompts that could be read; its problems name the others, by line or entry.

    Raises
    ------
    SamError
        If the file is missing, broken or of an unknown kind.
    """
    path = Path(path)
    if not path.exists():
        raise PromptError(f"There is no file {path}. Check its name and folder.")
    if path.suffix.lower() in TABLES:
        return read_prompt_set(path)
    chosen = _format_of(path)
    with decoding(path, "Is it what its name says? Export it again from the program it is of."):
        if chosen is None:
            labels, _ = read_labels(path)
            return prompts_of_labels(labels, stack, shape, path.name)
        canvas = Canvas(stack.shape, stack.letters or "Q" * (stack.ndim - 2) + "YX")
        named = {"image": image} if chosen.name == "coco" else {}
        return PromptSet.of(chosen.code.prompts(path, canvas, **named), path.name).shown_as(shape)


def _format_of(path: Path) -> Format | None:
    """The format of prompts that a file is in; ``None``: it holds labels."""
    if path.suffix.lower() in ROIS:
        return find_format("imagej-rois", path, reading=True)
    try:
        found = find_format(None, path, reading=True)
    except SamError:
        return None
    return found if found.name in PROMPTING else None
