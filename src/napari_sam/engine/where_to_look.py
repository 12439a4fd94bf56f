"""Frames larger than the network's input: which part to look at, and at what size, for a prompt.

The whole of a large frame would be shrunk until its cells are gone. So an object is looked at in a
crop in which it has a size that networks know. The size comes from a box or a mask, from the
expected diameter, or from what is on screen. Where none is known, crops of several sizes around the
prompt are tried, the smallest first, and the best answer is kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .crop import FINE_STEPS, LONG_SIDE, Box, Crop, crop_around, is_large, whole
from .masks import mask_to_box
from .prompts import Prompts, checked_diameter

if TYPE_CHECKING:
    from .embeddings.cache import CachedEmbedding
    from .prediction import Prediction
    from .predictor import Predictor

KNOWN = 40.0  # input pixels that an object of known size is wide at least, twice that at most
SMALLEST = 256  # pixels of the frame that are enlarged to the input
LADDER = 4  # times the side of the crop before: the embedded network itself sees three sizes
RUNGS = 3  # crops tried for a click
MOST_WIDENED = 2  # times that a crop is doubled for an object that reaches out of it
FARTHEST = 16  # times: a crop so much smaller than what is on screen is not tried
WIDEST_SCREEN = 4  # sides of a crop: on a wider screen only the middle is embedded ahead
MOST_BESIDE = 12  # crops embedded ahead; those of all of a screen of two by two sides are 25
SURE = 0.45  # IoU prediction of a click from which on no larger crop is tried

Embed: TypeAlias = "Callable[[Crop | None], CachedEmbedding]"


def crops_to_look_at(
    prompts: Prompts,
    frame_shape: tuple[int, int],
    diameter: float | None = None,
    seen: Box | None = None,
    earlier: Crop | None = None,
) -> tuple[Crop, ...]:
    """The crops to look at for one object, in this order; none of a frame that fits the input.

    Parameters
    ----------
    prompts
        Points, box and mask of the object, yx in frame pixels.
    frame_shape
        ``(H, W)``.
    diameter
        Of objects as they are expected, in frame pixels.
    seen
        ``(y0, x0, y1, x1)`` of the frame that is on screen. Its own crop is taken, if the prompts
        are in it.
    earlier
        The crop in which the object was found before: kept, if the prompts are in it, so that
        corrections go on with the same mask.

    Raises
    ------
    PromptError
        If no object can have that diameter.
    """
    checked_diameter(diameter)
    if not is_large(frame_shape):
        return ()
    box = _around(prompts, frame_shape)
    if earlier is not None and earlier.holds(box, frame_shape):
        return (earlier,)
    if prompts.box is not None or prompts.mask is not None:
        sides: tuple[int, ...] = (_side_for(max(box[2] - box[0], box[3] - box[1])),)
    else:
        sides = _sides_for(frame_shape, diameter, seen)
    crops = [_crop_at(box, side, frame_shape, seen) for side in sides]
    return tuple(dict.fromkeys(crops))


def crop_following(
    box: Box, room: float, frame_shape: tuple[int, int], known: Iterable[Crop] = ()
) -> Crop | None:
    """The crop to look for an object in that was last seen in a box; ``None``: the whole frame.

    Parameters
    ----------
    box
        ``(y0, x0, y1, x1)`` around the object, in frame pixels.
    room
        Pixels around the box that are to be seen as well: how far the object may have moved.
    known
        Crops that are taken before others, in this order: those of objects nearby, and where this
        one was found last. One that shows the object smaller, or more than twice as large, is not.
    """
    if not is_large(frame_shape):
        return None
    y0, x0, y1, x1 = box
    side = _side_for(max(y1 - y0, x1 - x0))
    wide = (y0 - room, x0 - room, y1 + room, x1 + room)
    for crop in known:
        if side / 2 <= crop.long_side <= side and crop.holds(wide, frame_shape):
            return crop
    crop = crop_around(wide, side, frame_shape, FINE_STEPS)
    return None if crop == whole(frame_shape) else crop


def crop_on_screen(
    seen: Box, frame_shape: tuple[int, int], diameter: float | None = None
) -> Crop | None:
    """The crop in which a click in the middle of the screen is looked at first.

    ``None``: the whole frame, which fits the input.
    """
    if not is_large(frame_shape):
        return None
    side = _sides_for(frame_shape, diameter, seen)[0]
    return crop_around(_middle(seen), side, frame_shape, FINE_STEPS)


def crops_beside(
    seen: Box, frame_shape: tuple[int, int], diameter: float | None = None
) -> list[Crop]:
    """The crops in which clicks at the border of the screen are looked at first, if others.

    Those next to the middle of the screen come first, and those far from it are left out.
    """
    on_screen = crop_on_screen(seen, frame_shape, diameter)
    y0, x0, y1, x1 = seen
    if on_screen is None or max(y1 - y0, x1 - x0) > WIDEST_SCREEN * on_screen.long_side:
        return []
    side = on_screen.long_side
    clicks = itertools.product(_steps(y0, y1, side / FINE_STEPS), _steps(x0, x1, side / FINE_STEPS))
    crops = dict.fromkeys(_crop_at((y, x, y, x), side, frame_shape, seen) for y, x in clicks)
    middle = _middle(seen)[:2]
    nearest = sorted(crops.keys() - {on_screen}, key=lambda crop: (_distance(crop, middle), crop))
    return nearest[:MOST_BESIDE]


def look(
    embed: Embed,
    predictor: Predictor,
    prompts: Prompts,
    crops: Sequence[Crop],
    frame_shape: tuple[int, int],
    *,
    candidate: int | None = None,
    diameter: float | None = None,
) -> tuple[CachedEmbedding, Prediction]:
    """Decode the prompts of one object where they are best answered.

    Of several crops the first with a sure answer counts, else the one with the surest. A single
    crop is made wider as long as the object reaches out of it.

    Parameters
    ----------
    embed
        Gives the embedding of a crop; of the whole frame for ``None``.
    prompts
        In frame pixels.
    crops
        What :func:`where_to_look` returned; none: all of the frame.
    frame_shape
        ``(H, W)``.
    candidate, diameter
        As in :meth:`Predictor.refine`.

    Returns
    -------
    cached, prediction
        The embedding that was decoded, which says of which crop it is; and the masks in that crop.
    """
    config = predictor.model.network.config

    def filled(cached: CachedEmbedding) -> tuple[int, int]:
        """The low-res logits that show the crop; others are padding."""
        height, width = cached.embedding.input_shape
        stride = config.input_size // config.mask_size
        return math.ceil(height / stride), math.ceil(width / stride)

    def decoded(crop: Crop | None) -> _Look:
        cached = embed(crop)
        prediction = predictor.refine(
            cached.embedding,
            prompts if crop is None else prompts.within(crop),
            candidate=candidate,
            diameter=diameter,
            memo=cached.memo,
        )
        is_inside = crop is None or not _reaches_out(prediction, filled(cached), crop, frame_shape)
        return _Look(cached, prediction, crop, is_inside)

    if not crops:
        return decoded(None)[:2]
    looks = []
    for crop in crops:
        looks.append(decoded(crop))
        if looks[-1].is_inside and looks[-1].score >= SURE:
            break
    best = max(looks, key=lambda each: (each.is_inside, each.score))
    if len(crops) == 1:
        best = _widened(decoded, best, _around(prompts, frame_shape), frame_shape)
    return best[:2]


class _Look(NamedTuple):
    """One object in one crop."""

    cached: CachedEmbedding
    prediction: Prediction
    crop: Crop | None
    is_inside: bool  # it ends within the crop, or with the frame

    @property
    def score(self) -> float:
        """How sure the network is of the best mask."""
        return float(self.prediction.iou_predictions[self.prediction.best])


def _widened(
    decoded: Callable[[Crop], _Look], look: _Look, box: Box, frame_shape: tuple[int, int]
) -> _Look:
    for _ in range(MOST_WIDENED):
        if look.is_inside or look.crop is None:
            break
        look = decoded(crop_around(box, 2 * look.crop.long_side, frame_shape))
    return look


def _reaches_out(
    prediction: Prediction, filled: tuple[int, int], crop: Crop, frame_shape: tuple[int, int]
) -> bool:
    """Whether the best mask comes up to a border of the crop that is none of the frame."""
    height, width = filled
    mask = prediction.low_res_logits[prediction.best][:height, :width] > 0
    return bool(
        (crop.top > 0 and mask[0].any())
        or (crop.left > 0 and mask[:, 0].any())
        or (crop.bottom < frame_shape[0] and mask[-1].any())
        or (crop.right < frame_shape[1] and mask[:, -1].any())
    )


def _sides_for(
    frame_shape: tuple[int, int], diameter: float | None, seen: Box | None
) -> tuple[int, ...]:
    """The sides of crops to try for an object of which nothing but a click is known."""
    if diameter is not None:
        return (_side_for(diameter),)
    shown = LONG_SIDE if seen is None else max(seen[2] - seen[0], seen[3] - seen[1])
    if shown <= LONG_SIDE:
        first = _power(shown)
    else:
        first = LONG_SIDE
        while FARTHEST * first < min(shown, max(frame_shape)):
            first *= LADDER
    return tuple(first * LADDER**n for n in range(RUNGS))


def _crop_at(box: Box, side: int, frame_shape: tuple[int, int], seen: Box | None) -> Crop:
    """The crop around prompts; the one on screen, if it is of this side and they are well in it."""
    if seen is not None:
        on_screen = crop_around(_middle(seen), side, frame_shape, FINE_STEPS)
        if on_screen.holds(box, frame_shape):
            return on_screen
    return crop_around(box, side, frame_shape)


def _side_for(extent: float) -> int:
    """The side of a crop in which an object of this extent has a size that networks know."""
    return _power(extent * LONG_SIDE / KNOWN, math.floor)


def _power(side: float, rounded: Callable[[float], int] = math.ceil) -> int:
    """A power of two, of at least the smallest side."""
    return int(2 ** max(rounded(math.log2(max(side, 1.0))), int(math.log2(SMALLEST))))


def _steps(start: float, stop: float, step: float) -> list[float]:
    """Positions from start to stop, both included, at most so far from each other."""
    n = math.ceil((stop - start) / step)
    return [start + (stop - start) * k / n for k in range(n + 1)]


def _distance(crop: Crop, point_yx: tuple[float, float]) -> float:
    middle = (crop.top + crop.bottom - 1) / 2, (crop.left + crop.right - 1) / 2
    return math.dist(middle, point_yx)


def _middle(box: Box) -> Box:
    y, x = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return y, x, y, x


def _around(prompts: Prompts, frame_shape: tuple[int, int]) -> Box:
    """The box around everything that was clicked and drawn in a frame."""
    boxes = [(y, x, y, x) for y, x in prompts.points]
    if prompts.box is not None:
        boxes.append(prompts.box)
    if prompts.mask is not None and (box := mask_to_box(prompts.mask)) is not None:
        boxes.append(box)
    tops, lefts, bottoms, rights = zip(*boxes, strict=True)
    low, high = (min(tops), min(lefts)), (max(bottoms), max(rights))
    (y0, x0), (y1, x1) = (
        [min(max(at, 0.0), size - 1.0) for at, size in zip(corner, frame_shape, strict=True)]
        for corner in (low, high)
    )
    return y0, x0, y1, x1
