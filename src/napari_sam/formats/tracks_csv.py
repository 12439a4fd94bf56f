"""A table of tracks: id, parent, frame, (z), y, x and area, a row an object and frame."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

from napari_sam.engine import FrameError, Labelled, Review, read_review

from .canvas import Canvas
from .lineage import USUAL_RADIUS, discs, drawn, lineage, texts_of
from .reading import AGAIN, FARTHEST, read_bytes, whole

NAMES = {"id": ("id", "track_id", "trackid", "track"), "frame": ("frame", "t", "time")}
MOST_ROWS = 5_000_000


def write(objects: Labelled, path: Path) -> None:
    """In pixels; class and review state where any object has one."""
    lineage(objects)[0].write_csv(path, texts_of(objects))


def read(path: Path, canvas: Canvas) -> Labelled:
    """Points become discs of their area, or of a usual size."""
    text = read_bytes(path).decode("utf-8-sig", "replace")
    rows = csv.DictReader(io.StringIO(text))
    header = [str(name).strip().lower() for name in rows.fieldnames or ()]
    rows.fieldnames = header
    columns = {key: next((n for n in names if n in header), None) for key, names in NAMES.items()}
    missing = [key for key, name in columns.items() if name is None]
    missing += [name for name in ("y", "x") if name not in header]
    if missing:
        raise FrameError(
            f"{path} has no column {missing[0]!r}. Wanted are id, frame, y and x, and perhaps z, "
            "parent and area."
        )
    ids, places, radii = [], [], []
    parents: dict[int, tuple[int, ...]] = {}
    classes: dict[int, str] = {}
    reviews: dict[int, Review] = {}
    for n, row in enumerate(rows, 2):
        if n > MOST_ROWS:
            raise FrameError(f"{path} has over {MOST_ROWS} rows. Import it in parts.")
        what = f"the %s of line {n}"
        ids.append(whole(path, what % "id", row[columns["id"] or ""], 1))
        t = whole(path, what % "frame", row[columns["frame"] or ""])
        z = round(_number(path, what % "z", row.get("z") or "0"))
        y, x = (_number(path, what % name, row[name]) for name in "yx")
        places.append((canvas.positions(t, z, f"{path}: line {n}"), y, x))
        area = _number(path, what % "area", row.get("area") or "0")
        radii.append(math.sqrt(area / math.pi) if area > 0 else USUAL_RADIUS)
        if mothers := str(row.get("parent") or "").split():
            parents[ids[-1]] = tuple(whole(path, what % "parent", m, 1) for m in mothers)
        if name := row.get("class"):
            classes[ids[-1]] = name
        if review := read_review(row):
            reviews[ids[-1]] = review
    labels = canvas.empty(max(ids, default=0))
    outside = discs(labels, canvas, ids, places, radii)
    known: dict[str, Any] = {"parents": parents, "classes": classes, "reviews": reviews}
    return canvas.labelled(labels, **known, problems=drawn(path, outside))


def _number(path: Path, what: str, text: str | None) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not abs(number) < FARTHEST:
        raise FrameError(f"{path}: {what} is {text!r}, where a number is wanted. {AGAIN}")
    return number
