"""Where an object has moved, in pixels of the frame, whatever the size of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.session import Region
from napari_sam.stacks.motion import Picture, diameter_of, follow

SHAPE = (120, 160)


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random picture, (H, W, 3) uint8."""
    noise = np.random.default_rng(seed).normal(size=SHAPE)
    smooth = ndimage.gaussian_filter(noise, 3)
    grey = np.clip(128 + 60 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def blob(y: int, x: int, height: int = 20, width: int = 20) -> Region:
    rows, columns = np.ogrid[:height, :width]
    mask = ((rows + 0.5) / height - 0.5) ** 2 + ((columns + 0.5) / width - 0.5) ** 2 < 0.25
    return Region.from_mask(mask, y, x)


ROUND = blob(50, 60)


@dataclass(frozen=True)
class MotionCase:
    name: str
    shift: tuple[int, int]
    region: Region = ROUND
    shrink: int = 1  # of the pictures
    brighter: float = 1.0
    expected: tuple[float, float] = (0.0, 0.0)


MOTION_CASES = (
    MotionCase("rests", (0, 0)),
    MotionCase("moves", (4, -7)),
    MotionCase("moves half its diameter", (10, 0)),
    MotionCase("in a small picture", (4, -8), shrink=2),
    MotionCase("bleaches", (3, 5), brighter=0.6),
    MotionCase("goes on, far", (2, 26), expected=(2, 25)),
    MotionCase("stays, though expected to go on", (0, 0), expected=(0, 25)),
    MotionCase("turns back", (0, -8), expected=(0, 8)),
    MotionCase("is large", (6, -12), blob(20, 30, 80, 80)),
    MotionCase("is long", (3, 5), blob(50, 20, 8, 110)),
    MotionCase("is small", (2, -2), blob(50, 60, 6, 6)),
    MotionCase("is at the border", (0, 5), blob(0, 0)),
)


@pytest.mark.parametrize("case", MOTION_CASES, ids=lambda c: c.name)
def test_motion(case: MotionCase) -> None:
    before = texture()
    after = np.roll(before, case.shift, axis=(0, 1)) * case.brighter
    pictures = [
        Picture(ndimage.uniform_filter(p, (case.shrink, case.shrink, 1))
                [::case.shrink, ::case.shrink].astype(np.uint8), SHAPE)
        for p in (before, after)
    ]  # fmt: skip
    motion = follow(case.region, *pictures, case.expected)
    near = max(1.5, case.shrink, 0.12 * diameter_of(case.region))  # drawn to where it was
    np.testing.assert_allclose((motion.y, motion.x), case.shift, atol=near)
    assert 0.75 < motion.similarity <= 1.001


def test_what_is_gone_is_not_alike() -> None:
    region = blob(50, 60)
    motion = follow(region, Picture(texture(1), SHAPE), Picture(texture(2), SHAPE))
    assert motion.similarity < 0.8


def test_an_even_picture_moves_nothing() -> None:
    even = Picture(np.full((*SHAPE, 3), 90, np.uint8), SHAPE)
    motion = follow(blob(50, 60), even, even)
    assert (motion.y, motion.x) == (0, 0)
    assert abs(motion.similarity) < 0.01
