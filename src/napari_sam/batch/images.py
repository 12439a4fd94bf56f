"""The images of a recipe: by patterns, as fields of plates, from lists."""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_sam.engine import FrameError, SamError, address_of
from napari_sam.engine.images.opening import is_readable
from napari_sam.engine.images.zarrs import is_zarr, zarr_series

from .recipe import Recipe, path_in

LIST_SUFFIX = ".csv"
IMAGE_COLUMN, SERIES_COLUMN, COMPANION_COLUMN = "image", "series", "companion"


@dataclass(frozen=True)
class ImageTask:
    """One image to be worked through: paths and names, no pixels."""

    image: str
    series: str | None = None  # a field of a plate
    companion: str | None = None  # its own prompts or labels

    @property
    def name(self) -> str:
        """Of its results: that of the image, with the field of a plate."""
        stem = stem_of(self.image)
        return stem if self.series is None else f"{stem}-{self.series.replace('/', '-')}"

    @property
    def title(self) -> str:
        """For people: the path, and the field of a plate."""
        return self.image if self.series is None else f"{self.image} [{self.series}]"


def find_images(recipe: Recipe) -> list[ImageTask]:
    """All images of a recipe, each once, in natural order of the patterns.

    What lies in the folder of the results is never an image.

    Raises
    ------
    SamError
        If there is none, or a list cannot be read.
    """
    found = dict.fromkeys(task for given in recipe.images for task in _found(given, recipe))
    out = Path(recipe.out)
    outside = [task for task in found if out not in Path(task.image).parents]
    if not outside:
        patterns = ", ".join(recipe.images)
        if found:
            raise SamError(
                f"All images of {patterns} are inside {out}, the folder of the results. Let out be "
                "another folder."
            )
        raise SamError(f"There is no image at {patterns}. Check the folder and the ending.")
    _check_companions(outside, recipe)
    return outside


def stem_of(path: str) -> str:
    """A file's name less its ending: ``a.ome.tif`` → ``a``."""
    name = Path(path).name
    for ending in (".ome.tif", ".ome.tiff", ".ome.zarr"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(path).stem


def _found(given: str, recipe: Recipe) -> Iterator[ImageTask]:
    if given.lower().endswith(LIST_SUFFIX):
        yield from _listed(Path(given), recipe)
        return
    if address_of(given) is not None:
        yield from _tasks(given, None, recipe)
        return
    for path in sorted(_matching(given)):
        if is_readable(Path(path)) or (os.path.isdir(path) and is_zarr(Path(path))):
            yield from _tasks(path, None, recipe)


def _matching(pattern: str) -> Iterator[str]:
    """What a pattern finds; what is there by that very name is meant, such as ``run [2]``."""
    if os.path.lexists(pattern):
        yield pattern
        return
    folder = next(each for each in Path(pattern).parents if each.is_dir())
    rest = str(Path(pattern).relative_to(folder))
    for found in glob.iglob(rest, root_dir=folder, recursive=True):
        yield str(folder / found)


def _tasks(path: str, series: str | None, recipe: Recipe) -> Iterator[ImageTask]:
    """The image of a file, or the fields of a plate."""
    companion = recipe.companion
    if companion is not None:
        companion = companion.replace("{folder}", os.path.dirname(path))
        companion = companion.replace("{stem}", stem_of(path))
    for each in [series] if series else _fields(path, recipe):
        yield ImageTask(path, each, companion)


def _fields(path: str, recipe: Recipe) -> list[str | None]:
    """The fields of a plate; of other images, and of what cannot be read, the image itself."""
    address = address_of(path)
    if recipe.reading.series is not None or not (address or os.path.isdir(path)):
        return [None]
    try:
        found, is_plate = zarr_series(address or Path(path))
    except (FrameError, OSError, ValueError, KeyError):
        return [None]  # said where it is read
    return [each.name for each in found] if is_plate else [None]


def _listed(path: Path, recipe: Recipe) -> Iterator[ImageTask]:
    """The images in a list; its paths are relative to its own folder."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise SamError(f"The list {path} cannot be read: {reason}. Save it as CSV.") from error
    for number, row in enumerate(rows, start=2):
        if not row.get(IMAGE_COLUMN):
            raise SamError(
                f"{path.name}, line {number}: no image is given. Write a first line with the "
                f"column {IMAGE_COLUMN}, and a path in each line below."
            )
        image = path_in(path.parent, row[IMAGE_COLUMN])
        own = row.get(COMPANION_COLUMN)
        for task in _tasks(image, row.get(SERIES_COLUMN) or None, recipe):
            companion = path_in(path.parent, own) if own else task.companion
            yield ImageTask(task.image, task.series, companion)


def _check_companions(tasks: Iterable[ImageTask], recipe: Recipe) -> None:
    """Notice before the work that no image has its prompts or labels."""
    wanted = [task.companion for task in tasks if task.companion is not None]
    if wanted and not any(address_of(each) or os.path.exists(each) for each in wanted):
        key = f"{recipe.job}.{'labels' if recipe.prompts is None else 'table'}"
        raise SamError(
            f"{key}: there is no file {wanted[0]}, nor one for any other image. Write where it is "
            "with {folder} and {stem}."
        )
