"""Floor 3: many frames, many objects. No napari, no Qt, no threads."""

from . import objects
from .annotation import Annotation, Answer, ObjectSummary, Request, decode
from .drawing import Drawing, drawings_of, prompts_from
from .edits import Footprint, LabelEdit, Region, mask_to_edit, read_frame
from .linking import Links, find_links, make_links
from .placement import Placement
from .propagation import Carried, Direction, Plan, plan, propagate
from .scopes import Scope
from .session import Session
from .session_file import SessionFile, is_session, session_path
from .storage import Autosave, Snapshot, load, save
from .tracking import LinkRules, Tracks, find_tracks, link

__all__ = [
    "Annotation",
    "Answer",
    "Autosave",
    "Carried",
    "Direction",
    "Drawing",
    "Footprint",
    "LabelEdit",
    "LinkRules",
    "Links",
    "ObjectSummary",
    "Placement",
    "Plan",
    "Region",
    "Request",
    "Scope",
    "Session",
    "SessionFile",
    "Snapshot",
    "Tracks",
    "decode",
    "drawings_of",
    "find_links",
    "find_tracks",
    "is_session",
    "link",
    "load",
    "make_links",
    "mask_to_edit",
    "objects",
    "plan",
    "prompts_from",
    "propagate",
    "read_frame",
    "save",
    "session_path",
]
