"""Whether an object has just divided: its sister is on the other side of where their mother was.

After a division, one daughter is followed in place of the mother; she is smaller, or to one side
of her mother's place. So the network is prompted with a click as far to the other side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import Prompts

if TYPE_CHECKING:
    from napari_sam.engine import Embedding, Predictor

from napari_sam.session.region import Region

from .motion import Picture, diameter_of, follow

SMALLER = 0.8  # of her mother's area has a daughter at most,
ASIDE = 0.3  # or she is at least so many of her mother's diameters to one side
LIKENESS = 0.25  # of the smaller daughter's area to the larger one's, at least
TOGETHER = 2.0  # mothers' areas that both daughters have, at most
SHARED = 0.1  # of the sister's pixels, at most, that are somebody's
SURE = 0.5  # IoU prediction of the sister's mask, at least
KNOWN = 0.7  # likeness of her picture from which it is that of a neighbour in the last frame


class Parting(NamedTuple):
    """An object in the last frame, and in this one."""

    before: Region
    now: Region
    velocity: tuple[float, float]  # yx, how far it was to move if it went on


def divided(
    partings: Sequence[Parting],
    taken: NDArray[np.bool_],
    pictures: tuple[Picture, Picture],
    embedding: Embedding,
    predictor: Predictor,
) -> list[bool]:
    """Whether each of these is one of two now: in two pieces, or with a sister that is nobody's.

    Parameters
    ----------
    taken
        ``(H, W)``, the pixels of this frame that belong to any object.
    pictures
        The last frame and this one.
    embedding
        Of this frame.
    """
    verdicts = [_in_two(each.now) and not _in_two(each.before) for each in partings]
    clicks = {
        n: click
        for n, parting in enumerate(partings)
        if not verdicts[n] and (click := _opposite(parting, taken)) is not None
    }
    prompts = (Prompts.from_points([click]) for click in clicks.values())
    predictions = predictor.predict_many(embedding, prompts, multimask=False)
    for n, prediction in zip(clicks, predictions, strict=True):
        if prediction.iou_predictions[0] >= SURE:
            sister = prediction.mask()
            verdicts[n] = _is_sister(sister, partings[n], taken) and not _was_there(
                Region.from_mask(sister), partings[n].before, *pictures
            )
    return verdicts


def _in_two(region: Region) -> bool:
    """Whether a region is in pieces, the largest two of which are alike."""
    pieces, n_pieces = ndimage.label(region.pixels)
    areas = np.sort(np.bincount(pieces[region.pixels], minlength=n_pieces + 1))
    return n_pieces > 1 and bool(areas[-2] >= LIKENESS * areas[-1])


def _opposite(parting: Parting, taken: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Where the sister's centre should be: within the frame, and nobody's."""
    mother, daughter = _centre(parting.before), _centre(parting.now)
    expected = (mother, mother + parting.velocity)
    aside = min(math.dist(place, daughter) for place in expected) / diameter_of(parting.before)
    if aside < ASIDE and parting.now.area > SMALLER * parting.before.area:
        return None
    y, x = 2 * mother - daughter
    row, column = round(y), round(x)
    inside = 0 <= row < taken.shape[0] and 0 <= column < taken.shape[1]
    return (float(y), float(x)) if inside and not taken[row, column] else None


def _centre(region: Region) -> NDArray[np.float64]:
    centre: NDArray[np.float64] = np.add(ndimage.center_of_mass(region.pixels), region.window[:2])
    return centre


def _is_sister(mask: NDArray[np.bool_], parting: Parting, taken: NDArray[np.bool_]) -> bool:
    """Whether a mask is as large as the daughter's, nobody's, and both may have been the mother."""
    area, other = int(np.count_nonzero(mask)), parting.now.area
    return (
        min(area, other) >= LIKENESS * max(area, other)
        and area + other <= TOGETHER * parting.before.area
        and int(np.count_nonzero(mask & taken)) <= SHARED * area
    )


def _was_there(sister: Region, mother: Region, before: Picture, after: Picture) -> bool:
    """Whether the last frame shows it beside the mother already: then it is a neighbour."""
    back = follow(sister, after, before)
    then = sister.moved(round(back.y), round(back.x))
    beside = then.common(mother).area < sister.area / 2
    return beside and back.similarity >= KNOWN
