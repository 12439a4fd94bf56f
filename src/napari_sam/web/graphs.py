"""The embedded network as two ONNX graphs: what `make web` puts into the page.

Levels, windows and merged masks are not in them: the page does that (`web/src/network/pocket.ts`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from napari_sam.engine import load_model
from napari_sam.model import PromptTensors
from napari_sam.model.pocket import Pocket, PocketFeatures

FEATURES = PocketFeatures._fields
PROMPTS = ("points", "labels", "boxes", "masks")
MULTIPLES = {"coarse": 2, "middle": 4, "fine": 8, "edges": 16, "kernel": 8, "masks": 8}  # of 32 px
MOST_TILES, MOST_POINTS = 64, 10_000  # a side of the input is as many times 32 pixels


class EncoderGraph(nn.Module):
    """One level of the pyramid, ``(1, 3, H, W)`` normalised → its features."""

    def __init__(self, network: Pocket) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """The fields of PocketFeatures."""
        return tuple(self.encoder(image))


class DecoderGraph(nn.Module):
    """A window of the features and prompts in its pixels → four masks and their scores.

    A label of -1, a box of no extent and a mask that is negative everywhere count as no prompt.
    Masks are at stride 4.
    """

    def __init__(self, network: Pocket) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (1, 4, h/2, w/2) and IoU predictions (1, 4)."""
        features, (points, labels, boxes, masks) = PocketFeatures(*given[:5]), given[5:]
        logits, scores = self.decoder(features, PromptTensors(points, labels, boxes, masks))
        return logits, scores


def encoder_graph(network: Pocket) -> bytes:
    """The encoder as ONNX: ``image`` → the fields of PocketFeatures."""
    rows, columns = (32 * Dim(name, min=1, max=MOST_TILES) for name in ("rows", "columns"))
    return _graph(
        EncoderGraph(network),
        (torch.zeros(1, 3, 64, 96),),
        (("image",), FEATURES),
        ({2: rows, 3: columns},),
    )


def decoder_graph(network: Pocket) -> bytes:
    """The decoder as ONNX: features of a window and prompts → ``logits``, ``scores``."""
    rows, columns = (Dim(name, min=1, max=MOST_TILES) for name in ("rows", "columns"))
    tall = {name: {2: n * rows, 3: n * columns} for name, n in MULTIPLES.items()}
    count = Dim("count", min=1, max=MOST_POINTS)
    shapes = {**tall, "points": {1: count}, "labels": {1: count}, "boxes": {}}
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 3, 64, 96))
    prompts = (
        torch.zeros(1, 3, 2),
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.tensor([[10.0, 10.0, 50.0, 60.0]]),
        torch.zeros(1, 1, 16, 24),
    )
    inputs = (*FEATURES, *PROMPTS)
    return _graph(
        DecoderGraph(network),
        (*(feature.clone() for feature in features), *prompts),
        (inputs, ("logits", "scores")),
        (tuple(shapes[name] for name in inputs),),
    )


def _graph(
    module: nn.Module,
    example: tuple[Tensor, ...],
    names: tuple[tuple[str, ...], tuple[str, ...]],
    shapes: Any,
) -> bytes:
    program = torch.onnx.export(
        module.eval(),
        example,
        dynamo=True,
        input_names=names[0],
        output_names=names[1],
        dynamic_shapes=shapes,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    content: bytes = program.model_proto.SerializeToString()
    return content


def write_graphs(folder: Path) -> None:
    """Write encoder.onnx, decoder.onnx and network.json of the embedded network into a folder."""
    model = load_model("pocket", device="cpu")
    network = model.network
    if not isinstance(network, Pocket):
        raise TypeError(f"pocket is a {type(network).__name__}")
    folder.mkdir(parents=True, exist_ok=True)
    folder.joinpath("encoder.onnx").write_bytes(encoder_graph(network))
    folder.joinpath("decoder.onnx").write_bytes(decoder_graph(network))
    config = network.config
    described = {
        "name": model.name,
        "hash": model.hash,
        "precision": model.precision,
        "input_size": config.input_size,
        "mask_size": config.mask_size,
        "levels": config.levels,
        "window": config.window,
        "sure": config.sure,
        "fit": config.fit,
        "stride": config.stride,
    }
    folder.joinpath("network.json").write_text(json.dumps(described))


if __name__ == "__main__":
    write_graphs(Path(sys.argv[1]))
