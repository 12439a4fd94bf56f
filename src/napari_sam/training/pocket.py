"""Makes the embedded model, and scores one on the sources kept out of its training.

``python -m napari_sam.training.pocket train DATA --out FILE`` trains in one process;
``torchrun --standalone --nproc-per-node 2 -m napari_sam.training.pocket train …`` in two, which on
a busy computer is quicker than two threads. DATA is a folder with an ``index.json``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import save_file
from torch import distributed

from napari_sam.engine import LoadedModel, Predictor, load_model
from napari_sam.model import Pocket

from .augment import Source
from .data import AnnotatedFrame, Item, frames_of, load_index, split_items
from .evaluation import Score, evaluate, macro
from .loop import Training, TrainingConfig
from .synthetic import synthesise

CHECKPOINT_SECONDS = 300
LOG_STEPS = 50
N_SYNTHETIC = 600

log = logging.getLogger(__name__)
app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def train(
    data: Path,
    out: Annotated[Path, typer.Option(help="Weights to write (.safetensors)")],
    minutes: Annotated[float, typer.Option(help="Wall time of the training")] = 75.0,
    seed: Annotated[int, typer.Option(help="Of weights, images and prompts")] = 0,
    resume: Annotated[bool, typer.Option(help="Go on from the checkpoint beside OUT")] = False,
    threads: Annotated[int, typer.Option(help="Of each process")] = 1,
) -> None:
    """Train the embedded network on DATA and on synthetic images."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(threads)
    if distributed.is_torchelastic_launched():
        distributed.init_process_group("gloo")
    parts = split_items(load_index(data))
    training = Training(TrainingConfig(minutes=minutes, seed=seed))
    training.sources = sources(parts["train"], seed + training.worker)
    checkpoint = out.with_suffix(".checkpoint")
    if resume:
        training.load(torch.load(checkpoint, weights_only=True))
    watch(training, frames(parts["validation"]), checkpoint, out)


@app.command()
def score(
    data: Path,
    weights: Path,
    part: Annotated[str, typer.Option(help="train, validation, held out or natural")] = "held out",
    max_objects: Annotated[int, typer.Option(help="Of each frame, drawn at random")] = 10,
) -> None:
    """Score WEIGHTS on a part of DATA: a table of means per source."""
    items = split_items(load_index(data))[part]
    predictor = Predictor(load_model(weights, device="cpu", precision="fp32"))
    overall, per_source = macro(list(evaluate(predictor, frames(items), max_objects=max_objects)))
    typer.echo(table({**per_source, "**macro mean**": overall}))


def watch(
    training: Training, validation: list[AnnotatedFrame], checkpoint: Path, out: Path
) -> None:
    """Train to the end; every few minutes write a checkpoint and the weights, and validate."""
    recent, saved = [], training.seconds
    for progress in training.run():
        recent.append((progress.loss, progress.kernel_loss, progress.crops_per_second))
        if training.worker != 0:
            continue
        if progress.step % LOG_STEPS == 0:
            means = np.mean(recent[-LOG_STEPS:], 0).round(3)
            log.info("step %d, %.1f %%: %s", progress.step, 100 * progress.done, means)
        if training.seconds - saved > CHECKPOINT_SECONDS or progress.done >= 1:
            saved = training.seconds
            save_checkpoint(training, checkpoint)
            save_weights(training.average, out)
            predictor = Predictor(loaded(training.average))
            scores = evaluate(predictor, validation, max_objects=3, n_clicks=5)
            log.info("validation: %s", macro(list(scores))[0])


def frames(items: Iterable[Item]) -> list[AnnotatedFrame]:
    """The frames of the items that hold objects."""
    return [frame for item in items for frame in frames_of(item)]


def sources(items: Iterable[Item], seed: int, n_synthetic: int = N_SYNTHETIC) -> list[list[Source]]:
    """Frames for training grouped by source, the synthetic ones last."""
    grouped: dict[str, list[Source]] = {}
    for frame in frames(items):
        grouped.setdefault(frame.source, []).append(Source.from_frame(frame))
    rng = np.random.default_rng(seed)
    made = (synthesise(rng) for _ in range(n_synthetic))
    synthetic = [Source.from_frame(frame) for frame in made if frame.labels.any()]
    return [*grouped.values(), synthetic]


def save_checkpoint(training: Training, path: Path) -> None:
    """Write a checkpoint that is either whole or not there."""
    partial = path.with_suffix(".partial")
    torch.save(training.state(), partial)
    partial.replace(path)


def save_weights(network: Pocket, path: Path) -> None:
    """Write the weights in half precision: half the file for no measurable loss."""
    half = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    save_file(half, path, {"config": network.config.name})


def loaded(network: Pocket) -> LoadedModel:
    """A network in training as the predictor takes it."""
    return LoadedModel(network, network.config.name, "in training", torch.device("cpu"), "fp32")


def table(scores: dict[str, Score]) -> str:
    """Scores as a Markdown table, one row a source."""
    names = [field.name for field in fields(Score)]
    rows = [["source", *names], ["---"] * (1 + len(names))]
    for source, score in scores.items():
        values = (getattr(score, name) for name in names)
        rows.append([source, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    app()
