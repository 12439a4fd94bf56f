"""Which proposals stand: decided late and from their values alone, so that nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.masks import polygon_mask

from .found import Annotated, Dropped, FoundObject
from .options import AutomaticOptions
from .regions import without_small_regions

DUPLICATE = 0.5  # IoU with a better object from which one is the same, not its neighbour
ANNOTATED = -1  # owner of pixels that are labelled already


def decide_at_once(
    found: Sequence[FoundObject],
    options: AutomaticOptions,
    frame_shape: tuple[int, int],
    annotated: Annotated | None = None,
) -> list[FoundObject]:
    """Say of each proposal of one embedding whether it stands, or why not.

    Parameters
    ----------
    found
        Of one method; what was decided of them before does not count.
    options
        Its filters may be other ones than those that the proposals were made with.
    frame_shape
        ``(H, W)``.
    annotated
        Object ids ``(H, W)``, or what reads windows of them: what is labelled already and stays.

    Returns
    -------
    The proposals in their order, each with ``dropped``.
    """
    decided = [each.drop(why_unfit(each, options)) for each in found]
    standing = [n for n, each in enumerate(decided) if each.dropped is None]
    if standing and found[standing[0]].method == "grid":
        distinct = _tidied(decided, _distinct(decided, standing, options), options, frame_shape)
        for nth in set(standing).difference(distinct):
            decided[nth] = decided[nth].drop("duplicate")
    _merge(decided, options, frame_shape, annotated)
    _drop_outside(decided, options, frame_shape)
    return decided


def to_labels(
    found: Iterable[FoundObject], frame_shape: tuple[int, int], first_id: int = 1
) -> NDArray[np.uint32]:
    """Labels ``(H, W)`` of the objects that stand, numbered in their order.

    Where they overlap, the pixels are the better one's.
    """
    labels = np.zeros(frame_shape, np.uint32)
    standing = [each for each in found if each.dropped is None]
    for nth in reversed(_best_first(standing)):
        labels[standing[nth].where][standing[nth].mask] = first_id + nth
    return labels


def _best_first(found: Sequence[FoundObject]) -> list[int]:
    """Positions of objects, the highest rank first; of equals the first."""
    scores = np.array([each.rank for each in found])
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order


def why_unfit(found: FoundObject, options: AutomaticOptions) -> Dropped | None:
    """What filters speak against an object by itself; ``None``: nothing."""
    min_score, min_stability = options.thresholds(found.method)
    if min_score > 0 and found.score <= min_score:
        return "low score"
    if found.stability < min_stability:
        return "low stability"
    if not found.area:  # too bad for a mask when it was decoded
        return "low stability" if found.stability else "low score"
    if found.likeness is not None and found.likeness < options.min_likeness:
        return "unlike the examples"
    if found.cut_off:
        return "cut off"
    if found.area < options.smallest(found.method):
        return "too small"
    if options.max_area is not None and found.area > options.max_area:
        return "too large"
    if options.min_roundness > 0 and found.roundness < options.min_roundness:
        return "not round"
    if found.intensity is not None and found.intensity < options.min_intensity:
        return "too dark"
    if found.intensity is not None and found.intensity > options.max_intensity:
        return "too bright"
    return None


def _distinct(
    found: Sequence[FoundObject], standing: Iterable[int], options: AutomaticOptions
) -> list[int]:
    """What of objects of a grid is not in the box of a better one: in each crop, then between."""
    kept: list[int] = []
    for _, alike in groupby(standing, key=lambda n: found[n].crop):
        in_crop = list(alike)
        order = _best_first([found[n] for n in in_crop])
        kept += _kept([in_crop[n] for n in order], found, options.grid.box_nms_thresh)
    if not options.grid.crop_n_layers:
        return kept
    kept.sort(key=lambda n: _crop_area(found[n]))  # what was seen larger is the better one
    return _kept(kept, found, options.grid.crop_nms_thresh)


def _tidied(
    found: list[FoundObject],
    distinct: list[int],
    options: AutomaticOptions,
    frame_shape: tuple[int, int],
) -> list[int]:
    """What is left of distinct objects once their small regions are gone, which are replaced."""
    rules = options.grid
    if not rules.min_mask_region_area:
        return distinct
    changed = set()
    for nth in distinct:
        tidied = without_small_regions(found[nth], rules.min_mask_region_area, frame_shape)
        if tidied is not found[nth]:
            found[nth] = tidied
            changed.add(nth)
    unchanged_first = sorted(distinct, key=changed.__contains__)
    return _kept(unchanged_first, found, max(rules.box_nms_thresh, rules.crop_nms_thresh))


def _crop_area(found: FoundObject) -> float:
    if found.crop is None:
        return float("inf")
    y0, x0, y1, x1 = found.crop
    return (y1 - y0) * (x1 - x0)


def _kept(order: list[int], found: Sequence[FoundObject], threshold: float) -> list[int]:
    """Greedy non-maximum suppression of objects given in order, by the IoU of their boxes.

    A box reaches from the centre of its first pixel to that of its last, and what is compared is in
    single precision, as segment-anything and torchvision have it.
    """
    if not order:
        return []
    windows = np.array([found[n].window for n in order], np.float32)
    y0, x0, y1, x1 = (*windows[:, :2].T, *(windows[:, 2:] - 1).T)
    areas = (y1 - y0) * (x1 - x0)
    left = np.arange(len(order))
    kept = []
    while len(left):
        first, left = left[0], left[1:]
        kept.append(order[first])
        height = np.minimum(y1[first], y1[left]) - np.maximum(y0[first], y0[left])
        width = np.minimum(x1[first], x1[left]) - np.maximum(x0[first], x0[left])
        common = np.maximum(height, 0) * np.maximum(width, 0)
        union = np.maximum(areas[first] + areas[left] - common, 1)
        left = left[(common / union).astype(np.float64) <= threshold]
    return kept


def _merge(
    found: list[FoundObject],
    options: AutomaticOptions,
    frame_shape: tuple[int, int],
    annotated: Annotated | None,
) -> None:
    """From the best down, give each object the pixels that are free, or drop it."""
    owners = np.zeros(frame_shape, np.int32)  # 1 and more: which object, and one
    if annotated is not None:
        owners[annotated[:, :] > 0] = ANNOTATED
    for nth in _best_first(found):
        each = found[nth]
        if each.dropped:
            continue
        mask = each.mask
        there = owners[each.where]
        reason = _why_covered(each, there[mask], found, options)
        if reason:
            found[nth] = each.drop(reason)
        else:
            there[mask & (there == 0)] = nth + 1


def _why_covered(
    each: FoundObject,
    owners: NDArray[np.int32],
    found: Sequence[FoundObject],
    options: AutomaticOptions,
) -> Dropped | None:
    """What is wrong with an object whose pixels have these owners (area,)."""
    taken = owners[owners != 0]
    if not len(taken):
        return None
    most = options.overlap * each.area
    if np.count_nonzero(taken == ANNOTATED) > most:
        return "annotated already"
    left = each.area - len(taken)
    if len(taken) <= most and left >= (options.min_area or 0):
        return None
    others, counts = np.unique(taken[taken > 0], return_counts=True)
    if not len(others):
        return "annotated already"
    common = int(counts.max())
    other = found[others[counts.argmax()] - 1]
    is_same = common > DUPLICATE * (each.area + other.area - common)
    return "duplicate" if is_same else "cut by a neighbour"


def _drop_outside(
    found: list[FoundObject], options: AutomaticOptions, frame_shape: tuple[int, int]
) -> None:
    """Drop what lies elsewhere than asked: only now, since its parts would take its place."""
    inside = None
    if options.within is not None:
        inside = polygon_mask(np.array(options.within), frame_shape)
    height, width = frame_shape
    for nth, each in enumerate(found):
        y0, x0, y1, x1 = each.window
        if each.dropped:
            continue
        if inside is not None and 2 * np.count_nonzero(inside[each.where] & each.mask) < each.area:
            found[nth] = each.drop("outside")
        elif not options.border and (y0 == 0 or x0 == 0 or y1 == height or x1 == width):
            found[nth] = each.drop("at the border")
