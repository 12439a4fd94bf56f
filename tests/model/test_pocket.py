"""The embedded network: its budget, its shapes, where it looks, and what counts as no prompt."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from napari_sam.model import POCKET, Pocket, PocketConfig, PromptTensors, build_network
from napari_sam.model.pocket import _box_prior, click_kernel, sample

TINY = PocketConfig(name="tiny", input_size=64, mask_size=32, widths=(4, 8, 8, 8, 8))

pytestmark = pytest.mark.usefixtures("inference")


@pytest.fixture(scope="module")
def tiny() -> Pocket:
    torch.manual_seed(3)
    return Pocket(TINY).eval()


def image(height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, 3, height, width), generator=generator, dtype=torch.uint8)


def test_budget() -> None:
    """At most 4 M parameters and 8 MB in half precision."""
    with torch.device("meta"):
        n_parameters = sum(p.numel() for p in Pocket(POCKET).parameters())
    assert n_parameters <= 4_000_000
    assert 2 * n_parameters <= 8_000_000


@dataclass(frozen=True)
class Aspect:
    name: str
    input_shape: tuple[int, int]
    padded: tuple[int, int]


ASPECTS = (
    Aspect("square", (64, 64), (64, 64)),
    Aspect("landscape", (43, 64), (64, 64)),
    Aspect("flat", (17, 64), (32, 64)),
    Aspect("portrait", (64, 33), (64, 64)),
    Aspect("a line", (1, 64), (32, 64)),
)


@pytest.mark.parametrize("case", ASPECTS, ids=lambda c: c.name)
def test_any_aspect_ratio(tiny: Pocket, case: Aspect) -> None:
    input = tiny.preprocess(image(*case.input_shape))
    assert input.shape == (1, 3, *case.padded)
    features = tiny.encode(input)
    assert features[0].shape == (1, 8, case.padded[0] // 16, case.padded[1] // 16)
    prompts = PromptTensors(torch.tensor([[[5.0, 0.0]]] * 3), torch.tensor([[1]] * 3))
    logits, iou_predictions = tiny.decode(features, prompts)
    assert logits.shape == (3, 4, case.padded[0] // 2, case.padded[1] // 2)
    assert iou_predictions.shape == (3, 4)
    assert ((iou_predictions >= 0) & (iou_predictions <= 1)).all()
    assert tiny.upscale(logits, case.input_shape, (50, 70)).shape == (3, 4, 50, 70)


def test_upscale_keeps_the_place(tiny: Pocket) -> None:
    """A mask in the left half of the input is in the left half of the frame, padding cropped."""
    logits = torch.full((1, 1, 32, 32), -4.0)
    logits[..., :16] = 4.0
    mask = tiny.upscale(logits, (40, 64), (80, 128))[0, 0] > 0
    assert mask[:, :64].all()
    assert not mask[:, 64:].any()


POINT = torch.tensor([[[20.0, 30.0]]])
LABEL = torch.tensor([[1]])
BOX = torch.tensor([[10.0, 12.0, 40.0, 44.0]])


def mask_prompt(value: float = 7.0) -> torch.Tensor:
    mask = torch.full((1, 1, 32, 32), -7.0)
    mask[..., 8:16, 8:20] = value
    return mask


@dataclass(frozen=True)
class Absent:
    name: str
    without: PromptTensors
    padded: PromptTensors


ABSENT = (
    Absent(
        "a padding point beside a click",
        PromptTensors(POINT, LABEL),
        PromptTensors(POINT.repeat(1, 2, 1), torch.tensor([[1, -1]])),
    ),
    Absent(
        "only padding points beside a box",
        PromptTensors(boxes=BOX),
        PromptTensors(POINT, torch.tensor([[-1]]), BOX),
    ),
    Absent(
        "a box of no extent beside a click",
        PromptTensors(POINT, LABEL),
        PromptTensors(POINT, LABEL, torch.zeros(1, 4)),
    ),
    Absent(
        "an empty mask beside a box",
        PromptTensors(boxes=BOX),
        PromptTensors(boxes=BOX, masks=mask_prompt(-7.0)),
    ),
)


@pytest.mark.parametrize("case", ABSENT, ids=lambda c: c.name)
def test_padding_counts_as_no_prompt(tiny: Pocket, case: Absent) -> None:
    features = tiny.encode(tiny.preprocess(image(64, 64)))
    expected, expected_iou = tiny.decode(features, case.without)
    found, found_iou = tiny.decode(features, case.padded)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found_iou, expected_iou)


@dataclass(frozen=True)
class Kind:
    name: str
    prompts: PromptTensors


KINDS = (
    Kind("click", PromptTensors(POINT, LABEL)),
    Kind("negative click", PromptTensors(POINT, torch.tensor([[0]]))),
    Kind("box", PromptTensors(boxes=BOX)),
    Kind("mask", PromptTensors(masks=mask_prompt())),
    Kind("box and click", PromptTensors(POINT, LABEL, BOX)),
    Kind("box, click and mask", PromptTensors(POINT, LABEL, BOX, mask_prompt())),
)


def test_every_kind_of_prompt_matters(tiny: Pocket) -> None:
    """No two kinds of prompt give the same answer."""
    features = tiny.encode(tiny.preprocess(image(64, 64)))
    answers = [tiny.decode(features, kind.prompts)[0] for kind in KINDS]
    for i, answer in enumerate(answers):
        assert not any(torch.allclose(answer, other, atol=1e-6) for other in answers[:i])


@pytest.mark.parametrize("case", KINDS, ids=lambda c: c.name)
def test_a_batch_equals_one_at_a_time(tiny: Pocket, case: Kind) -> None:
    features = tiny.encode(tiny.preprocess(image(64, 64)))
    given = (case.prompts.points, case.prompts.labels, case.prompts.boxes, case.prompts.masks)
    doubled = PromptTensors(*(None if p is None else torch.cat([p, p.flip(-1)]) for p in given))
    logits, _ = tiny.decode(features, doubled)
    alone, _ = tiny.decode(features, case.prompts)
    torch.testing.assert_close(logits[:1], alone)


def test_a_mask_prompt_may_be_coarser(tiny: Pocket) -> None:
    """Low-res logits at stride 4 prompt as those of stride 2 do."""
    features = tiny.encode(tiny.preprocess(image(64, 64)))
    fine = tiny.decode(features, PromptTensors(masks=mask_prompt()))[0]
    coarse = tiny.decode(features, PromptTensors(masks=mask_prompt()[..., ::2, ::2]))[0]
    torch.testing.assert_close(coarse, fine)


def test_sample_hits_the_pixel() -> None:
    """A feature that is its own cell's index comes back at the centre of that cell."""
    features = torch.arange(6.0).view(1, 1, 2, 3)
    centres = torch.tensor([[[x * 4 + 2.0, y * 4 + 2.0] for y in range(2) for x in range(3)]])
    torch.testing.assert_close(sample(features, centres, (8, 12)).flatten(), torch.arange(6.0))


def test_click_kernel_is_a_disk_before_it_learned() -> None:
    """Without offsets and with weight 1 what is within one unit (8 px) of the click is inside."""
    kernel = torch.zeros(1, 17, 16, 16)
    inside = click_kernel(kernel, torch.tensor([[[30.0, 22.0]]]))[0, 0] > 0
    ys, xs = torch.meshgrid(torch.arange(16) * 4 + 2, torch.arange(16) * 4 + 2, indexing="ij")
    expected = (xs - 30) ** 2 + (ys - 22) ** 2 < 8**2
    assert torch.equal(inside, expected)


def test_click_kernel_follows_offsets() -> None:
    """Pixels that all point to one centre are one object, from whichever of them it is clicked."""
    kernel = torch.zeros(1, 17, 8, 8)
    columns = torch.arange(8.0) * 4 + 2
    left = columns < 16
    kernel[0, 0] = (torch.where(left, 8.0, 100.0) - columns) / 8
    kernel[0, 1] = -(columns[:, None] / 8).expand(8, 8)
    clicks = torch.tensor([[[3.0, 3.0], [13.0, 28.0]]])
    inside = click_kernel(kernel, clicks)[0] > 0
    assert torch.equal(inside, left.expand(2, 8, 8))


class StoppedError(Exception):
    pass


def test_a_box_alone_leans_towards_its_ellipse(tiny: Pocket) -> None:
    """Its centre gains, its outside loses; a click beside the box leaves the logits as they are."""
    ellipse = _box_prior(PromptTensors(boxes=BOX), torch.zeros(1, 4, 32, 32))[0, 0]
    assert (
        ellipse[14, 12] == 1
    )  # the box's centre is (25, 28) in the input, this one is at stride 2
    assert ellipse[7, 6] < 0  # a corner of the box
    assert ellipse[30, 30] == -1
    for more in (PromptTensors(POINT, LABEL, BOX), PromptTensors(boxes=BOX, masks=mask_prompt())):
        assert not _box_prior(more, torch.zeros(1, 4, 32, 32)).any()


def test_progress_can_stop_the_encoder(tiny: Pocket) -> None:
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        tiny.encode(tiny.preprocess(image(64, 64)), progress)
    assert seen == [(1, 8), (2, 8), (3, 8)]


def test_half_precision_agrees() -> None:
    """In bfloat16 the weights change, the places of the clicks do not."""
    torch.manual_seed(3)
    single = Pocket(TINY).eval()
    half = Pocket(TINY).eval()
    half.load_state_dict(single.state_dict())
    half.to(torch.bfloat16)
    prompts = PromptTensors(POINT, LABEL, BOX)
    logits = [n.decode(n.encode(n.preprocess(image(64, 64))), prompts)[0] for n in (single, half)]
    assert logits[1].dtype == torch.float32
    torch.testing.assert_close(logits[1], logits[0], atol=0.05, rtol=0.05)


def test_build_network() -> None:
    network = build_network(TINY)
    assert isinstance(network, Pocket)
    assert not network.training
