"""`napari-sam auto`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.engine import (
    AutomaticOptions,
    GridRules,
    ImageChoice,
    ModelChoice,
    SamError,
    box_outline,
)

from .embed import open_store
from .options import (
    Frames,
    Json,
    LabelsOut,
    Overlay,
    check_outputs,
    numbers,
    open_predictor,
    picture_format,
    read_stack,
    takes_options,
    weights_file,
)
from .printing import print_table, progress_bar, tell, tell_assumed
from .segment import save_overlay

if TYPE_CHECKING:
    from napari_sam.engine import FrameIndex, Predictor
    from napari_sam.headless.automatic import Placed
    from napari_sam.headless.tiles import Source

LISTED = 20  # objects in the table; more are summed up

Within = Annotated[
    str | None,
    typer.Option(
        metavar="Y0,X0,Y1,X1",
        help="Look in this box only; with three points Y,X or more, in this polygon.",
    ),
]
Link = Annotated[
    bool,
    typer.Option(
        "--link",
        help="Give each object of a stack one number in all frames: over time as a track, "
        "through depth as one body.",
    ),
]


@takes_options
def auto(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr, or a folder.")
    ],
    *,
    out: LabelsOut,
    options: AutomaticOptions,
    grid: GridRules,
    within: Within = None,
    frames: Frames = "all",
    link: Link = False,
    reading: ImageChoice,
    choice: ModelChoice,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Find all objects of an image or a stack, and write them as labels.

    Where objects overlap, the better one keeps the pixels. What was dropped is counted, with the
    reason. Labels called .ome.zarr are written tile by tile: the image may be of any size, and a
    command that was stopped goes on where it was.
    """
    from napari_sam.engine import EmbeddingCache, choose_method, write_labels
    from napari_sam.headless import automatic as headless
    from napari_sam.headless import choose_frames, parse_frames
    from napari_sam.headless.image import blank_notices, new_session
    from napari_sam.headless.tiles import ENDING, Source

    stack, names = read_stack(image, reading)
    outline = None if within is None else read_outline(within)
    options = replace(options, grid=grid, within=outline, kept_score=1.0, kept_stability=1.0)
    wanted = list(choose_frames(stack, parse_frames(frames)))
    check_outputs((image, weights_file(choice.model)), out, overlay)
    if overlay:
        picture_format(overlay)
    if link and stack.ndim == 2:
        tell("This image has one frame only: there is nothing to link.")
    to_disk = out.name.endswith(ENDING)
    if to_disk and (link or overlay):
        raise SamError(
            f"The labels {out.name} are written tile by tile, without --link and --overlay. Leave "
            "these out, or write a .tif or .zarr."
        )
    predictor = open_predictor(choice)
    choose_method(options, predictor.model.network)
    if to_disk:
        source = Source.of_file(image, stack, names, reading.series)
        write_tiles(source, predictor, out, options, wanted, as_json=as_json)
        return
    session = new_session(stack, highest_id=2**16)
    for notice in blank_notices(stack, wanted):
        tell(notice)
    with progress_bar("segmenting", "%") as progress:
        cache = EmbeddingCache(store=open_store())
        found = headless.find_everything(
            session, predictor, options, wanted, cache=cache, progress=progress
        )
        placed = list(found)
    if link and stack.ndim > 2:
        if not {"T", "Z"} & set(stack.letters):
            tell_assumed("its frames are", "--axes ZYX")
        placed = headless.link_everything(session, placed)
    write_labels(out, headless.as_small_as_fits(session.labels), names)
    if overlay:
        save_overlay(overlay, stack, session.labels, wanted[0])
    if nothing := headless.nothing_found(placed):
        tell(nothing)
    report(image, out, predictor, placed, as_json=as_json)


def write_tiles(
    source: Source,
    predictor: Predictor,
    out: Path,
    options: AutomaticOptions,
    frames: Sequence[FrameIndex],
    *,
    as_json: bool,
) -> None:
    """Write the labels of an image of any size, and say how many objects there are."""
    from napari_sam.headless.tiles import find_to_disk

    with progress_bar("segmenting", "%") as progress:
        written = find_to_disk(source, predictor, out, options, frames, progress=progress)
    if as_json:
        about = {"image": source.name, "labels": str(out), "n_objects": written.n_objects}
        more = {"n_tiles": written.n_tiles, "dropped": dict(written.dropped.most_common())}
        typer.echo(json.dumps(about | more, indent=2))
        return
    typer.echo(f"{written.n_objects} objects in {written.n_tiles} tiles")
    if written.n_kept:
        typer.echo(f"{written.n_kept} of these tiles were done already by an earlier run")
    if dropped := ", ".join(f"{n} {reason}" for reason, n in written.dropped.most_common()):
        typer.echo(f"dropped: {dropped}")
    typer.echo(f"written to {out}")


def read_outline(text: str) -> tuple[tuple[float, float], ...]:
    """The outline in a --within such as "0,0,50,60", a box, or "0,0,0,60,50,30", a polygon."""
    counts = (4, *range(6, 1000, 2))
    values = numbers("--within", text, "a box Y0,X0,Y1,X1 or a polygon Y,X,Y,X,Y,X", counts)
    if len(values) == 4:
        return box_outline(values)
    return tuple(zip(values[::2], values[1::2], strict=True))


def report(
    image: Path, out: Path, predictor: Predictor, placed: Sequence[Placed], *, as_json: bool
) -> None:
    """Objects on stdout, as a table or JSON, and how many proposals were dropped for what."""
    from napari_sam.headless.automatic import as_row, why_dropped

    objects = [as_row(each) for each in placed if each.object_id]
    if as_json:
        model = predictor.model
        about = {"image": str(image), "labels": str(out), "model": model.name, "hash": model.hash}
        device = {"device": str(model.device), "precision": model.precision}
        result = {**about, **device, "objects": objects, "dropped": why_dropped(placed)}
        typer.echo(json.dumps(result, indent=2))
        return
    print_objects(objects)
    dropped = ", ".join(f"{n} {reason}" for reason, n in why_dropped(placed).items())
    if dropped:
        typer.echo(f"dropped: {dropped}")
    typer.echo(f"written to {out}")


def print_objects(objects: Sequence[Mapping[str, Any]]) -> None:
    """One line for each of the first objects, and how many there are in all."""
    rows = [
        (
            str(each["object_id"]),
            ",".join(map(str, each["frame"])),
            f"{each['score']:.2f}",
            f"{each['stability']:.2f}",
            str(each["area"]),
            ",".join(f"{edge:g}" for edge in each["box"]),
        )
        for each in objects[:LISTED]
    ]
    if rows:
        print_table(("object", "frame", "score", "stability", "area", "box"), rows)
    n_objects = len({each["object_id"] for each in objects})
    n_frames = len({tuple(each["frame"]) for each in objects})
    where = f" in {n_frames} frames" if n_frames > 1 else ""
    typer.echo(f"{n_objects} object{'' if n_objects == 1 else 's'}{where}")
