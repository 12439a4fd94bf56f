"""What was clicked in a page, given to Python."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from napari_sam import FrameStack, Predictor, Session, load_model, read_image
from napari_sam.engine import EmbeddingCache
from napari_sam.session import SessionFile
from napari_sam.session.annotation import decode


def unpacked(archive: Path, folder: Path) -> Path:
    """The session's folder of a saved archive."""
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)
    (session,) = folder.glob("*.napari-sam")
    return session


def opened(image: Path) -> FrameStack:
    """An image as Python opens it."""
    pixels, axes = read_image(image)
    return FrameStack.from_array(pixels, axes=axes)


def replayed(session: SessionFile, stack: FrameStack, model: str | Path = "pocket") -> Session:
    """What Python makes of the same prompts, given in the same order."""
    predictor, cache = Predictor(load_model(model, device="cpu")), EmbeddingCache()
    again = Session(stack, np.zeros(stack.shape, np.uint16))
    again.learns_diameter = True
    for object_id, frame, annotation in session.annotations():
        for n in range(1, len(annotation.drawings) + 1):
            again.select(object_id)
            request = again.draw(object_id, frame, annotation.drawings[:n])
            if request is not None:
                embed = partial(cache.embed, predictor, stack, frame, None)
                again.land(decode(request, predictor, embed, stack))
    return again
