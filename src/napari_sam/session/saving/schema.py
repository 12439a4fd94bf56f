"""The schema of a session's JSON files, checked once, before they are used.

The same as session.schema.json, which is for people and other programs, with limits: a session may
come from someone else. Regions are in their frame and masks have its shape, so that nothing asks
for more memory than the image is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from napari_sam.engine import FrameIndex, ReviewState, SamError

from .folder import FRAME_FILE, FRAME_NAME
from .records import Record, read_classes, read_frame_name, write_frame

FORMAT, VERSION = "napari-sam session", 4
LARGEST_JSON = 80_000_000  # bytes; the worst takes 23 times as much in memory while it is read
LARGEST_SIDE = 2**40
MOST_PIXELS = 2**48  # of all labels
REGION_PIXELS = 2**30  # that regions of a small session may take in memory, a byte a pixel
PIXELS_A_BYTE = 200  # and more for a byte on disk: rows of thin, slanting objects take half of that

STRICT = ConfigDict(strict=True, extra="ignore")

Count = Annotated[int, Field(ge=0, le=LARGEST_SIDE)]
ObjectId = Annotated[int, Field(ge=1, lt=2**63)]
ObjectName = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,18}$")]
Number = Annotated[float, Field(allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Text = Annotated[str, Field(max_length=10_000)]
PathText = Annotated[str, Field(max_length=40_000, pattern=r"^[^\x00]*$")]
Frame = Annotated[str, Field(max_length=400, pattern=f"^{FRAME_NAME}$")]
FrameFile = Annotated[str, Field(max_length=500, pattern=f"^{FRAME_FILE}$")]
Dtype = Annotated[str, Field(pattern=r"^(u?int(8|16|32|64)|[<>=|]?[ui][1248])$")]
Unit = Annotated[str, Field(max_length=100)]
Point = tuple[Coordinate, Coordinate]
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
CropRecord = tuple[Count, Count, Side, Side]  # top, left, bottom, right
Vector = Annotated[list[Number], Field(max_length=600)]
Matrix = Annotated[list[Vector], Field(max_length=40)]


@with_config(STRICT)
class Heading(TypedDict):
    """The first entries to read: they tell whether the rest can be read."""

    format: Text
    version: int


@with_config(STRICT)
class PlacementRecord(TypedDict):
    """As in :class:`Placement`."""

    scale: Vector
    translate: Vector
    rotate: Matrix
    shear: Vector
    affine: Matrix
    units: Annotated[list[Unit], Field(max_length=40)]
    axis_labels: Annotated[list[Unit], Field(max_length=40)]


@with_config(STRICT)
class ImageRecord(TypedDict):
    """The image: where it is, and how it is known again."""

    path: PathText | None
    reader: NotRequired[Unit | None]
    placement: NotRequired[PlacementRecord | None]  # from version 2 on
    shape: Annotated[list[Side], Field(min_length=2, max_length=32)]
    dtype: Text
    content: Annotated[str, Field(pattern=r"^blake2b:[0-9a-f]{1,128}$")] | None


@with_config(STRICT)
class PreprocessingRecord(TypedDict):
    """How the image was shown to the network."""

    rgb: bool
    channels: list[Count]
    limits: list[tuple[Number, Number]] | None
    mean: NotRequired[bool]
    channel_axis: NotRequired[Annotated[int, Field(ge=0, lt=32)] | None]


@with_config(STRICT)
class LabelsRecord(TypedDict):
    """The labels' type, and the axes that span the frames of their files."""

    dtype: Dtype
    displayed: tuple[Count, Count]


@with_config(STRICT)
class ModelRecord(TypedDict):
    """A model that masks came from."""

    hash: Text
    precision: Text


@with_config(STRICT)
class FrameFilesRecord(TypedDict):
    """The files of a frame."""

    labels: FrameFile | None
    annotations: FrameFile | None


@with_config(STRICT)
class RegionRecord(TypedDict):
    """A crop of the frame as runs."""

    top: Count
    left: Count
    height: Side
    width: Side
    runs: list[Count]


@with_config(STRICT)
class MaskRecord(TypedDict):
    """A mask of the whole frame."""

    shape: tuple[Side, Side]
    region: RegionRecord | None


@with_config(STRICT)
class DrawingRecord(TypedDict):
    """A prompt as it was drawn."""

    kind: Literal["point", "rectangle", "ellipse", "polygon", "path"]
    vertices: Annotated[list[Point], Field(min_length=1)]
    label: Literal[0, 1]


@with_config(STRICT)
class GivenRecord(TypedDict):
    """The user's prompts for an object, and the mask they started from."""

    object_id: ObjectId
    points: list[Point]
    labels: list[Literal[0, 1]]
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None
    mask: MaskRecord | None
    drawings: list[DrawingRecord]
    candidate: Annotated[int, Field(ge=0, le=1000)] | None
    diameter: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None
    base: RegionRecord | None


@with_config(STRICT)
class RequestRecord(GivenRecord):
    """A mask to be decoded."""

    frame: Frame
    crops: NotRequired[Annotated[list[CropRecord], Field(max_length=100)]]  # not in earlier files


@with_config(STRICT)
class AnnotationRecord(GivenRecord):
    """The annotation of an object in a frame."""

    iou_prediction: Number | None
    stability: Number | None
    model: Text
    model_hash: Text
    precision: Text
    score: Number | None
    found_by: NotRequired[Text]  # not in earlier files
    crop: NotRequired[CropRecord | None]  # not in earlier files
    doubt: NotRequired[Text]  # from version 2 on
    stopped: NotRequired[Text]  # from version 2 on
    source: Annotated[list[Count | None], Field(max_length=32)] | None
    landed: RegionRecord | None
    painted: RegionRecord | None
    erased: RegionRecord | None


@with_config(STRICT)
class ClassRecord(TypedDict):
    """A class, the objects that the user gave it to, and those it was proposed for."""

    name: Text
    colour: Text
    key: int | None
    parent: Text
    objects: list[ObjectId]
    proposed: dict[ObjectName, Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]]


@with_config(STRICT)
class ReviewRecord(TypedDict):
    """The review state of an object."""

    state: ReviewState
    by: Annotated[str, Field(max_length=200)]
    at: Annotated[str, Field(max_length=40)]
    note: Annotated[str, Field(max_length=2000)]


@with_config(STRICT)
class Manifest(TypedDict):
    """session.json."""

    format: Literal["napari-sam session"]
    version: Annotated[int, Field(ge=1, le=VERSION)]
    revision: Text
    saves: Annotated[int, Field(ge=1, le=10**15)]
    saved: Text
    program: Text
    image: ImageRecord
    preprocessing: PreprocessingRecord
    labels: LabelsRecord
    models: dict[Text, ModelRecord]
    classes: NotRequired[Annotated[list[ClassRecord], Field(max_length=200)]]  # from version 3 on
    reviews: NotRequired[dict[ObjectName, ReviewRecord]]  # from version 4 on
    parents: dict[ObjectName, list[ObjectId]]
    waiting: NotRequired[list[RequestRecord]]  # from version 2 on
    protect_neighbours: bool
    active: ObjectId
    shown: NotRequired[Frame | None]  # from version 2 on
    done: NotRequired[bool]
    highest_id: Annotated[int, Field(ge=0, lt=2**63)]
    frames: dict[Frame, FrameFilesRecord]
    replaced: NotRequired[list[FrameFile]]


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
    for name, files in manifest["frames"].items():
        frame = checked_frame(name, shape)
        own = all((i is None) == (axis in displayed) for axis, i in enumerate(frame))
        if files["labels"] is not None and not own:
            raise ValueError(f"frames.{name}: labels are not kept in frames across others")
        for kind, suffix in (("labels", ".tif"), ("annotations", ".json")):
            if (file := files[kind]) and not _is_of(file, name, suffix):
                raise ValueError(f"frames.{name}.{kind}: {file!r} is not a file of this frame")
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
