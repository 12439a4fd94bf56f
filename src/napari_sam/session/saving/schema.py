"""The schema of a session's JSON files: names, types and limits of every entry.

The same as session.schema.json, which is for people and other programs.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from napari_sam.engine import ReviewState

from .folder import FRAME_FILE, FRAME_NAME

FORMAT, VERSION = "napari-sam session", 5
LARGEST_JSON = 80_000_000  # bytes; the worst takes 23 times as much in memory while it is read
LARGEST_SIDE = 2**40

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
TileName = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,8})_(0|[1-9][0-9]{0,8})$")]
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
    tiles: NotRequired[dict[TileName, FrameFile]]  # of labels; from version 5 on


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
    through: NotRequired[dict[str, Literal["time", "depth"]]]
    done: NotRequired[bool]
    highest_id: Annotated[int, Field(ge=0, lt=2**63)]
    frames: dict[Frame, FrameFilesRecord]
    replaced: NotRequired[list[FrameFile]]
