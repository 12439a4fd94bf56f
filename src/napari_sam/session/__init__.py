"""Floor 3: the annotation of one image. No napari, no Qt, no threads."""

from . import classes, objects, review_states
from .annotation import (
    Annotation,
    Answer,
    Key,
    ObjectSummary,
    Propagated,
    Request,
    decode,
    names_of,
)
from .automatic import (
    Claim,
    Landing,
    free_regions,
    land_claims,
    land_found,
    unconfirmed_in,
)
from .drawing import Drawing, drawings_of, prompts_from
from .edits import Footprint, LabelEdit, mask_to_edit, place_of
from .label_arrays import (
    FrameLabels,
    WritableLabels,
    empty_labels,
    pieces_of,
    read_frame,
    with_room,
    writable_labels,
)
from .object_class import CLASS_KEYS, Classes, GivenClass, ObjectClass
from .placement import Placement
from .refining import is_refinable, land_refined
from .region import Region
from .saving.autosave import Autosave, Snapshot, save
from .saving.image_record import image_record
from .saving.opening import load
from .saving.packed import is_packed, unpack
from .saving.session_file import SessionFile, is_session, session_path
from .scopes import Scope
from .session import Session

__all__ = [
    "CLASS_KEYS",
    "Annotation",
    "Answer",
    "Autosave",
    "Claim",
    "Classes",
    "Drawing",
    "Footprint",
    "FrameLabels",
    "GivenClass",
    "Key",
    "LabelEdit",
    "Landing",
    "ObjectClass",
    "ObjectSummary",
    "Placement",
    "Propagated",
    "Region",
    "Request",
    "Scope",
    "Session",
    "SessionFile",
    "Snapshot",
    "WritableLabels",
    "classes",
    "decode",
    "drawings_of",
    "empty_labels",
    "free_regions",
    "image_record",
    "is_packed",
    "is_refinable",
    "is_session",
    "land_claims",
    "land_found",
    "land_refined",
    "load",
    "mask_to_edit",
    "names_of",
    "objects",
    "pieces_of",
    "place_of",
    "prompts_from",
    "read_frame",
    "review_states",
    "save",
    "session_path",
    "unconfirmed_in",
    "unpack",
    "with_room",
    "writable_labels",
]
