"""`napari-sam evaluate`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_sam.engine import AutomaticOptions, options_of
from napari_sam.training import EvaluationOptions

from .options import (
    LEFT_OUT,
    Device,
    Json,
    Models,
    Precision,
    check_outputs,
    files_of,
    takes_options,
    tell_left_out,
    weights_file,
)
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameError, LoadedModel
    from napari_sam.training import AutomaticEvaluation, Evaluation, Item

Report = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Also write a page with curves and pictures there."),
]
WithoutClicks = Annotated[
    bool,
    typer.Option(
        "--automatic",
        help="Evaluate what is found without a click; the options below are for this.",
    ),
]
Complete = Annotated[
    bool,
    typer.Option(
        "--complete",
        help="Every object in these images is labelled: whatever else is found is wrong.",
    ),
]


@takes_options
def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of images and their labels.")
    ],
    *,
    model: Models = None,
    options: EvaluationOptions,
    as_json: Json = False,
    report: Report = None,
    automatic: WithoutClicks = False,
    complete: Complete = False,
    finding: AutomaticOptions,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Evaluate models on your own annotated images.

    Report how good masks are (IoU with your labels) after a click, a box, two and four corrections;
    with --automatic, how many objects are found without any, and how many of those found are none.
    DATA holds NAME.image.tif and NAME.labels.tif, or image.tif and labels.tif in a folder for each
    image, or an index.json; stacks and time-lapses too. Images that cannot be read are left out; a
    list at the end says why, and the exit code is 3.
    """
    from napari_sam import training
    from napari_sam.engine import load_model

    left_out: list[FrameError] = []
    items = training.find_items(data, left_out)
    names = list(dict.fromkeys(model or ["pocket"]))
    if report:
        training.make_folder(report)
        inputs = (*files_of(data, items), *map(weights_file, names))
        check_outputs(inputs, None, *(report / name for name in ("index.html", "scores.json")))
    loaded = [load_model(name, device=device, precision=precision) for name in names]
    command = f"napari-sam evaluate {data}" + "".join(f" --model {name}" for name in names)
    judge: Callable[..., Any]
    write: Callable[..., Path]
    show: Callable[[list[Any]], None]
    if automatic:
        judge = partial(training.evaluate_automatic, options=finding, complete=complete)
        write, show = training.write_found_report, print_found
        command += " --automatic" + " --complete" * complete + _given(finding)
    else:
        judge = partial(training.evaluate_model, max_objects=options.max_objects)
        write, show = training.write_report, print_evaluations
        command += f" --max-objects {options.max_objects}"
    evaluations = judge_models(names, loaded, items, judge)
    for item in training.empty_items(evaluations[0], items):
        tell(f"{item.labels} holds no object that is large enough: left out.")
    if as_json:
        typer.echo(json.dumps(training.as_json(evaluations), indent=2))
    else:
        show(evaluations)
    if report:
        page = write(report, evaluations, items, data=data.resolve().name, command=command)
        tell(f"The report is {page}.")
    tell_left_out([str(reason) for reason in left_out], len(items) + len(left_out))
    if left_out:
        raise typer.Exit(LEFT_OUT)


def judge_models(
    names: list[str], loaded: list[LoadedModel], items: list[Item], judge: Callable[..., Any]
) -> list[Any]:
    """Judge one model after the other. Two files of one name are called as they were given."""
    from napari_sam.engine import Predictor

    own_names = [model.name for model in loaded]
    evaluations = []
    for given, model in zip(names, loaded, strict=True):
        name = given if own_names.count(model.name) > 1 else model.name
        predictor = Predictor(model)
        with progress_bar(name, " images") as progress:
            evaluations.append(judge(predictor, items, name=name, progress=progress))
        for notice in predictor.model.notices:
            tell(notice)
    return evaluations


def _given(options: AutomaticOptions) -> str:
    """The options that are not by default, as a command has them."""
    words = []
    for name, field in options_of(options).items():
        value = getattr(options, name)
        if value != field.default:
            flag = name.replace("_", "-")
            is_flag = field.kind is bool
            words.append(f"--{'' if value else 'no-'}{flag}" if is_flag else f"--{flag} {value}")
    return "".join(f" {word}" for word in words)


def print_evaluations(evaluations: list[Evaluation]) -> None:
    """A table a model and one of the classical tools: a line a source, the mean last."""
    header = ("source", "objects", "IoU 1 click", "box", "3 clicks", "5 clicks", "clicks to 0.8")
    model_scores = [evaluation.scores for evaluation in evaluations]
    for each in (*model_scores, evaluations[0].classical):
        scores = [*each.per_source.items(), ("mean over the sources", each.overall)]
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
        typer.echo(each.name)
        print_table(header, rows)
        typer.echo()


def print_found(evaluations: list[AutomaticEvaluation]) -> None:
    """A table a model and one of the classical tool: a line a source, the mean last."""
    header = (
        *("source", "objects", "found", "F1 at 0.5", "precision", "recall", "F1 at 0.75"),
        *("IoU of pairs", "PQ", "rejected", "never proposed"),
    )
    for each in (*(evaluation.scores for evaluation in evaluations), evaluations[0].classical):
        rows = []
        for source, score in (*each.per_source.items(), ("mean over the sources", each.overall)):
            counts = (str(score.n_objects), str(score.n_found))
            measures = (
                *(score.f1_50, score.precision, score.recall, score.f1_75),
                *(score.matched_iou, score.pq, score.rejected, score.never_proposed),
            )
            shown = ("–" if math.isnan(value) else f"{value:.3f}" for value in measures)
            rows.append((source, *counts, *shown))
        typer.echo(each.name)
        print_table(header, rows)
        typer.echo()
