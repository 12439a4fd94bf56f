"""Request, answer and annotation of one object in one frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import Crop, FrameIndex, FrameStack, Prompts, is_large, look, whole

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, FoundObject, Prediction, Predictor
    from napari_sam.engine.where_to_look import Embed

from .drawing import Drawing
from .edits import Footprint
from .region import Region

Key: TypeAlias = tuple[int, FrameIndex]  # one object in one frame

MOST_NAMED = 5  # more objects are counted
NO_PROMPTS, NO_REGION, NO_FOOTPRINT = Prompts(), Region.empty(), Footprint.empty()


@dataclass(frozen=True)
class Annotation:
    """One object in one frame, as it is in the labels."""

    prompts: Prompts = NO_PROMPTS  # what was decoded: the drawings on the base
    drawings: tuple[Drawing, ...] = ()
    candidate: int | None = None  # the mask token the user chose; None: the network's own choice
    diameter: float | None = None  # of objects as expected when it was first prompted, in pixels
    crop: Crop | None = None  # of a large frame that was looked at; None: the whole frame
    iou_prediction: float | None = None
    stability: float | None = None
    model: str = ""
    model_hash: str = ""
    precision: str = ""
    source: FrameIndex | None = None  # the frame it was propagated from; None: from none
    found_by: str = ""  # "grid" or "seeds": how it was found without a prompt
    score: float | None = None  # of a propagated or found mask, 0 to 1: how far to trust it
    warning: str = ""  # a warning about a propagated mask, in a sentence
    stopped: str = ""  # why it was propagated up to the frame before only: it is not in this one
    base: Region = NO_REGION  # what was in the labels already when the first prompt was given
    footprint: Footprint = NO_FOOTPRINT

    @classmethod
    def of_answer(cls, answer: Answer, footprint: Footprint) -> Annotation:
        """The annotation of a network's answer to prompts; the footprint is the one before."""
        request = answer.request
        return cls(
            prompts=request.prompts,
            drawings=request.drawings,
            candidate=request.candidate,
            diameter=request.diameter,
            crop=answer.crop,
            iou_prediction=answer.iou_prediction,
            stability=answer.stability,
            model=answer.model,
            model_hash=answer.model_hash,
            precision=answer.precision,
            base=request.base,
            footprint=footprint,
        )

    @classmethod
    def of_propagated(
        cls, propagated: Propagated, model_hash: str, precision: str, footprint: Footprint
    ) -> Annotation:
        """The annotation of a propagated mask, or of an end; the footprint is the one before."""
        if propagated.stopped:
            return cls(source=propagated.source, stopped=propagated.stopped)
        return cls(
            iou_prediction=propagated.iou_prediction,
            stability=propagated.stability,
            model=propagated.model,
            model_hash=model_hash,
            precision=precision,
            source=propagated.source,
            score=propagated.score,
            warning=propagated.warning,
            footprint=footprint,
        )

    @classmethod
    def of_found(cls, found: FoundObject, landed: Region, model: str, *by: str) -> Annotation:
        """An object that was found without a prompt; ``by``: hash and precision of the model."""
        return cls(
            iou_prediction=found.score,
            stability=found.stability,
            model=model,
            model_hash=by[0],
            precision=by[1],
            found_by=found.method,
            score=found.rank,
            footprint=Footprint.found(landed),
        )

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own: neither propagated nor found without a prompt."""
        return self.source is None and not self.found_by

    @property
    def own(self) -> Annotation:
        """The same as the user's own, with full confidence."""
        return replace(self, source=None, found_by="", score=None, warning="", stopped="")

    @property
    def is_anchor(self) -> bool:
        """Whether the user prompted, painted, corrected or confirmed it: nothing overwrites it."""
        footprint = self.footprint
        by_hand = footprint.landed or footprint.painted or footprint.erased
        return self.is_own and bool(self.drawings or self.prompts or by_hand)

    @property
    def listed_score(self) -> float | None:
        """What lists show: the score of a propagation or a search, else the IoU prediction."""
        return self.iou_prediction if self.score is None else self.score


def names_of(object_ids: Sequence[int]) -> str:
    """ "object 3", "objects 3 and 4", "12 objects"."""
    if len(object_ids) > MOST_NAMED:
        return f"{len(object_ids)} objects"
    *others, last = map(str, object_ids)
    return f"objects {', '.join(others)} and {last}" if others else f"object {last}"


def as_found(region: Region) -> Annotation:
    """An object in the labels without any prompt, ready to be corrected."""
    return Annotation(base=region, footprint=Footprint.found(region))


@dataclass(frozen=True)
class Request:
    """A mask to be decoded. The generation tells it from earlier requests for the same object."""

    object_id: int
    frame: FrameIndex
    prompts: Prompts
    drawings: tuple[Drawing, ...]
    candidate: int | None
    base: Region = NO_REGION
    diameter: float | None = None
    crops: tuple[Crop, ...] = ()  # of a large frame, to be looked at in this order
    generation: int = 0

    @property
    def key(self) -> Key:
        """The object and frame it is for."""
        return (self.object_id, self.frame)


@dataclass(frozen=True, eq=False)
class Answer:
    """The network's answer to a request."""

    request: Request
    prediction: Prediction
    mask: Region
    iou_prediction: float
    stability: float
    model: str
    picture: NDArray[np.uint8]  # the frame in small, under the low-res logits
    model_hash: str = ""
    precision: str = ""
    crop: Crop | None = None  # that was looked at; None: the whole frame


@dataclass(frozen=True, eq=False)
class Propagated:
    """One object brought to one frame, or the reason why it went no further."""

    object_id: int
    frame: FrameIndex
    mask: Region  # empty where it stopped
    iou_prediction: float
    stability: float
    score: float  # 0 to 1: how far it can be trusted
    model: str
    source: FrameIndex  # the annotated frame it was propagated from
    stopped: str = ""  # a sentence: why it ends here
    warning: str = ""  # a sentence: a reason to distrust it, though it continues


@dataclass(frozen=True)
class ObjectSummary:
    """One line of the list of objects."""

    object_id: int
    frames: tuple[FrameIndex, ...]
    score: float | None  # the lowest over its frames: where to look first
    n_prompts: int


def decode(request: Request, predictor: Predictor, embed: Embed, stack: FrameStack) -> Answer:
    """Answer a request. Touches no session: any thread may do it.

    Parameters
    ----------
    embed
        Gives the embedding of a crop of the request's frame, or for ``None`` of all of it.
    stack
        The image.
    """
    cached, prediction = look(
        embed,
        predictor,
        request.prompts,
        request.crops,
        stack.frame_shape_of(request.frame),
        candidate=request.candidate,
        diameter=request.diameter,
    )
    return answered(request, prediction, predictor, cached)


def answered(
    request: Request, prediction: Prediction, predictor: Predictor, cached: CachedEmbedding
) -> Answer:
    """The answer to a request that a prediction of its prompts is."""
    top, left = (0, 0) if cached.crop is None else cached.crop[:2]
    shape = cached.embedding.frame_shape
    return Answer(
        request,
        prediction,
        Region.from_mask(prediction.mask(), top, left),
        float(prediction.iou_predictions[prediction.best]),
        float(prediction.stability_scores[prediction.best]),
        predictor.model.name,
        cached.picture,
        predictor.model.hash,
        predictor.model.precision,
        cached.crop or (whole(shape) if is_large(shape) else None),
    )
