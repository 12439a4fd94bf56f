"""Other people's implementations, which ours must equal: segment-anything 1.0 and timm.

Both import torchvision, of which the tests need two functions. Where torchvision is not installed,
a stand-in takes its place for the time of the import.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from functools import partial
from importlib.util import find_spec
from types import ModuleType
from typing import ClassVar, NamedTuple
from unittest import mock

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.engine import GridRules
from napari_sam.model import Sam, SamConfig, ViTConfig

# 20 x 20 tokens: two windows a side with padding, two blocks of query rows
SMALL = SamConfig(
    "small",
    ViTConfig(width=64, depth=4, heads=4, global_blocks=(1, 3)),
    input_size=320,
    embedding_dim=64,
)


class Pair(NamedTuple):
    """One network twice, with the same noise as weights."""

    ours: Sam
    reference: nn.Module


class StandIn(ModuleType):
    """A module in which every name that is requested is an empty class."""

    __path__: ClassVar[list[str]] = []  # marks it as a package

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, type(name, (), {}))
        return self.__dict__[name]


InterpolationMode = Enum(
    "InterpolationMode", "NEAREST NEAREST_EXACT BILINEAR BICUBIC BOX HAMMING LANCZOS"
)


def to_pil_image(image: np.ndarray) -> Image.Image:
    """(H, W, 3) uint8 to a picture."""
    return Image.fromarray(image)


def resize(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resize to (H, W), bilinearly and antialiased."""
    return image.resize(size[::-1], Image.Resampling.BILINEAR)


def box_area(boxes: Tensor) -> Tensor:
    """Areas (N,) of boxes (N, 4) x0, y0, x1, y1."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Positions of the boxes that greedy non-maximum suppression keeps; all are of one kind."""
    assert not idxs.any()
    areas, kept = box_area(boxes), []
    for nth in scores.argsort(descending=True, stable=True).tolist():
        low = torch.maximum(boxes[nth, :2], boxes[kept, :2])
        high = torch.minimum(boxes[nth, 2:], boxes[kept, 2:])
        common = (high - low).clamp(min=0).prod(1)
        ious = common / (areas[nth] + areas[kept] - common)
        if not (ious.double() > iou_threshold).any():  # single precision, compared in double
            kept.append(nth)
    return torch.tensor(kept, dtype=torch.long)


def connected_components(
    mask: np.ndarray, connectivity: int
) -> tuple[int, np.ndarray, np.ndarray, None]:
    """How many, which pixels, and in the last column how large; what OpenCV says that is used."""
    assert connectivity == 8
    regions, n = ndimage.label(mask, np.ones((3, 3)))
    return n + 1, regions, np.bincount(regions.ravel(), minlength=n + 1)[:, None], None


def reference_masks(network: nn.Module, image: np.ndarray, rules: GridRules) -> list[dict]:
    """What segment-anything's generator finds in an image (H, W, 3) uint8."""
    generator = import_oracle("segment_anything.automatic_mask_generator")
    cv2 = ModuleType("cv2")
    cv2.connectedComponentsWithStats = connected_components
    parameters = {**asdict(rules), "points_per_batch": 64}
    with mock.patch.dict(sys.modules, {"cv2": cv2}):
        return generator.SamAutomaticMaskGenerator(network, **parameters).generate(image)


@contextmanager
def torchvision_stand_in() -> Iterator[None]:
    """Let `import torchvision` succeed inside the block."""
    if find_spec("torchvision"):
        yield
        return
    names = ["", ".datasets", ".ops", ".ops.boxes", ".ops.misc"]
    names += [".transforms", ".transforms.functional"]
    modules = {f"torchvision{name}": StandIn(f"torchvision{name}") for name in names}
    functional = modules["torchvision.transforms.functional"]
    functional.resize, functional.to_pil_image = resize, to_pil_image
    functional.InterpolationMode = InterpolationMode
    boxes = modules["torchvision.ops.boxes"]
    boxes.batched_nms, boxes.box_area = batched_nms, box_area
    modules["torchvision"].transforms = modules["torchvision.transforms"]
    modules["torchvision.transforms"].functional = functional
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            del sys.modules[name]


def import_oracle(name: str) -> ModuleType:
    """Import a module of segment-anything or timm."""
    with torchvision_stand_in():
        return importlib.import_module(name)


def reference_sam(config: SamConfig) -> nn.Module:
    """segment-anything's Sam of the sizes of our config."""
    modeling = import_oracle("segment_anything.modeling")
    encoder = config.encoder
    assert isinstance(encoder, ViTConfig)
    dim, size = config.embedding_dim, config.embedding_size
    return modeling.Sam(
        image_encoder=modeling.ImageEncoderViT(
            depth=encoder.depth,
            embed_dim=encoder.width,
            img_size=config.input_size,
            num_heads=encoder.heads,
            patch_size=encoder.patch_size,
            norm_layer=partial(nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            global_attn_indexes=encoder.global_blocks,
            window_size=encoder.window_size,
            out_chans=dim,
        ),
        prompt_encoder=modeling.PromptEncoder(
            embed_dim=dim,
            image_embedding_size=(size, size),
            input_image_size=(config.input_size, config.input_size),
            mask_in_chans=16,
        ),
        mask_decoder=modeling.MaskDecoder(
            transformer_dim=dim,
            transformer=modeling.TwoWayTransformer(
                depth=2, embedding_dim=dim, num_heads=8, mlp_dim=2048
            ),
        ),
    ).eval()


def make_pair(config: SamConfig) -> Pair:
    """The reference, and our network with its weights, strictly loaded."""
    reference = reference_sam(config)
    fill_with_noise(reference, seed=0)
    ours = Sam(config).eval()
    ours.load_state_dict(reference.state_dict(), strict=True)
    return Pair(ours, reference)


def reference_tiny_vit() -> nn.Module:
    """timm's TinyViT-5M, with the stride of its last stage as MobileSAM changed it."""
    timm = import_oracle("timm.models.tiny_vit")
    network = timm.tiny_vit_5m_224(pretrained=False, num_classes=1000).eval()
    network.stages[3].downsample.conv2.conv.stride = (1, 1)
    return network


def mobile_sam_keys(timm_state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of TinyViT under the keys of MobileSAM's checkpoint."""
    return {_mobile_sam_key(key): value for key, value in timm_state.items()}


def _mobile_sam_key(key: str) -> str:
    parts = key.replace("head.norm", "norm_head").replace("head.fc", "head").split(".")
    if parts[0] == "patch_embed":
        parts[1] = {"conv1": "seq.0", "conv2": "seq.2"}[parts[1]]
    if parts[0] == "stages":  # MobileSAM merges patches at the end of a stage, timm before the next
        parts[:2] = ["layers", str(int(parts[1]) - (parts[2] == "downsample"))]
    return ".".join("c" if part == "conv" else part for part in parts)


@torch.no_grad()
def fill_with_noise(network: nn.Module, seed: int) -> None:
    """Seeded noise in every parameter and statistic, of a size that keeps activations near one.

    The initial values would hide mistakes: relative positions and many biases are zero.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        is_norm = "Norm" in type(module).__name__
        tensors = [*module._parameters.items(), *module._buffers.items()]
        for name, tensor in tensors:
            if tensor is None or not tensor.is_floating_point() or name.startswith("pixel_"):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if is_norm and name in ("weight", "running_var"):
                tensor.copy_(1 + 0.2 * noise.clamp(-2, 2))
            elif isinstance(module, nn.Linear | nn.Conv2d) and name == "weight":
                tensor.copy_(noise * (tensor.numel() / len(tensor)) ** -0.5)
            elif isinstance(module, nn.ConvTranspose2d) and name == "weight":
                tensor.copy_(noise * len(tensor) ** -0.5)
            else:
                tensor.copy_(0.3 * noise)


def upscale(
    low_res_logits: Tensor, stride: int, input_shape: tuple[int, int], frame_shape: tuple[int, int]
) -> Tensor:
    """Low-res logits (B, M, m, m') to the frame, (B, M, H, W), all of it, as the reference does.

    Bilinearly to the padded input, `stride` times as large; cropped to `input_shape`; bilinearly to
    `frame_shape`.
    """
    padded = F.interpolate(low_res_logits, scale_factor=stride, mode="bilinear")
    cropped = padded[..., : input_shape[0], : input_shape[1]]
    return F.interpolate(cropped, frame_shape, mode="bilinear")


def relative_error(actual: Tensor, expected: Tensor) -> float:
    """Distance over length, both L2."""
    return float((actual.double() - expected.double()).norm() / expected.double().norm())
