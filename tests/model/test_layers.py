"""Windows, normalisation and attention by themselves."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.model.layers import (
    QUERY_ROWS,
    LayerNorm2d,
    RelativePositionAttention,
    window_partition,
    window_unpartition,
)
from oracles import Pair, fill_with_noise, import_oracle, relative_error

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
