"""The folded attentions between tokens and places against the plain one."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from napari_sam.model.transformer import Attention
from oracles import fill_with_noise, relative_error

pytestmark = pytest.mark.usefixtures("inference")

DIM, HEADS, TOKENS, PLACES = 48, 4, 7, 90


@dataclass(frozen=True)
class BatchCase:
    name: str
    objects: int
    images: int


BATCH_CASES = [
    BatchCase("one object", 1, 1),
    BatchCase("three objects in one image", 3, 1),
    BatchCase("three objects, each with its own image", 3, 3),
]


@pytest.fixture(scope="module")
def attention() -> Attention:
    attention = Attention(DIM, HEADS, downsample_rate=2)
    fill_with_noise(attention, seed=0)
    return attention


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1.5e-2)])
@pytest.mark.parametrize("case", BATCH_CASES, ids=lambda case: case.name)
def test_folded_equals_plain(
    attention: Attention,
    case: BatchCase,
    dtype: torch.dtype,
    tolerance: float,
    noise: torch.Generator,
) -> None:
    tokens = torch.randn(case.objects, TOKENS, DIM, generator=noise)
    values = torch.randn(case.objects, TOKENS, DIM, generator=noise)
    placed, places = torch.randn(2, case.images, PLACES, DIM, generator=noise)

    read = attention.few_to_many(q=tokens, k=placed.to(dtype), v=places.to(dtype))
    assert read.dtype == torch.float32
    assert relative_error(read, attention(q=tokens, k=placed, v=places)) < tolerance

    written = attention.many_to_few(q=placed.to(dtype), k=tokens, v=values)
    assert written.dtype == dtype
    assert relative_error(written, attention(q=placed, k=tokens, v=values)) < tolerance
