"""How well the objects that were found without a prompt meet the true ones.

True and found objects are paired one to one: as many pairs as possible that reach an IoU, and among
these ways the one with the highest sum (Kuhn 1955, the Hungarian method). Panoptic quality is that
of Kirillov et al. 2019, "Panoptic segmentation".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from napari_sam.training.clicks import Mask

from .protocol import MIN_AREA

MATCHED, CLOSE = 0.5, 0.75  # IoU from which on an object is found, and is found well

Region: TypeAlias = tuple[tuple[slice, slice], Mask]
"""Rows and columns of a frame, and which pixels of these."""


@dataclass(frozen=True)
class Counts:
    """What became of the objects of a frame, or of all frames of a source."""

    n_true: int = 0
    n_found: int = 0
    n_matched: int = 0
    n_close: int = 0
    sum_iou: float = 0.0  # of the matched pairs
    n_rejected: int = 0  # missed, although a proposal that was dropped would have matched
    complete: bool = True  # every object is labelled, so that a found one without a match is wrong

    def __add__(self, other: Counts) -> Counts:
        sums = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
        }
        return Counts(**{**sums, "complete": self.complete and other.complete})


@dataclass(frozen=True)
class FoundScore:
    """Measures over all objects of a source, or their means over sources.

    Where not all objects are labelled it is unknown which found ones are wrong: precision, F1 and
    PQ are NaN there.
    """

    n_objects: int
    n_found: int
    precision: float
    recall: float
    f1_50: float
    f1_75: float
    matched_iou: float  # mean over the pairs
    pq: float
    never_proposed: float  # share of the true objects that no proposal matched
    rejected: float  # share of them that only a dropped proposal matched

    @classmethod
    def of(cls, counts: Counts) -> FoundScore:
        """The measures of counts."""
        both = counts.n_true + counts.n_found
        n_missed = counts.n_true - counts.n_matched
        known = 1.0 if counts.complete else np.nan
        return cls(
            n_objects=counts.n_true,
            n_found=counts.n_found,
            precision=known * _share(counts.n_matched, counts.n_found),
            recall=_share(counts.n_matched, counts.n_true),
            f1_50=known * _share(2 * counts.n_matched, both),
            f1_75=known * _share(2 * counts.n_close, both),
            matched_iou=_share(counts.sum_iou, counts.n_matched),
            pq=known * _share(2 * counts.sum_iou, both),
            never_proposed=_share(n_missed - counts.n_rejected, counts.n_true),
            rejected=_share(counts.n_rejected, counts.n_true),
        )

    @classmethod
    def mean(cls, scores: Sequence[FoundScore]) -> FoundScore:
        """Over sources, each measure over those where it is known; the counts are sums."""
        rows = np.array([[getattr(score, f.name) for f in fields(cls)] for score in scores])
        known = ~np.isnan(rows)
        sums = np.where(known, rows, 0).sum(0)
        n_known = known.sum(0)
        means = np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan)
        return cls(int(sums[0]), int(sums[1]), *map(float, means[2:]))


@dataclass(frozen=True)
class Match:
    """Which object of a frame is which."""

    pairs: tuple[tuple[int, int, float], ...]  # ids, true and found, and their IoU
    n_close: int
    false: tuple[int, ...]  # found, but no labelled object
    rejected: tuple[int, ...]  # true; a proposal that was dropped would have matched
    never_proposed: tuple[int, ...]  # true; no proposal matches
    complete: bool

    @property
    def counts(self) -> Counts:
        """How many of each."""
        return Counts(
            n_true=len(self.pairs) + len(self.rejected) + len(self.never_proposed),
            n_found=len(self.pairs) + len(self.false),
            n_matched=len(self.pairs),
            n_close=self.n_close,
            sum_iou=sum(iou for *_, iou in self.pairs),
            n_rejected=len(self.rejected),
            complete=self.complete,
        )


def match(
    truth: NDArray[np.integer],
    found: NDArray[np.integer],
    dropped: Iterable[Region] = (),
    *,
    complete: bool = True,
) -> Match:
    """Pair what was found in a frame with what is there.

    Specks of less than `MIN_AREA` pixels are debris of the annotation: no objects, but to find one
    is no mistake.

    Parameters
    ----------
    truth, found
        Labels (H, W), 0 where there is no object.
    dropped
        Further proposals, which tell an object that was rejected from one never proposed.
    complete
        Whether all objects are labelled.
    """
    true_ids, in_truth = np.unique(truth, return_inverse=True)
    found_ids, in_found = np.unique(found, return_inverse=True)
    true_areas, found_areas = (np.bincount(each.ravel()) for each in (in_truth, in_found))
    codes, common = np.unique(
        in_truth.ravel() * len(found_ids) + in_found.ravel(), return_counts=True
    )
    t, f = np.divmod(codes, len(found_ids))  # which true and found objects share pixels
    is_true = (true_ids > 0) & (true_areas >= MIN_AREA)
    in_debris = ((true_ids > 0) & (true_areas < MIN_AREA))[t]
    on_debris = np.bincount(f[in_debris], common[in_debris], minlength=len(found_ids))
    is_found = (found_ids > 0) & (on_debris < MATCHED * found_areas)
    counts = is_true[t] & is_found[f]
    t, f, common = t[counts], f[counts], common[counts]
    ious = common / (true_areas[t] + found_areas[f] - common)

    pairs = paired(t, f, ious, MATCHED)
    nth_true, nth_found = t[pairs], f[pairs]
    missed = np.setdiff1d(true_ids[is_true], true_ids[nth_true])
    best = _best_ious(truth, true_ids, true_areas, dropped)
    proposed = true_ids[best >= MATCHED]
    return Match(
        pairs=tuple(
            (int(true_id), int(found_id), float(iou))
            for true_id, found_id, iou in zip(
                true_ids[nth_true], found_ids[nth_found], ious[pairs], strict=True
            )
        ),
        n_close=len(paired(t, f, ious, CLOSE)),
        false=_ids(np.setdiff1d(found_ids[is_found], found_ids[nth_found])),
        rejected=_ids(np.intersect1d(missed, proposed)),
        never_proposed=_ids(np.setdiff1d(missed, proposed)),
        complete=complete,
    )


def paired(
    true: NDArray[np.intp], found: NDArray[np.intp], ious: NDArray[np.floating], least: float
) -> NDArray[np.intp]:
    """Which overlaps (N,) of true and found objects are pairs, each object in one at most.

    Above 0.5 no object can reach the IoU with two others that share no pixel; at 0.5 it can, so
    that all but a few overlaps are pairs as they are.
    """
    reached = np.flatnonzero(ious >= least)
    t, f = true[reached], found[reached]
    contested = (np.bincount(t)[t] > 1) | (np.bincount(f)[f] > 1)
    rivals = reached[contested]
    rows, row = np.unique(true[rivals], return_inverse=True)
    columns, column = np.unique(found[rivals], return_inverse=True)
    worth = np.zeros((len(rows), len(columns)))
    worth[row, column] = 1 + len(rows) + ious[rivals]  # no sum of IoU outweighs a pair
    nth = np.full(worth.shape, -1)
    nth[row, column] = rivals
    chosen = nth[optimize.linear_sum_assignment(worth, maximize=True)]
    return np.sort(np.concatenate([reached[~contested], chosen[chosen >= 0]]))


def _best_ious(
    truth: NDArray[np.integer],
    ids: NDArray[np.integer],
    areas: NDArray[np.integer],
    regions: Iterable[Region],
) -> NDArray[np.float64]:
    """The highest IoU of any region with each of the true objects, (T,)."""
    best = np.zeros(len(ids))
    for window, mask in regions:
        inside, counts = np.unique(truth[window][mask], return_counts=True)
        _, nth, where = np.intersect1d(ids, inside, return_indices=True)
        common = counts[where]
        best[nth] = np.maximum(best[nth], common / (areas[nth] + mask.sum() - common))
    return best


def _ids(ids: NDArray[np.integer]) -> tuple[int, ...]:
    return tuple(ids.tolist())


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
