"""`napari-sam propagate` and `napari-sam track`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.engine import ImageChoice, ModelChoice
from napari_sam.stacks import LinkRules, PropagationOptions

from .options import (
    Axes,
    LabelsOut,
    SeriesName,
    check_outputs,
    open_predictor,
    read_stack,
    takes_options,
    weights_file,
    whole_numbers,
)
from .printing import print_table, progress_bar, tell, tell_assumed

if TYPE_CHECKING:
    from napari_sam.engine import FrameIndex, FrameStack
    from napari_sam.session import Propagated
    from napari_sam.stacks import Tracks

Seeds = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="The objects to propagate: labels of that frame, or of the whole stack (only that "
        "frame is used). With direction between: labels of the whole stack, in which every frame "
        "with objects counts as annotated.",
    ),
]
Ids = Annotated[
    str | None,
    typer.Option(metavar="1,2", help="Numbers of the objects to propagate; all by default."),
]
Scores = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="A table of scores from 0 to 1, one for each mask. Look for mistakes where they are "
        "low.",
    ),
]


@takes_options
def propagate(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="A time-lapse or volume: TIFF or Zarr."),
    ],
    *,
    labels: Seeds,
    frame: Annotated[
        str,
        typer.Option(
            metavar="T[,Z]",
            help="The frame of these labels, or one between, counted from 0.",
        ),
    ],
    out: LabelsOut,
    ids: Ids = None,
    options: PropagationOptions,
    reading: ImageChoice,
    choice: ModelChoice,
    scores: Scores = None,
) -> None:
    """Propagate objects from one frame to those after or before it.

    An object that vanishes, leaves the frame or merges with a neighbour ends there; the reason is
    printed.
    """
    from napari_sam.engine import read_labels, write_labels, write_options
    from napari_sam.headless import stacks as headless
    from napari_sam.headless import write_scores
    from napari_sam.headless.image import blank_notices

    chosen = None if ids is None else object_ids(ids)
    stack, names = read_stack(image, reading)
    check_stack(image, stack)
    index = stack.index(*whole_numbers(frame))
    seeds, _ = read_labels(labels)
    check_outputs((image, labels, weights_file(choice.model)), out, scores)
    if options.direction == "between":
        session = headless.annotated_session(stack, seeds)
    else:
        session = headless.seeded_session(stack, seeds, index)
    options = with_through(options, stack, index)
    for notice in blank_notices(stack, [index]):
        tell(notice)
    predictor = open_predictor(choice)
    with progress_bar("propagating", "%") as progress:
        results = list(
            headless.propagate(
                session,
                index,
                predictor,
                chosen,
                **write_options(options),
                progress=progress,
            )
        )
    write_labels(out, session.labels, names)
    if scores:
        write_scores(scores, results)
    print_propagated(results)
    typer.echo(f"written to {out}")


@takes_options
def track(
    labels: Annotated[
        Path,
        typer.Argument(metavar="LABELS", help="Labels over time, not the image: TIFF or Zarr."),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(metavar="TRACKS.csv", help="The tracks: a row for each object and frame."),
    ],
    labels_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write labels in which each track has one number: .tif or .zarr.",
        ),
    ] = None,
    options: LinkRules,
    axes: Axes = None,
    series: SeriesName = None,
) -> None:
    """Link labels over time into tracks, and find divisions.

    For labels that were made frame by frame, for example by Cellpose or StarDist, in which an
    object has a different number in every frame. Each track keeps the number that most of its
    labels had.
    """
    from napari_sam.engine import FrameError, read_labels, write_labels
    from napari_sam.stacks import find_tracks, link

    pixels, names = read_labels(labels, axes=axes, series=series)
    check_outputs([labels], labels_out, out)
    if names and len(names) != len(pixels.shape):
        raise FrameError(
            f"The axes {names} do not fit labels of shape {pixels.shape}. Give one letter "
            "for each axis."
        )
    time_axis = names.index("T") if names and "T" in names else 0
    if names and names[time_axis] in "YX":
        raise FrameError(
            f"Of the axes {names} of {labels} none is time. Give labels over time; if the file "
            "names its axes wrongly, name them: --axes TYX."
        )
    regions = find_tracks(pixels, time_axis=time_axis)
    tracks = link(regions, options)
    tracks.write_csv(out)
    typer.echo(f"{objects_a_frame(regions, pixels.shape[time_axis])} in {labels}")
    typer.echo(f"{tracks.n_tracks} tracks, {tracks.n_divisions} divisions, written to {out}")
    if labels_out:
        write_labels(labels_out, tracks.relabel(pixels, time_axis), names)
        typer.echo(f"labels written to {labels_out}")


def check_stack(image: Path, stack: FrameStack) -> None:
    """Notice an image that has one frame only."""
    from napari_sam.engine import FrameError

    if stack.ndim == 2:
        size = " × ".join(map(str, stack.shape))
        raise FrameError(
            f"{image} is a single image, {size} pixels: it has no other frame to propagate objects "
            "to. Give a time-lapse or a volume."
        )


def with_through(
    options: PropagationOptions, stack: FrameStack, frame: FrameIndex
) -> PropagationOptions:
    """The same, saying whether the axis is time or depth: as the file does, else time."""
    from napari_sam.stacks import axis_along, named_through

    if options.through is not None:
        return options
    along = axis_along(stack, frame, options.axis)
    named = named_through(stack, along)
    if named is None:
        tell_assumed(f"axis {along} is", "--through depth")
    return replace(options, through=named or "time")


def objects_a_frame(tracks: Tracks, n_frames: int) -> str:
    """How many objects the frames hold, as words: what are not labels shows there."""
    import numpy as np

    counts = np.bincount(tracks.frames, minlength=n_frames)
    low, high = int(counts.min()), int(counts.max())
    numbers = f"{low}" if low == high else f"{low} to {high}"
    return f"{n_frames} frames with {numbers} object{'' if high == 1 else 's'} each"


def object_ids(text: str) -> list[int]:
    """The ids in an option's value such as "1,2"."""
    from napari_sam.engine import SamError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SamError(f"--ids {text} cannot be read. Write ids with commas: 1,2.") from error


def print_propagated(results: Iterable[Propagated]) -> None:
    """One line an object: how far it went, how sure, and why it ended."""
    by_object: dict[int, list[Propagated]] = {}
    for result in results:
        by_object.setdefault(result.object_id, []).append(result)
    rows = []
    for object_id, propagated in sorted(by_object.items()):
        going = [each for each in propagated if not each.stopped]
        worst = min(going, key=lambda each: each.score, default=None)
        rows.append(
            (
                str(object_id),
                str(len(going)),
                f"{worst.score:.2f}" if worst else "",
                ",".join(str(i) for i in worst.frame if i is not None) if worst else "",
                " ".join(each.stopped for each in propagated if each.stopped),
            )
        )
    print_table(("object", "frames", "lowest score", "in frame", "ended"), rows)
