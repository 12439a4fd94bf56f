"""`napari-sam measure`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.engine import ImageChoice
from napari_sam.measurements import MeasureOptions

from .options import LEFT_OUT, check_outputs, numbers, read_stack, takes_options
from .printing import progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameStack, Labelled

LabelsIn = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Labels of the image: TIFF, Zarr, PNG or a session; by default the session that is "
        "saved beside the image.",
    ),
]
PixelSize = Annotated[
    str | None,
    typer.Option(
        metavar="0.2[,0.2]",
        help="The size of a pixel, or one along each axis, if the file does not say it or is "
        "wrong.",
    ),
]
Unit = Annotated[
    str | None, typer.Option("--unit", metavar="NAME", help="The unit of --scale: micrometer.")
]


@takes_options
def measure(
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr; or a session, with the image of it."
        ),
    ],
    *,
    labels: LabelsIn = None,
    out: Annotated[
        Path,
        typer.Option(
            metavar="TABLE", help="A row for each object and frame: .csv, .parquet or .xlsx."
        ),
    ],
    tracks: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            help="Also a row for each track: lifetime, speed, divisions.",
        ),
    ] = None,
    options: MeasureOptions,
    reading: ImageChoice,
    scale: PixelSize = None,
    unit: Unit = None,
) -> None:
    """Measure objects: size, shape, place, intensity in each channel, tracks.

    In the units of the image where it says the size of its pixels; the name of each column says
    which. Exit code 3 if parts of a session are missing or damaged: the rest is measured.
    """
    from napari_sam.measurements import (
        check_table_path,
        measure,
        measure_tracks,
        write_measurements,
    )

    for path in (out, tracks):
        if path is not None:
            check_table_path(path)
    objects, stack, inputs = open_both(image, labels, reading)
    check_outputs(inputs, None, out, tracks)
    objects = sized(objects, scale, unit)
    with progress_bar("measuring", "frame") as progress:
        table = measure(objects, stack, options, progress=progress)
    found = None if tracks is None else measure_tracks(table, objects.parents)
    write_measurements(out, table)
    if tracks is not None and found is not None:
        write_measurements(tracks, found)
        typer.echo(f"{len(found)} tracks written to {tracks}")
    n = table["object_id"].nunique()
    rows = f" in {len(table)} rows" if len(table) != n else ""
    typer.echo(f"{n} object{'' if n == 1 else 's'}{rows}, {len(table.columns)} columns, in {out}")
    if not n:
        tell("There is no object in these labels: the table is empty.")
    tell_problems(objects)


def tell_problems(objects: Labelled) -> None:
    """Print which parts of a session could not be read, and exit with code 3 if any."""
    for problem in objects.problems:
        tell(problem)
    if objects.problems:
        raise typer.Exit(LEFT_OUT)


def open_both(
    image: Path, labels: Path | None, reading: ImageChoice
) -> tuple[Labelled, FrameStack | None, list[Path]]:
    """The objects, the image if there is one, and the files that are read."""
    from napari_sam.engine import read_scales, scales_of
    from napari_sam.headless import labelled
    from napari_sam.session import is_session

    given = image
    if is_session(image):
        source, found = labels or image, labelled.image_of(image)
        if found is None:
            tell(f"The image of {image} is not there: its objects come without intensities.")
            return labelled.open_labelled(source), None, [source]
        image = found
    else:
        source = labels or labelled.session_beside(image)
    stack, names = read_stack(image, reading)
    objects = labelled.with_axes(labelled.open_labelled(source), names)
    if is_session(given) and stack.shape != objects.shape:
        tell(
            f"{image} has the shape {stack.shape}, the objects {objects.shape}: they come without "
            "intensities. Say how it is read with --axes, --channel or --series."
        )
        return objects, None, [image, source]
    if set(objects.units) == {"pixel"}:
        said = scales_of(read_scales(image, reading.series), names)
        if said is not None and len(said[0]) == len(objects.axes):
            objects = labelled.with_scale(objects, *said)
    return objects, stack, [image, source]


def sized(objects: Labelled, scale: str | None, unit: str | None) -> Labelled:
    """The objects with the size of a pixel that the command says."""
    from napari_sam.engine import SamError
    from napari_sam.headless.labelled import with_scale

    if scale is None and unit is None:
        return objects
    if scale is None:
        raise SamError("A --unit needs the size of a pixel: give --scale too, such as 0.2.")
    counts = tuple(range(1, len(objects.axes) + 1))
    sizes = numbers("--scale", scale, "the size of a pixel, or one along each axis", counts)
    return with_scale(objects, sizes, unit or "micrometer")
