"""A small stack to annotate, with answers made by hand: no network runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_sam.engine import FrameIndex, FrameStack, Prediction, Prompts
from napari_sam.session import Answer, Region, Request, Session

SHAPE = (4, 8, 9)
CLICK = Prompts.from_points([(2, 2)])
PICTURE = np.zeros((8, 9, 3), np.uint8)


def frame(t: int) -> FrameIndex:
    """A frame of the stack."""
    return (t, None, None)


def new_stack(seed: int | None = None) -> FrameStack:
    """An image, black or of random pixels."""
    pixels = np.zeros(SHAPE, np.uint8)
    if seed is not None:
        pixels = np.random.default_rng(seed).integers(0, 255, SHAPE, np.uint8)
    return FrameStack.from_array(pixels, rgb=False)


def new_session(labels: np.ndarray | None = None, **options) -> Session:
    """A session of a black image."""
    return Session(new_stack(), np.zeros(SHAPE, np.uint16) if labels is None else labels, **options)


def square(top: int, left: int, side: int = 2) -> np.ndarray:
    """A mask of a frame."""
    mask = np.zeros(SHAPE[1:], bool)
    mask[top : top + side, left : left + side] = True
    return mask


def answer(request: Request, mask: np.ndarray, score: float = 0.9) -> Answer:
    """What a network could have said: three candidates, the first of them shown."""
    prediction = Prediction(
        low_res_logits=np.zeros((3, 4, 4), np.float32),
        iou_predictions=np.array([score, 0.5, 0.4], np.float32),
        tokens=(1, 2, 3),
        best=0,
        upscale=lambda logits: np.zeros((len(logits), *SHAPE[1:]), bool),
    )
    region = Region.from_mask(mask)
    return Answer(request, prediction, region, score, 0.8, "pocket", PICTURE, "sha256:0", "fp32")


def land(session: Session, object_id: int, t: int, prompts: Prompts, mask: np.ndarray) -> None:
    """Prompt an object and answer at once."""
    request = session.edit(object_id, frame(t), prompts)
    assert request is not None
    session.land(answer(request, mask))


def paint(session: Session, t: int, mask: np.ndarray, object_id: int) -> None:
    """A stroke of someone else's brush, which the session is told of."""
    places = (np.full(mask.sum(), t), *np.nonzero(mask))
    before = session.labels[places]
    session.labels[places] = object_id
    session.note_stroke([(places, before, object_id)])


def state(session: Session) -> tuple[object, ...]:
    """All that undo and saving keep, to compare."""
    return (session.labels[...].tolist(), dict(session.annotations()), dict(session.parents))


def waiting(session: Session) -> list[Request]:
    """The masks that are wanted, whenever they were requested."""
    return [replace(request, generation=0) for request in session.pending()]
