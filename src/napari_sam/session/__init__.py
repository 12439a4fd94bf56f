"""Floor 3: many frames, many objects. No napari, no Qt, no threads."""

from .drawing import Drawing, drawings_of, prompts_from
from .edits import Footprint, LabelEdit, Region, mask_to_edit
from .session import Annotation, Answer, ObjectSummary, Request, Session, decode

__all__ = [
    "Annotation",
    "Answer",
    "Drawing",
    "Footprint",
    "LabelEdit",
    "ObjectSummary",
    "Region",
    "Request",
    "Session",
    "decode",
    "drawings_of",
    "mask_to_edit",
    "prompts_from",
]
