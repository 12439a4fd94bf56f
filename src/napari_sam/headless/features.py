"""What the network sees of each object, as numbers for models of one's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    EmbeddingCache,
    FrameError,
    FrameStack,
    Labelled,
    check_name,
    pooled_features,
    written,
)
from napari_sam.engine.features import placed_mask
from napari_sam.engine.masks import windows_of

if TYPE_CHECKING:
    from napari_sam.engine import Predictor

SUFFIXES = (".npz", ".parquet")


@dataclass(frozen=True, eq=False)
class Features:
    """Feature vectors of N objects in frames.

    Attributes
    ----------
    object_ids
        ``(N,)``.
    frames
        ``(N, A)``: positions on the leading axes.
    axes
        The names of these A axes.
    vectors
        ``(N, D)`` float32: means of each channel of the network's maps over the object's mask.
    """

    object_ids: NDArray[np.int64]
    frames: NDArray[np.int64]
    axes: tuple[str, ...]
    vectors: NDArray[np.float32]
    model: str
    model_hash: str


def object_features(
    objects: Labelled,
    stack: FrameStack,
    predictor: Predictor,
    *,
    cache: EmbeddingCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Average the embedding of each frame over the mask of each object in it.

    Parameters
    ----------
    stack
        The image of the objects.
    cache
        Where embeddings are found and kept; by default in memory, for this call.
    progress
        Called as ``progress(done, total)`` in frames; what it raises stops the work.

    Raises
    ------
    FrameError
        If objects and image have different shapes.
    """
    if stack.shape != objects.shape:
        raise FrameError(
            f"The image has the shape {stack.shape}, the labels {objects.shape}. Give the image "
            "that was labelled."
        )
    cache = EmbeddingCache() if cache is None else cache
    ids: list[int] = []
    frames: list[tuple[int, ...]] = []
    vectors: list[NDArray[np.float32]] = []
    wanted = list(objects.positions())
    for done, positions in enumerate(wanted):
        if progress is not None:
            progress(done, len(wanted))
        pixels = objects.at(positions)
        windows = windows_of(pixels)
        if windows:
            embedding = cache.embed(predictor, stack, stack.index(*positions)).embedding
            masks = [placed_mask(pixels, i, where) for i, where in windows.items()]
            vectors.append(pooled_features(embedding, masks))
            ids += windows
            frames += [positions] * len(windows)
    if progress is not None:
        progress(len(wanted), len(wanted))
    return Features(
        np.array(ids, np.int64),
        np.array(frames, np.int64).reshape(len(ids), len(objects.leading)),
        objects.leading,
        np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32),
        predictor.model.name,
        predictor.model.hash,
    )


def check_features_path(path: Path) -> None:
    """Notice before the work that :func:`write_features` would refuse a name after it.

    Raises
    ------
    SamError
        If it ends in neither .npz nor .parquet, or a package is missing.
    """
    from napari_sam.measurements.tables import check_table_path

    check_name(path)
    if path.suffix.lower() not in SUFFIXES:
        raise FrameError(
            f"Features cannot be saved as {path.name}. Choose a name in {' or '.join(SUFFIXES)}."
        )
    if path.suffix.lower() == ".parquet":
        check_table_path(path)


def write_features(path: str | Path, features: Features) -> None:
    """Save features, whole or not at all.

    ``.npz`` has the arrays ``object_id``, ``frame``, ``features`` and the texts ``axes``,
    ``model`` and ``model_hash``; ``.parquet`` a row for each object and frame, with the columns
    ``object_id``, one an axis, and ``f0``, ``f1``, ….

    Raises
    ------
    SamError
        As :func:`check_features_path` does, or if the file cannot be written.
    """
    path = Path(path)
    check_features_path(path)
    if path.suffix.lower() == ".npz":
        with written(path) as part, part.open("wb") as file:
            np.savez_compressed(
                file,
                object_id=features.object_ids,
                frame=features.frames,
                features=features.vectors,
                axes=np.array(features.axes, str),
                model=features.model,
                model_hash=features.model_hash,
            )
        return
    import pandas as pd

    from napari_sam.measurements import write_measurements

    places = dict(zip(features.axes, features.frames.T, strict=True))
    seen = {f"f{n}": column for n, column in enumerate(features.vectors.T)}
    write_measurements(path, pd.DataFrame({"object_id": features.object_ids, **places, **seen}))
