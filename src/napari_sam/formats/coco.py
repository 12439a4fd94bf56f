"""COCO JSON: an image a frame, an annotation an object in it, masks as run lengths.

Run lengths hold everything: holes, pieces, single pixels. Polygons, which others write, are read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    FrameError,
    Labelled,
    LeftOut,
    ObjectPrompts,
    PromptError,
    Prompts,
    Runs,
    read_review,
)

from . import geojson
from .canvas import Canvas
from .filling import fill, filled
from .reading import AGAIN, entry, expect, overlapped, read_json, vertices, whole
from .records import Found, counted, keep, one_by_one
from .run_lengths import counts_of, decode, encode, pixels_of

NO_CLASS = "object"
MOST_PIXELS = 2**33  # of all frames


def write(objects: Labelled, path: Path) -> None:
    """One file, a line an annotation."""
    names = sorted(set(objects.classes.values()) | {NO_CLASS})
    numbers = {name: n for n, name in enumerate(names, 1)}
    height, width = objects.shape[-2:]
    images = [
        {"id": n, "file_name": _name(positions), "height": height, "width": width}
        for n, positions in enumerate(objects.positions(), 1)
    ]
    used = {numbers[NO_CLASS]} if not objects.classes else set(numbers.values())
    categories = [
        {"id": n, "name": name, "supercategory": ""} for name, n in numbers.items() if n in used
    ]
    with path.open("w", encoding="utf-8") as file:
        head = {"info": {"description": "napari-sam"}, "images": images, "categories": categories}
        file.write(json.dumps(head)[:-1] + ', "annotations": [')
        ids = count(1)
        for image, (_, pixels) in enumerate(objects.frames(), 1):
            for each in _annotations(pixels):
                number = next(ids)
                category = numbers[objects.classes.get(each["object_id"], NO_CLASS)]
                record = {"id": number, "image_id": image, "category_id": category, **each}
                if review := objects.reviews.get(each["object_id"]):
                    record["attributes"] = review.columns
                file.write(("," if number > 1 else "") + "\n" + json.dumps(record))
        file.write("\n]}\n")


def read(path: Path, canvas: Canvas | None) -> Labelled:
    """Masks of all images, which have one size; of several, a stack in their order."""
    content = expect(path, "the file", read_json(path, with_nan=True), dict)
    listed = entry(path, "the file", content, "images", list)
    images = [expect(path, f"image {n}", each, dict) for n, each in enumerate(listed)]
    shape = _shape(path, images)
    frames = {_key(each.get("id")): n for n, each in enumerate(images)}
    names = _categories(content)

    def objects(what: str, record: Any) -> Iterator[Found]:
        record = expect(path, what, record, dict)
        attributes = record.get("attributes")
        at = (_frame(path, what, record, frames),)
        yield Found(
            _mask(path, what, record, shape),
            _number(path, what, record),
            at,
            _class_of(record, names),
            read_review(attributes) if isinstance(attributes, dict) else None,
        )

    records = entry(path, "the file", content, "annotations", list)
    kept = keep(path, one_by_one(path, counted("annotation", records), objects))
    canvas = _canvas(shape, len(images), canvas)
    labels = canvas.empty(kept.highest_id)
    by_frame = labels.reshape(-1, *shape)
    lost = sum(
        _land(by_frame[each.at[0]], each.shape, object_id)
        for each, object_id in zip(kept.objects, kept.ids, strict=True)
    )
    return kept.labelled(canvas, labels, *overlapped(path, lost))


def prompts(path: Path, canvas: Canvas, image: str = "") -> Iterator[ObjectPrompts | LeftOut]:
    """Segmentations as masks, boxes where there are none; also of a detector's list of results.

    Parameters
    ----------
    image
        The name of the image's file: of a file about many images only that one is read.
    """
    content = expect(path, "the file", read_json(path, with_nan=True), dict | list)
    if isinstance(content, list):
        content = {"annotations": content}
    elif content.get("type") in ("FeatureCollection", "Feature"):
        return geojson.prompts_in(path, content, canvas)
    images = {
        _key(each.get("id")): n
        for n, each in enumerate(content.get("images", ()))
        if isinstance(each, dict)
    }
    places = _places(path, content, canvas, image)
    names = _categories(content)
    shape = canvas.shape[-2:]

    def prompts_of(what: str, record: Any) -> Iterator[ObjectPrompts]:
        record = expect(path, what, record, dict)
        of_image = _key(record.get("image_id"))
        if images:
            _frame(path, what, record, images)
        at, size = places.get(of_image, (None, None)) if images else (None, shape)
        if size is None:
            return  # of another image
        if size != shape:
            raise FrameError(
                f"its image has {size[0]} × {size[1]} pixels, this one {shape[0]} × {shape[1]}"
            )
        score = record.get("score")
        yield replace(
            _prompted(path, what, record, shape),
            object_id=_number(path, what, record) or 0,
            at=at,
            class_name=_class_of(record, names),
            score=score if isinstance(score, int | float) else None,
        )

    records = entry(path, "the file", content, "annotations", list)
    return one_by_one(path, counted("annotation", records), prompts_of)


def _prompted(
    path: Path, what: str, record: Mapping[str, Any], frame: tuple[int, ...]
) -> ObjectPrompts:
    """The pixels of an annotation, or its box."""
    if record.get("segmentation"):
        mask_of = _mask(path, what, record, frame)
        if isinstance(mask_of, list):
            return filled(mask_of, frame)
        rows, columns = np.divmod(pixels_of(mask_of, frame), frame[1])
        if not len(rows):
            raise PromptError("it has no pixel")
        top, left = int(rows.min()), int(columns.min())
        mask = np.zeros((int(rows.max()) - top + 1, int(columns.max()) - left + 1), bool)
        mask[rows - top, columns - left] = True
        return ObjectPrompts.of_mask(mask, top, left)
    box = entry(path, what, record, "bbox", list)
    if len(box) != 4:
        raise FrameError(f"its box has {len(box)} numbers. Wanted are x, y, width, height")
    (x, y), (width, height) = vertices(path, what, [box[:2], box[2:]]).tolist()
    sides = (y - 0.5, x - 0.5, y + height - 0.5, x + width - 0.5)
    return ObjectPrompts(Prompts.from_box(sides))


def _places(
    path: Path, content: Mapping[str, Any], canvas: Canvas, image: str
) -> dict[Any, tuple[tuple[int, ...] | None, tuple[int, int]]]:
    """By the id of an image its frame, and its height and width; none of other images.

    Of several images, those are meant that are called as the image's file, or else all in the order
    of its frames. Without any, all annotations are of one frame.
    """
    images = [
        expect(path, f"image {n}", each, dict) for n, each in enumerate(content.get("images", ()))
    ]
    sizes = canvas.shape[:-2]
    named = [each for each in images if image and Path(str(each.get("file_name"))).name == image]
    meant = named or images
    in_order = len(meant) == math.prod(sizes) and bool(sizes)
    if len(meant) > 1 and not in_order:
        raise FrameError(
            f"{path} is about {len(meant)} images, and none of them is called {image or 'this one'}"
            f"; the image has {math.prod(sizes)} frames. Give the file of this image alone."
        )
    places = {}
    for n, each in enumerate(meant):
        height = whole(path, f"the height of image {n}", each.get("height"), 1)
        width = whole(path, f"the width of image {n}", each.get("width"), 1)
        at = tuple(int(i) for i in np.unravel_index(n, sizes)) if in_order else None
        places[_key(each.get("id"))] = (at, (height, width))
    return places


def _categories(content: Mapping[str, Any]) -> dict[Any, str]:
    return {
        _key(each.get("id")): str(each.get("name", NO_CLASS))
        for each in content.get("categories", ())
        if isinstance(each, dict)
    }


def _annotations(pixels: NDArray[Any]) -> Iterator[dict[str, Any]]:
    """All objects of a frame."""
    runs = Runs.of(np.ascontiguousarray(pixels.T))  # COCO counts down the columns
    height, width = pixels.shape
    areas = runs.total(runs.lengths)
    top, bottom = runs.lowest(runs.starts), runs.highest(runs.stops)
    left, right = runs.lowest(runs.rows), runs.highest(runs.rows) + 1
    texts = encode(*counts_of(runs, height * width))
    for n, (object_id, counts) in enumerate(zip(runs.ids.tolist(), texts, strict=True)):
        y0, y1, x0, x1 = (int(side[n]) for side in (top, bottom, left, right))
        yield {
            "object_id": object_id,
            "segmentation": {"size": [height, width], "counts": counts},
            "area": int(areas[n]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "iscrowd": 0,
        }


def _key(value: Any) -> int | str | None:
    """The id of an image or a category."""
    return value if isinstance(value, int | str) else None


def _class_of(record: Mapping[str, Any], names: Mapping[Any, str]) -> str:
    name = names.get(_key(record.get("category_id")), NO_CLASS)
    return "" if name == NO_CLASS else name


def _number(path: Path, what: str, record: Mapping[str, Any]) -> int | None:
    """The object's own number, if it has one."""
    number = record.get("object_id", record.get("track_id"))
    return None if number is None else whole(path, f"the number of {what}", number, 1)


def _frame(path: Path, what: str, record: Mapping[str, Any], frames: Mapping[Any, int]) -> int:
    """The number of its image; without an image's id that of the only one."""
    image = record.get("image_id")
    if image is None and len(frames) == 1:
        return next(iter(frames.values()))
    if image is None or _key(image) not in frames:
        raise FrameError(
            f"{path}: {what} is of the image {image!r}, which is not in the file. Export "
            "it again with its images."
        )
    return frames[_key(image)]


def _land(frame: NDArray[Any], mask: NDArray[np.int64] | list[NDArray[Any]], object_id: int) -> int:
    """Write one mask; how many of its pixels another object had."""
    if isinstance(mask, list):
        return fill(frame, mask, [object_id] * len(mask))
    places = pixels_of(mask, frame.shape)
    flat = frame.reshape(-1)
    free = places[flat[places] == 0]
    flat[free] = object_id
    return len(places) - len(free)


def _mask(
    path: Path, what: str, record: Mapping[str, Any], frame: tuple[int, ...]
) -> NDArray[np.int64] | list[NDArray[Any]]:
    """The run lengths of a mask, or its rings."""
    shape = record.get("segmentation")
    if isinstance(shape, dict):
        return _run_lengths(path, what, shape, frame)
    rings = expect(path, f"the segmentation of {what}", shape, list)
    if not rings:
        raise FrameError(
            f"{path}: the segmentation of {what} is empty. Use its box as a prompt: napari-sam "
            "segment --prompts."
        )
    return [vertices(path, what, _pairs(ring))[:, ::-1] for ring in rings]


def _pairs(ring: Any) -> Any:
    """x and y in turn, as pairs."""
    is_flat = isinstance(ring, list) and len(ring) % 2 == 0
    return [ring[n : n + 2] for n in range(0, len(ring), 2)] if is_flat else ring


def _run_lengths(
    path: Path, what: str, shape: Mapping[str, Any], frame: tuple[int, ...]
) -> NDArray[np.int64]:
    """How many pixels in turn are outside and inside, down the columns of its frame."""
    counts = shape.get("counts")
    try:
        numbers = decode(counts) if isinstance(counts, str) else np.asarray(counts, np.int64)
        if list(shape.get("size", ())) != list(frame):
            raise ValueError(f"its size {shape.get('size')} is not that of its image")
        most = frame[0] * frame[1]  # each by itself as well: the sum of huge numbers overflows
        if numbers.ndim != 1 or ((numbers < 0) | (numbers > most)).any() or numbers.sum() > most:
            raise ValueError("its run lengths do not fit its image")
    except (ValueError, TypeError, OverflowError) as error:
        raise FrameError(f"{path}: {what} cannot be read: {error}. {AGAIN}") from error
    return numbers


def _shape(path: Path, images: list[Mapping[str, Any]]) -> tuple[int, int]:
    sizes = {
        (
            whole(path, f"the height of image {n}", each.get("height"), 1),
            whole(path, f"the width of image {n}", each.get("width"), 1),
        )
        for n, each in enumerate(images)
    }
    if len(sizes) != 1 or len(images) * np.prod(next(iter(sizes))) > MOST_PIXELS:
        raise FrameError(
            f"{path} has images of {len(sizes)} sizes, {len(images)} in all. Labels are of images "
            "of one size: import those of each size by themselves."
        )
    return sizes.pop()


def _canvas(shape: tuple[int, int], n_images: int, given: Canvas | None) -> Canvas:
    """That of the image, where it fits."""
    if given is not None and given.shape[-2:] == shape and np.prod(given.shape[:-2]) == n_images:
        return given
    return Canvas(shape, "YX") if n_images == 1 else Canvas((n_images, *shape), "TYX")


def _name(positions: tuple[int, ...]) -> str:
    return "_".join(["frame", *(f"{at:04d}" for at in positions)]) + ".tif"
