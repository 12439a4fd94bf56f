"""Windows, normalisation and linear layers by themselves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.model import layers
from napari_sam.model.layers import (
    TOKENS_AT_ONCE,
    LayerNorm2d,
    MLPBlock,
    packed,
    window_partition,
    window_unpartition,
)
from oracles import fill_with_noise, import_oracle, relative_error

pytestmark = pytest.mark.usefixtures("inference")

sizes = st.integers(1, 17)


@given(batch=st.integers(1, 3), h=sizes, w=sizes, window_size=st.integers(1, 9))
def test_windows_put_together_are_the_map(batch: int, h: int, w: int, window_size: int) -> None:
    x = torch.arange(batch * h * w * 2.0).view(batch, h, w, 2)
    padding = torch.tensor([-1.0, -2.0])
    windows = window_partition(x, window_size, padding)
    rows, columns = -(-h // window_size), -(-w // window_size)
    assert windows.shape == (batch * rows * columns, window_size**2, 2)
    assert torch.equal(window_unpartition(windows, window_size, (h, w)), x)
    # All other places hold the padding
    assert int((windows == padding).all(-1).sum()) == windows[..., 0].numel() - batch * h * w


def test_layer_norm_equals_the_reference(noise: torch.Generator) -> None:
    reference = import_oracle("segment_anything.modeling.common").LayerNorm2d(6)
    fill_with_noise(reference, seed=0)
    ours = LayerNorm2d(6)
    ours.load_state_dict(reference.state_dict())
    x = 3 + torch.randn(2, 6, 5, 4, generator=noise)
    assert relative_error(ours(x), reference(x)) < 1e-6


@pytest.mark.parametrize("tokens", [1, TOKENS_AT_ONCE - 1, 2 * TOKENS_AT_ONCE + 7])
def test_a_perceptron_in_parts_equals_one_at_once(tokens: int, noise: torch.Generator) -> None:
    block = MLPBlock(16, 64)
    fill_with_noise(block, seed=0)
    x = torch.randn(1, tokens, 1, 16, generator=noise)
    assert relative_error(block(x), block.lin2(block.act(block.lin1(x)))) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_packed_weights_say_the_same(dtype: torch.dtype, noise: torch.Generator) -> None:
    layer = torch.nn.Linear(48, 80).to(dtype)
    x = torch.randn(2, 40, 40, 48, generator=noise).to(dtype)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-2
    assert relative_error(packed(layer, x)(x), layer(x)) < tolerance
    for activation in (torch.nn.GELU(), torch.nn.ReLU(), torch.nn.Tanh()):
        activated = packed(layer, x, activation)(x)
        assert relative_error(activated, activation(layer(x))) < tolerance


def test_without_packing_the_layer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, many, few = torch.nn.Linear(8, 8), torch.zeros(2000, 8), torch.zeros(7, 8)
    assert packed(layer, few) is layer
    assert packed(layer, many.to("meta")) is layer
    with torch.inference_mode(False):
        assert packed(layer, many) is layer

    def removed(weight: torch.Tensor, bias: torch.Tensor, activation: str) -> None:
        raise AttributeError("'mkldnn' object has no attribute '_reorder_linear_weight'")

    monkeypatch.setattr(layers, "_pack", removed)
    layers._can_pack.cache_clear()
    assert packed(layer, many) is layer
    layers._can_pack.cache_clear()
