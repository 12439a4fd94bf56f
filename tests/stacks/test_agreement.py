"""Forward-backward agreement: does what was found lead back to where it came from?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from movies import SIZE, disc, movie, moving, predictor
from napari_sam.engine import EmbeddingCache
from napari_sam.session import Region, Session
from napari_sam.stacks import plan, propagate
from napari_sam.stacks.agreement import Step, agreements
from napari_sam.stacks.motion import Picture
from napari_sam.stacks.track import NOT_LOST

# Two discs in the last frame; in this one they have moved by 3 to the right
STACK, LABELS = movie({1: moving(20, 16, 0, 3, 2), 2: moving(44, 30, 0, 3, 2, 9)})
ONE, OTHER = (LABELS == 1), (LABELS == 2)


@dataclass(frozen=True)
class Case:
    name: str
    before: np.ndarray
    now: np.ndarray
    least: float
    most: float


CASES = (
    Case("found again", ONE[0], ONE[1], 0.8, 1.0),
    Case("found too large, led back to what it was", ONE[0], disc(20, 19, 8), 0.6, 1.0),
    Case("gone over to a neighbour", ONE[0], OTHER[1], 0.0, 0.05),
    Case("swallowed a neighbour", ONE[0], ONE[1] | OTHER[1], 0.0, 0.5),
    Case(
        "half of what it was, which is all there is of it", ONE[0], ONE[1] & disc(17, 19, 6), 0.6, 1
    ),
    Case("in the dark", ONE[0], disc(50, 10, 5), 0.0, 0.05),
)


def test_agreement() -> None:
    seeing, cache = predictor(), EmbeddingCache()
    frames = [STACK.index(t) for t in (0, 1)]
    before, now = (Picture(STACK.frame(frame), (SIZE, SIZE)) for frame in frames)
    embedding = cache.embed(seeing, STACK, frames[0]).embedding
    steps = [Step(Region.from_mask(case.before), Region.from_mask(case.now)) for case in CASES]
    agreed = agreements(steps, (before, now), embedding, seeing)
    for case, agreement in zip(CASES, agreed, strict=True):
        assert case.least <= agreement <= case.most, case.name


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_lost_scores_low_in_the_frames_after_it(lost: bool) -> None:
    """Object 1 ends up in a larger one for some frames; what is left of it there is not it."""
    paths = {1: moving(32, 32, 0, 0, 8)}
    if lost:
        paths[2] = [None, None, *[(32, 34, 10)] * 2, *[None] * 4]
    stack, labels = movie(paths)
    if lost:
        pixels = np.where(labels > 0, 200, 20).astype(np.uint8)
        stack = type(stack).from_array(pixels, axes="TYX", limits=(0, 255))
    seeds = np.zeros_like(labels)
    seeds[0] = labels[0] == 1
    session = Session(stack, seeds)
    wanted = plan(session, [1], stack.index(0))
    results = list(propagate(wanted, stack, predictor(), EmbeddingCache()))
    scores = {r.frame[0]: r.score for r in results if not r.stopped}
    if lost:
        assert max(scores[4], scores[5]) < scores[1]
    else:
        assert min(scores.values()) > 0.9


def test_what_is_lost_stays_lost() -> None:
    """However well it is followed afterwards."""
    lost = NOT_LOST
    for agreement in (1.0, 0.5, 0.4, *[1.0] * 20):
        lost = lost.after(agreement)
    assert lost.recent < 0.3
    assert lost.most == pytest.approx(-0.9 * np.log(0.5) - np.log(0.4))
