"""The outlines of all objects of a frame along the edges of their pixels, with their holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.measure import label

Ring = NDArray[np.int64]
"""Corners of pixels ``(N, 2)``, y and x: the first pixel reaches from 0 to 1. Not closed."""

RIGHT, DOWN, LEFT, UP = range(4)


@dataclass(frozen=True, eq=False)
class Piece:
    """A part of an object whose pixels touch side by side."""

    object_id: int
    outline: Ring
    holes: tuple[Ring, ...]


def outlines(labels: NDArray[Any]) -> list[Piece]:
    """All pieces of all objects of a frame ``(H, W)``.

    Objects, and pieces of one, that touch at a corner are apart. Rings are simple: none meets
    itself, so that polygons of them are valid.
    """
    pieces = label(labels, background=0, connectivity=1)
    n_pieces = int(pieces.max(initial=0))
    if not n_pieces:
        return []
    start, end, direction, owner = _edges(pieces)
    following = _following(start, end, direction, owner)
    order, lengths = _cycles(following)
    # Corners only: where the direction changes
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    turns = direction[order] != direction[before[order]]
    ring = np.repeat(np.arange(len(lengths)), lengths)[turns]
    width = pieces.shape[1] + 1
    corners = np.stack(np.divmod(start[order][turns], width), axis=1)
    begins = np.flatnonzero(np.diff(ring, prepend=-1))
    rings = np.split(corners, begins[1:])
    is_outer = _signed_areas(corners, begins) > 0
    of_piece = owner[order][turns][begins]
    ids = np.zeros(n_pieces + 1, np.int64)
    ids[pieces.ravel()] = labels.ravel()
    holes: dict[int, list[Ring]] = {}
    for piece, each, outer in zip(of_piece.tolist(), rings, is_outer.tolist(), strict=True):
        if not outer:
            holes.setdefault(piece, []).append(each)
    found = [
        Piece(int(ids[piece]), each, tuple(holes.get(piece, ())))
        for piece, each, outer in zip(of_piece.tolist(), rings, is_outer.tolist(), strict=True)
        if outer
    ]
    return sorted(found, key=lambda piece: piece.object_id)


def by_object(pieces: list[Piece]) -> dict[int, list[Piece]]:
    """The pieces of each object."""
    found: dict[int, list[Piece]] = {}
    for piece in pieces:
        found.setdefault(piece.object_id, []).append(piece)
    return found


def _edges(pieces: NDArray[Any]) -> tuple[NDArray[np.int64], ...]:
    """Sides of pixels where a piece ends, around it clockwise: start, end, direction, piece."""
    height, width = pieces.shape
    padded = np.pad(pieces, 1)
    core = padded[1:-1, 1:-1]
    steps = {UP: (-1, 0), RIGHT: (0, 1), DOWN: (1, 0), LEFT: (0, -1)}
    # The side towards each neighbour: from which corner, to which, in which direction
    sides = {
        UP: ((0, 0), (0, 1), RIGHT),
        RIGHT: ((0, 1), (1, 1), DOWN),
        DOWN: ((1, 1), (1, 0), LEFT),
        LEFT: ((1, 0), (0, 0), UP),
    }
    parts = []
    for side, (dy, dx) in steps.items():
        beside = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        y, x = np.nonzero((core != beside) & (core != 0))
        (y0, x0), (y1, x1), way = sides[side]
        start = (y + y0) * (width + 1) + x + x0
        end = (y + y1) * (width + 1) + x + x1
        parts.append((start, end, np.full(len(y), way), core[y, x]))
    return tuple(np.concatenate(each).astype(np.int64) for each in zip(*parts, strict=True))


def _following(
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    direction: NDArray[np.int64],
    owner: NDArray[np.int64],
) -> NDArray[np.intp]:
    """The edge after each one. Where pixels of a piece touch at a corner, it turns to the other
    pixel: an outline and a hole that meet there stay two rings."""
    keys = start * 4 + direction
    order = np.argsort(keys)
    keys = keys[order]
    found = np.full(len(start), -1)
    for turn in (3, 0, 1):  # left, straight on, right
        wanted = end * 4 + (direction + turn) % 4
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        there = (keys[at] == wanted) & (owner[order[at]] == owner) & (found < 0)
        found[there] = order[at][there]
    return found


def _cycles(following: NDArray[np.intp]) -> tuple[NDArray[np.intp], list[int]]:
    """All edges ring by ring, and how many each ring has."""
    after = following.tolist()
    seen = bytearray(len(after))
    order: list[int] = []
    lengths: list[int] = []
    for first in range(len(after)):
        if seen[first]:
            continue
        begin, edge = len(order), first
        while not seen[edge]:
            seen[edge] = 1
            order.append(edge)
            edge = after[edge]
        lengths.append(len(order) - begin)
    return np.array(order), lengths


def _signed_areas(corners: Ring, begins: NDArray[np.intp]) -> NDArray[np.int64]:
    """Twice the area of each ring, above 0 where it goes clockwise in an image."""
    after = np.arange(1, len(corners) + 1)
    after[np.append(begins[1:], len(corners)) - 1] = begins
    y, x = corners.T
    return np.asarray(np.add.reduceat(x * y[after] - x[after] * y, begins), np.int64)
