"""Labels as OME-Zarr (NGFF 0.4 and 0.5): a pyramid, with a colour and a class for each object."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zarr

from napari_sam.engine import (
    Labelled,
    LeftOut,
    Review,
    colour_of,
    read_labels,
    read_review,
    read_scales,
    scales_of,
    sentences_of,
    write_text,
)

from . import tiff
from .canvas import Canvas
from .reading import whole
from .records import counted, tried

CHUNK, SMALLEST, MOST_LEVELS = 1024, 256, 8
MOST_COLOURED = 50_000  # objects; the colours of more take longer to read than the image
FULL = {"um": "micrometer", "µm": "micrometer", "nm": "nanometer", "mm": "millimeter"}
FULL |= {"s": "second", "sec": "second", "ms": "millisecond", "min": "minute", "h": "hour"}
KINDS = {"T": "time", "C": "channel", "Z": "space", "Y": "space", "X": "space"}


def write(objects: Labelled, path: Path, version: Literal["0.4", "0.5"] = "0.5") -> None:
    """A group that can be used by itself, or as one of those in the group "labels" of an image."""
    axes = objects.axes.replace("Q", "T") if objects.axes.count("Q") == 1 else objects.axes
    dtype = tiff.id_type(objects)
    root: Any = zarr.create_group(path, zarr_format=2 if version == "0.4" else 3)
    names = {} if version == "0.4" else {"dimension_names": [letter.lower() for letter in axes]}
    steps = _levels(objects.shape[-2:])
    levels = [
        root.create_array(
            str(n),
            shape=(*objects.shape[:-2], *(-(-size // step) for size in objects.shape[-2:])),
            chunks=(*(1 for _ in objects.shape[:-2]), *(min(CHUNK, s) for s in objects.shape[-2:])),
            dtype=dtype,
            chunk_key_encoding={"name": "v2" if version == "0.4" else "default", "separator": "/"},
            **names,
        )
        for n, step in enumerate(steps)
    ]
    ids: set[int] = set()
    for positions, top, pixels in objects.strips():
        ids |= set(np.unique(pixels).tolist())
        for level, step in zip(levels, steps, strict=True):
            seen = pixels[::step, ::step].astype(dtype)
            first = top // step
            level[(*positions, slice(first, first + len(seen)))] = seen
    about: dict[str, Any] = {
        "multiscales": [
            {
                **({"version": version} if version == "0.4" else {}),
                "name": "labels",
                "axes": [_axis(*each) for each in zip(axes, objects.units, strict=True)],
                "datasets": [_dataset(objects, n, step) for n, step in enumerate(steps)],
            }
        ],
        "image-label": {
            **({"version": version} if version == "0.4" else {}),
            **_of_objects(objects, sorted(ids - {0})),
        },
    }
    root.attrs.update(about if version == "0.4" else {"ome": {"version": version, **about}})


def finish(path: Path) -> None:
    """Where this is in the group "labels" of an image, have it listed there."""
    group = path.parent
    if group.name != "labels":
        return
    in_zarr_3 = (path / "zarr.json").is_file()
    about = group / ("zarr.json" if in_zarr_3 else ".zattrs")
    node = zarr.open_group(group, mode="a", zarr_format=3 if in_zarr_3 else 2)
    attributes: Any = dict(node.attrs)
    place = attributes.setdefault("ome", {"version": "0.5"}) if in_zarr_3 else attributes
    place["labels"] = sorted({*place.get("labels", ()), path.name})
    if in_zarr_3:
        content = json.loads(about.read_text("utf-8"))
        content["attributes"] = attributes
        write_text(about, json.dumps(content, indent=2))
    else:
        write_text(about, json.dumps(attributes, indent=2))


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """The finest level, with classes."""
    labels, axes = read_labels(path)
    scale, units = scales_of(read_scales(path), axes) or (None, None)
    node: Any = zarr.open_group(path, mode="r")
    about = node.attrs.get("ome", node.attrs).get("image-label", {})
    properties = about.get("properties") or ()

    def facts_of(what: str, record: Any) -> tuple[int, str, Review | None]:
        number = whole(path, f"the label of {what}", record["label-value"], 1)
        return number, str(record.get("class", "")), read_review(record)

    found = list(tried(path, counted("property", properties), facts_of))
    facts = [each[1] for each in found if not isinstance(each, LeftOut)]
    known: dict[str, Any] = {
        "classes": {number: name for number, name, _ in facts if name},
        "reviews": {number: review for number, _, review in facts if review},
        "problems": sentences_of((e for e in found if isinstance(e, LeftOut)), path.name),
    }
    return Labelled.of(labels, axes=axes, scale=scale, units=units, **known)


def _levels(frame_shape: Iterable[int]) -> list[int]:
    """By how much each level is smaller."""
    steps, side = [1], max(frame_shape)
    while side // steps[-1] > SMALLEST and len(steps) < MOST_LEVELS:
        steps.append(2 * steps[-1])
    return steps


def _axis(letter: str, unit: str) -> dict[str, str]:
    kind = {"type": KINDS[letter]} if letter in KINDS else {}
    known = {} if unit == "pixel" else {"unit": FULL.get(unit, unit)}
    return {"name": letter.lower(), **kind, **known}


def _dataset(objects: Labelled, level: int, step: int) -> dict[str, Any]:
    """Every n-th pixel is taken, from the first on: the origin stays."""
    *leading, height, width = objects.scale
    scale = [*leading, height * step, width * step]
    return {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": scale}]}


def _of_objects(objects: Labelled, ids: list[int]) -> dict[str, Any]:
    colours = [
        {"label-value": i, "rgba": [*(round(part) for part in colour_of(i)), 255]}
        for i in (ids if len(ids) <= MOST_COLOURED else ())
    ]
    known = [
        {"label-value": i, **_class(objects, i), **_review(objects, i)}
        for i in ids
        if i in objects.classes or i in objects.reviews
    ]
    return {
        **({"colors": colours} if colours else {}),
        **({"properties": known} if known else {}),
        "source": {"image": "../../"},
    }


def _class(objects: Labelled, object_id: int) -> dict[str, str]:
    name = objects.classes.get(object_id)
    return {} if name is None else {"class": name}


def _review(objects: Labelled, object_id: int) -> dict[str, str]:
    review = objects.reviews.get(object_id)
    return {} if review is None else review.columns
