"""Whether onnxruntime gives what PyTorch gives: on a photograph, by clicks, boxes and masks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from napari_sam.engine import LoadedModel, Predictor, Prompts, iou, resize_longest_side
from napari_sam.model import Pocket, PocketFeatures, PromptTensors, stack_windows

from .storing import data_of

if TYPE_CHECKING:
    import onnxruntime

LARGEST_ERROR = 1e-3  # of weights in single precision
LEAST_IOU = 0.995  # of masks, whatever the weights
SEED = -16.0  # logit of no mask
SAM_OUTPUTS = ("masks", "iou_predictions", "low_res_masks")

# In the photograph of coins
PROMPTS = (
    Prompts.from_points([(54, 45)]),
    Prompts.from_points([(195, 275), (206, 255)]),
    Prompts.from_points([(126, 103)]).with_point((150, 130), 0),
    Prompts.from_box((15, 305, 71, 364)),
    Prompts.from_box((155, 314, 219, 380)).with_point((190, 345), 1),
)

Pair: TypeAlias = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Agreement:
    """What graphs and PyTorch differ by."""

    error: float  # largest difference of embeddings, logits and scores, of the largest number
    iou: float  # lowest IoU of two masks


@torch.inference_mode()
def compare(model: LoadedModel, encoder: Path, decoder: Path) -> Agreement:
    """Run the graphs of a model and PyTorch, both on the CPU, on the same prompts."""
    pairs = _pocket_pairs if isinstance(model.network, Pocket) else _sam_pairs
    errors, ious = [], []
    for expected, found in pairs(model, _session(encoder), _session(decoder)):
        if expected.dtype == np.bool_:
            ious.append(iou(expected, found))
        else:
            errors.append(np.abs(expected - found).max() / np.abs(expected).max())
    return Agreement(float(max(errors)), float(min(ious)))


def sam_inputs(
    prompts: Prompts, frame_shape: tuple[int, int], input_size: int, mask: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """The prompts of an object as the decoder of Segment Anything takes them; a mask of 0: none."""
    scale = input_size / max(frame_shape)
    corners, kinds = list(prompts.points), list(prompts.labels)
    if prompts.box is None:
        corners, kinds = [*corners, (0.0, 0.0)], [*kinds, -1]
    else:
        corners, kinds = [*corners, prompts.box[:2], prompts.box[2:]], [*kinds, 2, 3]
    given: dict[str, Any] = {
        "point_coords": [[(x * scale, y * scale) for y, x in corners]],
        "point_labels": [kinds],
        "mask_input": mask[None, None],
        "has_mask_input": [mask.any()],
        "orig_im_size": frame_shape,
    }
    return {name: np.asarray(value, np.float32) for name, value in given.items()}


def _sam_pairs(
    model: LoadedModel, encoder: onnxruntime.InferenceSession, decoder: onnxruntime.InferenceSession
) -> Iterator[Pair]:
    """The embedding; of each prompt, alone and with its own mask, what the decoder gives."""
    image, predictor, config = _photograph(), Predictor(model), model.network.config
    embedding = predictor.encode(image)
    (found,) = encoder.run(None, {"image": resize_longest_side(image, config.input_size)})
    yield embedding.features.numpy(), found
    for prompts in PROMPTS:
        seed = None
        for _ in range(2):
            expected = predictor.predict(embedding, prompts, seed=seed)
            mask = np.zeros((config.mask_size,) * 2, np.float32) if seed is None else seed
            inputs = sam_inputs(prompts, embedding.frame_shape, config.input_size, mask)
            masks, scores, logits = decoder.run(SAM_OUTPUTS, {"image_embeddings": found, **inputs})
            tokens = list(expected.tokens)
            yield expected.low_res_logits, logits[0, tokens]
            yield expected.iou_predictions, scores[0, tokens]
            yield from zip(expected.masks, masks[0, tokens] > 0, strict=True)
            seed = expected.low_res_logits[0]


def _pocket_pairs(
    model: LoadedModel, encoder: onnxruntime.InferenceSession, decoder: onnxruntime.InferenceSession
) -> Iterator[Pair]:
    """Of each level its features; of each prompt in its first window what the decoder gives."""
    network, image = model.network, _photograph()
    assert isinstance(network, Pocket)
    resized = torch.from_numpy(resize_longest_side(image, network.config.input_size))
    whole = network.preprocess(resized.permute(2, 0, 1)[None])
    for shrink in network.config.levels:
        level = F.avg_pool2d(whole, shrink)
        expected = network.encoder(level)
        outputs = encoder.run(None, {"image": level.numpy()})
        found = PocketFeatures(*map(torch.from_numpy, outputs))
        yield from zip((each.numpy() for each in expected), outputs, strict=True)
        height, width = (min(side, network.config.window) for side in level.shape[-2:])
        seen, cut = (stack_windows(f, [0], [(0, 0)], (height, width)) for f in (expected, found))
        features = {name: each.numpy() for name, each in cut._asdict().items()}
        scale = network.config.input_size / max(image.shape) / shrink
        for prompts in PROMPTS:
            given, inputs = _pocket_inputs(prompts, scale, (height // 4, width // 4))
            logits, scores = network.decoder(seen, given)
            found_logits, found_scores = decoder.run(None, {**features, **inputs})
            yield logits.numpy(), found_logits
            yield scores.numpy(), found_scores
            yield from zip(logits[0].numpy() > 0, found_logits[0] > 0, strict=True)


def _pocket_inputs(
    prompts: Prompts, scale: float, shape: tuple[int, int]
) -> tuple[PromptTensors, dict[str, NDArray[np.float32]]]:
    """The prompts of an object for the network, and for its decoder as a graph."""
    points = [[(x * scale, y * scale) for y, x in prompts.points]]
    y0, x0, y1, x1 = (side * scale for side in prompts.box or (0, 0, 0, 0))
    given = PromptTensors(
        points=torch.tensor(points) if prompts.points else None,
        labels=torch.tensor([prompts.labels]) if prompts.points else None,
        boxes=None if prompts.box is None else torch.tensor([[x0, y0, x1, y1]]),
    )
    inputs: dict[str, Any] = {
        "points": points if prompts.points else [[(0, 0)]],
        "labels": [prompts.labels] if prompts.points else [[-1]],
        "boxes": [[x0, y0, x1, y1]],
        "masks": np.full((1, 1, *shape), SEED),
    }
    return given, {name: np.asarray(value, np.float32) for name, value in inputs.items()}


def _photograph() -> NDArray[np.uint8]:
    from skimage import data

    return np.repeat(np.asarray(data.coins())[..., None], 3, axis=-1)


def _session(path: Path) -> onnxruntime.InferenceSession:
    """Runs a graph, a huge one as it is: made quicker first, it takes three times its size."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    if data_of(path).exists():
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.disable_prepacking", "1")
        options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
