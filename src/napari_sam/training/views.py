"""Encoded views of annotated frames, kept on disk: what a frozen image encoder need see only once.

The first view of a frame is the frame itself; further ones are parts of it, turned, mirrored and in
another light.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from napari_sam.engine import FrameError, Predictor

from .augment import random_light
from .data import AnnotatedFrame
from .saving import read_arrays, write_arrays

Pixel = TypeVar("Pixel", bound=np.generic)

MAX_VIEWS = 80  # of all frames together, unless there are more frames
VIEWS_PER_FRAME = 4
MIN_SIDE = 0.5  # of a frame's shorter side that a part shows at least
MIN_AREA = 64  # input pixels below which an object is not requested


@dataclass(frozen=True)
class View:
    """A view's file, and which of its objects are large enough to be requested."""

    path: Path
    ids: tuple[int, ...]

    def load(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The image embedding (1, C, h, w), and labels (S, S) in pixels of the padded input."""
        embedding, labels = read_arrays(self.path, "embedding", "labels")
        return (
            torch.from_numpy(embedding).to(device, torch.float32),
            torch.from_numpy(labels.astype(np.int32)),
        )


def encode_views(
    predictor: Predictor,
    frames: Sequence[AnnotatedFrame],
    folder: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[View]:
    """Encode the views that are not in the folder yet.

    Parameters
    ----------
    folder
        Where they are kept, 3 to 6 MB each for a large network; made if it is not there.
    progress
        Called as ``progress(done, total)`` after every view.

    Raises
    ------
    FrameError
        If all objects are too small once the frames are brought to the network's input.
    ModelError
        If they cannot be written.
    """
    per_frame = min(VIEWS_PER_FRAME, max(1, MAX_VIEWS // len(frames)))
    views = []
    for nth, frame in enumerate(frames):
        for turn in range(per_frame):
            rng = np.random.default_rng((seed, nth, turn))
            views.append(_encoded(predictor, random_part(frame, rng) if turn else frame, folder))
            if progress is not None:
                progress(len(views), per_frame * len(frames))
    useful = [view for view in views if view.ids]
    if not useful:
        size = predictor.model.network.config.input_size
        raise FrameError(
            f"All objects are smaller than {MIN_AREA} pixels once the images are brought to the "
            f"{size} pixels that {predictor.model.name} sees. Cut the images into smaller ones."
        )
    return useful


def random_part(frame: AnnotatedFrame, rng: np.random.Generator) -> AnnotatedFrame:
    """A square of a frame around a pixel of an object, turned, mirrored and lit at random."""
    extent = np.array(frame.labels.shape)
    side = int(np.ceil(extent.min() * rng.uniform(MIN_SIDE, 1)))
    pixels = np.flatnonzero(frame.labels)
    middle = np.array(np.unravel_index(pixels[rng.integers(len(pixels))], frame.labels.shape))
    top, left = (middle - rng.integers(0, side, 2)).clip(0, extent - side)
    part = (slice(top, top + side), slice(left, left + side))
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    image = _turned(frame.image[part], turns, mirrored)
    lit = random_light(torch.from_numpy(image).permute(2, 0, 1).float(), rng)
    return replace(
        frame,
        image=lit.round().byte().permute(1, 2, 0).contiguous().numpy(),
        labels=_turned(frame.labels[part], turns, mirrored),
    )


def _turned(pixels: NDArray[Pixel], turns: int, mirrored: bool) -> NDArray[Pixel]:
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def _encoded(predictor: Predictor, frame: AnnotatedFrame, folder: Path) -> View:
    """The view of a frame, encoded if it was not before."""
    content = hashlib.blake2b(frame.image.tobytes(), digest_size=16)
    content.update(frame.labels.tobytes() + predictor.model.hash.encode())
    path = folder / f"{content.hexdigest()}.npz"
    if not path.exists():
        embedding = predictor.encode(frame.image)
        labels = _padded(frame.labels, embedding.input_shape, predictor)
        small = labels.astype(np.min_scalar_type(labels.max()))
        half = embedding.features.cpu().numpy().astype(np.float16)
        write_arrays(path, embedding=half, labels=small)
    (labels,) = read_arrays(path, "labels")
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    return View(path, tuple(np.flatnonzero(areas >= MIN_AREA).tolist()))


def _padded(
    labels: NDArray[np.int32], input_shape: tuple[int, int], predictor: Predictor
) -> NDArray[np.int32]:
    """Labels (H, W) as the padded input shows them, (S, S)."""
    size = predictor.model.network.config.input_size
    resized = F.interpolate(
        torch.from_numpy(labels)[None, None].double(), input_shape, mode="nearest-exact"
    )[0, 0]
    padded = F.pad(resized, (0, size - input_shape[1], 0, size - input_shape[0]))
    return padded.numpy().astype(np.int32)
