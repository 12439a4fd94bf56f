"""The embedded network: its budget, its shapes, where it looks, and what counts as no prompt."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from napari_sam.model import (
    POCKET,
    Pocket,
    PocketConfig,
    PocketFeatures,
    PromptTensors,
    build_network,
    click_kernel,
)
from napari_sam.model.pocket.decoder import box_prior, sample
from napari_sam.model.pocket.network import OUTSIDE

TINY = PocketConfig(
    name="tiny",
    input_size=128,
    mask_size=64,
    levels=(1, 2),
    window=96,
    fit=40,
    widths=(4, 8, 8, 8, 8),
)

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
    Aspect("square", (128, 128), (128, 128)),
    Aspect("landscape", (86, 128), (128, 128)),
    Aspect("flat", (33, 128), (64, 128)),
    Aspect("portrait", (128, 65), (128, 128)),
    Aspect("a line", (1, 128), (64, 128)),
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


class Painter(nn.Module):
    """In the decoder's place: fills the box it is given, or a disk around each click; it is a
    little surer of a click the larger the window."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[int, ...]] = []

    def forward(self, features: PocketFeatures, prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        h, w = features.edges.shape[-2:]
        self.seen.append(tuple(features.edges.shape))
        ys, xs = torch.meshgrid(torch.arange(h) * 2 + 0.5, torch.arange(w) * 2 + 0.5, indexing="ij")
        drawn = []
        for nth in range(prompts.n_objects):
            if prompts.boxes is not None:
                x0, y0, x1, y1 = prompts.boxes[nth].tolist()
                inside = (xs > x0 - 1) & (xs < x1 + 1) & (ys > y0 - 1) & (ys < y1 + 1)
            elif prompts.masks is not None:
                shape = (h, w)
                inside = nn.functional.adaptive_max_pool2d(prompts.masks[nth], shape)[0] > 0
            else:
                assert prompts.points is not None
                x, y = prompts.points[nth, 0].tolist()
                inside = torch.hypot(xs - x, ys - y) < 8
            drawn.append(torch.where(inside, 5.0, -5.0).expand(4, h, w))
        return torch.stack(drawn), torch.full((len(drawn), 4), 0.5 + h / 1000)


@pytest.fixture
def painter() -> Pocket:
    """A network whose decoder shows what it is told."""
    network = Pocket(TINY).eval()
    network.decoder = Painter()
    return network


def boxes() -> st.SearchStrategy[tuple[float, float, float, float]]:
    """x0, y0, x1, y1 in an input of 128 x 100 pixels."""
    corner, side = st.integers(0, 90), st.integers(4, 60)
    return st.tuples(corner, st.integers(0, 70), side, side).map(
        lambda b: (b[0], b[1], min(b[0] + b[2], 127), min(b[1] + b[3], 99))
    )


@given(boxes())
def test_a_box_lands_where_it_was_drawn(box: tuple[float, float, float, float]) -> None:
    """Through level and window and back, to the pixel of the level it was looked at in."""
    network = Pocket(TINY).eval()
    network.decoder = Painter()
    with torch.inference_mode():
        features = network.encode(network.preprocess(image(100, 128)))
        logits, _ = network.decode(features, PromptTensors(boxes=torch.tensor([box])))
    rows, columns = ((logits[0, 0] > 0).any(axis).nonzero().flatten() for axis in (1, 0))
    found = (columns[0] * 2, rows[0] * 2, columns[-1] * 2 + 1, rows[-1] * 2 + 1)
    assert found == pytest.approx(box, abs=5)


def test_a_mask_prompt_stays_where_it_is(painter: Pocket) -> None:
    features = painter.encode(painter.preprocess(image(100, 128)))
    for size in (10, 34):  # decoded in the fine level, and in the coarse one
        mask = torch.full((1, 1, 64, 64), -7.0)
        mask[..., 12 : 12 + size, 20 : 20 + size] = 7.0
        logits, _ = painter.decode(features, PromptTensors(masks=mask))
        overlap = ((logits[0, 0] > 0) & (mask[0, 0] > 0)).sum()
        assert overlap / ((logits[0, 0] > 0) | (mask[0, 0] > 0)).sum() > 0.85


@dataclass(frozen=True)
class Looked:
    name: str
    prompts: PromptTensors
    windows: tuple[int, ...]  # sides of the windows looked into, at stride 2


def click(x: float, y: float) -> PromptTensors:
    return PromptTensors(torch.tensor([[[x, y]]]), torch.tensor([[1]]))


def box(*corners: float) -> PromptTensors:
    return PromptTensors(boxes=torch.tensor([corners]))


LOOKED = (
    Looked("a click, of unknown size: everywhere", click(64, 50), (32, 48)),
    Looked("a small box: the fine level", box(8.0, 8, 40, 40), (48,)),
    Looked("a large box: the coarse level", box(8.0, 8, 90, 40), (32,)),
)


@pytest.mark.parametrize("case", LOOKED, ids=lambda c: c.name)
def test_where_it_looks(painter: Pocket, case: Looked) -> None:
    features = painter.encode(painter.preprocess(image(128, 128)))
    painter.decode(features, case.prompts)
    assert isinstance(painter.decoder, Painter)
    assert tuple(shape[-1] for shape in painter.decoder.seen) == case.windows


def test_outside_of_the_window_is_nothing(painter: Pocket) -> None:
    """Only the window around a small box was looked at."""
    features = painter.encode(painter.preprocess(image(128, 128)))
    logits, _ = painter.decode(features, box(4.0, 4, 30, 30))
    assert (logits[0, 0, 48:] == OUTSIDE).all()
    assert (logits[0, 0, :48, :48] > OUTSIDE).all()


def test_the_fittest_level_answers(painter: Pocket) -> None:
    """A disk of 8 pixels of its level around a click: the expected size says which level's."""
    features = painter.encode(painter.preprocess(image(128, 128)))
    areas = []
    for diameter in (16.0, 32.0):
        prompts = PromptTensors(*(click(64, 64).points, click(64, 64).labels), diameter=diameter)
        logits, _ = painter.decode(features, prompts)
        areas.append(float((logits[0, 1] > 0).sum()) * 4)
    assert areas == pytest.approx([3.14 * 8**2, 3.14 * 16**2], rel=0.2)


POINT = torch.tensor([[[20.0, 30.0]]])
LABEL = torch.tensor([[1]])
BOX = torch.tensor([[10.0, 12.0, 40.0, 44.0]])


def mask_prompt(value: float = 7.0) -> torch.Tensor:
    mask = torch.full((1, 1, 64, 64), -7.0)
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
    features = tiny.encode(tiny.preprocess(image(128, 128)))
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
    features = tiny.encode(tiny.preprocess(image(128, 128)))
    answers = [tiny.decode(features, kind.prompts)[0] for kind in KINDS]
    for i, answer in enumerate(answers):
        assert not any(torch.allclose(answer, other, atol=1e-6) for other in answers[:i])


@pytest.mark.parametrize("case", KINDS, ids=lambda c: c.name)
def test_a_batch_equals_one_at_a_time(tiny: Pocket, case: Kind) -> None:
    features = tiny.encode(tiny.preprocess(image(128, 128)))
    prompts = (case.prompts.points, case.prompts.labels, case.prompts.boxes, case.prompts.masks)
    doubled = PromptTensors(*(None if p is None else torch.cat([p, p.flip(-1)]) for p in prompts))
    logits, _ = tiny.decode(features, doubled)
    alone, _ = tiny.decode(features, case.prompts)
    torch.testing.assert_close(logits[:1], alone)


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
    ellipse = box_prior(PromptTensors(boxes=BOX), torch.zeros(1, 4, 32, 32))[0, 0]
    assert (
        ellipse[14, 12] == 1
    )  # the box's centre is (25, 28) in the input, this one is at stride 2
    assert ellipse[7, 6] < 0  # a corner of the box
    assert ellipse[30, 30] == -1
    for more in (PromptTensors(POINT, LABEL, BOX), PromptTensors(boxes=BOX, masks=mask_prompt())):
        assert not box_prior(more, torch.zeros(1, 4, 32, 32)).any()


def test_progress_can_stop_the_encoder(tiny: Pocket) -> None:
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        tiny.encode(tiny.preprocess(image(128, 128)), progress)
    assert seen == [(1, 16), (2, 16), (3, 16)]


def test_half_precision_agrees() -> None:
    """In bfloat16 the weights change, the places of the clicks do not."""
    torch.manual_seed(3)
    single = Pocket(TINY).eval()
    half = Pocket(TINY).eval()
    half.load_state_dict(single.state_dict())
    half.to(torch.bfloat16)
    prompts = PromptTensors(POINT, LABEL, BOX)
    logits = [n.decode(n.encode(n.preprocess(image(128, 128))), prompts)[0] for n in (single, half)]
    assert logits[1].dtype == torch.float32
    torch.testing.assert_close(logits[1], logits[0], atol=0.05, rtol=0.05)


def test_build_network() -> None:
    network = build_network(TINY)
    assert isinstance(network, Pocket)
    assert not network.training
