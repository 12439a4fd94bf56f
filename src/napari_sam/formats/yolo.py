"""YOLO segmentation: a text a frame, a line an object: class, then x and y as shares of the frame.

It has one outline an object: holes are filled, and each piece is an object.
"""

from __future__ import annotations

import json
from pathlib import Path

from napari_sam.engine import Labelled

from .outlines import outlines

NO_CLASS = "object"


def write(objects: Labelled, path: Path) -> None:
    """A folder: data.yaml with the names of classes, and labels/frame….txt."""
    names = sorted(set(objects.classes.values()) | {NO_CLASS})
    numbers = {name: n for n, name in enumerate(names)}
    folder = path / "labels"
    folder.mkdir()
    height, width = objects.shape[-2:]
    for positions, pixels in objects.frames():
        lines = []
        for piece in outlines(pixels):
            number = numbers[objects.classes.get(piece.object_id, NO_CLASS)]
            shares = (f"{x / width:.6g} {y / height:.6g}" for y, x in piece.outline.tolist())
            lines.append(f"{number} {' '.join(shares)}\n")
        name = "_".join(["frame", *(f"{at:04d}" for at in positions)])
        (folder / f"{name}.txt").write_text("".join(lines), "utf-8")
    listed = "".join(f"  {n}: {json.dumps(name)}\n" for n, name in enumerate(names))
    about = f"path: .\ntrain: images\nval: images\nnames:\n{listed}"
    (path / "data.yaml").write_text(about, "utf-8")
