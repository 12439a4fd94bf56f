"""`napari-sam alike`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.engine import AlikeOptions, GridRules, ImageChoice, ModelChoice

from .automatic import Within, print_objects, read_outline
from .embed import open_store
from .options import (
    Frames,
    Json,
    LabelsOut,
    Overlay,
    check_outputs,
    open_predictor,
    picture_format,
    read_stack,
    takes_options,
    weights_file,
    whole_numbers,
)
from .printing import progress_bar, tell
from .segment import OneFrame, save_overlay

if TYPE_CHECKING:
    from napari_sam.engine import Predictor
    from napari_sam.headless import Placed
    from napari_sam.session import Session

ExampleLabels = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="Labels of the examples: of the image, or of one frame of a stack. They keep their "
        "pixels and numbers in the result.",
    ),
]
Others = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="IMAGE",
        help="Another image to look in for objects like the examples; can be given several times. "
        "Its labels are written beside the others, with the name of the image.",
    ),
]


@dataclass(frozen=True, eq=False)
class Task:
    """One image to look in, and where its labels go."""

    image: Path
    out: Path
    session: Session
    axes: str | None


@takes_options
def alike(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr, or a folder.")
    ],
    *,
    labels: ExampleLabels,
    out: LabelsOut,
    others: Others = None,
    options: AlikeOptions,
    grid: GridRules,
    within: Within = None,
    frame: OneFrame = None,
    frames: Frames = "all",
    reading: ImageChoice,
    choice: ModelChoice,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Find more objects like some examples, and write them as labels.

    Segment one to three objects first, for instance by clicks. What was dropped is counted, with
    the reason.
    """
    from napari_sam.engine import EmbeddingCache, SamError, choose_method, write_labels
    from napari_sam.headless import alike as headless
    from napari_sam.headless import as_small_as_fits, choose_frames, parse_frames
    from napari_sam.headless.image import blank_notices

    outline = None if within is None else read_outline(within)
    options = replace(options, grid=grid, within=outline)
    outs = [out, *(beside(out, other) for other in others or ())]
    if len(set(outs)) < len(outs):
        raise SamError(
            "Two of the other images have one name, so their labels would be one file. Rename one, "
            "or give them in two commands."
        )
    inputs = (image, labels, *(others or ()), weights_file(choice.model))
    for each in outs:
        check_outputs(inputs, each, *(other for other in outs if other != each), overlay)
    if overlay:
        picture_format(overlay)
    tasks = list(read_tasks(image, labels, outs, others or (), frame, reading))
    predictor = open_predictor(choice)
    choose_method(options, predictor.model.network)
    cache = EmbeddingCache(store=open_store())
    examples = headless.examples_in(tasks[0].session, predictor, cache=cache)
    results = []
    for task in tasks:
        stack = task.session.stack
        wanted = list(choose_frames(stack, parse_frames(frames)))
        for notice in blank_notices(stack, wanted):
            tell(notice)
        with progress_bar("segmenting", "%") as progress:
            given = (task.session, predictor, examples, options, wanted)
            placed = list(headless.more_like_these(*given, cache=cache, progress=progress))
        write_labels(task.out, as_small_as_fits(task.session.labels), task.axes)
        results.append((task, placed))
    if overlay:
        save_overlay(overlay, tasks[0].session.stack, tasks[0].session.labels, wanted[0])
    report(results, predictor, len(examples.looks), as_json=as_json)


def beside(out: Path, image: Path) -> Path:
    """Where the labels of another image go: ``labels.tif`` and ``b.png`` → ``labels-b.tif``."""
    return out.with_name(f"{out.stem}-{image.stem}{out.suffix}")


def read_tasks(
    image: Path,
    labels: Path,
    outs: Sequence[Path],
    others: Sequence[Path],
    frame: str | None,
    reading: ImageChoice,
) -> Iterator[Task]:
    """The image with its examples first, then the others, with nothing labelled."""
    from napari_sam.engine import read_labels
    from napari_sam.headless import example_session, new_session

    stack, axes = read_stack(image, reading)
    given, _ = read_labels(labels)
    index = None if frame is None else stack.index(*whole_numbers(frame))
    yield Task(image, outs[0], example_session(stack, given, index), axes)
    for other, path in zip(others, outs[1:], strict=True):
        stack, axes = read_stack(other, reading)
        yield Task(other, path, new_session(stack, highest_id=2**16), axes)


def report(
    results: Sequence[tuple[Task, Sequence[Placed]]],
    predictor: Predictor,
    n_examples: int,
    *,
    as_json: bool,
) -> None:
    """What was found in each image on stdout, as tables or JSON."""
    from napari_sam.headless import automatic as headless

    images: list[dict[str, Any]] = []
    for task, placed in results:
        objects = [headless.as_row(each) for each in placed if each.object_id]
        dropped = headless.why_dropped(placed)
        if nothing := headless.nothing_found(placed):
            tell(nothing)
        images.append(
            {"image": str(task.image), "labels": str(task.out)}
            | {"objects": objects, "dropped": dropped}
        )
        if as_json:
            continue
        print_objects(objects)
        if dropped:
            typer.echo(f"dropped: {', '.join(f'{n} {reason}' for reason, n in dropped.items())}")
        typer.echo(f"written to {task.out}")
    if as_json:
        model = predictor.model
        about = {"model": model.name, "hash": model.hash, "examples": n_examples}
        device = {"device": str(model.device), "precision": model.precision}
        typer.echo(json.dumps({**about, **device, "images": images}, indent=2))
