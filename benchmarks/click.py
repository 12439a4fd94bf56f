"""Click to mask and many boxes against segment-anything 1.0: time, memory and error.

    python benchmarks/click.py [--repeats N] [--threads 1 2]

The embedding is there already; prompts come in, masks in the frame's own pixels go out. Each
implementation runs in a process of its own, in turns, so that all meet the machine in the same
state; the ratios are what counts. The decoder is that of ViT-B, -L and -H alike, with noise for
weights, and its masks are noise all over the frame: the one upscaled is a cell's instead, but for
the row that says so.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from measuring import elsewhere, markdown, peak_memory, reset_peak_memory, save, seconds
from napari_sam.engine import Embedding, LoadedModel, Prediction, Predictor, Prompts
from napari_sam.model import VIT_B, Sam, ViTConfig
from oracles import import_oracle, make_pair, relative_error

ONE_BLOCK = ViTConfig(768, depth=1, heads=12, global_blocks=())  # the encoder does not run
CONFIG = replace(VIT_B, encoder=ONE_BLOCK)
VARIANTS = ("segment-anything 1.0", "segment-anything 1.0, batch", "fp32", "bf16")
CLICKS = 15
BOXES = 64
CELL = 8 - np.hypot(*np.ogrid[-100:156, -120:136]).astype(np.float32)[None]  # 16th of the frame


class Figures(NamedTuple):
    """What one implementation needs, in seconds and MB, and what it says."""

    click_1024: float
    click_2048: float
    click_2048_everywhere: float
    box: float
    memory: float  # for one more box, its mask (1024, 1024) included
    logits: NDArray[np.float32]

    def cells(self, reference: Figures) -> list[str]:
        """The figures as words, compared with the reference's."""
        cells = [
            f"{1000 * ours:.0f} ms, {theirs / ours:.1f}×"
            for ours, theirs in zip(self[:4], reference[:4], strict=True)
        ]
        error = relative_error(torch.tensor(self.logits), torch.tensor(reference.logits))
        return [*cells, f"{self.memory:.1f} MB", f"{error:.1e}"]


ROWS = (
    "click, 1024²",
    "click, 2048²",
    "click, 2048², mask all over the frame",
    f"a box of {BOXES}, 1024²",
    "memory for one more box",
    "error of the logits",
)


class Ours:
    """This package's predictor."""

    def __init__(self, network: Sam, precision: str) -> None:
        if precision == "bf16":
            network.image_encoder.to(torch.bfloat16)
        model = LoadedModel(network, "benchmark", "0", torch.device("cpu"), precision)
        self.predictor = Predictor(model)

    def embed(self, features: torch.Tensor, side: int) -> None:
        self.embedding = Embedding((features,), (side, side), (1024, 1024), "0")

    def click(self, x: float, y: float, *, everywhere: bool = False) -> NDArray[np.float32]:
        prediction = self.predictor.predict(self.embedding, Prompts.from_points([(y, x)]))
        (prediction if everywhere else as_cell(prediction)).mask()
        return prediction.low_res_logits

    def boxes(self, boxes: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
        prompts = [Prompts.from_box((y0, x0, y1, x1)) for x0, y0, x1, y1 in boxes]
        predictions = self.predictor.predict_many(self.embedding, prompts, multimask=False)
        return [as_cell(prediction).mask() for prediction in predictions]


class Reference:
    """segment-anything's predictor; with `batch`, its boxes go through the decoder together."""

    def __init__(self, network: torch.nn.Module, batch: bool) -> None:
        self.predictor = import_oracle("segment_anything.predictor").SamPredictor(network)
        self.batch = batch

    def embed(self, features: torch.Tensor, side: int) -> None:
        self.predictor.features = features
        self.predictor.is_image_set = True
        self.predictor.original_size, self.predictor.input_size = (side, side), (1024, 1024)

    def click(self, x: float, y: float, *, everywhere: bool = False) -> NDArray[np.float32]:
        _, _, logits = self.predictor.predict(np.array([[x, y]]), np.array([1]))
        return logits

    def boxes(self, boxes: NDArray[np.float64]) -> list[NDArray[np.bool_]]:
        if self.batch:
            corners = torch.tensor(boxes, dtype=torch.float32)
            masks, _, _ = self.predictor.predict_torch(None, None, corners, multimask_output=False)
            return list(masks[:, 0].numpy())
        return [self.predictor.predict(box=box, multimask_output=False)[0][0] for box in boxes]


def as_cell(prediction: Prediction) -> Prediction:
    """The prediction with a cell's mask instead of its own."""
    return replace(prediction, low_res_logits=CELL, best=0)


@torch.inference_mode()
def measure(variant: str, threads: int) -> Figures:
    """The figures of one implementation in this process."""
    torch.set_num_threads(threads)
    pair = make_pair(CONFIG)
    theirs = Reference(pair.reference, batch=variant == VARIANTS[1])
    implementation = theirs if variant in VARIANTS[:2] else Ours(pair.ours, variant)
    features = torch.randn(1, 256, 64, 64, generator=torch.Generator().manual_seed(1))
    corners = np.random.default_rng(2).uniform(0, 960, (BOXES, 2))
    boxes = np.concatenate([corners, corners + 64], axis=1)

    implementation.embed(features, 1024)
    logits = implementation.click(300, 400)
    click_1024 = seconds(lambda: implementation.click(300, 400), CLICKS)
    kept = implementation.boxes(boxes[:4])
    reset_peak_memory()
    before, start = peak_memory(), time.perf_counter()
    kept = implementation.boxes(boxes)
    box = (time.perf_counter() - start) / len(kept)
    memory = (peak_memory() - before) / (BOXES - 4)

    implementation.embed(features, 2048)
    click_2048 = seconds(lambda: implementation.click(600, 800), CLICKS)
    everywhere = seconds(lambda: implementation.click(600, 800, everywhere=True), CLICKS)
    return Figures(click_1024, click_2048, everywhere, box, memory, logits)


def table(threads: int, repeats: int) -> str:
    """Medians of the repeats, compared with segment-anything's own."""
    runs = [
        [
            Figures(*elsewhere(__file__, "--variant", variant, "--threads", str(threads)))
            for variant in VARIANTS
        ]
        for _ in range(repeats)
    ]
    figures = [
        Figures(*(median(run[column][i] for run in runs) for i in range(5)), runs[0][column].logits)
        for column in range(len(VARIANTS))
    ]
    columns = [each.cells(figures[0]) for each in figures]
    header = (f"{threads} thread{'s' * (threads > 1)}", *VARIANTS)
    return markdown(header, list(zip(ROWS, *columns, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--save", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.save:
        save(arguments.save, tuple(measure(arguments.variant, arguments.threads[0])))
        return
    for threads in arguments.threads:
        sys.stdout.write(table(threads, arguments.repeats) + "\n")


if __name__ == "__main__":
    main()
