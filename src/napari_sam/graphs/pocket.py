"""The embedded network as ONNX graphs: one level of the pyramid, and one window of it.

Levels, windows and merged masks are not in the graphs: who runs them does that, as
`model/pocket/network.py` and the page for browsers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim

from napari_sam.model import Pocket, PocketFeatures, PromptTensors

from .tracing import traced

if TYPE_CHECKING:
    import onnx

MOST_POINTS = 1000
MOST_TILES = 64  # of 32 pixels, along a side of a level
STRIDE = 32  # the sides of a level, and of a window, are multiples of it
PER_TILE = {"coarse": 2, "middle": 4, "fine": 8, "edges": 16, "kernel": 8}  # places a side
PROMPTS = ("points", "labels", "boxes", "masks")


class PocketEncoderGraph(nn.Module):
    """One level of the pyramid → its features."""

    def __init__(self, network: Pocket) -> None:
        super().__init__()
        self.encoder = network.encoder

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Normalised (1, 3, H, W) → the fields of PocketFeatures."""
        return tuple(self.encoder(image))


class PocketDecoderGraph(nn.Module):
    """A window of features, and prompts in its pixels → four masks and their scores.

    A label of -1, a box of no extent and a mask that is negative everywhere stand for no prompt.
    """

    def __init__(self, network: Pocket) -> None:
        super().__init__()
        self.decoder = network.decoder

    def forward(
        self,
        coarse: Tensor,
        middle: Tensor,
        fine: Tensor,
        edges: Tensor,
        kernel: Tensor,
        points: Tensor,
        labels: Tensor,
        boxes: Tensor,
        masks: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Logits (1, 4, h / 2, w / 2) and IoU predictions (1, 4)."""
        features = PocketFeatures(coarse, middle, fine, edges, kernel)
        logits, scores = self.decoder(features, PromptTensors(points, labels, boxes, masks))
        return logits, scores


def pocket_encoder_graph(network: Pocket) -> onnx.ModelProto:
    """``image`` → the fields of PocketFeatures."""
    rows, columns = (Dim(name, min=1, max=MOST_TILES) for name in ("rows", "columns"))
    return traced(
        PocketEncoderGraph(network),
        (torch.zeros(1, 3, 2 * STRIDE, 3 * STRIDE),),
        ("image",),
        PocketFeatures._fields,
        ({2: STRIDE * rows, 3: STRIDE * columns},),
    )


def pocket_decoder_graph(network: Pocket) -> onnx.ModelProto:
    """Features of a window and prompts → ``logits``, ``scores``."""
    rows, columns = (Dim(name, min=1, max=MOST_TILES) for name in ("rows", "columns"))
    count = Dim("count", min=1, max=MOST_POINTS)
    with torch.inference_mode():
        features = network.encoder(torch.zeros(1, 3, 2 * STRIDE, 3 * STRIDE))
    fine = PER_TILE["fine"]
    example = (
        *(feature.clone() for feature in features),
        torch.zeros(1, 3, 2),
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.tensor([[10.0, 10.0, 50.0, 60.0]]),
        torch.zeros(1, 1, 2 * fine, 3 * fine),
    )
    maps = tuple({2: PER_TILE[f] * rows, 3: PER_TILE[f] * columns} for f in features._fields)
    return traced(
        PocketDecoderGraph(network),
        example,
        (*features._fields, *PROMPTS),
        ("logits", "scores"),
        (*maps, {1: count}, {1: count}, {}, {2: fine * rows, 3: fine * columns}),
    )
