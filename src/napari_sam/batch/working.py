"""One image after the other through a recipe, with one model, loaded once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from napari_sam.engine import (
    Cancelled,
    FrameStack,
    Labelled,
    LoadedModel,
    Predictor,
    Runs,
    SamError,
    load_model,
    read_scales,
    scales_of,
    written,
)
from napari_sam.formats import FORMATS, write_objects
from napari_sam.headless import as_small_as_fits
from napari_sam.headless.labelled import facts_of, names_of
from napari_sam.headless.tiles import Source
from napari_sam.measurements import measure, write_measurements

from .huge import Huge, find_in_huge, is_huge, plan_huge, search_huge
from .images import ImageTask
from .jobs import Job, open_stack
from .preview import preview
from .recipe import Recipe
from .results import (
    PREVIEW,
    Origin,
    Outcome,
    content_digest,
    digest_of,
    read_outcome,
    results_folder,
    write_record,
)

if TYPE_CHECKING:
    from napari_sam.session import Session


T = TypeVar("T")


class Worker:
    """A model and the job of a recipe, ready for image after image."""

    def __init__(self, recipe: Recipe) -> None:
        """Load the model and what is the same for all images.

        Raises
        ------
        SamError
            If the model or a file is missing, or the model cannot do the job.
        """
        choice = recipe.model
        self.model: LoadedModel = load_model(
            choice.model,
            device=choice.device,
            precision=choice.precision,
            compiled=choice.compiled,
        )
        self._recipe = recipe
        self._job = Job.of(recipe, Predictor(self.model))
        self._digest = recipe_digest(recipe)
        self._searched: tuple[str, Source] | None = None  # the huge image of the last `search`
        self._about = {
            "model": self.model.name,
            "device": str(self.model.device),
            "version": version("napari-sam-annotator"),
        }

    def work(self, task: ImageTask) -> Outcome:
        """Work through one image, unless that is done.

        What is wrong with it is in the outcome: the images after it are not to suffer.
        """
        self._searched = None
        return _reported(task, self._work)

    def begin(self, task: ImageTask) -> Outcome | Huge:
        """As `work`; of a huge image that is not done only choose the tiles.

        When workers have searched these by `search`, `work` joins what they found.
        """

        def begun(task: ImageTask) -> Outcome | Huge:
            stack = open_stack(self._recipe, task.image, task.series)
            if not is_huge(self._recipe, stack):
                return self._work(task)
            origin = self._origin(task)
            folder = results_folder(self._recipe.out, task, origin)
            if finished := read_outcome(folder, task):
                return finished
            source = self._source(task, stack, origin.key)
            return plan_huge(self._recipe, self._job.predictor, source, _tiles_of(folder))

        return _reported(task, begun)

    def search(self, task: ImageTask, huge: Huge, which: range) -> Outcome:
        """Search some tiles of a huge image, as chosen by `begin`, here or by another worker.

        Tiles that fail here are searched again by `work`.
        """

        def searched(task: ImageTask) -> Outcome:
            if self._searched is None or self._searched[0] != huge.key:
                stack = open_stack(self._recipe, task.image, task.series)
                self._searched = huge.key, self._source(task, stack, huge.key)
            given = (self._recipe, self._job.predictor, self._searched[1])
            search_huge(*given, huge, which)
            return Outcome(task.title, "done")

        return _reported(task, searched)

    def _work(self, task: ImageTask) -> Outcome:
        start = perf_counter()
        stack = open_stack(self._recipe, task.image, task.series)
        origin = self._origin(task)
        folder = results_folder(self._recipe.out, task, origin)
        if finished := read_outcome(folder, task):
            return finished
        tiles = _tiles_of(folder)
        if is_huge(self._recipe, stack):
            source = self._source(task, stack, origin.key)
            fill: Callable[[Path], Outcome] = partial(self._find_in_huge, task, source, tiles)
        else:
            fill = self._in_memory(task, stack)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            with written(folder, folder=True) as part:
                done = replace(fill(part), image=task.title, folder=str(folder))
                done = replace(done, seconds=perf_counter() - start)
                write_record(part, done, origin, self._about)
        except SamError:
            if finished := read_outcome(folder, task):  # another worker was faster
                return finished
            raise
        shutil.rmtree(tiles, ignore_errors=True)
        return done

    def _in_memory(self, task: ImageTask, stack: FrameStack) -> Callable[[Path], Outcome]:
        """Segment an image; what is returned writes its files into a folder."""
        session, notices = self._job.segment(stack, task.companion, Path(task.image).name)
        objects = labelled(session, task.image, series_of(self._recipe, task))
        outcome = _summed_up(objects, Outcome(task.title, "done", notices=(*notices,)))

        def fill(part: Path) -> Outcome:
            self._write(part, task.name, objects, stack)
            return outcome

        return fill

    def _find_in_huge(self, task: ImageTask, source: Source, tiles: Path, part: Path) -> Outcome:
        return find_in_huge(self._recipe, self._job.predictor, source, task.name, part, tiles)

    def _source(self, task: ImageTask, stack: FrameStack, key: str) -> Source:
        letters = stack.letters or None
        said = read_scales(task.image, series_of(self._recipe, task))
        scale, units = scales_of(said, letters) or (None, None)
        return Source(stack, key, letters, scale, units)

    def _origin(self, task: ImageTask) -> Origin:
        own = "" if task.companion is None else content_digest(task.companion)
        image = content_digest(task.image, task.series)
        return Origin(self._digest, self.model.hash, image, own)

    def _write(self, part: Path, name: str, objects: Labelled, stack: FrameStack) -> None:
        """All files of an image."""
        for each in self._recipe.write:
            chosen = FORMATS[each]
            ending = chosen.suffixes[0] if chosen.suffixes else ""
            called = "labels" if each == "tiff" else each
            write_objects(objects, part / f"{name}-{called}{ending}", chosen, stack)
        if self._recipe.measure is not None:
            table = measure(objects, stack, self._recipe.measure)
            write_measurements(part / f"{name}-measurements.csv", table)
        preview(objects, stack).save(part / PREVIEW)


def _reported(task: ImageTask, work: Callable[[ImageTask], T]) -> T | Outcome:
    """What became of an image, whatever is wrong with it."""
    start = perf_counter()
    try:
        return work(task)
    except Cancelled:
        raise
    except MemoryError:
        reason = "It does not fit into memory. Give a part of it, or a computer with more."
    except Exception as error:  # noqa: BLE001 whatever it is, the other images go on
        reason = " ".join(str(error).split()) or type(error).__name__
    return Outcome(task.title, "failed", reason=reason, seconds=perf_counter() - start)


def _tiles_of(folder: Path) -> Path:
    """Where the tiles of a huge image are kept until its results are there."""
    return folder.with_name(f"{folder.name}.tiles")


def recipe_digest(recipe: Recipe) -> str:
    """By what a recipe's results differ from another one's, files that it names included."""
    files = [recipe.alike.image, recipe.alike.labels] if recipe.alike is not None else []
    return digest_of([recipe.decides(), [content_digest(each) for each in files]])


def series_of(recipe: Recipe, task: ImageTask) -> str | None:
    """Which image of the file it is, if the task or the recipe says so."""
    return task.series or recipe.reading.series


def labelled(session: Session, image: str, series: str | None = None) -> Labelled:
    """The objects of a session, in the units of the image."""
    letters = session.stack.letters or None
    scale, units = scales_of(read_scales(image, series), letters) or (None, None)
    facts = {
        (object_id, frame): facts_of(each, session.classes.of(object_id))
        for (object_id, frame), each in session.annotations()
        if each.footprint.landed
    }
    return Labelled.of(
        as_small_as_fits(session.labels),
        axes=letters,
        scale=scale,
        units=units,
        parents=session.parents,
        classes=names_of(session.classes),
        facts=facts,
    )


def _summed_up(objects: Labelled, outcome: Outcome) -> Outcome:
    """How many objects there are, how large and how sure."""
    ids: set[int] = set()
    areas: list[int] = []
    for _, pixels in objects.frames():
        runs = Runs.of(pixels)
        ids.update(runs.ids.tolist())
        areas += runs.total(runs.lengths).tolist()
    scores = [each["score"] for each in objects.facts.values() if each.get("score") is not None]
    return replace(
        outcome,
        n_objects=len(ids),
        median_area=float(np.median(areas)) if areas else 0.0,
        mean_score=round(float(np.mean(scores)), 4) if scores else 0.0,
    )
