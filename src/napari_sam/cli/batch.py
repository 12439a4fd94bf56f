"""`napari-sam batch`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from .options import LEFT_OUT, check_outputs, tell_left_out
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.batch import ImageTask, Outcome, Recipe

LISTED = 5  # images of a dry run


def batch(
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE.yaml", help="What is read, what is done, what is written where."
        ),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and list the images only.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Work in so many processes on this computer."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let the workers of a dask scheduler work: tcp://HOST:8786, or its file.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the report; by default report in the results."),
    ] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of recipes, and end.")
    ] = False,
) -> None:
    """Work through many images by a recipe.

    Finished images are skipped: after a stop, the same command goes on. An image that cannot be
    used is left out; the others are done, a list at the end says why, and the exit code is 3.
    """
    from napari_sam.batch import Cluster, check_recipe, read_recipe, recipe_schema, run_batch
    from napari_sam.batch.report import report_files, write_report
    from napari_sam.engine import SamError
    from napari_sam.training import make_folder

    if schema:
        typer.echo(recipe_schema())
        return
    if recipe is None:
        raise SamError("Give a recipe: napari-sam batch RECIPE.yaml.")
    if workers and scheduler:
        raise SamError("Give --workers or --scheduler: a scheduler has its own workers.")
    chosen = read_recipe(recipe)
    tasks = check_recipe(chosen)
    if dry_run:
        list_tasks(chosen, tasks)
        return
    folder = make_folder(report or Path(chosen.out) / "report")
    check_outputs(inputs_of(recipe, chosen, tasks), None, *report_files(folder))
    on = Cluster(workers, scheduler, tell=tell) if workers or scheduler else None
    start, outcomes = perf_counter(), []
    with progress_bar("images", " images") as progress:
        for outcome in run_batch(chosen, tasks, on=on):
            outcomes.append(outcome)
            progress(len(outcomes), len(tasks))
    seconds = perf_counter() - start
    failed = conclude(outcomes)
    page = write_report(folder, chosen, outcomes, title=recipe.stem, seconds=seconds)
    typer.echo(f"report written to {page}")
    if failed:
        raise typer.Exit(LEFT_OUT if failed < len(outcomes) else 1)


def inputs_of(path: Path, recipe: Recipe, tasks: Sequence[ImageTask]) -> Iterator[Path]:
    """The files that a batch reads: the recipe, its lists, images, and what these have."""
    yield path
    yield from (Path(each) for each in recipe.images)  # of patterns, there is no such file
    for task in tasks:
        yield from map(Path, filter(None, (task.image, task.companion)))


def list_tasks(recipe: Recipe, tasks: Sequence[ImageTask]) -> None:
    """What would be done."""
    rows = [(task.title, task.companion or "") for task in tasks[:LISTED]]
    print_table(("image", "its prompts or labels"), rows)
    if len(tasks) > LISTED:
        typer.echo("…")
    images = "1 image" if len(tasks) == 1 else f"{len(tasks)} images"
    typer.echo(f"{images}, {recipe.job}, model {recipe.model.model}, results in {recipe.out}")


def conclude(outcomes: Sequence[Outcome]) -> int:
    """How many images are done, and which are not; returns how many these are."""
    failed = [each for each in outcomes if each.status == "failed"]
    before = sum(each.status == "skipped" for each in outcomes)
    n_objects = sum(each.n_objects for each in outcomes)
    n_done = len(outcomes) - len(failed) - before
    typer.echo(
        f"{n_done} done, {before} done before, {len(failed)} left out; "
        f"{n_objects} object{'' if n_objects == 1 else 's'}"
    )
    tell_left_out([f"{each.image}: {each.reason}" for each in failed], len(outcomes))
    return len(failed)
