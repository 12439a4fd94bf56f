"""Images too large for memory: their objects are found tile by tile and written to disk.

What the tiles hold is kept beside the results until these are whole, so that a run that was killed
in the middle of an image goes on there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_sam.engine import AutomaticOptions, FrameStack, Predictor, open_image
from napari_sam.headless import choose_frames, parse_frames
from napari_sam.headless.tiles import ENDING, Source, find_to_disk, plan_tiles, search_tiles

from .preview import tinted
from .recipe import Recipe
from .results import PREVIEW, Outcome

HUGE = 2**27  # pixels of a frame, 11,585 x 11,585: its labels and a copy of them take 1 GB
WRITTEN = "ome-zarr"


def is_huge(recipe: Recipe, stack: FrameStack) -> bool:
    """Whether labels are written tile by tile: those of all objects of a very large frame."""
    finds_all = recipe.job == "automatic" and not recipe.link
    return finds_all and math.prod(stack.frame_shape) > HUGE


@dataclass(frozen=True)
class Huge:
    """A huge image whose tiles several workers search: names and numbers only."""

    key: str  # tells the image, the recipe and the model from others
    tiles: str  # the folder for what the tiles hold
    n_tiles: int


def plan_huge(recipe: Recipe, predictor: Predictor, source: Source, tiles: Path) -> Huge:
    """Choose the tiles of a huge image."""
    frames = list(choose_frames(source.stack, parse_frames(recipe.model.frames)))
    tiles.parent.mkdir(parents=True, exist_ok=True)
    n_tiles = plan_tiles(source, predictor, tiles, recipe.automatic, frames)
    return Huge(source.name, str(tiles), n_tiles)


def search_huge(
    recipe: Recipe, predictor: Predictor, source: Source, huge: Huge, which: range
) -> None:
    """Search some of the tiles of a huge image."""
    frames = list(choose_frames(source.stack, parse_frames(recipe.model.frames)))
    search_tiles(source, predictor, Path(huge.tiles), recipe.automatic, frames, which)


def find_in_huge(
    recipe: Recipe, predictor: Predictor, source: Source, name: str, part: Path, tiles: Path
) -> Outcome:
    """Find all objects of a huge image, and write their labels and a preview into a folder.

    Parameters
    ----------
    source
        The image; its name there tells it from others by content.
    name
        Of the image, and of the files.
    part
        The folder of the results.
    tiles
        Where the tiles are kept meanwhile. The caller removes it when the results are in place.

    Returns
    -------
    How many objects there are, how large and how sure, and what of the recipe was left out.
    """
    stack = source.stack
    frames = list(choose_frames(stack, parse_frames(recipe.model.frames)))
    out = part / f"{name}-{WRITTEN}{ENDING}"
    options = recipe.automatic or AutomaticOptions()
    found = find_to_disk(source, predictor, out, options, frames, tiles=tiles)
    small = open_image(out).data[-1]
    at = [n for n in frames[0] if n is not None]
    tinted(stack, at, np.asarray(small[tuple(at)])).save(part / PREVIEW)
    outcome = Outcome(name, "done", n_objects=found.n_objects, notices=(_notice(recipe),))
    if found.n_objects:
        median, mean = float(np.median(found.areas)), round(float(np.mean(found.scores)), 4)
        outcome = replace(outcome, median_area=median, mean_score=mean)
    return outcome


def _notice(recipe: Recipe) -> str:
    """What was written, and what was not."""
    left_out = [each for each in recipe.write if each != WRITTEN]
    left_out += ["measurements"] * (recipe.measure is not None)
    without = f"; {', '.join(left_out)} would need all of it in memory" if left_out else ""
    return f"The image is so large that its labels were written as OME-Zarr{without}."
