"""The image embeddings of whole frames in a file, for models of one's own."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    EmbeddingCache,
    FrameError,
    FrameStack,
    SamError,
    check_name,
    readable_size,
    written,
)
from napari_sam.engine.embeddings.keys import PREPROCESSING
from napari_sam.engine.features import COARSEST

from .chosen_frames import Chosen, choose_frames

if TYPE_CHECKING:
    from napari_sam.engine import Embedding, Predictor

SUFFIXES = (".npy", ".zarr")

Arrays: TypeAlias = Iterator[NDArray[np.floating]]
About: TypeAlias = dict[str, Any]


def write_embeddings(
    path: str | Path,
    stack: FrameStack,
    predictor: Predictor,
    frames: Chosen | None = None,
    *,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, ...]:
    """Save the image embedding of each frame, whole or not at all; one is in memory at a time.

    ``.npy`` is one array ``(C, h, w)``, of a stack ``(T, C, h, w)`` or ``(T, Z, C, h, w)``, with
    the text of :func:`about_embedding` beside it, in a file of the same name and ``.json``.
    ``.zarr`` is a group with the array ``embedding``, a chunk a frame, and the same in its
    attributes.

    Parameters
    ----------
    frames
        Of the first leading axis; by default all.
    cache
        Where embeddings are found and kept; by default they are made again.
    progress
        Called as ``progress(done, total)`` in frames; what it raises stops the work.

    Returns
    -------
    The shape of the array.

    Raises
    ------
    SamError
        As :func:`check_embeddings_path` does, or if the file cannot be written.
    """
    path = Path(path)
    check_embeddings_path(path)
    frames = choose_frames(stack, None) if frames is None else frames
    cache = EmbeddingCache(limit_bytes=0) if cache is None else cache

    def encoded() -> Iterator[Embedding]:
        for done, index in enumerate(frames):
            if progress is not None:
                progress(done, len(frames))
            yield cache.embed(predictor, stack, index).embedding

    embeddings = encoded()
    first = next(embeddings)
    shape = (*frames.shape, *first.features.shape[1:])
    about = about_embedding(first, predictor, stack, frames)
    arrays = map(_as_array, itertools.chain([first], embeddings))
    write = _write_npy if path.suffix.lower() == ".npy" else _write_zarr
    write(path, arrays, shape, about)
    if progress is not None:
        progress(len(frames), len(frames))
    return shape


def about_embedding(
    embedding: Embedding, predictor: Predictor, stack: FrameStack, frames: Chosen
) -> About:
    """What a file of embeddings says of them: of which model, and where each cell is in the image.

    The pixel ``y, x`` is in the cell ``floor((y + 0.5) / pixels_per_cell[0])``, ``floor((x + 0.5)
    / pixels_per_cell[1])``. ``valid_cells`` from the top left on see the frame; those beyond saw
    nothing but padding.
    """
    input_shape, frame_shape = embedding.input_shape, embedding.frame_shape
    sizes = zip(frame_shape, input_shape, strict=True)
    model = predictor.model
    names = stack.letters.lower() or [f"axis_{axis}" for axis in range(stack.ndim)]
    return {
        "axes": [*(names[axis] for axis in frames.axes), "feature", "y", "x"],
        "frames": list(frames.positions),
        "model": model.name,
        "model_hash": model.hash,
        "precision": model.precision,
        "frame_shape": list(frame_shape),
        "input_shape": list(input_shape),
        "pixels_per_cell": [COARSEST * frame / input for frame, input in sizes],
        "valid_cells": [math.ceil(side / COARSEST) for side in input_shape],
        "preprocessing": {
            "version": PREPROCESSING,
            "steps": "brought to 8 bit by the limits of each frame, resized to input_shape, "
            "normalised as the model asks for, padded at the bottom and the right",
        },
    }


def about_path(path: Path) -> Path:
    """The file beside an ``.npy`` that says what is in it."""
    return path.with_name(f"{path.name}.json")


def check_embeddings_path(path: Path) -> None:
    """Notice before the work that :func:`write_embeddings` would refuse a name after it.

    Raises
    ------
    SamError
        If it ends in neither .npy nor .zarr, or is a folder that is there already.
    """
    check_name(path)
    if path.suffix.lower() not in SUFFIXES:
        raise FrameError(
            f"Embeddings cannot be saved as {path.name}. Choose a name in {' or '.join(SUFFIXES)}."
        )
    if path.suffix.lower() == ".zarr" and path.exists():
        raise FrameError(f"{path} is there already. Choose another name, or remove it first.")


def _as_array(embedding: Embedding) -> NDArray[np.floating]:
    pixels: NDArray[np.floating] = embedding.features[0].cpu().numpy()  # (C, h, w)
    return pixels


def _write_npy(path: Path, arrays: Arrays, shape: tuple[int, ...], about: About) -> None:
    first = next(arrays)
    beside = about_path(path)
    with written(beside) as about_part:
        about_part.write_text(json.dumps(about, indent=2), "utf-8")
        with written(path) as part:
            with part.open("wb") as file:
                _check_room(path, math.prod(shape) * first.itemsize)
                header = {"descr": first.dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                for array in itertools.chain([first], arrays):
                    file.write(array.tobytes())
            beside.unlink(missing_ok=True)  # of an older array: killed here, none is wrong


def _check_room(path: Path, n_bytes: int) -> None:
    """Notice before a long night that the file will not fit in the morning."""
    free = shutil.disk_usage(path.parent).free
    if n_bytes > free:
        raise SamError(
            f"{path} takes {readable_size(n_bytes)}, "
            f"{readable_size(free, below=n_bytes)} are free. Free some "
            "space, write elsewhere, or write fewer --frames."
        )


def _write_zarr(path: Path, arrays: Arrays, shape: tuple[int, ...], about: About) -> None:
    import zarr

    first = next(arrays)
    leading = shape[:-3]
    with written(path, folder=True) as part:
        _check_room(path, math.prod(shape) * first.itemsize)
        group = zarr.create_group(part, attributes=about)
        stored = group.create_array(
            "embedding",
            shape=shape,
            chunks=(*(1 for _ in leading), *shape[-3:]),
            dtype=first.dtype,
            dimension_names=about["axes"],
        )
        places = np.ndindex(leading)
        for at, array in zip(places, itertools.chain([first], arrays), strict=True):
            stored[at] = array
