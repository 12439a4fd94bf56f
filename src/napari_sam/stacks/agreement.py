"""Whether what was found leads back to where it came from: forward-backward agreement.

An object that was found in a frame is looked for in the frame before, in the same way. Where that
leads to the mask it was found from, both are likely right; where it leads to a larger or a smaller
one, or to a neighbour, the object has been lost, and stays lost in the frames after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from napari_sam.engine import Embedding, Predictor

from napari_sam.session import Region

from .appearance import Appearance, with_evidence
from .decoding import decode_objects
from .motion import Picture, follow, shifted


class Step(NamedTuple):
    """An object in the last frame, and the mask found in this one."""

    before: Region
    now: Region
    drift: tuple[float, float] | None = None  # yx, along depth; None: its picture is looked for
    appearance: Appearance | None = None  # along depth


def agreements(
    steps: Sequence[Step],
    pictures: tuple[Picture, Picture],
    embedding: Embedding,
    predictor: Predictor,
) -> list[float]:
    """IoU of each object in the last frame with what its mask of this frame leads back to.

    Parameters
    ----------
    pictures
        The last frame and this one.
    embedding
        Of the last frame.
    """
    before, now = pictures
    places = [_led_back(step, now, before, embedding.frame_shape) for step in steps]
    there = [place for place in places if place]
    decoded = iter(decode_objects(there, embedding, predictor))
    agreed = []
    for step, place in zip(steps, places, strict=True):
        found = Region.empty()
        if place:
            answer = with_evidence(next(decoded), step.appearance, before)
            found = Region.from_mask(answer.values > 0, *answer.window[:2])
        common = found.common(step.before).area
        agreed.append(common / max(found.area + step.before.area - common, 1))
    return agreed


def _led_back(step: Step, now: Picture, before: Picture, frame_shape: tuple[int, int]) -> Region:
    """Where the picture of what was found was in the last frame."""
    if step.drift is None:
        y, x, _ = follow(step.now, now, before)
    else:
        y, x = -step.drift[0], -step.drift[1]
    return shifted(step.now, round(y), round(x), frame_shape)
