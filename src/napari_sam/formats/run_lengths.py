"""Masks as COCO's run lengths: pixels outside and inside in turn, down the columns of a frame."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import Runs

AT_ONCE = 7  # characters of a number: 35 bits


def counts_of(runs: Runs, n_pixels: int) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Pixels outside and inside in turn, of all objects one after the other; where each begins."""
    owner = np.repeat(np.arange(len(runs)), runs.counts)
    start = runs.rows * runs.shape[-1] + runs.starts
    stop = start + runs.lengths
    # Runs that go on in the next column are one
    begins = np.ones(len(start), bool)
    begins[1:] = (start[1:] != stop[:-1]) | (owner[1:] != owner[:-1])
    first = np.flatnonzero(begins)
    last = np.append(first, len(start))[1:] - 1
    owner, start, stop = owner[first], start[first], stop[last]
    is_first = np.diff(owner, prepend=-1) != 0
    before = np.where(is_first, 0, np.append(0, stop[:-1])[: len(stop)])
    pairs = np.stack([start - before, stop - start], axis=1)
    is_last = np.append(is_first[1:], True)[: len(stop)]
    rest = np.where(is_last, n_pixels - stop, -1)
    three = np.column_stack([pairs, rest])
    kept = np.column_stack([np.ones_like(pairs, bool), is_last & (rest > 0)])
    counts = three[kept]
    sizes = np.bincount(owner, kept.sum(axis=1), minlength=len(runs)).astype(int)
    return counts, np.cumsum(sizes) - sizes


def encode(counts: NDArray[np.int64], begins: NDArray[np.intp]) -> list[str]:
    """Run lengths as COCO's text: each number less the one two before it, five bits a character."""
    if not len(begins):
        return []
    place = np.arange(len(counts)) - np.repeat(begins, np.diff(begins, append=len(counts)))
    earlier = np.append([0, 0], counts)[: len(counts)]
    left = np.where(place > 2, counts - earlier, counts)
    characters = np.zeros((len(counts), AT_ONCE), np.uint8)
    used = np.zeros((len(counts), AT_ONCE), bool)
    going = np.ones(len(counts), bool)
    for n in range(AT_ONCE):
        bits = left & 0x1F
        left = left >> 5
        more = np.where(bits & 0x10, left != -1, left != 0)
        characters[:, n] = bits + np.where(more, 0x20, 0) + 48
        used[:, n] = going
        going = going & more
    text = characters[used].tobytes().decode("ascii")
    ends = np.cumsum(used.sum(axis=1))
    edges = [0, *ends[np.append(begins[1:], len(counts)) - 1].tolist()]
    return [text[begin:end] for begin, end in pairwise(edges)]


def decode(text: str) -> NDArray[np.int64]:
    """Run lengths from COCO's text."""
    codes = np.frombuffer(text.encode("latin-1"), np.uint8).astype(np.int64) - 48
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 0x20:
        raise ValueError("its run lengths are no text of COCO")
    ends = np.flatnonzero(~codes & 0x20)
    begins = np.append(0, ends[:-1] + 1)
    lengths = ends - begins + 1
    if lengths.max() > AT_ONCE:
        raise ValueError("one of its run lengths is too large")
    shift = 5 * (np.arange(len(codes)) - np.repeat(begins, lengths))
    numbers = np.add.reduceat((codes & 0x1F) << shift, begins)
    numbers -= np.where(codes[ends] & 0x10, np.left_shift(1, 5 * lengths), 0)
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers


def pixels_of(numbers: NDArray[np.int64], frame: tuple[int, ...]) -> NDArray[np.int64]:
    """The places of a mask's pixels, counted along the rows of its frame."""
    stops, inside = np.cumsum(numbers)[1::2], numbers[1::2]
    within = np.arange(inside.sum()) - np.repeat(np.cumsum(inside) - inside, inside)
    x, y = np.divmod(np.repeat(stops - inside, inside) + within, frame[0])
    return np.asarray(y * frame[1] + x, np.int64)
