"""`napari-sam bench`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from .options import Device, Json, Models, Precision
from .printing import print_table, tell

if TYPE_CHECKING:
    from napari_sam.bench import Figures


def bench(
    model: Models = None,
    as_json: Json = False,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Measure models on this computer, and recommend one.

    An image is encoded, clicked, and 64 objects in it outlined by boxes. Memory is what each step
    needs on top of what was there before. Recommended is one of those that are on this computer.
    """
    from napari_sam import bench as benchmark
    from napari_sam.engine import known_models, model_state

    figures = []
    for name in dict.fromkeys(model or ["pocket"]):
        tell(f"{name}: encoding, clicking, outlining boxes …")
        figures.append(benchmark.measure(name, device=device, precision=precision))
    present = [entry for entry in known_models() if model_state(entry) != "to fetch"]
    chosen, reason = benchmark.recommend(figures, present)
    if as_json:
        rows = [asdict(each) for each in figures]
        answer = {"models": rows, "recommended": chosen, "reason": reason}
        typer.echo(json.dumps(answer, indent=2))
    else:
        header = ("", *(each.model for each in figures))
        print_table(header, list(zip(ROWS, *map(_column, figures), strict=True)))
        typer.echo(f"\n{reason}")


ROWS = ("device", "load", "encode an image", "click", "64 boxes", "previews")


def _column(figures: Figures) -> tuple[str, ...]:
    """One model's figures as words, in the order of ROWS."""
    return (
        f"{figures.device}, {figures.precision}, {figures.threads} threads",
        f"{figures.load_seconds:.2f} s{_memory(figures.load_megabytes)}",
        f"{figures.encode_seconds:.2f} s{_memory(figures.encode_megabytes)}",
        f"{figures.click_milliseconds:.0f} ms{_memory(figures.click_megabytes)}",
        f"{figures.boxes_milliseconds:.0f} ms{_memory(figures.boxes_megabytes)}",
        f"{figures.previews_per_second:.0f} a second",
    )


def _memory(megabytes: float | None) -> str:
    return "" if megabytes is None else f", {megabytes:.0f} MB"
