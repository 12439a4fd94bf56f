"""Sessions kept with their Labels layer: the work outlives the dock widget."""

from __future__ import annotations

from dataclasses import dataclass

from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sam.engine import FrameStack
from napari_sam.session import Session

from .levels import finest

HELD = "napari_sam"  # in the metadata of the labels


@dataclass(frozen=True, eq=False)
class SessionInMemory:
    """A session kept with its labels. In a copy of the layer it is still the original's."""

    image: Image
    labels: Labels
    session: Session


def keep_in_memory(session: Session, image: Image, labels: Labels) -> None:
    """Keep a session with its labels."""
    labels.metadata[HELD] = SessionInMemory(image, labels, session)


def forget_in_memory(labels: Labels) -> None:
    """Let labels be anybody's again."""
    labels.metadata.pop(HELD, None)


def session_in_memory(labels: Labels, image: Image, stack: FrameStack) -> Session | None:
    """The session that labels hold for an image, if both still have the size of its frames."""
    held = labels.metadata.get(HELD)
    if (
        not isinstance(held, SessionInMemory)
        or held.image is not image
        or held.labels is not labels
    ):
        return None
    fits = tuple(finest(labels).shape) == stack.shape == held.session.stack.shape
    return held.session if fits else None


def labels_with_session(viewer: ViewerModel, image: Image, stack: FrameStack) -> Labels | None:
    """The labels in a viewer that hold a session of an image."""
    for layer in viewer.layers:
        if isinstance(layer, Labels) and session_in_memory(layer, image, stack) is not None:
            return layer
    return None
