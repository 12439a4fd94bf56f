"""Objects found in tiles, joined: the same objects come out whatever the grid of tiles.

What an object is, and which pixels it has, is decided in the tile whose core its middle is in:
there it and its neighbours are seen whole, in the core or in the halo. All other tiles' versions of
it go. A tile sees the middle a little elsewhere than the next one does, so that at the edge of a
core both may own an object, or none: of two that share at least half of the smaller the first
stays, and what its owner did not find is taken from beside it. An object that no tile shows whole
is the union of its pieces, as far as these agree where two tiles show both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from napari_sam.engine.tiles import Tile, Window

from .deciding import decide_at_once, to_labels, why_unfit
from .found import Annotated, FoundObject
from .options import AutomaticOptions

SAME = 0.5  # of the smaller of two objects, shared with the other: both are one
BESIDE = 1 / 8  # of the halo: so near a core an object found may be the core's own

Candidate: TypeAlias = tuple[int, FoundObject]  # with a number to know it by


def decide(
    found: Sequence[FoundObject],
    options: AutomaticOptions,
    frame_shape: tuple[int, int],
    annotated: Annotated | None = None,
) -> list[FoundObject]:
    """Say of each proposal of one frame whether it stands, or why not.

    Parameters
    ----------
    found
        Of one method, of the whole frame or of any of its tiles; what was decided of them before
        does not count.
    options
        Its filters may be other ones than those that the proposals were made with.
    frame_shape
        ``(H, W)``.
    annotated
        Object ids ``(H, W)``, or what reads windows of them: what is labelled already and stays.

    Returns
    -------
    The proposals in their order, each with ``dropped``. Of those of tiles that stand, the masks are
    as they land: they share no pixel.
    """
    tiles: dict[Tile, list[int]] = {}
    for n, each in enumerate(found):
        if each.tile is None:
            return decide_at_once(found, options, frame_shape, annotated)
        tiles.setdefault(each.tile, []).append(n)
    decided = list(found)
    joining = Joining(options)
    joined: list[Candidate] = []
    for tile in sorted(tiles, key=lambda tile: tile.nth):
        given = [found[n] for n in tiles[tile]]
        in_tile = decide_in_tile(tile, given, options, frame_shape, annotated)
        for n, each in zip(tiles[tile], in_tile, strict=True):
            decided[n] = each
        joined += joining.add(tile, list(zip(tiles[tile], in_tile, strict=True)))
    joined += joining.finish()
    for n, each in enumerate(decided):
        if each.dropped is None:
            decided[n] = each.drop("in another tile")
    for n, each in joined:
        decided[n] = each
    return decided


def decide_in_tile(
    tile: Tile,
    found: Sequence[FoundObject],
    options: AutomaticOptions,
    frame_shape: tuple[int, int],
    annotated: Annotated | None = None,
) -> list[FoundObject]:
    """Decide on the proposals of one tile, with the pixels that each has to itself.

    Dropped ones whose middle is in another tile are that one's; of those that stand
    :class:`Joining` knows.
    """
    top, left, bottom, right = tile.window
    here = (bottom - top, right - left)
    if options.within is not None:
        options = replace(options, within=tuple((y - top, x - left) for y, x in options.within))
    moved = [each.moved(-top, -left) for each in found]
    labelled = None if annotated is None else np.asarray(annotated[top:bottom, left:right])
    local = decide_at_once(moved, replace(options, border=True), here, labelled)
    standing = [n for n, each in enumerate(local) if each.dropped is None]
    labels = to_labels([local[n] for n in standing], here)
    for number, n in enumerate(standing, 1):
        each = local[n]
        mask = labels[each.where] == number
        local[n] = each.with_mask(mask, *each.window[:2])
        if not mask.any():
            local[n] = each.drop("cut by a neighbour")
    decided = [each.moved(top, left) for each in local]
    for n, each in enumerate(decided):
        if not options.border and _at_border(each.window, frame_shape) and each.dropped is None:
            decided[n] = each = each.drop("at the border")
        if each.dropped is not None and not tile.owns(_middle(each)):
            decided[n] = each.drop("in another tile")
    return decided


class Joining:
    """Takes decided tiles row by row, and says which objects are settled.

    Memory is that of the objects of three rows of tiles.
    """

    def __init__(self, options: AutomaticOptions) -> None:
        self._options = options
        self._tiles: list[Tile] = []  # of the last rows
        self._placed: list[_Placed] = []  # in these
        self._beside: list[Candidate] = []  # may be the next tile's own
        self._pieces: list[Candidate] = []  # that no tile has shown whole yet

    def add(self, tile: Tile, decided: Sequence[Candidate]) -> list[Candidate]:
        """The objects that are settled once a tile is there too; each with its final pixels."""
        settled = self._settle(tile.core[0])
        near = self._near(tile.window)
        beside = BESIDE * max(abs(c - w) for c, w in zip(tile.core, tile.window, strict=True))
        for n, each in decided:
            if each.dropped is not None:
                continue
            if tile.cuts(each.window):
                self._pieces += [(n, each)] * _overlaps(each.window, tile.core)
            elif tile.owns(_middle(each)):
                settled += self._place(n, each, near)
            elif _distance(_middle(each), tile.core) <= beside:
                self._beside.append((n, each))
        self._tiles.append(tile)
        return settled

    def finish(self) -> list[Candidate]:
        """The objects that were not settled before all tiles were there."""
        settled = self._settle(None)
        for n, each in self._united(self._pieces):
            if why_unfit(each, self._options) is None:
                settled += self._place(n, each, self._near(each.window))
        return settled

    def _settle(self, row: int | None) -> list[Candidate]:
        """Place what lay beside its owner, once all tiles around that are there.

        Forget the tiles above. ``row``: where the next tile begins.
        """
        if self._tiles and row == self._tiles[-1].core[0]:
            return []
        settled: list[Candidate] = []
        last = self._tiles[-1].core[0] if self._tiles else 0
        waiting = []
        for n, each in self._beside:
            owner = next((tile for tile in self._tiles if tile.owns(_middle(each))), None)
            if owner is not None and (row is None or owner.core[0] < last):
                settled += self._place(n, each, self._near(each.window))
            elif _middle(each)[0] >= last and row is not None:
                waiting.append((n, each))
        self._beside = waiting
        self._pieces = [
            (n, each)
            for n, each in self._pieces
            if not any(_is_same(each, other.found) for other in self._near(each.window))
        ]
        self._tiles = [tile for tile in self._tiles if tile.core[0] >= last]
        self._placed = [
            each
            for each in self._placed
            if row is None or each.found.tile is None or each.found.tile.core[2] >= last
        ]
        return settled

    def _near(self, window: Window) -> list[_Placed]:
        """What was placed where a window is."""
        return [each for each in self._placed if _overlaps(each.found.window, window)]

    def _place(self, n: int, found: FoundObject, near: Sequence[_Placed]) -> list[Candidate]:
        """Give an object the pixels that are free, unless it is there from another tile."""
        others = [
            each.found
            for each in near
            if each.found.tile != found.tile and _overlaps(each.found.window, found.window)
        ]
        if any(_is_same(found, other) for other in others):
            return []
        mask = found.mask
        for other in others:
            mine, theirs = _common(found.window, other.window)
            mask[mine] &= ~other.mask[theirs]
        trimmed = found.with_mask(mask, *found.window[:2]) if others else found
        self._placed.append(_Placed(n, trimmed))
        return [(n, trimmed)]

    def _united(self, pieces: Sequence[Candidate]) -> list[Candidate]:
        """Pieces that are one object, as one."""
        united: list[Candidate] = []
        left = list(pieces)
        while left:
            n, whole = left.pop(0)
            members = [whole]
            grows = True
            while grows:
                joins = [c for c in left if any(_agree(c[1], member) for member in members)]
                left = [c for c in left if c not in joins]
                members += [each for _, each in joins]
                grows = bool(joins)
            united.append((n, _union(members)))
        return united


@dataclass(frozen=True, eq=False)
class _Placed:
    """An object with its final pixels."""

    n: int
    found: FoundObject


def _union(members: Sequence[FoundObject]) -> FoundObject:
    windows = np.array([each.window for each in members])
    (top, left), (bottom, right) = windows[:, :2].min(0).tolist(), windows[:, 2:].max(0).tolist()
    mask = np.zeros((bottom - top, right - left), bool)
    for each in members:
        y0, x0, y1, x1 = each.window
        mask[y0 - top : y1 - top, x0 - left : x1 - left] |= each.mask
    return members[0].with_mask(mask, top, left)


def _middle(found: FoundObject) -> tuple[float, float]:
    """Of the window around its pixels, yx; of one without any the place of the click."""
    if not found.area:
        return found.point
    y0, x0, y1, x1 = found.window
    return (y0 + y1 - 1) / 2, (x0 + x1 - 1) / 2


def _at_border(window: Window, frame_shape: tuple[int, int]) -> bool:
    y0, x0, y1, x1 = window
    return y0 == 0 or x0 == 0 or y1 == frame_shape[0] or x1 == frame_shape[1]


def _distance(point: tuple[float, float], core: Window) -> float:
    """How far a point is from a core, along the axis along which that is more."""
    y0, x0, y1, x1 = core
    y, x = point
    return max(y0 - y, y - y1, x0 - x, x - x1)


def _overlaps(one: Window, other: Window) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _common(one: Window, other: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where two windows share pixels, in each of them."""
    y0, x0 = max(one[0], other[0]), max(one[1], other[1])
    y1, x1 = max(y0, min(one[2], other[2])), max(x0, min(one[3], other[3]))
    first, second = (
        (slice(y0 - window[0], y1 - window[0]), slice(x0 - window[1], x1 - window[1]))
        for window in (one, other)
    )
    return first, second


def _is_same(one: FoundObject, other: FoundObject) -> bool:
    """Whether two objects share at least half of the smaller."""
    if not _overlaps(one.window, other.window):
        return False
    mine, theirs = _common(one.window, other.window)
    shared = np.count_nonzero(one.mask[mine] & other.mask[theirs])
    return bool(shared >= SAME * min(one.area, other.area))


def _agree(one: FoundObject, other: FoundObject) -> bool:
    """Whether two pieces share at least half of the smaller, where both tiles show them."""
    if one.tile is None or other.tile is None or not _overlaps(one.window, other.window):
        return False
    mine, theirs = _common(one.window, other.window)
    shared = np.count_nonzero(one.mask[mine] & other.mask[theirs])
    areas = []
    for each, seen in ((one, other.tile.window), (other, one.tile.window)):
        where, _ = _common(each.window, seen)
        areas.append(np.count_nonzero(each.mask[where]))
    return bool(shared and shared >= SAME * min(areas))
