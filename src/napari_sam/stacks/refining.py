"""Labels of other tools refined: an object is replaced where the answer to its mask agrees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import ndimage

from napari_sam.engine import (
    FrameStack,
    ObjectPrompts,
    Prompts,
    PromptSet,
    interior_point,
    is_blank,
)
from napari_sam.session import Answer, Region

from .options import RefineRules
from .prompting import decode_prompts

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Predictor

Progress: TypeAlias = Callable[[int, int], None]

NOTHING = "There is nothing to see in its frame: all pixels have one value, or none (NaN)."


@dataclass(frozen=True, eq=False)
class Refined:
    """The answer for one object in one frame, and whether it takes its place."""

    answer: Answer
    before: Region
    iou: float  # of the answer with the object as it was
    kept: str = ""  # a sentence: why the object stays as it was

    @property
    def reason(self) -> str:
        """Why it stays as it was, without its own figures: the same for many objects."""
        said = self.kept.partition(":")[0].rstrip(".")
        return said[:1].lower() + said[1:]

    @property
    def object_id(self) -> int:
        """Its number."""
        return self.answer.request.object_id


def refine_objects(
    objects: PromptSet,
    stack: FrameStack,
    predictor: Predictor,
    cache: EmbeddingCache,
    rules: RefineRules | None = None,
    progress: Progress | None = None,
) -> Iterator[Refined]:
    """Ask for each object by its mask, the box around it and the point deepest in it.

    Close the generator to stop. Touches no session: any thread may do it.

    Parameters
    ----------
    objects
        By their masks, as :func:`prompts_of_labels` has them.
    progress
        Called as ``progress(done, total)`` in objects.
    """
    rules = rules or RefineRules()
    fitted = objects.fitted(stack)
    before = {
        (each.object_id, stack.index(*each.at or ())): Region(*each.corner, each.mask)
        for each in fitted.objects
        if each.mask is not None
    }
    blank = functools.cache(functools.partial(is_blank, stack))
    asked = PromptSet(tuple(as_asked(each, rules.loosen) for each in fitted.objects))
    for answer in decode_prompts(asked.fitted(stack), stack, predictor, cache, progress):
        region = before[answer.request.key]
        # It is known by its mask: what the point drew is not the user's
        request = replace(answer.request, prompts=Prompts(), drawings=(), base=answer.mask)
        answer = replace(answer, request=request)
        overlap = _iou(region, answer.mask)
        why = NOTHING if blank(request.frame) else _why_kept(answer, overlap, rules)
        yield Refined(answer, region, overlap, why)


def as_asked(each: ObjectPrompts, loosen: float) -> ObjectPrompts:
    """The prompts for an object with a mask, grown by a share of its diameter."""
    if each.mask is None:
        return each
    top, left = each.corner
    y, x = interior_point(each.mask) or (0.0, 0.0)
    prompts = Prompts.from_points([(top + y, left + x)])
    radius = loosen * 2 * float(np.sqrt(np.count_nonzero(each.mask) / np.pi))
    margin = int(np.ceil(radius))
    if not margin:
        return replace(each, prompts=prompts)
    away = ndimage.distance_transform_edt(~np.pad(each.mask, margin))
    corner = (top - margin, left - margin)
    return replace(each, mask=away <= radius, corner=corner, prompts=prompts)


def _iou(region: Region, other: Region) -> float:
    common = region.common(other).area
    return common / (region.area + other.area - common) if region or other else 1.0


def _why_kept(answer: Answer, overlap: float, rules: RefineRules) -> str:
    if not answer.mask:
        return "The model found nothing there."
    if overlap < rules.min_iou:
        return f"The model's answer is another object: their IoU is {overlap:.2f}."
    if answer.iou_prediction < rules.min_score:
        return f"The model is not sure of its answer: its score is {answer.iou_prediction:.2f}."
    return ""
