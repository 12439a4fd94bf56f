"""Our network against segment-anything 1.0, from the image to the masks of the frame."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import astuple, dataclass, replace

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from napari_sam.model import (
    POCKET,
    VIT_B,
    VIT_H,
    VIT_L,
    VIT_T,
    Pocket,
    PocketConfig,
    PromptTensors,
    Sam,
    SamConfig,
    build_network,
    empty_network,
    upscale_mask,
)
from oracles import (
    SMALL,
    Pair,
    fill_with_noise,
    make_pair,
    reference_sam,
    relative_error,
    upscale,
)

pytestmark = pytest.mark.usefixtures("inference")

TOLERANCE = 1e-5  # relative L2 in single precision
FLIPPED = 1e-4  # part of the frame's pixels that may differ


@dataclass(frozen=True)
class PromptCase:
    name: str
    points: list | None = None  # (B, N, 2), as parts of the input's side
    labels: list | None = None
    boxes: list | None = None
    masks: int = 0  # how many objects have one

    def tensors(self, config: SamConfig) -> PromptTensors:
        """The prompts in input pixels; masks are noise."""

        def pixels(values: list | None) -> Tensor | None:
            return None if values is None else torch.tensor(values) * config.input_size

        labels = None if self.labels is None else torch.tensor(self.labels)
        side = config.mask_size
        noise = torch.randn(self.masks, 1, side, side, generator=torch.Generator().manual_seed(3))
        masks = 5 * noise if self.masks else None
        return PromptTensors(pixels(self.points), labels, pixels(self.boxes), masks)


POINT, POINTS = [[[0.3, 0.4]]], [[[0.3, 0.4], [0.5, 0.1], [0.7, 0.6]]]
BOX = [[0.1, 0.2, 0.6, 0.5]]
THREE_POINTS = [[[0.3, 0.4], [0.6, 0.1]], [[0.1, 0.1], [0.2, 0.9]], [[0.9, 0.5], [0.8, 0.8]]]
THREE_LABELS = [[1, 0], [1, -1], [0, 1]]
THREE_BOXES = [[0.1, 0.2, 0.6, 0.5], [0.0, 0.0, 1.0, 1.0], [0.4, 0.4, 0.5, 0.9]]

PROMPT_CASES = [
    PromptCase("nothing"),
    PromptCase("one point", POINT, [[1]]),
    PromptCase("points of both signs", POINTS, [[1, 0, 1]]),
    PromptCase("negative points only", POINTS, [[0, 0, 0]]),
    PromptCase("padded points", POINTS, [[1, -1, -1]]),
    PromptCase("point outside the input", [[[-0.2, 1.3]]], [[1]]),
    PromptCase("box", boxes=BOX),
    PromptCase("box of no area", boxes=[[0.3, 0.3, 0.3, 0.3]]),
    PromptCase("points and box", POINTS, [[1, 0, 1]], BOX),
    PromptCase("mask", masks=1),
    PromptCase("point and mask", POINT, [[1]], masks=1),
    PromptCase("points, box and mask", POINTS, [[1, 0, 1]], BOX, masks=1),
    PromptCase("points of three objects", THREE_POINTS, THREE_LABELS),
    PromptCase("boxes of three objects", boxes=THREE_BOXES),
    PromptCase("masks of three objects", masks=3),
    PromptCase("all of three objects", THREE_POINTS, THREE_LABELS, THREE_BOXES, masks=3),
]
POINTS_AND_BOX = PROMPT_CASES[8]
BOXES_OF_THREE = PROMPT_CASES[13]
ALL_OF_THREE = PROMPT_CASES[-1]


@dataclass(frozen=True)
class FrameCase:
    name: str
    input_shape: tuple[int, int]  # of a network whose input is 320 pixels wide
    frame_shape: tuple[int, int]


FRAME_CASES = [
    FrameCase("square", (320, 320), (320, 320)),
    FrameCase("landscape", (213, 320), (426, 640)),
    FrameCase("portrait", (320, 187), (400, 234)),
    FrameCase("panorama", (40, 320), (100, 800)),
    FrameCase("smaller than the input", (320, 240), (48, 36)),
    FrameCase("one row", (1, 320), (1, 500)),
    FrameCase("one pixel", (320, 320), (1, 1)),
]


def make_image(shape: tuple[int, int]) -> Tensor:
    """A noisy image (1, 3, h, w), uint8."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (1, 3, *shape), dtype=torch.uint8, generator=generator)


def reference_decode(
    reference: nn.Module, embedding: Tensor, prompts: PromptTensors
) -> tuple[Tensor, Tensor]:
    """segment-anything's low-res logits and IoU predictions of all four mask tokens."""
    points = None if prompts.points is None else (prompts.points, prompts.labels)
    sparse, dense = reference.prompt_encoder(points, prompts.boxes, prompts.masks)
    dense_pe = reference.prompt_encoder.get_dense_pe()
    return reference.mask_decoder.predict_masks(embedding, dense_pe, sparse, dense)


def assert_same_from_image_to_masks(pair: Pair, case: FrameCase, prompts: PromptTensors) -> None:
    """Every stage of both networks, each from its own previous stage."""
    ours, reference = pair
    image = make_image(case.input_shape)
    expected_input = reference.preprocess(image)
    input = ours.preprocess(image)
    assert torch.equal(input, expected_input)

    expected_embedding = reference.image_encoder(expected_input)
    features = ours.encode(input)
    assert relative_error(features[0], expected_embedding) < TOLERANCE

    expected_logits, expected_iou = reference_decode(reference, expected_embedding, prompts)
    logits, iou_predictions = ours.decode(features, prompts)
    assert relative_error(logits, expected_logits) < TOLERANCE
    assert relative_error(iou_predictions, expected_iou) < TOLERANCE

    expected = reference.postprocess_masks(expected_logits, case.input_shape, case.frame_shape)
    masks = upscale(logits, 4, case.input_shape, case.frame_shape)
    assert masks.shape == (*logits.shape[:2], *case.frame_shape)
    assert float(((masks > 0) != (expected > 0)).float().mean()) <= FLIPPED


@pytest.mark.slow
@pytest.mark.parametrize("case", FRAME_CASES, ids=lambda case: case.name)
def test_every_stage_equals_the_reference(small: Pair, case: FrameCase) -> None:
    assert_same_from_image_to_masks(small, case, POINTS_AND_BOX.tensors(SMALL))


@pytest.mark.slow
def test_a_sixth_of_vit_b_at_full_size_equals_the_reference() -> None:
    """Its depth, head size and windows, and two of its twelve heads, whose scores the reference
    holds all at once: 3 GB with twelve."""
    sixth = replace(VIT_B, encoder=replace(VIT_B.encoder, width=128, heads=2))
    case = FrameCase("landscape", (683, 1024), (800, 1200))
    assert_same_from_image_to_masks(make_pair(sixth), case, ALL_OF_THREE.tensors(sixth))


@pytest.mark.parametrize("case", PROMPT_CASES, ids=lambda case: case.name)
def test_decode_equals_the_reference(small: Pair, case: PromptCase, noise: torch.Generator) -> None:
    embedding = torch.randn(1, 64, 20, 20, generator=noise)
    prompts = case.tensors(SMALL)
    expected_logits, expected_iou = reference_decode(small.reference, embedding, prompts)
    logits, iou_predictions = small.ours.decode((embedding,), prompts)
    assert logits.shape == expected_logits.shape
    assert relative_error(logits, expected_logits) < TOLERANCE
    assert relative_error(iou_predictions, expected_iou) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("case", PROMPT_CASES, ids=lambda case: case.name)
def test_decode_in_half_precision_is_close(
    small: Pair, case: PromptCase, noise: torch.Generator
) -> None:
    """The image side follows the image encoder; the tokens and the IoU head stay in single."""
    half = Sam(SMALL).eval()
    half.load_state_dict(small.ours.state_dict())
    half.image_encoder.to(torch.bfloat16)
    embedding = torch.randn(1, 64, 20, 20, generator=noise)
    features = half.prepare((embedding,))
    assert {tensor.dtype for tensor in features} == {torch.bfloat16}
    logits, iou_predictions = half.decode(features, case.tensors(SMALL))
    expected_logits, expected_iou = small.ours.decode((embedding,), case.tensors(SMALL))
    assert logits.dtype == iou_predictions.dtype == torch.float32
    assert relative_error(logits, expected_logits) < 1.5e-2
    assert relative_error(iou_predictions, expected_iou) < 1.5e-2


def test_prepared_once_for_all_prompts(small: Pair, noise: torch.Generator) -> None:
    embedding = torch.randn(1, 64, 20, 20, generator=noise)
    features = small.ours.prepare((embedding,))
    for case in PROMPT_CASES:
        prompts = case.tensors(SMALL)
        prepared = small.ours.decode(features, prompts)
        for ours, alone in zip(prepared, small.ours.decode((embedding,), prompts), strict=True):
            assert torch.equal(ours, alone), case.name


def test_decode_objects_of_several_images(small: Pair, noise: torch.Generator) -> None:
    embeddings = torch.randn(3, 64, 20, 20, generator=noise)
    for case in (BOXES_OF_THREE, ALL_OF_THREE):
        prompts = case.tensors(SMALL)
        together = small.ours.decode((embeddings,), prompts)
        for index in range(3):
            part = slice(index, index + 1)
            alone = small.ours.decode((embeddings[part],), objects(prompts, part))
            for ours, expected in zip(together, alone, strict=True):
                assert relative_error(ours[part], expected) < TOLERANCE


def objects(prompts: PromptTensors, part: slice) -> PromptTensors:
    """The prompts of some of the objects."""
    tensors = (prompts.points, prompts.labels, prompts.boxes, prompts.masks)
    return PromptTensors(*(None if tensor is None else tensor[part] for tensor in tensors))


def test_encode_several_images_at_once(small: Pair) -> None:
    images = small.ours.preprocess(
        torch.cat([make_image((200, 320)), 255 - make_image((200, 320))])
    )
    (together,) = small.ours.encode(images)
    one_by_one = torch.cat([small.ours.encode(image[None])[0] for image in images])
    assert relative_error(together, one_by_one) < TOLERANCE


def gradients_of(network: nn.Module, answer: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """Gradients of some function of all logits and IoU predictions, where there are any."""
    weights = torch.randn(answer[0].shape, generator=torch.Generator().manual_seed(4))
    loss = (answer[0] * weights).sum() + answer[1].sum()
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {n: g for n, g in zip(names, found, strict=True) if g is not None}


@pytest.mark.parametrize("case", [BOXES_OF_THREE, ALL_OF_THREE], ids=lambda case: case.name)
def test_gradients_equal_the_reference(small: Pair, case: PromptCase) -> None:
    ours, reference = small
    with torch.inference_mode(mode=False):
        prompts = case.tensors(SMALL)
        input = ours.preprocess(make_image((320, 213)))
        embedding = reference.image_encoder(input)
        expected = gradients_of(reference, reference_decode(reference, embedding, prompts))
        actual = gradients_of(ours, ours.decode(ours.encode(input), prompts))
    assert actual.keys() == expected.keys()
    # A bias of keys shifts all scores of a query alike: its gradient is nothing but rounding
    names = [name for name in expected if not name.endswith("k_proj.bias")]
    errors = {name: relative_error(actual[name], expected[name]) for name in names}
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.slow
@pytest.mark.parametrize("config", [VIT_B, VIT_L, VIT_H], ids=lambda config: config.name)
def test_parameters_are_those_of_the_official_checkpoints(config: SamConfig) -> None:
    with torch.device("meta"):
        ours, reference = build_network(config), reference_sam(config)
    ours.load_state_dict(reference.state_dict(), strict=True, assign=True)


@pytest.mark.slow
# Bytes of the published files; the rest are the archive's own, at most a kilobyte a tensor
@pytest.mark.parametrize(
    ("config", "published"),
    [(VIT_H, 2_564_550_879), (VIT_T, 40_728_226)],
    ids=lambda value: value.name if isinstance(value, SamConfig) else "",
)
def test_state_dict_fills_the_published_file(config: SamConfig, published: int) -> None:
    with torch.device("meta"):
        state = build_network(config).state_dict()
    size = sum(tensor.nbytes for tensor in state.values())
    assert size < published < size + 1024 * len(state)


@pytest.mark.parametrize("config", [SMALL, VIT_T, POCKET], ids=lambda config: config.name)
def test_an_empty_network_has_the_shapes_and_no_values(config: SamConfig | PocketConfig) -> None:
    state = empty_network(config).state_dict()
    expected = build_network(config).state_dict()
    assert {tensor.device.type for tensor in state.values()} == {"meta"}
    assert [(key, t.shape, t.dtype) for key, t in state.items()] == [
        (key, t.shape, t.dtype) for key, t in expected.items()
    ]


def test_an_empty_network_loads_by_assignment(small: Pair) -> None:
    network = empty_network(SMALL)
    network.load_state_dict(small.reference.state_dict(), strict=True, assign=True)
    input = small.ours.preprocess(make_image((320, 320)))
    assert torch.equal(network.encode(input)[0], small.ours.encode(input)[0])


@pytest.mark.slow
def test_an_empty_network_needs_no_compiler_of_pytorch() -> None:
    """Random numbers on the meta device import sympy: a second when the first model is loaded."""
    program = (
        "import sys; from napari_sam.model import VIT_B, empty_network; empty_network(VIT_B); "
        "assert not {'sympy', 'torch._dynamo'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_build_network_tells_its_config() -> None:
    with torch.device("meta"):
        networks = [build_network(config) for config in (VIT_B, VIT_T, POCKET)]
    assert [network.config.name for network in networks] == ["vit_b", "vit_t", "pocket"]
    assert [type(network) for network in networks] == [Sam, Sam, Pocket]
    assert not any(network.training for network in networks)
    assert networks[0].config.input_size == 1024
    assert networks[0].config.mask_size == 256


class StoppedError(Exception):
    """Raised by a caller who no longer wants the embedding."""


def test_progress_follows_every_block(small: Pair) -> None:
    calls = []
    small.ours.encode(torch.zeros(1, 3, 320, 320), lambda *call: calls.append(call))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_progress_may_stop_the_encoder(small: Pair) -> None:
    blocks_run = []
    hooks = [
        block.register_forward_hook(lambda *_, index=index: blocks_run.append(index))
        for index, block in enumerate(small.ours.image_encoder.blocks)
    ]

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        small.ours.encode(torch.zeros(1, 3, 320, 320), stop)
    for hook in hooks:
        hook.remove()
    assert blocks_run == [0, 1]


@pytest.mark.parametrize("whole", [False, True], ids=["encoder", "whole network"])
def test_half_precision_is_close(small: Pair, whole: bool) -> None:
    half = Sam(SMALL).eval()
    half.load_state_dict(small.ours.state_dict())
    (half if whole else half.image_encoder).to(torch.bfloat16)
    prompts = POINTS_AND_BOX.tensors(SMALL)
    input = small.ours.preprocess(make_image((213, 320)))
    expected, half_features = small.ours.encode(input), half.encode(input)
    assert half_features[0].dtype == torch.float32
    assert relative_error(half_features[0], expected[0]) < 2e-2
    logits, iou_predictions = half.decode(half_features, prompts)
    expected_logits, expected_iou = small.ours.decode(expected, prompts)
    assert relative_error(logits, expected_logits) < 5e-2
    assert relative_error(iou_predictions, expected_iou) < 5e-2


class NoDoubles(TorchDispatchMode):
    """Refuses double precision, which MPS lacks."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            assert not (isinstance(tensor, Tensor) and tensor.dtype == torch.float64), func
        return result


@pytest.mark.slow
@pytest.mark.parametrize("config", [VIT_B, VIT_L, VIT_H, VIT_T], ids=lambda config: config.name)
def test_everything_stays_on_the_device_of_the_network(config: SamConfig) -> None:
    with torch.device("meta"):
        network = Sam(config).eval()
    prompts = ALL_OF_THREE.tensors(config)
    prompts = PromptTensors(
        *(given.to("meta") if isinstance(given, Tensor) else given for given in astuple(prompts))
    )
    features = network.encode(network.preprocess(make_image((683, 1024)).to("meta")))
    logits, iou_predictions = network.decode(features, prompts)
    shapes = [tuple(tensor.shape) for tensor in (*features, logits, iou_predictions)]
    assert shapes == [(1, 256, 64, 64), (3, 4, 256, 256), (3, 4)]
    assert logits.device.type == iou_predictions.device.type == "meta"


@pytest.mark.slow
@pytest.mark.parametrize("config", [SMALL, VIT_T], ids=lambda config: config.name)
def test_nothing_is_double(config: SamConfig) -> None:
    network = Sam(config).eval()
    with NoDoubles():
        features = network.encode(network.preprocess(make_image((100, config.input_size))))
        logits, _ = network.decode(features, ALL_OF_THREE.tensors(config))
        upscale_mask(logits[0, 0], 4, (100, config.input_size), (50, 160))


def test_noise_reaches_every_parameter(small: Pair) -> None:
    """The comparisons above are worth as much as this."""
    network = Sam(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    fill_with_noise(network, seed=2)
    after = network.state_dict()
    assert all((after[name] != before[name]).float().mean() > 0.9 for name in before)
