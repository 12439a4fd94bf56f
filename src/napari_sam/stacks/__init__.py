"""Floor 4: many frames. Objects propagated from frame to frame, labels linked into tracks."""

from .linking import Links, find_links, link_frames, make_links
from .propagation import Direction, Plan, Through, axis_along, named_through, plan, propagate
from .tracking import LinkRules, Tracks, find_tracks, link

__all__ = [
    "Direction",
    "LinkRules",
    "Links",
    "Plan",
    "Through",
    "Tracks",
    "axis_along",
    "find_links",
    "find_tracks",
    "link",
    "link_frames",
    "make_links",
    "named_through",
    "plan",
    "propagate",
]
