"""Floor 4: many frames. Objects propagated from frame to frame, labels linked into tracks."""

from .linking import Links, find_links, link_frames, make_links
from .propagation import Direction, Plan, plan, propagate
from .tracking import LinkRules, Tracks, find_tracks, link

__all__ = [
    "Direction",
    "LinkRules",
    "Links",
    "Plan",
    "Tracks",
    "find_links",
    "find_tracks",
    "link",
    "link_frames",
    "make_links",
    "plan",
    "propagate",
]
