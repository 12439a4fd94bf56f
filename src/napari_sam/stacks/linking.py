"""The labels of many frames linked into tracks, and their ids made those of the tracks.

To find out what belongs together takes seconds, and needs the labels alone: it can be done beside
other work. To give the ids is one change of a session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sam.engine import FrameIndex, SamError
from napari_sam.session.annotation import Annotation, Key
from napari_sam.session.edits import LabelEdit, rename
from napari_sam.session.renaming import change_to, give_up, renamed_annotations, with_classes
from napari_sam.session.scopes import axis_along, frames_in
from napari_sam.session.session import Session

from .options import LinkRules
from .tracking import Tracks, find_tracks, link


@dataclass(frozen=True, eq=False)
class Links:
    """The labels of many frames as tracks, and the changes of ids this needs."""

    tracks: Tracks
    ids: Mapping[FrameIndex, Mapping[int, int]]  # in each frame, those that change
    edits: tuple[LabelEdit, ...]

    @property
    def renamed(self) -> set[int]:
        """The ids that change anywhere, old and new."""
        return {i for ids in self.ids.values() for pair in ids.items() for i in pair}


def find_links(
    labels: Any,
    frame: FrameIndex,
    axis: int | None = None,
    first_id: int = 1,
    rules: LinkRules | None = None,
    progress: Callable[[int, int], None] | None = None,
    parents: Mapping[int, tuple[int, ...]] | None = None,
    among: Collection[int] | None = None,
) -> Links:
    """Link the labels of all frames along an axis. Reads them, and changes nothing.

    Parameters
    ----------
    labels
        Ids on the axes of the image.
    frame
        Any of the frames. At axes before the one to go along its position counts, at axes after it
        all are taken together: along t a cell is its pixels in all z.
    axis
        By default the first one that leads to frames.
    first_id
        The lowest id that is free for a track that keeps none.
    progress
        Called as ``progress(done, total)`` for every frame; what it raises stops the work.
    parents
        Divisions that are known: they stay, and the rest is linked around them.
    among
        The only ids to link; ``None``: all. The others stay as they are.

    Raises
    ------
    SamError
        If there are no frames along the axis, or too many axes after it.
    """
    axis = axis_along(frame, axis)
    if axis is None:
        raise SamError("This image has one frame only. To link objects over time, open a stack.")
    before = tuple(slice(None) if i is None else i for i in frame[:axis])
    n_fixed = sum(i is not None for i in frame[:axis])
    through = labels[before] if n_fixed else labels
    found = find_tracks(through, time_axis=axis - n_fixed, among=among, progress=progress)
    tracks = link(found, rules, first_id, parents or {})
    positions = _changing(tracks)
    first = (*frame[:axis], 0, *frame[axis + 1 :])
    ids = {
        each: positions[position]
        for each in frames_in(labels.shape, first, "from here", axis)
        if (position := each[axis]) in positions
    }
    edits = (rename(its, labels, each) for each, its in ids.items())
    return Links(tracks, ids, tuple(edit for edit in edits if edit))


def _changing(tracks: Tracks) -> dict[int | None, dict[int, int]]:
    """The ids that change, by position on the time axis."""
    changing: dict[int | None, dict[int, int]] = {}
    for n in np.flatnonzero(tracks.ids != tracks.values):
        changing.setdefault(int(tracks.frames[n]), {})[int(tracks.values[n])] = int(tracks.ids[n])
    return changing


def make_links(session: Session, links: Links, run: int | None = None) -> None:
    """Give the labels of a session the ids of the tracks found in them: one step of undo.

    Parameters
    ----------
    run
        What it is one step with.

    Raises
    ------
    SamError
        If the labels cannot hold the ids.
    """
    highest = int(links.tracks.ids.max(initial=0))
    if highest:
        session.make_room(highest)
    after: dict[Key, Annotation | None] = {}
    for frame, ids in links.ids.items():
        if session.annotations_in(frame):
            after |= renamed_annotations(session, ids, frame)
    renamed = links.renamed
    stay = {c: its for c, its in session.parents.items() if renamed.isdisjoint((c, *its))}
    parents = {**stay, **links.tracks.parents}
    classes = session.classes
    for ids in links.ids.values() if classes.given else ():
        classes = classes.renumbered(ids)
    change = change_to(session, links.edits, after, parents, "linking")
    change = with_classes(session, change, classes)
    if change.edits or change.parents_after is not None:
        session.note_ids(highest)
        for frame, ids in links.ids.items():
            give_up(session, ids, [frame])
        session.make(change, run)


def link_frames(
    session: Session,
    frame: FrameIndex,
    axis: int | None = None,
    rules: LinkRules | None = None,
    among: Collection[int] | None = None,
) -> Links:
    """Link the labels of all frames along an axis into tracks, and give each one id.

    For labels whose ids say nothing from frame to frame, such as another tool's. Divisions that
    are known stay, and those that are found are added.

    Parameters
    ----------
    frame, axis, among
        As in :func:`find_links`.

    Returns
    -------
    Links
        How many labels became how many tracks.
    """
    parents = dict(session.parents)
    first_id = session.next_id()
    links = find_links(session.labels, frame, axis, first_id, rules, parents=parents, among=among)
    make_links(session, links)
    return links
