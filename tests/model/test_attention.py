"""Attention with decomposed relative position: every way of computing it says the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from napari_sam.model import attention
from napari_sam.model.attention import (
    QUERY_ROWS,
    RelativePositionAttention,
    Way,
    attend_by_flash,
    attend_in_blocks,
    attend_widened,
    attend_with_bias,
    fastest_way,
    measured_fastest,
)
from oracles import Pair, fill_with_noise, import_oracle, relative_error

pytestmark = pytest.mark.usefixtures("inference")

WAYS = (attend_with_bias, attend_in_blocks, attend_widened, attend_by_flash)
NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]
SHAPE, SIZE = (2, 3, 18 * 17, 8), (18, 17)
assert SHAPE[2] > QUERY_ROWS, "the map should take more than one block of rows"


@pytest.mark.parametrize("window_size", [0, 7], ids=["whole map", "windows"])
def test_attention_equals_the_reference(window_size: int, noise: torch.Generator) -> None:
    encoder = import_oracle("segment_anything.modeling.image_encoder")
    size = 18
    assert size**2 > QUERY_ROWS, "the map should take more than one block of rows"
    reference = encoder.Block(
        24, 3, use_rel_pos=True, window_size=window_size, input_size=(size, size)
    )
    fill_with_noise(reference, seed=0)
    ours = RelativePositionAttention(24, 3, size, window_size)
    ours.load_state_dict(reference.attn.state_dict())
    x = torch.randn(2, size, size, 24, generator=noise)
    expected = reference.attn(x)
    if window_size:
        windows, padded = encoder.window_partition(x, window_size)
        expected = encoder.window_unpartition(
            reference.attn(windows), window_size, padded, (size, size)
        )
    assert relative_error(ours(x), expected) < 1e-5


def test_windows_do_not_see_each_other(small: Pair, noise: torch.Generator) -> None:
    attention = small.ours.image_encoder.blocks[0].attn
    x = torch.randn(1, 20, 20, 64, generator=noise)
    changed = x.clone()
    changed[:, 16, 3] += 1
    differs = (attention(changed) != attention(x)).any(-1)[0]
    assert differs[14:, :14].all()
    assert not differs[:14].any()
    assert not differs[:, 14:].any()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_all_ways_say_the_same(
    way: Way, dtype: torch.dtype, device: str, noise: torch.Generator
) -> None:
    q, k, v = torch.randn(3, *SHAPE, generator=noise)
    rel_h, rel_w = (torch.randn(n, n, SHAPE[-1], generator=noise) for n in SIZE)
    y, x = (at.flatten() for at in torch.meshgrid(*map(torch.arange, SIZE), indexing="ij"))
    of_rows, of_columns = rel_h[y][:, y], rel_w[x][:, x]  # of each query and key (N, N, d)
    scores = q @ k.mT / SHAPE[-1] ** 0.5 + torch.einsum("bnqc,qkc->bnqk", q, of_rows + of_columns)
    expected = scores.softmax(-1) @ v
    given = (each.to(device, dtype) for each in (q, k, v, rel_h, rel_w))
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    assert relative_error(way(*given).float().cpu(), expected) < tolerance


def test_the_quickest_way_is_found_and_one_that_fails_is_passed_over() -> None:
    def fails(q: Tensor, *others: Tensor) -> Tensor:
        raise RuntimeError("No available kernel")

    def is_slow(q: Tensor, *others: Tensor) -> Tensor:
        for _ in range(50):
            attend_with_bias(q, *others)
        return q

    ways = (fails, is_slow, attend_with_bias)
    found = measured_fastest(ways, torch.device("cpu"), torch.float32, SHAPE, SIZE)
    assert found is attend_with_bias


def test_each_device_has_its_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Way, ...]] = []

    def measured(ways: tuple[Way, ...], *_: object) -> Way:
        asked.append(ways)
        return ways[0]

    monkeypatch.setattr(attention, "measured_fastest", measured)
    window = torch.zeros(1, 2, 49, 8)
    whole_map = torch.zeros(SHAPE)
    assert fastest_way(whole_map, SIZE) is attend_in_blocks
    assert fastest_way(window, (7, 7)) is attend_with_bias
    assert fastest_way(window.bfloat16(), (7, 7)) is attend_widened
    with torch.inference_mode(False), torch.enable_grad():
        assert fastest_way(whole_map, SIZE) is attend_with_bias  # what has a gradient
    assert not asked
    fastest_way(whole_map.to("meta"), SIZE)
    assert asked == [(attend_with_bias, attend_by_flash)]


def test_a_gradient_flows_through_training() -> None:
    with torch.inference_mode(False):
        layer = RelativePositionAttention(24, 3, 18)
        layer(torch.randn(1, 18, 18, 24)).sum().backward()
        assert layer.rel_pos_h.grad is not None
        assert layer.qkv.weight.grad is not None
