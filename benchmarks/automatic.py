"""Everything in a frame by a grid of clicks, against segment-anything 1.0's mask generator.

    python benchmarks/automatic.py [--points 32] [--threads 1 2] [--repeats N]

From the image to the masks, encoding included, on ViT-B with noise for weights; each implementation
in a process of its own, in turns. Of noise every mask covers the frame, which is the worst case for
what is done mask by mask. The thresholds let a third of the candidates pass by their score and most
of these by their stability; boxes do not suppress each other, so that all masks are compared.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from skimage.data import human_mitosis

from measuring import peak_memory
from napari_sam.engine import (
    AutomaticOptions,
    FrameStack,
    GridRules,
    LoadedModel,
    Predictor,
    find_objects,
)
from napari_sam.engine.models.checkpoint import read_network
from napari_sam.model import VIT_B
from oracles import reference_masks, reference_sam

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
REFERENCE = "segment-anything 1.0"
VARIANTS = (REFERENCE, *DTYPES)
RULES = GridRules(pred_iou_thresh=0.2, stability_score_thresh=0.05, box_nms_thresh=1.0)


class Run(NamedTuple):
    """One frame in one process."""

    seconds: float
    peak: float  # resident memory, MB, loading included
    n_masks: int
    areas: tuple[int, ...]  # sorted


@torch.inference_mode()
def find(variant: str, points: int, threads: int, checkpoint: str) -> Run:
    """Find everything in this process."""
    torch.set_num_threads(threads)
    rules = GridRules(points, *())
    image = np.stack([human_mitosis()[:384, :512]] * 3, axis=-1)
    image = np.kron(image, np.ones((2, 2, 1), np.uint8))
    if variant == REFERENCE:
        network = reference_sam(VIT_B)
        network.load_state_dict(torch.load(checkpoint))
        start = time.perf_counter()
        areas = [record["area"] for record in reference_masks(network, image, rules)]
    else:
        network = read_network(Path(checkpoint), DTYPES[variant])
        model = LoadedModel(network, "benchmark", "0", torch.device("cpu"), variant)
        stack = FrameStack.from_array(image)
        options = AutomaticOptions(method="grid", overlap=1.0, grid=rules)
        start = time.perf_counter()
        found = find_objects(Predictor(model), stack, stack.index(), options)
        areas = [each.area for each in found if each.dropped is None]
    return Run(time.perf_counter() - start, peak_memory(), len(areas), tuple(sorted(areas)))
