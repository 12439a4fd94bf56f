"""Small networks, and bright disks that they can learn to segment within a minute."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile
import torch

from checkpoints import SMALL
from napari_sam.engine import LoadedModel
from napari_sam.model import PocketConfig, SamConfig, build_network
from napari_sam.training import TrainingData
from napari_sam.training.data import AnnotatedFrame, FrameName
from napari_sam.training.start import DECODER_ONLY, FROM_SCRATCH

SIDE = 64
TINY = PocketConfig(
    name="tiny", input_size=SIDE, mask_size=32, levels=(1, 2), window=SIDE, fit=40,
    widths=(4, 8, 16, 16, 16), depths=(0, 1, 1, 1, 1),
)  # fmt: skip
POCKET_RUN = replace(
    FROM_SCRATCH, steps=6, crops=2, crop_size=SIDE, objects=2, clicks=4, whole_share=1.0,
    rounds=(0.5, 0.3, 0.2), dense_share=0.05, rate=4e-3, warm_up=10, ema=0.95,
    synthetic_images=2, synthetic_share=0.1, bf16=False,
)  # fmt: skip
DECODER_RUN = replace(DECODER_ONLY, steps=6, rate=4e-3, bf16=False)


def disks(seed: int, n: int = 1) -> AnnotatedFrame:
    """A noisy frame with bright disks of 20 to 32 px."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((SIDE, SIDE), np.int32)
    ys, xs = np.mgrid[:SIDE, :SIDE]
    for id_ in range(1, n + 1):
        y, x = rng.uniform(18, SIDE - 18, 2)
        inside = (ys - y) ** 2 + (xs - x) ** 2 < rng.uniform(10, 16) ** 2
        labels[inside & (labels == 0)] = id_
    image = np.where(labels > 0, 200, 40) + rng.normal(0, 10, labels.shape)
    grey = image.clip(0, 255).astype(np.uint8)
    name = FrameName(f"disks {seed}")
    return AnnotatedFrame("disks", np.repeat(grey[..., None], 3, -1), labels, name)


def training_data(n_training: int = 8, n_validation: int = 3) -> TrainingData:
    """Frames of one disk each, all of them different."""
    return TrainingData(
        [disks(seed) for seed in range(n_training)],
        [disks(100 + seed) for seed in range(n_validation)],
        ("Disks.",),
    )


def start(config: PocketConfig | SamConfig, seed: int = 0) -> LoadedModel:
    """A small network with random weights, as a training begins from it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(config)
    return LoadedModel(network, config.name, f"{config.name} {seed}", torch.device("cpu"), "fp32")


def tiny_pocket(seed: int = 0) -> LoadedModel:
    """A start of the embedded network's kind."""
    return start(TINY, seed)


def tiny_sam(seed: int = 0) -> LoadedModel:
    """A start of Segment Anything's kind."""
    return start(SMALL, seed)


def write_folder(folder: Path, n: int = 10, n_disks: int = 2) -> Path:
    """A folder of annotated images, as `napari-sam train` takes it."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(n):
        frame = disks(seed, n_disks)
        for kind, pixels in (("image", frame.image[..., 0]), ("labels", frame.labels)):
            tifffile.imwrite(folder / f"{seed}.{kind}.tif", pixels, photometric="minisblack")
    return folder
