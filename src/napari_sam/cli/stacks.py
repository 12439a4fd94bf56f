"""`napari-sam propagate` and `napari-sam track`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Device, Model, Precision, check_folders, whole_numbers
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.session import Carried


class Way(StrEnum):
    """Where objects go from the frame in which they are."""

    FORWARD = "forward"
    BACKWARD = "backward"
    BOTH = "both"


def propagate(
    image: Annotated[Path, typer.Argument(help="A stack: TIFF or Zarr.", show_default=False)],
    labels: Annotated[
        Path, typer.Option(help="The objects in one frame: of that frame, or of the whole stack.")
    ],
    frame: Annotated[
        str, typer.Option(metavar="T[,Z]", help="The frame in which they are, counted from 0.")
    ],
    out: Annotated[Path, typer.Option(help="Where the labels go: .tif or .zarr.")],
    ids: Annotated[
        str | None, typer.Option(metavar="1,2", help="Objects to carry; all by default.")
    ] = None,
    direction: Annotated[Way, typer.Option(help="Where to.")] = Way.FORWARD,
    frames: Annotated[
        int | None, typer.Option(min=1, help="How far at most; to the end by default.")
    ] = None,
    axis: Annotated[
        int | None, typer.Option(help="Axis to go along, counted from 0; the first by default.")
    ] = None,
    channel: Annotated[
        list[int] | None, typer.Option(help="Channel to look at, counted from 0; all by default.")
    ] = None,
    model: Model = "pocket",
    device: Device = "auto",
    precision: Precision = "auto",
    scores: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="How far each result can be trusted.")
    ] = None,
) -> None:
    """Carry the objects of one frame to the frames after or before it.

    An object that is lost, leaves the frame or merges with a neighbour ends there, and it is said
    why.
    """
    from napari_sam import headless_stacks as headless
    from napari_sam.engine import FrameStack, Predictor, load_model, read_image, write_labels

    check_folders(out, scores)
    pixels, axes = read_image(image)
    stack = FrameStack.from_array(pixels, axes=axes, channel=channel)
    index = stack.index(*whole_numbers(frame))
    session = headless.seeded_session(stack, read_image(labels)[0], index)
    predictor = Predictor(load_model(model, device=device, precision=precision))
    for notice in predictor.model.notices:
        tell(notice)
    with progress_bar("propagating", "%") as progress:
        results = list(
            headless.propagate(
                session,
                index,
                predictor,
                None if ids is None else object_ids(ids),
                direction=direction.value,
                n_frames=frames,
                axis=axis,
                progress=progress,
            )
        )
    write_labels(out, session.labels, axes and "".join(a for a in axes if a not in "CS"))
    if scores:
        headless.write_scores(scores, results)
    print_carried(results)
    typer.echo(f"written to {out}")


def track(
    labels: Annotated[
        Path, typer.Argument(help="Labels over time: TIFF or Zarr.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(metavar="TRACKS.csv", help="A row an object and frame.")],
    labels_out: Annotated[
        Path | None, typer.Option(help="Labels whose ids are the tracks': .tif or .zarr.")
    ] = None,
    reach: Annotated[
        float, typer.Option(help="How far an object moves from frame to frame, in diameters.")
    ] = 1.5,
) -> None:
    """Link the labels of successive frames into tracks, and find divisions.

    For labels whose ids say nothing over time, such as Cellpose's or StarDist's frame by frame.
    Tracks keep the ids that most of their labels had.
    """
    from napari_sam.engine import read_image, write_labels
    from napari_sam.session import LinkRules, find_tracks, link

    check_folders(out, labels_out)
    pixels, axes = read_image(labels)
    time_axis = axes.index("T") if axes and "T" in axes else 0
    tracks = link(find_tracks(pixels, time_axis=time_axis), LinkRules(reach=reach))
    tracks.write_csv(out)
    typer.echo(
        f"{tracks.n_tracks} tracks, {len(set(tracks.parents.values()))} divisions, written to {out}"
    )
    if labels_out:
        write_labels(labels_out, tracks.relabel(pixels, time_axis), axes)
        typer.echo(f"labels written to {labels_out}")


def object_ids(text: str) -> list[int]:
    """The ids in an option's value such as "1,2"."""
    from napari_sam.engine import SamError

    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise SamError(f"--ids {text} cannot be read. Write ids with commas: 1,2.") from error


def print_carried(results: Iterable[Carried]) -> None:
    """One line an object: how far it went, how sure, and why it ended."""
    by_object: dict[int, list[Carried]] = {}
    for result in results:
        by_object.setdefault(result.object_id, []).append(result)
    rows = []
    for object_id, carried in sorted(by_object.items()):
        going = [each for each in carried if not each.stopped]
        worst = min(going, key=lambda each: each.score, default=None)
        rows.append(
            (
                str(object_id),
                str(len(going)),
                f"{worst.score:.2f}" if worst else "",
                ",".join(str(i) for i in worst.frame if i is not None) if worst else "",
                " ".join(each.stopped for each in carried if each.stopped),
            )
        )
    print_table(("object", "frames", "lowest score", "in frame", "ended"), rows)
