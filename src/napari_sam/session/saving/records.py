"""Annotations and requests as JSON and back, without a loss.

What the keys mean is in session.schema.json.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from napari_sam.engine import Crop, FrameIndex, Prompts, Review, SamError
from napari_sam.session.annotation import Annotation, Request
from napari_sam.session.drawing import Drawing
from napari_sam.session.edits import Footprint
from napari_sam.session.history import Reviews
from napari_sam.session.object_class import Classes, GivenClass, ObjectClass
from napari_sam.session.region import Region
from napari_sam.session.saved import FrameFiles
from napari_sam.session.saved_tiles import TileIndex

Record: TypeAlias = dict[str, Any]

PLAIN = (
    "candidate",
    "diameter",
    "iou_prediction",
    "stability",
    "model",
    "model_hash",
    "precision",
    "found_by",
    "score",
    "stopped",
)
WARNING = "doubt"  # the name of `Annotation.warning` in the files, kept from version 2
NOT_YET_WRITTEN: Record = {
    WARNING: "",
    "stopped": "",
    "found_by": "",
    "crop": None,
}  # in earlier files


def write_files(files: FrameFiles) -> Record:
    """The files of a frame."""
    tiles = {f"{tile[0]}_{tile[1]}": file for tile, file in files.labels.items() if tile}
    whole: Record = {"labels": files.labels.get(None), "annotations": files.annotations}
    return {**whole, "tiles": tiles} if tiles else whole


def read_files(record: Record) -> FrameFiles:
    """The files of a frame, from :func:`write_files`."""
    labels: dict[TileIndex | None, str] = {}
    if record["labels"] is not None:
        labels[None] = record["labels"]
    for name, file in record.get("tiles", {}).items():  # from version 5 on
        row, column = map(int, name.split("_"))
        labels[row, column] = file
    return FrameFiles(labels, record["annotations"])


def write_annotation(object_id: int, annotation: Annotation) -> Record:
    """An object's annotation in one frame."""
    footprint = annotation.footprint
    return {
        "object_id": object_id,
        **_write_given(annotation),
        **{name: _finite(getattr(annotation, name)) for name in PLAIN},
        WARNING: annotation.warning,
        "crop": annotation.crop,
        "source": annotation.source,
        "landed": write_region(footprint.landed),
        "painted": write_region(footprint.painted),
        "erased": write_region(footprint.erased),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN; what a broken network said is not kept."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_annotation(record: Record) -> tuple[int, Annotation]:
    """Read a record of :func:`write_annotation`, of this or an earlier version."""
    record = NOT_YET_WRITTEN | record
    footprint = Footprint(*(read_region(record[n]) for n in ("landed", "painted", "erased")))
    annotation = Annotation(
        _read_prompts(record),
        _read_drawings(record),
        **{name: record[name] for name in PLAIN},
        warning=record[WARNING],
        crop=None if record["crop"] is None else Crop(*record["crop"]),
        source=None if record["source"] is None else tuple(record["source"]),
        base=read_region(record["base"]),
        footprint=footprint,
    )
    return record["object_id"], annotation


def write_classes(classes: Classes) -> list[Record]:
    """The classes, each with its objects."""
    records: dict[str, Record] = {
        each.name: {
            "name": each.name,
            "colour": each.colour,
            "key": each.key,
            "parent": each.parent,
            "objects": [],
            "proposed": {},
        }
        for each in classes.defined
    }
    for object_id, given in sorted(classes.given.items()):
        record = records[given.name]
        if given.is_own:
            record["objects"].append(object_id)
        else:
            record["proposed"][str(object_id)] = given.probability
    return list(records.values())


def read_classes(records: list[Record]) -> Classes:
    """Read records of :func:`write_classes`.

    Raises
    ------
    SamError
        If they contradict each other, or themselves.
    """
    defined = [ObjectClass(*(r[n] for n in ("name", "colour", "key", "parent"))) for r in records]
    given: dict[int, GivenClass] = {}
    for record in records:
        own = [(object_id, None) for object_id in record["objects"]]
        proposed = [(int(object_id), p) for object_id, p in record["proposed"].items()]
        for object_id, probability in (*own, *proposed):
            if object_id in given:
                raise SamError(f"Object {object_id} has two classes.")
            given[object_id] = GivenClass(record["name"], probability)
    return Classes(tuple(defined), given)


def write_reviews(reviews: Reviews) -> Record:
    """The review state of each object that has one."""
    return {str(object_id): asdict(each) for object_id, each in sorted(reviews.items())}


def read_reviews(record: Record) -> dict[int, Review]:
    """Read a record of :func:`write_reviews`."""
    return {int(object_id): Review(**each) for object_id, each in record.items()}


def write_request(request: Request) -> Record:
    """A mask that is wanted and not decoded yet."""
    return {
        "object_id": request.object_id,
        "frame": write_frame(request.frame),
        **_write_given(request),
        "candidate": request.candidate,
        "diameter": request.diameter,
        "crops": request.crops,
    }


def read_request(record: Record) -> Request:
    """Read a record of :func:`write_request`."""
    return Request(
        record["object_id"],
        read_frame_name(record["frame"]),
        _read_prompts(record),
        _read_drawings(record),
        record["candidate"],
        read_region(record["base"]),
        record["diameter"],
        tuple(Crop(*crop) for crop in record.get("crops", ())),  # not in earlier files
    )


def _write_given(given: Annotation | Request) -> Record:
    """The user's prompts, and the mask they started from."""
    prompts = given.prompts
    return {
        "points": prompts.points,
        "labels": prompts.labels,
        "box": None if prompts.box is None else [float(side) for side in prompts.box],
        "mask": None if prompts.mask is None else write_mask(prompts.mask),
        "drawings": [
            {"kind": drawing.kind, "vertices": drawing.vertices, "label": drawing.label}
            for drawing in given.drawings
        ],
        "base": write_region(given.base),
    }


def _read_prompts(record: Record) -> Prompts:
    return Prompts(
        points=tuple((y, x) for y, x in record["points"]),
        labels=tuple(record["labels"]),
        box=None if record["box"] is None else tuple(record["box"]),
        mask=None if record["mask"] is None else read_mask(record["mask"]),
    )


def _read_drawings(record: Record) -> tuple[Drawing, ...]:
    return tuple(
        Drawing(d["kind"], tuple((y, x) for y, x in d["vertices"]), d["label"])
        for d in record["drawings"]
    )


def write_region(region: Region) -> Record | None:
    """A region as the lengths of its runs, row by row, those outside and inside in turn."""
    if not region:
        return None
    flat = np.concatenate([[False], region.pixels.ravel(), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(ends, prepend=0)
    height, width = region.pixels.shape
    return {
        "top": region.top,
        "left": region.left,
        "height": height,
        "width": width,
        "runs": runs.tolist(),
    }


def read_region(record: Record | None) -> Region:
    """Read a record of :func:`write_region`."""
    if record is None:
        return Region.empty()
    shape = (record["height"], record["width"])
    runs = np.array(record["runs"])
    pixels = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    padded = np.zeros(shape[0] * shape[1], bool)
    padded[: len(pixels)] = pixels
    return Region(record["top"], record["left"], padded.reshape(shape))


def write_mask(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Record:
    """A mask ``(H, W)`` as its shape and region."""
    return {"shape": mask.shape, "region": write_region(Region.from_mask(mask))}


def read_mask(record: Record) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Read a record of :func:`write_mask`."""
    height, width = record["shape"]
    mask = read_region(record["region"]).within((0, 0, height, width))
    mask.flags.writeable = False  # prompts keep it as it is: rows without a pixel take no memory
    return mask


def write_frame(frame: FrameIndex) -> str:
    """A frame's index as a file may be called: ``(12, None, None)`` is "12_y_x"."""
    spans = iter("yx")
    return "_".join(next(spans) if i is None else str(i) for i in frame)


def read_frame_name(name: str) -> FrameIndex:
    """Read a name of :func:`write_frame`."""
    return tuple(None if part in ("y", "x") else int(part) for part in name.split("_"))
