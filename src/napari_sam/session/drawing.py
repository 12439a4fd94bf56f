"""Prompts as they were drawn, so that an object's prompts can be brought back and drawn on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from napari_sam.engine import PromptError, Prompts, mask_to_box

from .region import Region

Kind: TypeAlias = Literal["point", "rectangle", "ellipse", "polygon", "path"]

KINDS = get_args(Kind)
SCRIBBLE_STEPS = 4  # a scribble becomes five points: each one is decoded in turn
SMALLEST_SHAPE = 3.0  # pixels; a click without a drag leaves a smaller one


@dataclass(frozen=True)
class Drawing:
    """A point, or the corners or vertices of a shape, yx in pixels of one frame."""

    kind: Kind
    vertices: tuple[tuple[float, float], ...]
    label: int = 1  # 1 positive, 0 negative; counts for points and paths

    def __post_init__(self) -> None:
        vertices = np.asarray(Prompts.from_points(self.vertices).points)
        if self.kind not in KINDS or not len(vertices) or self.label not in (0, 1):
            raise PromptError(
                f"A {self.kind} of {len(vertices)} points with the label {self.label} is not "
                f"a drawing. Give one of {', '.join(KINDS)}, at least one point y, x, and "
                "the label "
                "1 or 0."
            )

    @property
    def is_accident(self) -> bool:
        """Whether this is a shape too small to be meant."""
        return self.kind != "point" and np.ptp(self.vertices, axis=0).max() < SMALLEST_SHAPE

    def prompts(self, frame_shape: tuple[int, int]) -> Prompts:
        """A rectangle asks for a box, an outline for a mask and its box, a path for points."""
        match self.kind:
            case "point":
                return Prompts.from_points(self.vertices, labels=[self.label])
            case "rectangle":
                return Prompts.from_rectangle(self.vertices)
            case "ellipse":
                return Prompts.from_ellipse(self.vertices, frame_shape)
            case "polygon":
                return Prompts.from_polygon(self.vertices, frame_shape)
            case "path":
                steps = np.linalg.norm(np.diff(self.vertices, axis=0), axis=1)
                spacing = max(1.0, float(steps.sum()) / SCRIBBLE_STEPS)
                return Prompts.from_scribble(self.vertices, self.label, spacing)


def prompts_from(drawings: Iterable[Drawing], frame_shape: tuple[int, int]) -> Prompts:
    """All drawings of one object as one prompt.

    Points add up in the order drawn, outlines are united, and of several rectangles the last
    counts.
    """
    merged = Prompts()
    box = None
    for drawing in drawings:
        if drawing.is_accident:
            continue
        prompts = drawing.prompts(frame_shape)
        if drawing.kind == "rectangle":
            box = prompts.box
        for point, label in zip(prompts.points, prompts.labels, strict=True):
            merged = merged.with_point(point, label)
        if prompts.mask is not None:
            union = prompts.mask if merged.mask is None else merged.mask | prompts.mask
            merged = merged.with_mask(union).with_box(mask_to_box(union))
    return merged if box is None else merged.with_box(box)


def on_base(prompts: Prompts, base: Region, frame_shape: tuple[int, int]) -> Prompts:
    """Prompts that correct what is there: its region is their mask, unless they have one.

    Without a box of their own they get the one around that region and the positive points.
    """
    if not prompts or not base or prompts.mask is not None:
        return prompts
    y0, x0, y1, x1 = base.window
    corners = [(y0 - 0.5, x0 - 0.5), (y1 - 0.5, x1 - 0.5)]
    points = zip(prompts.points, prompts.labels, strict=True)
    held = np.array([*corners, *(point for point, label in points if label)])
    box = prompts.box or (*held.min(axis=0), *held.max(axis=0))
    return prompts.with_mask(base.within((0, 0, *frame_shape))).with_box(box)


def drawings_of(prompts: Prompts) -> tuple[Drawing, ...]:
    """How points and a box that came from elsewhere would have been drawn."""
    points = zip(prompts.points, prompts.labels, strict=True)
    drawings = [Drawing("point", (point,), label) for point, label in points]
    if prompts.box is not None:
        y0, x0, y1, x1 = prompts.box
        drawings.append(Drawing("rectangle", ((y0, x0), (y0, x1), (y1, x1), (y1, x0))))
    return tuple(drawings)
