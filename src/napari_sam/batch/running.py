"""A batch: a recipe is checked, then its images are worked through here or on a cluster."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam.engine import SamError, check_name, find_weights
from napari_sam.formats import FORMATS

from .images import ImageTask, find_images
from .recipe import Recipe
from .results import Outcome


@dataclass(frozen=True)
class Cluster:
    """Where the workers are: so many processes here, or those of a scheduler."""

    workers: int | None = None
    scheduler: str | None = None  # such as tcp://login-node:8786
    tell: Callable[[str], None] = lambda sentence: None  # told where the dashboard is


def check_recipe(recipe: Recipe) -> list[ImageTask]:
    """Notice before the work what would stop it; writes nothing.

    Returns
    -------
    The images, in order.

    Raises
    ------
    SamError
        If no image, the model, a file or a package is missing, or no folder can be called so.
    """
    tasks = find_images(recipe)
    find_weights(recipe.model.model)
    if recipe.alike is not None:
        for key in ("image", "labels"):
            if not Path(path := getattr(recipe.alike, key)).exists():
                raise SamError(f"alike.{key}: there is no file {path}. Check its name.")
    for name in recipe.write:
        _ = FORMATS[name].code
    out = Path(recipe.out)
    check_name(out)
    if out.exists() and not out.is_dir():
        raise SamError(f"out: {out} is a file. Give the name of a folder.")
    return tasks


def run_batch(
    recipe: Recipe, tasks: Sequence[ImageTask] | None = None, *, on: Cluster | None = None
) -> Iterator[Outcome]:
    """Work through all images of a recipe.

    Finished ones are skipped: stopped or killed at any moment, the same call goes on from there.
    A script that uses worker processes calls this below ``if __name__ == "__main__":``, as the
    documentation of Python's multiprocessing explains.

    Parameters
    ----------
    tasks
        By `check_recipe`, which is called where they are not given.
    on
        By default one image after the other in this process.

    Yields
    ------
    An outcome an image, as it is finished; on a cluster in no order.

    Raises
    ------
    SamError
        As `check_recipe`, or if the model cannot do it, or the workers cannot be reached.
    """
    if multiprocessing.parent_process() is not None:
        raise SystemExit(
            "napari-sam: A worker process has started this script again. Put what starts the batch "
            'below a line `if __name__ == "__main__":`.'
        )
    tasks = check_recipe(recipe) if tasks is None else tasks
    try:
        Path(recipe.out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SamError(
            f"{recipe.out} cannot be made: {error.strerror}. Choose another folder for out."
        ) from error
    if on is not None:
        yield from _on_cluster()(
            recipe, tasks, workers=on.workers, scheduler=on.scheduler, tell=on.tell
        )
        return
    from .working import Worker

    worker = Worker(recipe)
    yield from map(worker.work, tasks)


def _on_cluster() -> Callable[..., Iterator[Outcome]]:
    try:
        from .cluster import run_on_cluster
    except ImportError as error:
        raise SamError(
            "For workers the package distributed is needed. Install it with "
            "\"pip install 'napari-sam-annotator[cluster]'\", or leave --workers out."
        ) from error
    return run_on_cluster
