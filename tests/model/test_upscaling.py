"""A mask made in its box only against the upscaling of everything."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from napari_sam.model import upscale_mask
from oracles import upscale

ROUNDING = 1e-5  # of logits near one: so little may decide about a pixel


@dataclass(frozen=True)
class BoxCase:
    name: str
    rows: slice  # of the logits, 80 x 80 for an input of 320 x 320, that are positive
    columns: slice


BOX_CASES = [
    BoxCase("nothing", slice(0), slice(0)),
    BoxCase("one pixel", slice(30, 31), slice(40, 41)),
    BoxCase("first pixel", slice(1), slice(1)),
    BoxCase("last pixel", slice(79, 80), slice(79, 80)),
    BoxCase("one row", slice(20, 21), slice(None)),
    BoxCase("everything", slice(None), slice(None)),
    BoxCase("below the frame, in the padding", slice(70, 80), slice(10, 20)),
]
SHAPES = [  # of the input, of the frame
    ((320, 320), (320, 320)),
    ((213, 320), (639, 960)),
    ((320, 187), (100, 58)),
    ((200, 320), (1, 2)),
    ((1, 320), (2, 800)),
]


def whole(logits: Tensor, shapes: tuple[tuple[int, int], tuple[int, int]]) -> Tensor:
    """The mask (H, W), put back into its frame."""
    mask = torch.zeros(shapes[1], dtype=torch.bool)
    rows, columns, pixels = upscale_mask(logits, 4, *shapes)
    mask[rows, columns] = pixels
    return mask


def assert_same(logits: Tensor, shapes: tuple) -> None:
    upscaled = upscale(logits[None, None], 4, *shapes)[0, 0]
    sure = upscaled.abs() > ROUNDING
    assert torch.equal(whole(logits, shapes)[sure], (upscaled > 0)[sure])


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("case", BOX_CASES, ids=lambda case: case.name)
def test_equals_upscaling_everything(case: BoxCase, shapes: tuple) -> None:
    logits = torch.randn(80, 80, generator=torch.Generator().manual_seed(0)) - 8
    logits[case.rows, case.columns] += 10
    assert_same(logits, shapes)


@given(
    input_shape=st.tuples(st.integers(1, 320), st.integers(1, 320)),
    frame_shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    seed=st.integers(0, 99),
    shift=st.floats(-3, 1),
)
def test_equals_upscaling_everything_for_any_shapes(
    input_shape: tuple[int, int],
    frame_shape: tuple[int, int],
    seed: int,
    shift: float,
) -> None:
    logits = torch.randn(80, 80, generator=torch.Generator().manual_seed(seed)) + shift
    assert_same(logits, (input_shape, frame_shape))


def test_only_the_box_is_computed() -> None:
    logits = torch.full((80, 80), -1.0)
    logits[20, 30] = 9
    rows, columns, pixels = upscale_mask(logits, 4, (320, 320), (3200, 3200))
    assert pixels.shape == (rows.stop - rows.start, columns.stop - columns.start)
    assert pixels.numel() < 100**2
