"""TinyViT against timm's, under the keys of MobileSAM's checkpoint."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sam.model import VIT_B, VIT_T, Sam
from oracles import (
    fill_with_noise,
    mobile_sam_keys,
    reference_sam,
    reference_tiny_vit,
    relative_error,
)

pytestmark = pytest.mark.usefixtures("inference")

# As in mobile_sam.pt
OFFICIAL_SHAPES = {
    "image_encoder.patch_embed.seq.0.c.weight": (32, 3, 3, 3),
    "image_encoder.patch_embed.seq.2.bn.running_var": (64,),
    "image_encoder.layers.0.blocks.1.conv2.c.weight": (256, 1, 3, 3),
    "image_encoder.layers.0.downsample.conv2.c.weight": (128, 1, 3, 3),
    "image_encoder.layers.1.blocks.0.attn.attention_biases": (4, 49),
    "image_encoder.layers.2.blocks.5.attn.attention_biases": (5, 196),
    "image_encoder.layers.2.downsample.conv3.bn.num_batches_tracked": (),
    "image_encoder.layers.3.blocks.1.local_conv.c.weight": (320, 1, 3, 3),
    "image_encoder.layers.3.blocks.1.attn.qkv.weight": (960, 320),
    "image_encoder.layers.3.blocks.1.mlp.fc1.weight": (1280, 320),
    "image_encoder.norm_head.weight": (320,),
    "image_encoder.head.weight": (1000, 320),
    "image_encoder.neck.2.weight": (256, 256, 3, 3),
}


@pytest.fixture(scope="module")
def reference() -> nn.Module:
    network = reference_tiny_vit()
    fill_with_noise(network, seed=0)
    return network


@pytest.fixture(scope="module")
def mobile_sam(reference: nn.Module) -> Sam:
    """Strictly loaded: timm's encoder, segment-anything's neck and decoder."""
    with torch.device("meta"):
        neck_and_decoder = reference_sam(VIT_B)
    state = {
        key: torch.zeros(value.shape)
        for key, value in neck_and_decoder.state_dict().items()
        if not key.startswith(("image_encoder.blocks", "image_encoder.patch", "image_encoder.pos"))
    }
    state["image_encoder.neck.0.weight"] = state["image_encoder.neck.0.weight"].new_zeros(
        256, 320, 1, 1
    )
    encoder = mobile_sam_keys(reference.state_dict())
    state |= {f"image_encoder.{key}": value for key, value in encoder.items()}
    network = Sam(VIT_T).eval()
    network.load_state_dict(state, strict=True)
    return network


@pytest.mark.parametrize("size", [pytest.param(1024, marks=pytest.mark.slow), 224, 96])
def test_features_equal_timm(
    mobile_sam: Sam, reference: nn.Module, size: int, noise: torch.Generator
) -> None:
    image = torch.randn(1, 3, size, size, generator=noise)
    features = mobile_sam.image_encoder.features(image)
    assert features.shape == (1, 320, size // 16, size // 16)
    assert relative_error(features, reference.forward_features(image)) < 1e-5


def test_features_of_several_images_equal_timm(
    mobile_sam: Sam, reference: nn.Module, noise: torch.Generator
) -> None:
    images = torch.randn(3, 3, 128, 128, generator=noise)
    features = mobile_sam.image_encoder.features(images)
    assert relative_error(features, reference.forward_features(images)) < 1e-5


@pytest.mark.parametrize("key", OFFICIAL_SHAPES)
def test_shapes_are_those_of_mobile_sam(mobile_sam: Sam, key: str) -> None:
    assert mobile_sam.state_dict()[key].shape == OFFICIAL_SHAPES[key]


def test_progress_follows_every_block(mobile_sam: Sam) -> None:
    calls = []
    (embedding,) = mobile_sam.encode(torch.zeros(1, 3, 128, 128), lambda *call: calls.append(call))
    assert calls == [(done, 12) for done in range(1, 13)]
    assert embedding.shape == (1, 256, 8, 8)
