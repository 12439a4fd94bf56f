"""What can be said of automatic segmentation: for Python, files, commands and the window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, TypeAlias

from napari_sam.engine.errors import PromptError, SamError
from napari_sam.engine.options import about, check_options

Method: TypeAlias = Literal["auto", "grid", "seeds"]
Outline: TypeAlias = tuple[tuple[float, float], ...]  # vertices yx in frame pixels


@dataclass(frozen=True)
class GridRules:
    """How a grid of clicks goes over a frame: segment-anything's parameters, names and defaults.

    Raises
    ------
    SamError
        If a parameter is not what it can be.
    """

    points_per_side: int = field(
        default=32,
        metadata=about(
            "Points per side",
            "Clicks along each side of the frame, for the grid: an object that lies between them "
            "is not found, and time grows with their square.",
            least=1,
            most=512,
            metavar="N",
        ),
    )
    crop_n_layers: int = field(
        default=0,
        metadata=about(
            "Crop layers",
            "How often the frame is looked at again in parts, for the grid: 1 in 2 × 2 parts, 2 in "
            "4 × 4 as well. For objects that are small in the frame.",
            least=0,
            most=4,
            metavar="N",
        ),
    )
    points_per_batch: int | None = None  # None: as many as keep the device busy
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0  # in logits
    box_nms_thresh: float = 0.7
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500  # of the shorter side, in the first layer
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0  # pixels: smaller holes are filled, smaller islands removed

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True)
class SeedRules:
    """How one click for each object that the network maps becomes objects."""

    min_score: float = 0.55  # mean of IoU prediction, stability, and what the maps say of the mask
    min_stability: float = 0.0
    min_area: int = 16  # pixels; smaller specks are noise
    depth: float = 0.3  # relative depth in an object at a seed: low, since the decoder judges
    sure: float = 0.67  # score of an object in which no other seed is decoded


@dataclass(frozen=True)
class AutomaticOptions:
    """How all objects of a frame are found, and which of them stand.

    Attributes
    ----------
    within
        The outline ``(N, 2)``, yx in frame pixels, of the only part to look in: of a polygon, or of
        a box by `box_outline`. ``None``: the whole frame.
    kept_score, kept_stability
        Proposals below get no mask: no filter brings them back. What the filters ask for gets one
        anyway, and with 1 nothing else does, which is fastest.
    min_likeness
        Lowest likeness of an object that was compared with examples.

    Raises
    ------
    SamError
        If an option is not what it can be, or two contradict each other.
    """

    method: Method = field(
        default="auto",
        metadata=about(
            "Method",
            "seeds: one click on each object that the model maps, for the embedded model; grid: "
            "clicks all over the frame, for any model; auto: seeds where the model maps objects.",
            choices={
                "auto": "automatic",
                "grid": "grid of clicks",
                "seeds": "one click per object",
            },
        ),
    )
    min_score: float | None = field(
        default=None,
        metadata=about(
            "Score",
            "Lowest score of an object, from 0 to 1: its IoU prediction; for seeds, also how well "
            "the maps agree with it. By default that of the method.",
            least=0,
            most=1,
            unset="of the method",
            metavar="SCORE",
        ),
    )
    min_stability: float | None = field(
        default=None,
        metadata=about(
            "Stability",
            "The lowest stability score of an object, from 0 to 1: how little its outline depends "
            "on where the mask is cut; by default the method's own.",
            least=0,
            most=1,
            unset="of the method",
            metavar="SCORE",
        ),
    )
    min_area: int | None = field(
        default=None,
        metadata=about(
            "Smallest",
            "The smallest area of an object, in pixels; by default 16 for seeds, any for the grid.",
            least=1,
            unit="pixels",
            unset="of the method",
            metavar="PIXELS",
        ),
    )
    max_area: int | None = field(
        default=None,
        metadata=about(
            "Largest",
            "The largest area of an object, in pixels.",
            least=1,
            unit="pixels",
            unset="any",
            metavar="PIXELS",
        ),
    )
    min_roundness: float = field(
        default=0.0,
        metadata=about(
            "Roundness",
            "The lowest roundness of an object: 1 for a disc, 0.8 for a square, near 0 for what is "
            "thin or jagged.",
            least=0,
            most=1,
            metavar="ROUNDNESS",
        ),
    )
    min_intensity: float = field(
        default=0.0,
        metadata=about(
            "Darkest",
            "The lowest mean intensity of an object in the frame as the model sees it: 0 black, 1 "
            "white.",
            least=0,
            most=1,
            metavar="INTENSITY",
        ),
    )
    max_intensity: float = field(
        default=1.0,
        metadata=about(
            "Brightest",
            "The highest mean intensity of an object in the frame as the model sees it: 0 black, 1 "
            "white.",
            least=0,
            most=1,
            metavar="INTENSITY",
        ),
    )
    cell_size: float | None = field(
        default=None,
        metadata=about(
            "Cell size",
            "Diameter of the cells in pixels: decides at which size a frame larger than 1024 "
            "pixels is looked at, in tiles; by default a first look at some places tells it.",
            least=1,
            unit="pixels",
            unset="automatic",
            metavar="PIXELS",
        ),
    )
    border: bool = field(
        default=True,
        metadata=about("At the border", "Keep objects that the border of the frame cuts."),
    )
    overlap: float = field(
        default=0.15,
        metadata=about(
            "Overlap",
            "The largest share of an object that better ones may cover, from 0 to 1. Covered "
            "pixels stay theirs.",
            least=0,
            most=1,
            metavar="SHARE",
        ),
    )
    within: Outline | None = None
    grid: GridRules = GridRules()
    seeds: SeedRules = SeedRules()
    kept_score: float = 0.5
    kept_stability: float = 0.5
    min_likeness: float = 0.0

    def __post_init__(self) -> None:
        check_options(self)
        if self.min_area is not None and self.max_area is not None:
            _check_areas(self.min_area, self.max_area)
        if self.min_intensity > self.max_intensity:
            raise SamError(
                f"No object is of an intensity of {self.min_intensity:g} or more and of "
                f"{self.max_intensity:g} or less. Give a min_intensity of {self.max_intensity:g} "
                "or less."
            )
        if self.within is not None:
            object.__setattr__(self, "within", _checked_outline(self.within))

    def thresholds(self, method: Literal["grid", "seeds"]) -> tuple[float, float]:
        """The lowest score and stability of an object that stands."""
        grid, seeds = self.grid, self.seeds
        score, stability = {
            "grid": (grid.pred_iou_thresh, grid.stability_score_thresh),
            "seeds": (seeds.min_score, seeds.min_stability),
        }[method]
        return (
            score if self.min_score is None else self.min_score,
            stability if self.min_stability is None else self.min_stability,
        )

    def smallest(self, method: Literal["grid", "seeds"]) -> float:
        """The smallest area of an object that stands, in pixels."""
        if self.min_area is not None:
            return self.min_area
        return min(self.seeds.min_area, self.max_area or math.inf) if method == "seeds" else 0

    def floors(self, method: Literal["grid", "seeds"]) -> tuple[float, float]:
        """The lowest score and stability of a proposal with a mask; a threshold of 0 is none."""
        score, stability = self.thresholds(method)
        kept_score = min(score, self.kept_score)
        return kept_score if kept_score > 0 else -math.inf, min(stability, self.kept_stability)


@dataclass(frozen=True)
class AlikeOptions(AutomaticOptions):
    """How objects like some examples are found, and which of them stand.

    Likeness decides, so the thresholds of score, stability and area are 0 unless they are given.
    """

    min_likeness: float = field(
        default=0.4,
        metadata=about(
            "Likeness",
            "Lowest likeness of an object to the nearest example, from 0 to 1: by the features of "
            "the model, size, shape and score; less where an object that you removed is as near.",
            least=0,
            most=1,
            metavar="LIKENESS",
            also=("--threshold",),
        ),
    )
    most_places: int = field(
        default=40,
        metadata=about(
            "Further places",
            "At how many places that look like the examples, but where nothing was found, an "
            "object is looked for in each frame.",
            least=0,
            most=1000,
            metavar="N",
        ),
    )
    kept_score: float = 0.2
    kept_stability: float = 0.0

    def thresholds(self, method: Literal["grid", "seeds"]) -> tuple[float, float]:
        """The lowest score and stability of an object that stands."""
        return self.min_score or 0.0, self.min_stability or 0.0

    def floors(self, method: Literal["grid", "seeds"]) -> tuple[float, float]:
        """The lowest score and stability of a proposal with a mask."""
        score, stability = self.thresholds(method)
        return min(score or 1.0, self.kept_score), min(stability, self.kept_stability)

    def smallest(self, method: Literal["grid", "seeds"]) -> float:
        """The smallest area of an object that stands, in pixels."""
        return self.min_area or 0


def box_outline(box: Sequence[float]) -> Outline:
    """The corners of a box ``(y0, x0, y1, x1)``, as `AutomaticOptions.within` takes them."""
    y0, x0, y1, x1 = box
    return (y0, x0), (y0, x1), (y1, x1), (y1, x0)


def _check_areas(least: int, most: int) -> None:
    if least > most:
        raise SamError(
            f"No object is of {least} pixels or more and of {most} or less. Give a min_area of "
            f"{most} or less, or a max_area of {least} or more."
        )


def _checked_outline(outline: Sequence[Sequence[float]]) -> Outline:
    """The vertices of a polygon, if it has any area."""
    try:
        vertices = tuple((float(y), float(x)) for y, x in outline)
    except (TypeError, ValueError):
        vertices = ()
    if not vertices or not all(map(math.isfinite, chain(*vertices))):
        raise PromptError(
            f"{outline!r} bounds no part of a frame. Give the vertices of a polygon as (y, x), or "
            "a box (y0, x0, y1, x1) through box_outline."
        )
    ahead = (*vertices[1:], vertices[0])
    doubled = sum(y0 * x1 - y1 * x0 for (y0, x0), (y1, x1) in zip(vertices, ahead, strict=True))
    if doubled == 0:
        raise PromptError(
            "The part of the frame to look in has no area. Draw it larger, or leave it out for the "
            "whole frame."
        )
    return vertices
