"""`napari-sam segment` and `napari-sam demo`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.engine import ImageChoice, ModelChoice

from .embed import open_store
from .options import (
    Device,
    Json,
    LabelsOut,
    Model,
    Overlay,
    check_outputs,
    numbers,
    open_predictor,
    picture_format,
    read_stack,
    takes_options,
    weights_file,
    whole_numbers,
)
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameIndex, FrameStack, Predictor, Prompts
    from napari_sam.headless.image import Segmented

Points = Annotated[
    list[str] | None,
    typer.Option(
        metavar="Y,X[,LABEL]",
        help="A point: label 1 (or none) on the object, 0 on what does not belong to it.",
    ),
]
Boxes = Annotated[
    list[str] | None,
    typer.Option(metavar="Y0,X0,Y1,X1", help="A box: top, left, bottom, right."),
]
PromptTable = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="A table of clicks and boxes for many objects, with the columns object_id, t and "
        "z of a stack, kind (point or box), y, x, label, y0, x0, y1, x1.",
    ),
]
OneFrame = Annotated[
    str | None,
    typer.Option(metavar="T[,Z]", help="Frame of a stack, counted from 0; the first by default."),
]


@takes_options
def segment(
    image: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE",
            help="TIFF, PNG, JPEG or Zarr, or a folder.",
            show_default=False,
        ),
    ],
    *,
    out: LabelsOut,
    point: Points = None,
    box: Boxes = None,
    prompts: PromptTable = None,
    each: Annotated[
        bool, typer.Option("--each", help="Make a separate object of each point and each box.")
    ] = False,
    frame: OneFrame = None,
    reading: ImageChoice,
    choice: ModelChoice,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Segment objects by points and boxes, and write them as labels.

    Coordinates are y,x in pixels: row first, the centre of the first pixel is 0,0. --point, --box
    and --channel can be given several times.

    All points of a call are one object, together with a box. With several boxes each is an object,
    and a point belongs to the smallest box around it. Where objects overlap,
    the one with the lower number keeps the pixels.
    """
    from napari_sam.engine import EmbeddingCache, write_labels
    from napari_sam.headless import image as headless

    clicks = [numbers("--point", text, "Y,X or Y,X,LABEL", (2, 3)) for text in point or ()]
    boxes = [numbers("--box", text, "Y0,X0,Y1,X1", (4,)) for text in box or ()]
    stack, names = read_stack(image, reading)
    wanted = gather(stack, frame, prompts, headless.group(clicks, boxes, each=each))
    check_outputs((image, prompts, weights_file(choice.model)), out, overlay)
    if overlay:
        picture_format(overlay)
    predictor = open_predictor(choice)
    session = headless.new_session(stack, highest_id=max(object_id for object_id, _ in wanted))
    for notice in headless.blank_notices(stack, (frame for _, frame in wanted)):
        tell(notice)
    with progress_bar("encoding") as progress:
        cache = EmbeddingCache(store=open_store())
        results = list(headless.segment(session, wanted, predictor, progress, cache))
    write_labels(out, session.labels, names)
    if overlay:
        save_overlay(overlay, stack, session.labels, results[0].frame)
    report(image, out, predictor, results, as_json=as_json)


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path(
        "demo"
    ),
    model: Model = "pocket",
    device: Device = "auto",
    gui: Annotated[
        bool, typer.Option("--gui", help="Open the window with an example instead.")
    ] = False,
    screenshot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Write a picture of the window only."),
    ] = None,
) -> None:
    """Segment sample images, and show what the window looks like.

    They come with scikit-image: nothing is fetched.
    """
    from napari_sam import demo as scenes

    if gui:
        scenes.use_window(scenes.WINDOW_SCENE)
    elif screenshot:
        scenes.photograph(scenes.WINDOW_SCENE, screenshot)
    else:
        run_demo(out, model, device)


def run_demo(out: Path, model: str, device: str) -> None:
    """Segment every scene, print a table for each, and write labels and pictures."""
    from napari_sam import demo as scenes
    from napari_sam.engine import Predictor, load_model

    predictor = Predictor(load_model(model, device=device))
    for scene in scenes.SCENES:
        with progress_bar("encoding") as progress:
            shown = scenes.show(scene, predictor, progress)
        height, width = shown.labels.shape
        typer.echo(f"{scene.name}, {height} × {width} pixels, model {predictor.model.name}")
        print_results(list(shown.results))
        typer.echo("→ " + "  ".join(str(path) for path in scenes.write(shown, out)) + "\n")
    window = out / "window.png"
    problem = scenes.photograph_apart(window)
    typer.echo(f"→ {window}" if problem is None else f"no picture of the window: {problem}")


def gather(
    stack: FrameStack, frame: str | None, table: Path | None, objects: list[Prompts]
) -> dict[tuple[int, FrameIndex], Prompts]:
    """All prompts of a call. Those without a frame of their own go to the one requested."""
    from napari_sam.engine import PromptError, read_prompts

    if frame is None:
        shown = stack.index(*[0] * (stack.ndim - 2))
    else:
        shown = stack.index(*whole_numbers(frame))
    wanted = {
        (object_id, stack.index(*leading) if leading else shown): prompts
        for (object_id, leading), prompts in (read_prompts(table) if table else {}).items()
    }
    if frame is not None:
        wanted = {key: prompts for key, prompts in wanted.items() if key[1] == shown}
    taken = max((object_id for object_id, _ in wanted), default=0)
    wanted |= {(taken + n, shown): prompts for n, prompts in enumerate(objects, start=1)}
    if not wanted:
        raise PromptError("No prompt was given for this frame. Use --point, --box or --prompts.")
    return wanted


def save_overlay(path: Path, stack: FrameStack, labels: Any, frame: FrameIndex) -> None:
    """Write a picture of one frame with its objects tinted and outlined."""
    from PIL import Image

    from napari_sam.engine import overlay, written

    on_frame = tuple(slice(None) if i is None else i for i in frame)
    picture = Image.fromarray(overlay(stack.frame(frame, long_side=None), labels[on_frame]))
    with written(path) as part:
        picture.save(part, picture_format(path))


def report(
    image: Path, out: Path, predictor: Predictor, results: list[Segmented], *, as_json: bool
) -> None:
    """Results on stdout, what the user should know about the prompts on stderr."""
    from napari_sam.headless.image import as_row

    for result in results:
        for note in result.notes:
            tell(f"Object {result.object_id}: {note}")
        if not result.area:
            tell(f"Object {result.object_id} has no pixel of its own.")
    if as_json:
        model = predictor.model
        about = {"image": str(image), "labels": str(out), "model": model.name, "hash": model.hash}
        device = {"device": str(model.device), "precision": model.precision}
        objects = [as_row(result) for result in results]
        typer.echo(json.dumps({**about, **device, "objects": objects}, indent=2))
        return
    print_results(results)
    typer.echo(f"written to {out}")


def print_results(results: list[Segmented]) -> None:
    """One line an object."""
    from napari_sam.headless.image import describe

    rows = [
        (
            str(r.object_id),
            ",".join(str(i) for i in r.frame if i is not None),
            describe(r.prompts),
            f"{r.iou_prediction:.2f}",
            f"{r.stability_score:.2f}",
            str(r.area),
            f"{r.milliseconds:.0f}",
        )
        for r in results
    ]
    header = ("object", "frame", "prompt", "IoU prediction", "stability", "area", "ms")
    print_table(header, rows)
