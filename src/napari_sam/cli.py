"""The command line, `napari-sam …`. What is heavy is imported inside the commands."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from napari_sam.engine import FrameIndex, FrameStack, LoadedModel, Predictor, Prompts
    from napari_sam.headless import Segmented
    from napari_sam.training import Evaluation, Item

app = typer.Typer(
    help="Click a cell, get its mask: Segment Anything without a screen.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
models = typer.Typer(help="Which models there are, and where.", no_args_is_help=True)
app.add_typer(models, name="models")

Model = Annotated[str, typer.Option(help="A model's name, or a checkpoint's path.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


def main() -> None:
    """What the user can mend is said in one line on stderr, without a traceback; exit code 1."""
    from napari_sam.engine import SamError

    try:
        app()
    except (SamError, OSError) as error:
        tell(one_line(error))
        sys.exit(1)


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Click a cell, get its mask: Segment Anything without a screen."""
    from napari_sam.installation import DISTRIBUTION, rival_distribution, rival_warning

    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of(DISTRIBUTION))
        raise typer.Exit
    if rival := rival_distribution():
        tell(rival_warning(rival))


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(help="TIFF, PNG, JPEG or Zarr.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Where the labels go: .tif or .zarr.")],
    point: Annotated[
        list[str] | None,
        typer.Option(metavar="Y,X[,LABEL]", help="A click: label 1 on the object, 0 beside it."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(metavar="Y0,X0,Y1,X1", help="Top, left, bottom, right.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="A table of clicks and boxes.")
    ] = None,
    each: Annotated[
        bool, typer.Option("--each", help="Every point and box is an object of its own.")
    ] = False,
    frame: Annotated[
        str | None, typer.Option(metavar="T[,Z]", help="Frame of a stack; the first by default.")
    ] = None,
    channel: Annotated[
        list[int] | None, typer.Option(help="Channel to look at, counted from 0; all by default.")
    ] = None,
    model: Model = "pocket",
    device: Device = "auto",
    precision: Precision = "auto",
    overlay: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="A picture of the frame and its objects.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Segment the objects that points and boxes name, and write them as labels.

    All points of a call are one object, together with a box. With several boxes each is an object,
    and a point belongs to the smallest box around it. Coordinates are y,x in pixels.
    """
    from napari_sam import headless
    from napari_sam.engine import FrameStack, Predictor, load_model, read_image, write_labels

    check_folders(out, overlay)
    clicks = [numbers("--point", text, "Y,X or Y,X,LABEL", (2, 3)) for text in point or ()]
    boxes = [numbers("--box", text, "Y0,X0,Y1,X1", (4,)) for text in box or ()]
    pixels, axes = read_image(image)
    stack = FrameStack.from_array(pixels, axes=axes, channel=channel)
    wanted = gather(stack, frame, prompts, headless.group(clicks, boxes, each=each))
    predictor = Predictor(load_model(model, device=device, precision=precision))
    for notice in predictor.model.notices:
        tell(notice)
    session = headless.new_session(stack, highest_id=max(object_id for object_id, _ in wanted))
    with progress_bar("encoding") as progress:
        results = list(headless.segment(session, wanted, predictor, progress))
    write_labels(out, session.labels, axes and "".join(a for a in axes if a not in "CS"))
    if overlay:
        save_overlay(overlay, stack, session.labels, results[0].frame)
    report(image, out, predictor, results, as_json=as_json)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    model: Model = "pocket",
    device: Device = "auto",
    gui: Annotated[bool, typer.Option("--gui", help="Open the window instead, for use.")] = False,
    screenshot: Annotated[
        Path | None, typer.Option(help="Write a picture of the window, nothing else.")
    ] = None,
) -> None:
    """Segment real images that come with scikit-image, and show what the widget looks like."""
    from napari_sam import demo as scenes

    if gui:
        scenes.use_window(scenes.WINDOW_SCENE)
    elif screenshot:
        scenes.photograph(scenes.WINDOW_SCENE, screenshot)
    else:
        run_demo(out, model, device)


@app.command()
def evaluate(
    data: Annotated[
        Path, typer.Argument(help="Folder of images and their labels.", show_default=False)
    ],
    model: Annotated[list[str], typer.Option(help="Name or path; several are compared.")],
    max_objects: Annotated[int, typer.Option(min=1, help="Of each frame, drawn at random.")] = 10,
    as_json: Json = False,
    report: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write a page with curves and pictures.")
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Judge models on annotated images: how good is a mask after a click, a box, corrections?

    DATA holds NAME.image.tif and NAME.labels.tif, or image.tif and labels.tif in a folder for each
    image, or an index.json; stacks and time-lapses too.
    """
    from napari_sam import training
    from napari_sam.engine import load_model

    items = training.find_items(data)
    if report:
        training.make_folder(report)
    names = list(dict.fromkeys(model))
    loaded = [load_model(name, device=device, precision=precision) for name in names]
    evaluations = judge_models(names, loaded, items, max_objects)
    for item in training.empty_items(evaluations[0], items):
        tell(f"{item.labels} holds no object that is large enough: left out.")
    if as_json:
        typer.echo(json.dumps(training.as_json(evaluations), indent=2))
    else:
        print_evaluations(evaluations)
    if report:
        options = "".join(f" --model {name}" for name in names)
        command = f"napari-sam evaluate {data}{options} --max-objects {max_objects}"
        page = training.write_report(
            report, evaluations, items, data=data.resolve().name, command=command
        )
        tell(f"The report is {page}.")


@models.command("list")
def list_models(as_json: Json = False) -> None:
    """The models of the catalogue and your own: state, size, licence, what each suits."""
    from napari_sam.engine import known_models, model_state

    entries = known_models()
    if as_json:
        typer.echo(json.dumps([{**asdict(e), "state": model_state(e)} for e in entries], indent=2))
        return
    rows = [(e.name, model_state(e), e.size, e.licence, e.suits) for e in entries]
    print_table(("model", "state", "size", "licence", "suits"), rows)


@models.command("get")
def get_model(name: Annotated[str, typer.Argument(help="A name of the catalogue.")]) -> None:
    """Fetch a model, or tell where it is. Stopped, the same command goes on from there."""
    from napari_sam.engine import fetch

    with progress_bar(name, "B") as progress:
        path = fetch(name, progress=progress)
    typer.echo(str(path))


@models.command("check")
def check_models(as_json: Json = False) -> None:
    """Read every model file here and compare its hash; exit code 1 if one is damaged."""
    from napari_sam.engine import check

    checks = list(check())
    if as_json:
        rows = [{**asdict(result), "path": str(result.path)} for result in checks]
        typer.echo(json.dumps(rows, indent=2))
    else:
        states = {True: "whole", False: "damaged"}
        print_table(
            ("model", "state", "file"), [(c.name, states[c.whole], str(c.path)) for c in checks]
        )
    if not all(result.whole for result in checks):
        tell("A damaged file is never used. Delete it and fetch it again: napari-sam models get.")
        raise typer.Exit(1)


@models.command("add")
def add_model(
    path: Annotated[Path, typer.Argument(help="A checkpoint: .pth, .pt or .safetensors.")],
    name: Annotated[str, typer.Option(help="What to call it.")],
) -> None:
    """Keep a checkpoint of your own, or one downloaded by hand, under a name."""
    from napari_sam.engine import register

    typer.echo(str(register(path, name)))


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


def numbers(option: str, text: str, wanted: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    """The numbers in an option's value such as "30,40"."""
    from napari_sam.engine import PromptError

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in counts:
        raise PromptError(f"{option} {text} cannot be read. Write {wanted}, such as 120,45.5.")
    return values


def gather(
    stack: FrameStack, frame: str | None, table: Path | None, objects: list[Prompts]
) -> dict[tuple[int, FrameIndex], Prompts]:
    """All prompts of a call. Those without a frame of their own go to the one asked for."""
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


def whole_numbers(frame: str) -> list[int]:
    """The positions in a --frame such as "7,12"."""
    from napari_sam.engine import FrameError

    try:
        return [int(part) for part in frame.split(",")]
    except ValueError as error:
        raise FrameError(f"--frame {frame} cannot be read. Write T or T,Z: 7 or 7,12.") from error


def check_folders(*paths: Path | None) -> None:
    """Notice a folder that is not there before the work, not after it."""
    from napari_sam.engine import FrameError

    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise FrameError(f"There is no folder {path.parent}. Make it, or write elsewhere.")


def save_overlay(path: Path, stack: FrameStack, labels: Any, frame: FrameIndex) -> None:
    """Write a picture of one frame with its objects tinted and outlined."""
    from PIL import Image

    from napari_sam.engine import FrameError, overlay

    on_frame = tuple(slice(None) if i is None else i for i in frame)
    picture = Image.fromarray(overlay(stack.frame(frame, long_side=None), labels[on_frame]))
    try:
        picture.save(path)
    except ValueError as error:
        raise FrameError(f"{path.name} is no kind of picture. Choose a name in .png.") from error


def report(
    image: Path, out: Path, predictor: Predictor, results: list[Segmented], *, as_json: bool
) -> None:
    """Results on stdout, what the user should know about the prompts on stderr."""
    from napari_sam.headless import as_row

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
    from napari_sam.headless import describe

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


def judge_models(
    names: list[str], loaded: list[LoadedModel], items: list[Item], max_objects: int
) -> list[Evaluation]:
    """Judge one model after the other. Two files of one name are called as they were given."""
    from napari_sam.engine import Predictor
    from napari_sam.training import judge

    own_names = [model.name for model in loaded]
    evaluations = []
    for given, model in zip(names, loaded, strict=True):
        name = given if own_names.count(model.name) > 1 else model.name
        predictor = Predictor(model)
        with progress_bar(name, " images") as progress:
            evaluations.append(
                judge(predictor, items, name=name, max_objects=max_objects, progress=progress)
            )
        for notice in predictor.model.notices:
            tell(notice)
    return evaluations


def print_evaluations(evaluations: list[Evaluation]) -> None:
    """A table a model and one of the classical tools: a line a source, the mean last."""
    header = ("source", "objects", "IoU 1 click", "box", "3 clicks", "5 clicks", "clicks to 0.8")
    standings = [evaluation.standing for evaluation in evaluations]
    for standing in (*standings, evaluations[0].classical):
        scores = [*standing.per_source.items(), ("mean over the sources", standing.overall)]
        rows = [
            (
                source,
                str(score.n_objects),
                *(f"{v:.3f}" for v in (score.iou_click_1, score.iou_box)),
                *(f"{v:.3f}" for v in (score.iou_click_3, score.iou_click_5)),
                f"{score.noc_80:.1f}",
            )
            for source, score in scores
        ]
        typer.echo(standing.name)
        print_table(header, rows)
        typer.echo()


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Columns as wide as what stands in them; columns in which nothing stands are left out."""
    columns = [c for c in zip(header, *rows, strict=True) if not rows or any(c[1:])]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def progress_bar(title: str, unit: str = "it") -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; yields its `progress(done, total)`."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, unit_scale=unit == "B", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def tell(sentence: str) -> None:
    """Say something to the person, beside the results."""
    typer.echo(f"napari-sam: {sentence}", err=True)


def one_line(error: Exception) -> str:
    """An error as one line: what it is about, and what is wrong."""
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return f"{about}{error.strerror}"
    return " ".join(str(error).split())
