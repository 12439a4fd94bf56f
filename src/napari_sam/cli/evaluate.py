"""`napari-sam evaluate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from napari_sam.training import Evaluation, Item


@takes_options
def evaluate(
    data: Annotated[
        Path, typer.Argument(metavar="DATA", help="Folder of images and their labels.")
    ],
    *,
    model: Models = None,
    options: EvaluationOptions,
    as_json: Json = False,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Also write a page with curves and pictures there."),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
) -> None:
    """Evaluate models on your own annotated images.

    Report how good masks are (IoU with your labels) after a click, a box, two and four corrections.
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
    evaluations = evaluate_models(names, loaded, items, options.max_objects)
    for item in training.empty_items(evaluations[0], items):
        tell(f"{item.labels} holds no object that is large enough: left out.")
    if as_json:
        typer.echo(json.dumps(training.as_json(evaluations), indent=2))
    else:
        print_evaluations(evaluations)
    if report:
        models = "".join(f" --model {name}" for name in names)
        command = f"napari-sam evaluate {data}{models} --max-objects {options.max_objects}"
        page = training.write_report(
            report, evaluations, items, data=data.resolve().name, command=command
        )
        tell(f"The report is {page}.")
    tell_left_out([str(reason) for reason in left_out], len(items) + len(left_out))
    if left_out:
        raise typer.Exit(LEFT_OUT)


def evaluate_models(
    names: list[str], loaded: list[LoadedModel], items: list[Item], max_objects: int
) -> list[Evaluation]:
    """Judge one model after the other. Two files of one name are called as they were given."""
    from napari_sam.engine import Predictor
    from napari_sam.training import evaluate_model

    own_names = [model.name for model in loaded]
    evaluations = []
    for given, model in zip(names, loaded, strict=True):
        name = given if own_names.count(model.name) > 1 else model.name
        predictor = Predictor(model)
        with progress_bar(name, " images") as progress:
            evaluations.append(
                evaluate_model(
                    predictor, items, name=name, max_objects=max_objects, progress=progress
                )
            )
        for notice in predictor.model.notices:
            tell(notice)
    return evaluations


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
