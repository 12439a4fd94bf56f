"""Segment Anything as ONNX graphs: its encoder, and its decoder as the reference exports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.export import Dim

from napari_sam.model import Sam
from napari_sam.model.attention import RelativePositionAttention, attend_widened

from .tracing import OPSET, traced

if TYPE_CHECKING:
    import onnx

MOST_POINTS = 1000  # of one object; its tokens stay fewer than a perceptron takes at once
PROMPTS = ("point_coords", "point_labels", "mask_input", "has_mask_input")

# As SamOnnxModel.mask_postprocessing of segment-anything: to the padded input, cut, to the image
UPSCALING = """
<ir_version: 10, opset_import: ["" : {opset}]>
upscaling (float[1, 4, m, m] low_res_masks, float[2] orig_im_size) => (float[1, 4, H, W] masks)
<float size = {{{size}}}, float half = {{0.5}}, int64[1] zero = {{0}}, int64[2] origin = {{0, 0}},
 int64[2] last = {{2, 3}}, int64[2] padded_size = {{{size}, {size}}}, int64[1] two = {{2}}>
{{
    longest = ReduceMax <keepdims = 1> (orig_im_size)
    scale = Div (size, longest)
    scaled = Mul (orig_im_size, scale)
    rounded = Add (scaled, half)
    floored = Floor (rounded)
    filled = Cast <to = 7> (floored)
    shape = Shape (low_res_masks)
    count = Slice (shape, zero, two)
    square = Concat <axis = 0> (count, padded_size)
    padded = Resize <mode = "linear"> (low_res_masks, , , square)
    seen = Slice (padded, origin, filled, last)
    whole = Cast <to = 7> (orig_im_size)
    full = Concat <axis = 0> (count, whole)
    masks = Resize <mode = "linear"> (seen, , , full)
}}
"""


class SamEncoderGraph(nn.Module):
    """An image of the network's size → its embedding; it is normalised and padded in the graph."""

    def __init__(self, network: Sam) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Image (h, w, 3) uint8, its long side the input's → (1, C, S / 16, S / 16)."""
        pixels = image.permute(2, 0, 1)[None].float()
        return self.network.encode(self.network.preprocess(pixels))[0]


class SamDecoderGraph(nn.Module):
    """Embedding and prompts of one object → four masks and their scores.

    The inputs are those of the reference's `SamOnnxModel`. Labels: 1 and 0 of points, 2 and 3 of
    the corners of a box, -1 of a point that stands for none.
    """

    def __init__(self, network: Sam) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        image_embeddings: Tensor,
        point_coords: Tensor,
        point_labels: Tensor,
        mask_input: Tensor,
        has_mask_input: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Low-res logits (1, 4, m, m) and IoU predictions (1, 4)."""
        encoder, decoder = self.network.prompt_encoder, self.network.mask_decoder

        # Points and corners: where they are, and what they are
        none, points = encoder.not_a_point_embed.weight, encoder.point_embeddings.parameters()
        kinds = torch.cat([none, *points])
        pe = encoder.pe_layer((point_coords + 0.5) / encoder.input_size)  # (1, N, C)
        is_given = (point_labels >= 0).unsqueeze(-1)
        sparse = torch.where(is_given, pe, 0.0) + kinds[point_labels.long() + 1]

        # The mask, or that there is none
        downscaled = encoder.mask_downscaling(mask_input).permute(0, 2, 3, 1)
        dense = torch.where(has_mask_input > 0, downscaled, encoder.no_mask_embed.weight)

        embedding = image_embeddings.float().permute(0, 2, 3, 1) + dense
        logits, iou_predictions = decoder(embedding, encoder.dense_pe(), sparse)
        return logits, iou_predictions


def sam_encoder_graph(network: Sam) -> onnx.ModelProto:
    """``image`` → ``image_embeddings``."""
    size = network.config.input_size
    height, width = (Dim(name, min=1, max=size) for name in ("height", "width"))
    with _exportable(network):
        return traced(
            SamEncoderGraph(network),
            (torch.zeros(size, size // 2, 3, dtype=torch.uint8),),
            ("image",),
            ("image_embeddings",),
            ({0: height, 1: width},),
        )


def sam_decoder_graph(network: Sam) -> onnx.ModelProto:
    """``image_embeddings`` and prompts → ``masks``, ``iou_predictions``, ``low_res_masks``."""
    import onnx.compose
    import onnx.parser

    decoder = sam_low_res_graph(network)
    upscaling = onnx.parser.parse_model(
        UPSCALING.format(opset=OPSET, size=network.config.input_size)
    )
    upscaling.ir_version = decoder.ir_version
    return onnx.compose.merge_models(
        decoder,
        onnx.compose.add_prefix(upscaling, "upscaling/", rename_inputs=False, rename_outputs=False),
        io_map=[("low_res_masks", "low_res_masks")],
        outputs=["masks", "iou_predictions", "low_res_masks"],
    )


def sam_low_res_graph(network: Sam, dtype: torch.dtype = torch.float32) -> onnx.ModelProto:
    """``image_embeddings`` of a type and prompts → ``low_res_masks``, ``iou_predictions``."""
    config = network.config
    side, mask = config.embedding_size, config.mask_size
    count = Dim("count", min=1, max=MOST_POINTS)
    example = (
        torch.zeros(1, config.embedding_dim, side, side, dtype=dtype),
        torch.zeros(1, 3, 2),
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.zeros(1, 1, mask, mask),
        torch.zeros(1),
    )
    return traced(
        SamDecoderGraph(network),
        example,
        ("image_embeddings", *PROMPTS),
        ("low_res_masks", "iou_predictions"),
        ({}, {1: count}, {1: count}, {}, {}),
    )


@contextmanager
def _exportable(network: Sam) -> Iterator[None]:
    """While a graph is made, attention is computed without blocks: a graph has no loops."""
    attentions = [m for m in network.modules() if isinstance(m, RelativePositionAttention)]
    before = [each.attend for each in attentions]
    for each in attentions:
        each.attend = attend_widened
    try:
        yield
    finally:
        for each, attend in zip(attentions, before, strict=True):
            each.attend = attend
