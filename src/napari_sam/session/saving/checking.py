"""A session's JSON files are checked once, before they are used: they may come from someone else.

Each entry by the schema; beyond it, regions are in their frame and masks have its shape, so that
nothing asks for more memory than the image is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from napari_sam.engine import FrameIndex, SamError
from napari_sam.session.saved_tiles import window_of

from .records import Record, read_classes, read_files, read_frame_name, write_frame
from .schema import AnnotationRecord, Heading, Manifest

MOST_PIXELS = 2**48  # of all labels
REGION_PIXELS = 2**30  # that regions of a small session may take in memory, a byte a pixel
PIXELS_A_BYTE = 200  # and more for a byte on disk: rows of thin, slanting objects take half of that

_HEADING = TypeAdapter(Heading)
_MANIFEST = TypeAdapter(Manifest)
_ANNOTATIONS = TypeAdapter(list[AnnotationRecord])

T = TypeVar("T")


@dataclass
class Budget:
    """How many pixels of regions may still be made of what is read."""

    pixels: int = REGION_PIXELS

    def read(self, n_bytes: int) -> None:
        """So much was read that is worth some memory."""
        self.pixels += PIXELS_A_BYTE * n_bytes

    def take(self, n_pixels: int) -> None:
        """This many pixels are requested.

        Raises
        ------
        ValueError
            If that is more than the session can be worth.
        """
        self.pixels -= n_pixels
        if self.pixels < 0:
            raise ValueError("its regions ask for more memory than its objects can need")


def read_heading(content: bytes) -> tuple[str, int]:
    """Format and version of a session.json; of any other JSON "" and 0.

    Raises
    ------
    ValueError
        If it is not JSON.
    """
    try:
        heading = _HEADING.validate_json(content)
    except ValidationError as error:
        if any(each["type"] == "json_invalid" for each in error.errors(include_input=False)):
            raise ValueError(_first(error)) from None
        return "", 0
    return heading["format"], heading["version"]


def read_manifest(content: bytes, budget: Budget) -> Record:
    """Read and check a session.json.

    Raises
    ------
    ValueError
        If it breaks the schema, in its types or in what belongs together.
    """
    manifest = cast(Record, _checked(_MANIFEST, content))
    shape = manifest["image"]["shape"]
    if math.prod(shape) > MOST_PIXELS:
        raise ValueError(f"image.shape: {shape} is not the shape of an image")
    displayed = manifest["labels"]["displayed"]
    if len({*displayed}) < 2 or max(displayed) >= len(shape):
        raise ValueError(f"labels.displayed: {displayed} are not two axes of {len(shape)}")
    if (placement := manifest["image"].get("placement")) is not None:
        _check_placement(placement)
    datetime.fromisoformat(manifest["saved"]).astimezone()
    for name, record in manifest["frames"].items():
        frame, files = checked_frame(name, shape), read_files(record)
        own = all((i is None) == (axis in displayed) for axis, i in enumerate(frame))
        if files.labels and not own:
            raise ValueError(f"frames.{name}: labels are not kept in frames across others")
        for tile in files.labels:
            window_of(tile, frame_shape_of(frame, shape))
        suffixes = [(file, ".tif") for file in files.labels.values()]
        for file, suffix in (*suffixes, (files.annotations, ".json")):
            if file and not _is_of(file, name, suffix):
                raise ValueError(f"frames.{name}: {file!r} is not a file of this frame")
    try:
        read_classes(manifest.get("classes", []))
    except SamError as error:
        raise ValueError(f"classes: {error}") from None
    if shown := manifest.get("shown"):
        checked_frame(shown, shape)
    for request in manifest.get("waiting", ()):
        frame = checked_frame(request["frame"], shape)
        _check_record(request, frame_shape_of(frame, shape), budget)
    return manifest


def read_annotations(
    content: bytes, frame: FrameIndex, shape: tuple[int, ...], budget: Budget
) -> list[Record]:
    """The records in a frame's file of annotations.

    Raises
    ------
    ValueError
        If they break the schema, or do not fit into the frame.
    """
    records = cast(list[Record], _checked(_ANNOTATIONS, content))
    for record in records:
        _check_record(record, frame_shape_of(frame, shape), budget)
        if (source := record["source"]) is not None:
            _check_index(tuple(source), shape)
    return records


def checked_frame(name: str, shape: tuple[int, ...]) -> FrameIndex:
    """The frame that a name means in an image.

    Raises
    ------
    ValueError
        If it means none.
    """
    _check_index(frame := read_frame_name(name), shape)
    if write_frame(frame) != name:
        raise ValueError(f"{name} is not how the frame is called")
    return frame


def frame_shape_of(frame: FrameIndex, shape: tuple[int, ...]) -> tuple[int, int]:
    """``(H, W)`` of a frame."""
    height, width = (size for i, size in zip(frame, shape, strict=True) if i is None)
    return height, width


def _checked(adapter: TypeAdapter[T], content: bytes) -> T:
    try:
        return adapter.validate_json(content)
    except ValidationError as error:
        raise ValueError(_first(error)) from None


def _first(error: ValidationError) -> str:
    """The first violation of the schema, and its place."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))[:200]
    return f"{where}: {first['msg']}" if where else first["msg"]


def _check_placement(placement: Record) -> None:
    n = len(placement["scale"])
    sizes = {
        "translate": n,
        "rotate": n,
        "shear": n * (n - 1) // 2,
        "affine": n + 1,
        "units": n,
        "axis_labels": n,
    }
    matrices = {"rotate": n, "affine": n + 1}
    fits = all(len(placement[name]) == size for name, size in sizes.items())
    square = all(len(row) == size for name, size in matrices.items() for row in placement[name])
    if not (fits and square and all(placement["scale"])):
        raise ValueError("image.placement: its entries do not belong together")


def _check_index(frame: FrameIndex, shape: tuple[int, ...]) -> None:
    fits = len(frame) == len(shape) and frame.count(None) == 2
    if not fits or any(i is not None and i >= n for i, n in zip(frame, shape, strict=True)):
        raise ValueError(f"{frame} is not a frame of an image of shape {tuple(shape)}")


def _check_record(record: Record, frame_shape: tuple[int, int], budget: Budget) -> None:
    """Regions, masks and crops are in the frame; there is one label a point."""
    if len(record["points"]) != len(record["labels"]):
        raise ValueError(f"{len(record['labels'])} labels for {len(record['points'])} points")
    for region in _regions(record):
        height, width = region["height"], region["width"]
        if region["top"] + height > frame_shape[0] or region["left"] + width > frame_shape[1]:
            raise ValueError("a region is outside its frame")
        if sum(region["runs"]) > height * width:
            raise ValueError("the runs of a region are longer than it is")
        budget.take(height * width)
    for top, left, bottom, right in filter(None, (record.get("crop"), *record.get("crops", ()))):
        if not (top < bottom <= frame_shape[0] and left < right <= frame_shape[1]):
            raise ValueError("a crop is outside its frame, or empty")
    if (mask := record["mask"]) is not None and tuple(mask["shape"]) != frame_shape:
        raise ValueError(f"a mask has the shape {mask['shape']}, its frame {frame_shape}")


def _regions(record: Record) -> Iterator[dict[str, Any]]:
    for name in ("base", "landed", "painted", "erased"):
        if (region := record.get(name)) is not None:
            yield region
    if (mask := record["mask"]) is not None and mask["region"] is not None:
        yield mask["region"]


def _is_of(file: str, frame: str, suffix: str) -> bool:
    return file.startswith(f"frames/{frame}-") and file.endswith(suffix)
