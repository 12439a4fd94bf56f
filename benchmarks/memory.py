"""Memory over a long session: every frame embedded, annotated, painted on and saved.

    python benchmarks/memory.py [--frames N] [--side N] [--objects N] [--model NAME]

The frames are made when they are read, as those of a stack on disk are. By default a small scripted
network answers, whose embeddings are as large as Segment Anything's; with --model a real one does.
What is wanted is a resident size that does not grow with the number of frames, but for the labels,
which are the result.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import dask.array
import numpy as np
import torch
from napari.components import ViewerModel
from napari.layers import Image
from torch import Tensor, nn

from measuring import markdown, resident
from napari_sam.engine import (
    EmbeddingCache,
    EmbeddingStore,
    LoadedModel,
    Predictor,
    Prompts,
    load_model,
)
from napari_sam.model import PocketConfig, PromptTensors
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.session import Autosave

ROWS = 10  # of the table
RADIUS = 30  # of an object, in pixels of the input
SAVED_EVERY = 10  # frames


class Scripted(nn.Module):
    """Embeddings of (1, 256, 64, 64), and a disc around the last click."""

    merges_clicks = False
    config = PocketConfig("scripted", input_size=1024, mask_size=256)

    def preprocess(self, image: Tensor) -> Tensor:
        return image.float()

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        return (torch.rand(1, 256, 64, 64),)

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        x, y = prompts.points[0, -1] / 4
        at = torch.arange(256)
        distance = torch.hypot(at[:, None] - y, at[None] - x)
        return (RADIUS / 4 - distance).expand(1, 4, 256, 256), torch.full((1, 4), 0.9)

    def upscale(
        self, low_res_logits: Tensor, input_shape: tuple[int, int], frame_shape: tuple[int, int]
    ) -> Tensor:
        return nn.functional.interpolate(low_res_logits, frame_shape, mode="bilinear")


def work(frames: int, side: int, objects: int, predictor: Predictor) -> Iterator[list[str]]:
    """Annotate frame by frame; a row of figures now and then."""
    viewer = ViewerModel()
    noise = dask.array.random.default_rng(0)
    movie = noise.integers(0, 255, (frames, side, side), np.uint8, chunks=(1, side, side))
    image = Image(movie, contrast_limits=(0, 255), cache=False)
    viewer.add_layer(image)
    bridge = LayerBridge(viewer, image)
    session, labels = bridge.session, bridge.labels
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        cache = EmbeddingCache(store=EmbeddingStore(Path(folder) / "embeddings"))
        autosave = Autosave(session, Path(folder) / "movie.napari-sam")
        for n in range(frames):
            frame = session.stack.index(n)
            viewer.dims.set_current_step(0, n)
            for object_id in range(1, objects + 1):
                prompts = Prompts.from_points([rng.uniform(0, side, 2)])
                session.annotate(object_id, frame, prompts, predictor, cache)
            with labels.block_history():
                labels.paint((n, side // 2, side // 2), objects + 1)
            if (n + 1) % SAVED_EVERY == 0:
                autosave.save()
            if (n + 1) % max(1, frames // ROWS) == 0:
                history = session._history._nbytes
                yield [
                    str(n + 1),
                    f"{resident():.0f} MB",
                    f"{(n + 1) * side * side * labels.dtype.itemsize / 1e6:.0f} MB",
                    f"{cache.nbytes / 1e6:.0f} MB",
                    f"{history / 1e6:.0f} MB",
                ]
        autosave.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=500)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--objects", type=int, default=5)
    parser.add_argument("--model", help="of the catalogue, or a checkpoint's path")
    given = parser.parse_args()
    scripted = LoadedModel(Scripted(), "scripted", "0", torch.device("cpu"), "fp32")
    predictor = Predictor(load_model(given.model) if given.model else scripted)
    header = ("frames", "resident", "labels, uncompressed", "embeddings in memory", "undo")
    rows = list(work(given.frames, given.side, given.objects, predictor))
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
