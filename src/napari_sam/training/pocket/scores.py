"""Scores a model on the sources kept out of the embedded one's training, as its card gives them.

``python -m napari_sam.training.pocket.scores DATA WEIGHTS``, DATA with an ``index.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from napari_sam.engine import Predictor, load_model
from napari_sam.training.data import frames_of, load_index
from napari_sam.training.evaluation.protocol import Score, evaluate, macro

from .seeds import SeedScore, seed_scores
from .split import split_items

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def score(
    data: Path,
    weights: Path,
    part: Annotated[str, typer.Option(help="train, validation, held out or natural")] = "held out",
    max_objects: Annotated[int, typer.Option(help="Of each frame, drawn at random")] = 10,
    seeds: Annotated[bool, typer.Option(help="Score the maps of objects instead.")] = False,
) -> None:
    """Score WEIGHTS on a part of DATA: a table of means per source."""
    items = split_items(load_index(data))[part]
    predictor = Predictor(load_model(weights, device="cpu", precision="fp32"))
    frames = (frame for item in items for frame in frames_of(item))
    if seeds:
        typer.echo(table(seed_scores(predictor, frames)))
        return
    overall, per_source = macro(list(evaluate(predictor, frames, max_objects=max_objects)))
    typer.echo(table({**per_source, "**macro mean**": overall}))


def table(scores: Mapping[str, Score | SeedScore]) -> str:
    """Scores as a Markdown table, one row a source."""
    some, *_ = scores.values()
    names = [field.name for field in fields(some)]
    rows = [["source", *names], ["---"] * (1 + len(names))]
    for source, score in scores.items():
        values = (getattr(score, name) for name in names)
        rows.append([source, *(f"{v:.3f}" if isinstance(v, float) else str(v) for v in values)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    app()
