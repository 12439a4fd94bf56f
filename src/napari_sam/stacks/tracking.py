"""Regions of different frames linked into tracks: by hand-kept ids, or by laptrack.

A track is one object through time. Its id is the value of its pixels in the labels; a daughter
knows its mother. Positions are those of napari's Tracks layer: id, frame, then the pixel axes.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import SamError, write_table

from .options import LinkRules

Node: TypeAlias = tuple[int, int]  # a frame, and which of its regions
Tree: TypeAlias = dict[Node, list[Node]]  # what each region becomes: nothing, one, or daughters

PIXEL_AXES = ("z", "y", "x")


@dataclass(frozen=True, eq=False)
class Tracks:
    """Objects through time, a row a region, sorted by id and frame."""

    ids: NDArray[np.intp]  # (N,)
    frames: NDArray[np.intp]  # (N,) positions on the time axis
    centres: NDArray[np.float64]  # (N, 2) yx or (N, 3) zyx, in pixels
    areas: NDArray[np.intp]  # (N,) pixels
    parents: Mapping[int, tuple[int, ...]]  # a daughter's id → its mothers' ids
    values: NDArray[np.intp]  # (N,) what the pixels of each region are in the labels

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def n_tracks(self) -> int:
        """How many objects."""
        return len(np.unique(self.ids))

    @property
    def n_divisions(self) -> int:
        """How many objects divided."""
        return len(set(self.parents.values()))

    @property
    def data(self) -> NDArray[np.float64]:
        """As napari's Tracks layer has it: ``(N, 4)`` or ``(N, 5)``, id, frame, (z), y, x."""
        return np.column_stack([self.ids, self.frames, self.centres])

    @property
    def graph(self) -> dict[int, list[int]]:
        """As napari's Tracks layer has it: daughter → mothers."""
        return {daughter: list(mothers) for daughter, mothers in self.parents.items()}

    def relabel(self, labels: Any, time_axis: int = 0) -> NDArray[Any]:
        """The labels these tracks were found in, with the tracks' ids instead of the regions'."""
        highest = int(self.ids.max(initial=0))
        dtype = np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32
        relabelled = np.zeros(labels.shape, dtype)
        for frame in range(labels.shape[time_axis]):
            where: tuple[slice | int, ...] = (*(slice(None),) * time_axis, frame)
            pixels = np.asarray(labels[where])
            here = self.frames == frame
            new = np.zeros(max(int(pixels.max(initial=0)), 0) + 1, dtype)
            new[self.values[here]] = self.ids[here]
            relabelled[where] = new[pixels]
        return relabelled

    def write_csv(
        self, path: Path, of_objects: Mapping[str, Callable[[int], str]] | None = None
    ) -> None:
        """A table with id, parent, frame, (z), y, x, area; mothers of one daughter by blanks.

        Parameters
        ----------
        of_objects
            Further columns, and what they say of an object.
        """
        more = of_objects or {}
        axes = PIXEL_AXES[-self.centres.shape[1] :]
        rows = zip(self.ids, self.frames, self.centres, self.areas, strict=True)
        write_table(
            path,
            ("id", "parent", "frame", *axes, "area", *more),
            (
                (
                    *(id_, self._mothers(id_), frame),
                    *(f"{at:.2f}" for at in centre),
                    *(area, *(say(int(id_)) for say in more.values())),
                )
                for id_, frame, centre, area in rows
            ),
        )

    def _mothers(self, id_: int) -> str:
        return " ".join(map(str, self.parents.get(int(id_), ())))


def find_tracks(
    labels: Any,
    parents: Mapping[int, tuple[int, ...]] | None = None,
    *,
    time_axis: int = 0,
    among: Collection[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Tracks:
    """Labels whose ids are the same object in all frames, as tracks.

    Parameters
    ----------
    labels
        Ids on a time axis and two or three others, 0 for the background. Read frame by frame.
    parents
        Mothers of the ids that came from a division.
    among
        The only ids to look at; ``None``: all.
    progress
        Called as ``progress(done, total)`` after every frame; what it raises stops the reading.

    Raises
    ------
    SamError
        If these are not labels over time.
    """
    if not (hasattr(labels, "shape") and hasattr(labels, "dtype")):
        raise SamError(
            f"{type(labels).__name__} cannot be tracked. Wanted is an array of labels with a time "
            "axis and two or three others, such as TYX."
        )
    if len(labels.shape) not in (3, 4) or np.dtype(labels.dtype).kind not in "iu":
        raise SamError(
            f"An array of shape {tuple(labels.shape)} and type {labels.dtype} cannot be tracked. "
            "Wanted are integer labels with a time axis and two or three others, such as TYX."
        )
    if not -len(labels.shape) <= time_axis < len(labels.shape):
        raise SamError(
            f"Labels of shape {tuple(labels.shape)} have no axis {time_axis}. Choose the time axis "
            f"from 0 to {len(labels.shape) - 1}."
        )
    time_axis %= len(labels.shape)
    rows: list[tuple[int, int, NDArray[np.float64], int]] = []
    n_frames = labels.shape[time_axis]
    for frame in range(n_frames):
        pixels = np.asarray(labels[(*[slice(None)] * time_axis, frame)])
        rows += [
            (value, frame, centre, area)
            for value, centre, area in _regions(pixels)
            if among is None or value in among
        ]
        if progress is not None:
            progress(frame + 1, n_frames)
    rows.sort(key=lambda row: row[:2])
    n_axes = len(labels.shape) - 1
    ids = np.array([row[0] for row in rows], np.intp)
    return Tracks(
        ids=ids,
        frames=np.array([row[1] for row in rows], np.intp),
        centres=np.array([row[2] for row in rows], np.float64).reshape(-1, n_axes),
        areas=np.array([row[3] for row in rows], np.intp),
        parents=dict(parents or {}),
        values=ids,
    )


def link(
    regions: Tracks,
    rules: LinkRules | None = None,
    first_id: int = 1,
    known: Mapping[int, tuple[int, ...]] | None = None,
) -> Tracks:
    """Link regions that look alike and are near each other in successive frames.

    A linear assignment from frame to frame, then one over whole tracks that closes gaps and finds
    divisions (Jaqaman et al. 2008, "Robust single-particle tracking in live-cell time-lapse
    sequences", by laptrack). A track keeps the id that most of its regions had, unless a longer one
    has it; labels that are right keep all their ids.

    Parameters
    ----------
    regions
        What :func:`find_tracks` found in labels; their ids say nothing about what belongs together.
    first_id
        The lowest id for a track that keeps none.
    known
        Mothers of daughters that are known to come from them, by the ids of the labels: two or more
        daughters, there only after their mother, are linked to her and to nothing else.
    """
    if not len(regions):
        return regions
    regions = _sorted(regions, np.lexsort((regions.values, regions.frames)))
    tree = _link(regions, rules or LinkRules())
    _keep_divisions(tree, regions, known or {})
    segments, mothers = _segments(tree)
    names = _names(segments, regions.values, first_id)
    ids = np.zeros(len(regions), np.intp)
    for segment, name in zip(segments, names, strict=True):
        ids[segment] = name
    parents = {names[child]: (names[mother],) for child, mother in mothers.items()}
    named = replace(regions, ids=ids, parents=parents)
    return _sorted(named, np.lexsort((regions.frames, ids)))


def _sorted(tracks: Tracks, order: NDArray[np.intp]) -> Tracks:
    """The same rows in another order."""
    return replace(
        tracks,
        ids=tracks.ids[order],
        frames=tracks.frames[order],
        centres=tracks.centres[order],
        areas=tracks.areas[order],
        values=tracks.values[order],
    )


def _regions(pixels: NDArray[Any]) -> Iterable[tuple[int, NDArray[np.float64], int]]:
    """Value, centre and area of every region of one frame of two or three axes."""
    places = np.nonzero(pixels > 0)
    values, which, areas = np.unique(pixels[places], return_inverse=True, return_counts=True)
    sums = [np.bincount(which, weights=axis, minlength=len(values)) for axis in places]
    centres = np.stack(sums, axis=1) / areas[:, None]
    return zip(values.tolist(), centres, areas.tolist(), strict=True)


def _link(regions: Tracks, rules: LinkRules) -> Tree:
    """The track of every region; regions are in their order within each frame."""
    from laptrack import LapTrack

    diameter = float(np.median(regions.areas)) ** (1 / regions.centres.shape[1])
    # One unit is a diameter, or what a change of area counts as much as
    features = np.column_stack(
        [regions.centres / diameter, rules.area_weight * np.log2(regions.areas)]
    )
    coords = [features[regions.frames == frame] for frame in range(int(regions.frames.max()) + 1)]
    half_area = rules.area_weight**2  # a daughter has half of her mother's
    limits = {
        "cutoff": rules.reach**2,
        "gap_closing_cutoff": rules.gap > 0 and rules.reach**2,
        "gap_closing_max_frame_count": rules.gap,
        "splitting_cutoff": rules.division_reach > 0 and rules.division_reach**2 + half_area,
    }
    links = LapTrack.model_validate(limits).predict(coords)
    tree: Tree = {node: sorted(links.successors(node)) for node in sorted(links.nodes)}
    _drop_unlikely_divisions(tree, coords, rules)
    return tree


def _drop_unlikely_divisions(
    tree: Tree, coords: list[NDArray[np.float64]], rules: LinkRules
) -> None:
    """Two daughters part to both sides, are alike and stay: else one of them is a newcomer."""
    for mother, daughters in tree.items():
        if len(daughters) < 2:
            continue
        at, one, other = (coords[frame][n] for frame, n in (mother, *daughters[:2]))
        off_centre = np.linalg.norm((one + other)[:-1] / 2 - at[:-1])
        unlike = abs(one[-1] - other[-1]) / rules.area_weight  # a logarithm
        if (
            off_centre > rules.off_centre
            or unlike > -np.log2(rules.likeness)
            or not all(_lives(tree, each, rules.life, len(coords)) for each in daughters)
        ):
            away = [float(np.linalg.norm(coords[f][n] - at)) for f, n in daughters]
            tree[mother] = [daughters[int(np.argmin(away))]]


def _keep_divisions(tree: Tree, regions: Tracks, known: Mapping[int, tuple[int, ...]]) -> None:
    """Let mothers end with their last region before their daughters, who begin with their first."""
    daughters: dict[int, list[int]] = {}
    for child, mothers in known.items():
        if len(mothers) == 1:
            daughters.setdefault(mothers[0], []).append(child)
    nodes: dict[int, list[Node]] = {}  # of each id, in order
    for node, value in zip(tree, regions.values.tolist(), strict=True):
        nodes.setdefault(value, []).append(node)
    for mother, children in daughters.items():
        firsts = sorted(nodes[child][0] for child in children if child in nodes)
        lasts = [node for node in nodes.get(mother, ()) if firsts and node[0] < firsts[0][0]]
        if len(firsts) < 2 or not lasts:
            continue
        for node, becomes in tree.items():
            tree[node] = [each for each in becomes if each not in firsts]
        tree[lasts[-1]] = firsts


def _lives(tree: Tree, node: Node, n_frames: int, n_all: int) -> bool:
    """Whether an object is seen for so many frames, or to the end."""
    first = node[0]
    while tree[node] and node[0] - first < n_frames - 1:
        node = tree[node][0]
    return node[0] - first >= n_frames - 1 or node[0] == n_all - 1


def _segments(tree: Tree) -> tuple[list[list[int]], dict[int, int]]:
    """Rows of each stretch without a division, and the stretch before it for those after one."""
    rows = {node: row for row, node in enumerate(tree)}
    before = {after: node for node, becomes in tree.items() for after in becomes}
    segments: list[list[int]] = []
    segment_of: dict[Node, int] = {}
    mothers: dict[int, int] = {}
    for node, row in rows.items():
        origin = before.get(node)
        if origin is not None and len(tree[origin]) == 1:
            segment_of[node] = segment_of[origin]
        else:
            segment_of[node] = len(segments)
            segments.append([])
            if origin is not None:
                mothers[segment_of[node]] = segment_of[origin]
        segments[segment_of[node]].append(row)
    return segments, mothers


def _names(segments: list[list[int]], values: NDArray[np.intp], first_id: int) -> list[int]:
    """An id for each stretch: the one most of its regions had, first come the most."""
    candidates = sorted(
        (
            (count, int(value), n)
            for n, segment in enumerate(segments)
            for value, count in Counter(values[segment].tolist()).items()
        ),
        key=lambda candidate: (-candidate[0], candidate[2]),
    )
    names: dict[int, int] = {}
    taken: set[int] = set()
    for _, value, n in candidates:
        if n not in names and value not in taken:
            names[n] = value
            taken.add(value)
    new = itertools.count(max(taken | {first_id - 1}) + 1)
    return [names[n] if n in names else next(new) for n in range(len(segments))]
