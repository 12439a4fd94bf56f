"""What napari.yaml names: sample data that come inside scikit-image, and saved sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from napari.utils.notifications import show_warning
from skimage import data

from napari_sam.engine import FrameStack, SamError, read_image
from napari_sam.plugin.layers.network_input import INPUT, NetworkInput, moved_axis
from napari_sam.plugin.layers.own_layers import LABELS_OPACITY, reordered
from napari_sam.plugin.sessions.places import IMAGE_FILE, SESSION_FOLDER, arguments_of, image_of
from napari_sam.session import SessionFile, empty_labels, is_session

LayerData = tuple[Any, dict[str, Any], str]


def cell() -> list[LayerData]:
    """One cell, (660, 550) uint8."""
    return [_sample("cell", rgb=False)]


def coins() -> list[LayerData]:
    """Coins on a shaded ground, (303, 384) uint8."""
    return [_sample("coins", rgb=False)]


def immunohistochemistry() -> list[LayerData]:
    """Colon tissue, brown stain and blue nuclei, (512, 512, 3) uint8."""
    return [_sample("immunohistochemistry", rgb=True)]


def session_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """The reader of saved sessions; ``None`` for anything else."""
    return read_session if isinstance(path, str) and is_session(path) else None


def read_session(path: str) -> list[LayerData]:
    """A saved session's image and labels. The widget, open or opened later, goes on with them.

    Both lie in the world where the image lay when it was annotated.

    Where the image is gone, the labels come alone, and it is said.
    """
    file = SessionFile(path)
    labels = file.fill(empty_labels(file.shape, file.dtype))
    for problem in file.problems:
        show_warning(problem)
    marks: dict[str, Any] = {SESSION_FOLDER: str(file.folder)}
    place = {} if file.placement is None else arguments_of(file.placement)
    try:
        image_path, pixels, rgb = _image(file)
    except SamError as error:
        show_warning(f"{error} The objects are shown without it.")
        return [_objects(file.folder.stem, labels, _of_labels(file, place), marks)]
    if file.channel_axis is not None:
        marks = {**marks, INPUT: NetworkInput(file.channel_axis)}
    about = {"name": image_path.stem, "rgb": rgb, "multiscale": isinstance(pixels, list)}
    image = pixels, {**about, **place, "metadata": {**marks, IMAGE_FILE: str(image_path)}}, "image"
    return [image, _objects(image_path.stem, labels, _of_labels(file, place), marks)]


def _of_labels(file: SessionFile, place: dict[str, Any]) -> dict[str, Any]:
    """The place of labels, which have no axis of channels: it is the first of the image."""
    n = len(file.shape)
    return reordered(place, range(1, n + 1)) if place and len(place["scale"]) > n else place


def _image(file: SessionFile) -> tuple[Path, Any, bool]:
    """Path and pixels of a session's image, and whether their last axis is of colours."""
    path = image_of(file)
    if path is None:
        raise SamError(
            f"The image of {file.folder.name} is not where it was. Open it from where it is now, "
            "then the session with “Open …” in the panel."
        )
    pixels, _ = read_image(path)
    rgb = bool(file.manifest["preprocessing"]["rgb"])
    if file.channel_axis is not None:
        levels = pixels if isinstance(pixels, list) else [pixels]
        levels = [moved_axis(level, file.channel_axis, 0) for level in levels]
        pixels = levels if isinstance(pixels, list) else levels[0]
        shape = tuple(levels[0].shape[1:])
    else:
        shape = FrameStack.from_array(pixels, rgb=rgb).shape
    if shape != file.shape:
        raise SamError(
            f"{path} has the shape {shape} here, the session {file.shape}. Open the image as you "
            "did the first time: its session comes back with it."
        )
    return path, pixels, rgb


def _objects(name: str, labels: Any, place: dict[str, Any], marks: dict[str, Any]) -> LayerData:
    about = {"name": f"{name} objects", "opacity": LABELS_OPACITY, "metadata": marks}
    return labels, {**about, **place}, "labels"


def _sample(name: str, *, rgb: bool) -> LayerData:
    return np.asarray(getattr(data, name)()), {"name": name, "rgb": rgb}, "image"
