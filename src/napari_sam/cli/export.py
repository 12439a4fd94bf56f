"""`napari-sam export` and `napari-sam import`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from .measure import PixelSize, Unit, sized, tell_problems
from .options import LEFT_OUT, Axes, LabelsOut, SeriesName, check_outputs
from .printing import print_table, tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameStack, LabelFile, Labelled
    from napari_sam.formats import Canvas

OTHER_EXPORTS = {  # by what one may write after `export`
    "web": "page IMAGE --out page.html",
    "onnx": "models onnx NAME --out FOLDER",
    "features": "features IMAGE",
}

Source = Annotated[
    Path | None,
    typer.Argument(metavar="LABELS", help="Labels, or a saved session: IMAGE.napari-sam."),
]


def export(
    labels: Source = None,
    *,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT", help="One of --list; by default what the ending of --out tells."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="The file, or the folder, to be written.")
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(metavar="IMAGE", help="The image, for pictures of its objects."),
    ] = None,
    axes: Axes = None,
    series: SeriesName = None,
    scale: PixelSize = None,
    unit: Unit = None,
    listed: Annotated[bool, typer.Option("--list", help="Print the formats, and end.")] = False,
) -> None:
    """Write objects for another program: Fiji, QuPath, Cellpose, TrackMate, Python.

    What the format cannot hold is printed before it is written. Exit code 3 if parts of a session
    are missing or damaged: the rest is written.
    """
    from napari_sam.engine import SamError
    from napari_sam.formats import check_export, find_format, losses, write_objects
    from napari_sam.headless import open_labelled

    if listed:
        list_formats()
        return
    if labels is None or out is None:
        raise SamError("Give labels, and --out with the path to be written; --list shows formats.")
    if (other := OTHER_EXPORTS.get(str(labels))) and not labels.exists():
        raise SamError(f"There are no labels {labels}. Did you mean `napari-sam {other}`?")
    chosen = find_format(to, out)
    check_outputs((labels, image), None, None if chosen.is_folder else out)
    check_export(chosen, out, has_image=image is not None)
    objects = sized(open_labelled(labels, axes=axes, series=series), scale, unit)
    stack = None if image is None else opened(image, objects)
    for lost in losses(objects, chosen):
        tell(lost)
    write_objects(objects, out, chosen, stack)
    typer.echo(f"{chosen.title} written to {out}")
    tell_problems(objects)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="A file of another program, or a session in a ZIP file."
        ),
    ],
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FORMAT",
            help="One of `napari-sam export --list`; by default what the ending of FILE tells.",
        ),
    ] = None,
    out: LabelsOut,
    like: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE",
            help="The image, or labels of its size, for formats that do not say how large it is.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="LABELS",
            help="Labels whose pixels objects take that have positions only, such as those of GEFF "
            "and of tables of tracks; without them each becomes a disc.",
        ),
    ] = None,
    axes: Axes = None,
) -> None:
    """Read objects from a file of another program, and write them as labels.

    Labels as .zarr keep classes and review states. What had to be left out or changed is printed
    before it is written; the exit code is 3 then.
    """
    from napari_sam.formats import import_objects
    from napari_sam.session import is_packed

    check_outputs((file, like, labels), out)
    if source is None and is_packed(file):
        objects = _of_session(file)
    else:
        canvas = canvas_of(place, axes) if (place := like or labels) else None
        if canvas is not None and labels is not None:
            canvas = replace(canvas, segments=segments_of(labels, canvas, axes))
        objects = import_objects(file, source, canvas=canvas)
    for problem in objects.problems:
        tell(problem)
    _write_imported(out, objects)
    shape = " × ".join(map(str, objects.shape))
    typer.echo(f"labels of {shape} ({objects.axes}) written to {out}")
    for name, n in sorted(_classes(objects).items()):
        typer.echo(f"class {name}: {n} object{'' if n == 1 else 's'}")
    if objects.problems:
        raise typer.Exit(LEFT_OUT)


def list_formats() -> None:
    """A line a format."""
    from napari_sam.formats import FORMATS

    rows = [
        (
            each.name,
            each.title,
            "folder" if each.is_folder else each.suffixes[0],
            "export and import" if each.reads else "export",
            f"pip install {each.package}" if each.package else "",
        )
        for each in FORMATS.values()
    ]
    print_table(("format", "what", "file", "for", "needs"), rows)


def opened(image: Path, objects: Labelled) -> FrameStack:
    """The image of the objects."""
    from napari_sam.engine import FrameError, FrameStack, open_image

    found = open_image(image)
    stack = FrameStack.from_array(found.data, axes=found.axes)
    if stack.shape != objects.shape:
        raise FrameError(
            f"{image} has the shape {stack.shape}, the labels {objects.shape}. Give the image that "
            "was labelled."
        )
    return stack


def canvas_of(like: Path, axes: str | None) -> Canvas:
    """The size and the axes of an image, or of labels."""
    from napari_sam.engine import FrameStack, open_image, read_scales, scales_of
    from napari_sam.formats import Canvas
    from napari_sam.headless import open_labelled
    from napari_sam.session import is_session

    if is_session(like):
        return Canvas.of(open_labelled(like))
    found = open_image(like, axes=axes, indexed=True)
    stack = FrameStack.from_array(found.data, axes=found.axes)
    letters = stack.letters or "Q" * (stack.ndim - 2) + "YX"
    scale, units = scales_of(read_scales(like), letters) or ((), ())
    return Canvas(stack.shape, letters, scale, units)


def segments_of(labels: Path, canvas: Canvas, axes: str | None) -> LabelFile:
    """Labels as large as an image."""
    from napari_sam.engine import FrameError, read_labels

    found, _ = read_labels(labels, axes=axes)
    if found.shape != canvas.shape:
        raise FrameError(
            f"{labels} has the shape {found.shape}, the image {canvas.shape}. Give labels of this "
            "image."
        )
    return found


def _write_imported(out: Path, objects: Labelled) -> None:
    """OME-Zarr keeps what is known of objects; of other labels it is said what they lose."""
    from napari_sam.engine import write_labels
    from napari_sam.formats import check_export, find_format, write_objects

    if out.suffix.lower() == ".zarr":
        chosen = find_format("ome-zarr", out)
        check_export(chosen, out)
        write_objects(objects, out, chosen)
        return
    if objects.classes or objects.reviews:
        tell("Classes and review states are not kept in this file. Write --out labels.zarr.")
    write_labels(out, objects.labels[...], None if "Q" in objects.axes else objects.axes)


def _of_session(archive: Path) -> Labelled:
    """The objects of a session in a ZIP file, read into memory."""
    from napari_sam.headless import open_labelled
    from napari_sam.session import unpack

    with TemporaryDirectory() as name:
        return open_labelled(unpack(archive, Path(name, archive.stem)))


def _classes(objects: Labelled) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in objects.classes.values():
        found[name] = found.get(name, 0) + 1
    return found
