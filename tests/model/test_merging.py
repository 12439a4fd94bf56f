"""All masks of one click at all sizes, merged into one."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from napari_sam.model import Pocket, PocketConfig, PromptTensors
from napari_sam.model.pocket.network import OUTSIDE, SHARPNESS

LEVELS = (1, 2)
TINY = PocketConfig(
    name="tiny", input_size=128, mask_size=64, levels=LEVELS, window=96, fit=40,
    widths=(4, 8, 8, 8, 8),
)  # fmt: skip
POINT = torch.tensor([[90.0, 50.0]])
CLICK = PromptTensors(POINT[:, None], torch.tensor([[1]]))

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def tiny() -> Pocket:
    """A network with random weights, of which each mask has another opinion."""
    torch.manual_seed(3)
    network = Pocket(TINY).eval()
    network.decoder.to_masks.weight.data *= 20
    network.decoder.to_masks.bias.data.zero_()
    network.decoder.quality[-1].weight.data *= 5
    return network


def encoded(network: Pocket) -> tuple[Tensor, ...]:
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    return network.encode(network.preprocess(255 * noise))


def whole(masks: Tensor, start: tuple[int, int], shrink: int) -> Tensor:
    """Maps (C, h, w) of a window where they are in the frame, (C, 64, 64); elsewhere 0."""
    size = [side * shrink for side in masks.shape[-2:]]
    enlarged = F.interpolate(masks[None], size, mode="bilinear", align_corners=False)[0]
    frame = torch.zeros(len(masks), 64, 64)
    y, x = (at * shrink // 2 for at in start)
    frame[:, y : y + size[0], x : x + size[1]] = enlarged
    return frame


def test_what_all_masks_agree_on(tiny: Pocket) -> None:
    """The mean of their probabilities, by how good each is predicted to be; how certain it is."""
    features = encoded(tiny)
    placed, predicted = [], []
    for level, shrink in enumerate(LEVELS):
        views, logits, scores = tiny.decode_clicks(features, POINT, level)
        placed.append(whole(logits[0].sigmoid(), views[0].start, shrink))
        predicted.append(scores[0])
    weights = (torch.cat(predicted) / SHARPNESS).softmax(0)
    expected = (weights[:, None, None] * torch.cat(placed)).sum(0)
    masks, scores = tiny.decode(features, replace(CLICK, merge_clicks=True))
    torch.testing.assert_close(masks[0, 0].sigmoid(), expected, atol=1e-4, rtol=1e-4)
    assert 0 < (masks[0, 0] > 0).float().mean() < 1
    inside = expected[expected > 0.5]
    torch.testing.assert_close(scores[0, 0], inside.mean() ** 2, atol=1e-4, rtol=1e-3)


def test_candidates_stay_as_they_are(tiny: Pocket) -> None:
    features = encoded(tiny)
    merged, plain = (tiny.decode(features, replace(CLICK, merge_clicks=on)) for on in (True, False))
    torch.testing.assert_close(merged[0][:, 1:], plain[0][:, 1:])
    torch.testing.assert_close(merged[1][:, 1:], plain[1][:, 1:])
    assert not torch.equal(merged[0][:, 0], plain[0][:, 0])


@pytest.mark.parametrize(
    "prompts",
    [
        PromptTensors(torch.tensor([[[60.0, 50.0], [9.0, 9.0]]]), torch.tensor([[1, 0]])),
        PromptTensors(boxes=torch.tensor([[40.0, 30.0, 80.0, 70.0]])),
        replace(CLICK, masks=torch.full((1, 1, 64, 64), 4.0)),
    ],
    ids=["two clicks", "box", "click in a mask"],
)
def test_only_the_masks_of_one_click_are_merged(tiny: Pocket, prompts: PromptTensors) -> None:
    features = encoded(tiny)
    merged, plain = (
        tiny.decode(features, replace(prompts, merge_clicks=on)) for on in (True, False)
    )
    torch.testing.assert_close(merged, plain)


def test_masks_without_a_pixel(tiny: Pocket) -> None:
    """No division by nothing: the mask is empty and worth as much as its surest pixel."""
    network = Pocket(TINY).eval()
    network.load_state_dict(tiny.state_dict())
    network.decoder.to_masks.bias.data.fill_(2 * OUTSIDE)
    network.decoder.to_masks.weight.data.zero_()
    masks, scores = network.decode(encoded(network), replace(CLICK, merge_clicks=True))
    assert (masks[0, 0] <= OUTSIDE).all()
    assert 0 <= float(scores[0, 0]) < 1e-3
