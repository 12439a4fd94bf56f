"""`napari-sam segment` and `napari-sam demo`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.engine import ImageChoice, ModelChoice, PromptChoice, TextChoice

from .detectors import find_by_words
from .embed import open_store
from .options import (
    LEFT_OUT,
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
    from napari_sam.engine import FrameIndex, FrameStack, Predictor, Prompts, PromptSet
    from napari_sam.headless.image import Segmented
    from napari_sam.session import Session

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
PromptFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Prompts of many objects: a table (.csv), GeoJSON, COCO (.json), ROIs of ImageJ "
        "(.zip), spots of TrackMate (.xml), or labels (.tif, _seg.npy, .zarr).",
    ),
]
Detectors = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="A detector that another package brings; its boxes are prompts in all frames.",
    ),
]
OneFrame = Annotated[
    str | None,
    typer.Option(metavar="T[,Z]", help="Frame of a stack, counted from 0; the first by default."),
]
CellSize = Annotated[
    float | None,
    typer.Option(
        min=1,
        metavar="PIXELS",
        help="Diameter of the cells, where you know it: decides between candidates, and at which "
        "size a large image is looked at. By default several sizes are tried.",
    ),
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
    prompts: PromptFile = None,
    prompter: Detectors = None,
    words: TextChoice,
    prompting: PromptChoice,
    each: Annotated[
        bool, typer.Option("--each", help="Make a separate object of each point and each box.")
    ] = False,
    frame: OneFrame = None,
    cell_size: CellSize = None,
    reading: ImageChoice,
    choice: ModelChoice,
    overlay: Overlay = None,
    as_json: Json = False,
) -> None:
    """Segment objects by points, boxes or words, and write them as labels.

    Coordinates are y,x in pixels: row first, the centre of the first pixel is 0,0. --point, --box
    and --channel can be given several times.

    All points of a call are one object, together with a box. With several boxes each is an object,
    and a point belongs to the smallest box around it. Where objects overlap,
    the one with the lower number keeps the pixels. Exit code 3 if prompts of a file had to be left
    out: they are named.

    In an image larger than 1024 pixels the network looks at the part around each prompt.
    """
    from napari_sam.engine import write_labels
    from napari_sam.headless import image as headless

    clicks = [numbers("--point", text, "Y,X or Y,X,LABEL", (2, 3)) for text in point or ()]
    boxes = [numbers("--box", text, "Y0,X0,Y1,X1", (4,)) for text in box or ()]
    check_outputs((image, prompts, weights_file(choice.model)), out, overlay)
    if overlay:
        picture_format(overlay)
    stack, names = read_stack(image, reading)
    shown = stack.index(*[0] * (stack.ndim - 2) if frame is None else whole_numbers(frame))
    frames = [shown] if frame is not None else list(stack.indices())
    given = headless.group(clicks, boxes, each=each)
    read = read_all(stack, image, prompts, prompter, prompting, frames)
    if words.text is not None:
        found = find_by_words(stack, words, choice.device, frames, cell_size)
        read = read.joined(found.at_least(prompting.min_score))
    wanted = gather(read.fitted(stack, shown), stack, shown, frames, given)
    predictor = open_predictor(choice)
    session, results = decode_all(stack, wanted, predictor, cell_size)
    write_labels(out, session.labels, names)
    if overlay:
        save_overlay(overlay, stack, session.labels, results[0].frame)
    report(image, out, predictor, results, as_json=as_json)
    for problem in wanted.problems:
        tell(problem)
    if wanted.left_out:
        raise typer.Exit(LEFT_OUT)


def decode_all(
    stack: FrameStack, wanted: PromptSet, predictor: Predictor, cell_size: float | None
) -> tuple[Session, list[Segmented]]:
    """Decode all prompts, and tell of frames in which nothing is to be seen."""
    from napari_sam.engine import EmbeddingCache
    from napari_sam.headless import image as headless

    session = headless.new_session(stack, wanted.highest_id)
    prompted = (stack.index(*each.at or ()) for each in wanted.objects)
    for notice in headless.blank_notices(stack, prompted):
        tell(notice)
    cache = EmbeddingCache(store=open_store())
    with progress_bar("segmenting", "object") as progress:
        steps = headless.segment_prompts(
            session, wanted, predictor, cache=cache, progress=progress, cell_size=cell_size
        )
        return session, list(steps)


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


def read_all(
    stack: FrameStack,
    image: Path,
    prompts: Path | None,
    prompter: str | None,
    choice: PromptChoice,
    frames: Sequence[FrameIndex],
) -> PromptSet:
    """The prompts of a file, and those of a detector."""
    from napari_sam.engine import PromptSet, detect, find_prompter
    from napari_sam.formats import read_prompt_file

    read = PromptSet()
    if prompts is not None:
        read = read_prompt_file(prompts, stack, image=image.name, shape=choice.shape)
    if prompter is not None:
        with progress_bar("detecting", "frame") as progress:
            detector, name = find_prompter(prompter), f"The detector {prompter}"
            found = PromptSet.of(detect(detector, stack, frames, name=name, progress=progress))
        read = read.joined(found.shown_as(choice.shape))
    return read.at_least(choice.min_score)


def gather(
    read: PromptSet,
    stack: FrameStack,
    shown: FrameIndex,
    frames: Sequence[FrameIndex],
    clicked: Sequence[Prompts],
) -> PromptSet:
    """All prompts of a call in these frames; those of its options must fit the frame shown."""
    from napari_sam.engine import ObjectPrompts, PromptError, PromptSet

    at = tuple(at for at in shown if at is not None)
    here = read.in_frames(frames)
    objects = []
    for n, prompts in enumerate(clicked, start=here.highest_id + 1):
        try:
            fitted, notes = prompts.fitted(stack.frame_shape_of(shown))
        except PromptError as error:
            raise PromptError(f"Object {n}: {error}") from error
        objects.append(ObjectPrompts(fitted, object_id=n, at=at, notes=notes))
    wanted = here.joined(PromptSet.of(objects))
    if not wanted:
        none = f"{read.source} holds none." if read.source else ""
        why = " ".join(wanted.problems) or none or "Use --point, --box, --prompts or --text."
        raise PromptError(f"No prompt was given for this frame. {why}")
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
            r.class_name,
            describe(r.prompts),
            f"{r.iou_prediction:.2f}",
            f"{r.stability_score:.2f}",
            str(r.area),
            f"{r.milliseconds:.0f}",
        )
        for r in results
    ]
    header = ("object", "frame", "class", "prompt", "IoU prediction", "stability", "area", "ms")
    print_table(header, rows)
