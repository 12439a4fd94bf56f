"""`napari-sam train`."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.training import TrainingConfig

from .options import (
    LEFT_OUT,
    Device,
    check_outputs,
    files_of,
    takes_options,
    tell_left_out,
    weights_file,
)
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from types import FrameType

    from napari_sam.engine import FrameError
    from napari_sam.training import Report

NOT_BETTER = 4  # exit code

Start = Annotated[
    str,
    typer.Option(
        "--from", metavar="NAME", help="The model to begin with: pocket, another, or scratch."
    ),
]
OwnSplit = Annotated[
    bool, typer.Option("--pocket-split", hidden=True, help="The embedded model's own split.")
]
Everything = Annotated[
    bool, typer.Option(hidden=True, help="The same, and from the sources it is scored on.")
]
MapsOnly = Annotated[
    bool, typer.Option(hidden=True, help="Of pocket: the maps of objects, and no mask.")
]


@takes_options
def train(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of images and their labels.")
    ],
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The new model's weights: .safetensors.")
    ],
    start: Start = "pocket",
    options: TrainingConfig,
    device: Device = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was stopped.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout: a line for each validation.")
    ] = False,
    own_split: OwnSplit = False,
    everything: Everything = False,
    maps_only: MapsOnly = False,
) -> None:
    """Make a model better on your images, or make one from scratch.

    DATA is as for evaluate; every fifth image is kept out for validation. All of pocket is
    trained; of Segment Anything, the decoder. Weights that are better than the start are written
    to --out, with a log and a plot beside them; exit code 4 if none were better, 3 if images were
    left out. Ctrl+C stops, --resume continues.
    """
    from napari_sam import training
    from napari_sam.engine import write_options

    training.check_out(out)
    left_out: list[FrameError] = []
    items = training.find_items(data, left_out)
    inputs = (*files_of(data, items), weights_file(start))
    check_outputs(inputs, None, out, out.with_suffix(".json"), out.with_suffix(".png"))
    training_data = (
        training.read_pocket_data(items, held_out=not everything)
        if own_split or everything
        else training.read_training_data(items)
    )
    with training.joined_workers():
        begun = training.begin_from(start, device=device, seed=options.seed, maps=maps_only)
        advised = training.config_for(begun, maps_only=maps_only)
        config = replace(advised, **write_options(options))
        with progress_bar("encoding", " images") as progress:
            reports = training.train(
                training_data, begun, out, config, resume=resume, progress=progress
            )
            first = next(reports, None)
        if first is None:  # not the first of several workers: that one tells everything
            return
        for note in (*training_data.notes, *begun.notices):
            tell(note)
        last = follow(first, reports, as_json=as_json)
    tell_left_out([str(reason) for reason in left_out], len(items) + len(left_out))
    conclude(last, out, as_json=as_json)
    if left_out:
        raise typer.Exit(LEFT_OUT)


def follow(first: Report, reports: Generator[Report, None, None], *, as_json: bool) -> Report:
    """Show the run until its end, or until the user or the system stops it."""
    from tqdm import tqdm

    last = first
    with stop_signals() as signals, progress_bar("training", " %") as progress:
        show(first, as_json=as_json)
        for report in reports:
            progress(int(100 * report.done), 100)
            if report.validation is not None:
                with tqdm.external_write_mode(sys.stderr):
                    show(report, as_json=as_json)
            last = report
            if signals:
                break
    if signals and last.done < 1:
        reports.close()
        tell(f"Stopped in step {last.step}. The same command with --resume continues from there.")
        raise typer.Exit(128 + signals[0])
    return last


@contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Inside, Ctrl+C and a request to end are only noted; a second one ends at once."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def show(report: Report, *, as_json: bool) -> None:
    """A validation, as a line for the person or as one for a program."""
    validation = report.validation
    if validation is None:
        return
    if as_json:
        values = {**validation.as_json(), "done": report.done, "loss": report.loss}
        typer.echo(json.dumps({**values, "remaining_minutes": report.remaining_minutes}))
        return
    state = "start" if report.loss is None else f"step {report.step}, loss {report.loss:.2f}"
    kept = ", written" if validation.kept else ""
    left = report.remaining_minutes
    tell(
        f"{state}: {validation.figures}{kept}" + ("" if left is None else f"; {left:.1f} min left")
    )


def conclude(last: Report, out: Path, *, as_json: bool) -> None:
    """Say what became of it."""
    better = last.best.kept
    if not as_json:
        header = ("IoU", "one click", "box", "three clicks", "mean")
        results = {"start": last.start, **({"best": last.best} if better else {})}
        if last.validation is not None and last.validation.step != last.best.step:
            results["end"] = last.validation
        rows = [
            (name, *(f"{v:.3f}" for v in (f.iou_click_1, f.iou_box, f.iou_click_3, f.mean)))
            for name, f in ((name, result.figures) for name, result in results.items())
        ]
        print_table(header, rows)
    if better:
        tell(f"{out} holds the best weights, of step {last.best.step}.")
        return
    left = "was not changed" if out.exists() else "was not written"
    tell(
        f"No validated state was better than the start, mean IoU {last.start.figures.mean:.3f}: "
        f"{out} {left}. Train longer, annotate more images, or stay with the model you began from."
    )
    raise typer.Exit(NOT_BETTER)
