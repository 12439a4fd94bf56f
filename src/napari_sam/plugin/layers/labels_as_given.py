"""Labels layers as the user gives them, made ready to be annotated; and the session on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from napari.layers import Image, Labels, Layer

from napari_sam.engine import FrameStack, SamError
from napari_sam.session import Session, WritableLabels, writable_labels

from .in_memory import keep_in_memory, session_in_memory
from .levels import finest, is_huge
from .own_layers import new_labels, placement, placement_of
from .world import to_other

NEAR = 0.5  # pixels by which labels may be off the image's
MULTISCALE = "are multiscale, and napari cannot write into such"
IN_LEVELS = "They are shown at several resolutions, in the layer “{}”."
NO_BRUSH = "napari's brush cannot paint in an image as large as this: use points, boxes, scribbles."
MOVED = "They were not aligned with the image, and were moved onto it."


@dataclass(frozen=True, eq=False)
class AnnotatedLayer:
    """A Labels layer that can be written into, and the session that does."""

    layer: Labels
    session: Session
    notice: str = ""  # what was done to the labels, in sentences


def annotated_layer(given: Labels | None, image: Image, stack: FrameStack) -> AnnotatedLayer:
    """Labels to annotate an image in: those given, in another array where need be, or new ones.

    The session is the one that the labels hold for the image, or a new one kept with them.

    Raises
    ------
    SamError
        If the labels do not belong onto the image, or cannot be taken.
    """
    in_levels = is_huge(stack.frame_shape)
    no_brush = NO_BRUSH if in_levels else ""
    if given is None:
        layer = new_labels(image, stack)
        return AnnotatedLayer(layer, _begun(layer, image, stack, highest_id=0), no_brush)
    session = session_in_memory(given, image, stack)
    if session is not None and session.labels is finest(given):
        session.stack = stack
        return AnnotatedLayer(given, session, no_brush)
    taken = taken_labels(given, stack)
    moved = "" if lies_on(given, image, stack) else _moved(given, image)
    layer = given
    if given.multiscale or in_levels:
        layer = new_labels(image, stack, taken.array)
        layer.name = f"{given.name} {'copy' if given.multiscale else 'levels'}"
        given.visible = False
    elif taken.array is not given.data:
        layer.data = taken.array
    if session is None:
        session = _begun(layer, image, stack, taken.highest_id)
    else:
        session.stack = stack
        session.take_labels(finest(layer), taken.highest_id)
    shown = IN_LEVELS.format(layer.name) if in_levels and not given.multiscale else ""
    notices = filter(None, (moved, taken.notice, shown, no_brush))
    return AnnotatedLayer(layer, session, " ".join(notices))


def taken_labels(layer: Labels, stack: FrameStack) -> WritableLabels:
    """The labels of a layer in an array that can be written into.

    Raises
    ------
    SamError
        If they are not labels of this image, or cannot be taken.
    """
    return writable_labels(finest(layer), stack.shape, MULTISCALE if layer.multiscale else "")


def _begun(layer: Labels, image: Image, stack: FrameStack, highest_id: int) -> Session:
    session = Session(stack, finest(layer), highest_id=highest_id)
    keep_in_memory(session, image, layer)
    return session


def lies_on(labels: Layer, image: Image, stack: FrameStack) -> bool:
    """Whether the pixels of a layer are aligned with those of the image, in any units."""
    for corner in itertools.product(*((0, side - 1) for side in stack.shape)):
        if np.abs(np.subtract(to_other(labels, image, corner), corner)).max() > NEAR:
            return False
    return True


def _moved(labels: Labels, image: Image) -> str:
    """Put labels that were never put anywhere onto an image.

    Raises
    ------
    SamError
        If they were put somewhere else.
    """
    if placement_of(labels) is not None:
        one, other = (np.round((*each.scale, *each.translate), 6) for each in (labels, image))
        raise SamError(
            f"“{labels.name}” is not aligned with “{image.name}”: its scale and translate are "
            f"{one.tolist()} against {other.tolist()}. Choose labels that are aligned with "
            "the image, or "
            "“New labels”."
        )
    for name, value in placement(image, labels.ndim).items():
        setattr(labels, name, value)
    return MOVED
