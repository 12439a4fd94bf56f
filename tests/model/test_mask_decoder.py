"""The decoder's shortcuts against the layers that they stand for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_sam.model import PromptTensors
from napari_sam.model.mask_decoder import UpscalePlaces
from oracles import SMALL, Pair, fill_with_noise, relative_error

pytestmark = pytest.mark.usefixtures("inference")


def test_upscaled_places_are_a_transposed_convolution(noise: torch.Generator) -> None:
    convolution = nn.ConvTranspose2d(6, 4, kernel_size=2, stride=2)
    fill_with_noise(convolution, seed=0)
    upscale = UpscalePlaces(6, 4)
    upscale.load_state_dict(convolution.state_dict())
    x = torch.randn(2, 3, 5, 6, generator=noise)  # (B, h, w, C)
    places = upscale(x).permute(0, 5, 1, 3, 2, 4).reshape(2, 4, 6, 10)  # (B, C', 2h, 2w)
    assert relative_error(places, convolution(x.permute(0, 3, 1, 2))) < 1e-6


def test_objects_do_not_see_each_other(small: Pair, noise: torch.Generator) -> None:
    embedding = torch.randn(1, 64, 20, 20, generator=noise)
    points = SMALL.input_size * torch.rand(3, 2, 2, generator=noise)
    labels = torch.tensor([[1, 0], [1, 1], [0, 1]])
    together = small.ours.decode((embedding,), PromptTensors(points, labels))
    for index in range(3):
        part = slice(index, index + 1)
        prompts = PromptTensors(points[part], labels[part])
        for ours, alone in zip(together, small.ours.decode((embedding,), prompts), strict=True):
            assert relative_error(ours[part], alone) < 1e-5
