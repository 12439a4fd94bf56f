"""Contributions named in napari.yaml: sample data, saved sessions, an entry of napari's menu."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import napari
import numpy as np
from napari.utils.notifications import show_info, show_warning
from skimage import data

from napari_sam.engine import SamError
from napari_sam.plugin.layers.levels import LabelLevels, is_huge
from napari_sam.plugin.layers.network_input import INPUT, NetworkInput
from napari_sam.plugin.layers.own_layers import LABELS_OPACITY, reordered
from napari_sam.plugin.sessions.images import (
    IMAGE_READER,
    PLACE,
    image_arguments,
    limits_in,
    read_again,
)
from napari_sam.plugin.sessions.places import IMAGE_FILE, SESSION_FOLDER, arguments_of
from napari_sam.session import SessionFile, empty_labels, is_packed, is_session, unpack

WIDGET = ("napari-sam-annotator", "Segment Anything")
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


def use_as_prompts(viewer: napari.Viewer) -> None:
    """Prompt with the active layer: the widget is opened, if need be, and shows what it holds."""
    layer = viewer.layers.selection.active
    if layer is None:
        show_warning("Choose a layer of points, shapes or labels first.")
        return
    _, widget = viewer.window.add_plugin_dock_widget(*WIDGET)
    widget.use_as_prompts(layer.name)


def session_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """The reader of saved sessions; ``None`` for anything else."""
    if isinstance(path, str) and is_packed(path):
        return lambda archive: read_session(str(unpack(archive)))
    return read_session if isinstance(path, str) and is_session(path) else None


def image_reader(path: str | Sequence[str]) -> Callable[[str], list[LayerData]] | None:
    """The reader of Zarr images, slides with levels and folders of frames; else ``None``."""
    from napari_sam.engine import images_in, is_zarr  # brings in zarr

    if not isinstance(path, str) or is_session(path):
        return None
    if not os.path.isdir(path):
        return read_images
    return read_images if is_zarr(Path(path)) or images_in(Path(path)) else None


def read_images(path: str) -> list[LayerData]:
    """The first image of a file or folder, with its levels, axes and the sizes of its pixels.

    Of a plate it is the first field; the panel offers the others under "Series".
    """
    from napari_sam.engine import list_series, open_image, read_scales  # brings in zarr

    file = Path(path)
    opened = open_image(file, series=0)
    limits = limits_in(opened.data, opened.axes)
    scales = read_scales(file, 0)
    about = image_arguments(file, opened.data, opened.axes, limits, scales=scales)
    if (n := len(list_series(file))) > 1:
        show_info(f"{file.name} holds {n} images. This is the first; choose under “Series”.")
    return [(about.pop("data"), about, "image")]


def read_session(path: str) -> list[LayerData]:
    """A saved session's image and labels. The widget continues with them, now or when it is opened.

    Both have the placement of the image when it was annotated.

    Where the image is gone, the labels come alone, and it is said.
    """
    file = SessionFile(path)
    labels = file.fill(empty_labels(file.shape, file.dtype))
    for problem in file.problems:
        show_warning(problem)
    marks: dict[str, Any] = {SESSION_FOLDER: str(file.folder)}
    place = {} if file.placement is None else arguments_of(file.placement)
    try:
        image_path, pixels, about = read_again(file)
    except SamError as error:
        show_warning(f"{error} The objects are shown without it.")
        return [_objects(file, file.folder.stem, labels, place, marks)]
    if file.channel_axis is not None:
        marks = {**marks, INPUT: NetworkInput(file.channel_axis)}
    if reader := file.manifest["image"].get("reader"):
        marks = {**marks, IMAGE_READER: reader}
    name = about.get("name") or image_path.stem
    known = {**(about.get("metadata") or {}), **marks, IMAGE_FILE: str(image_path)}
    image = pixels, {**about, **place, "name": name, "metadata": known}, "image"
    place = place or {key: about[key] for key in PLACE if key in about}
    return [image, _objects(file, name, labels, place, marks)]


def _of_labels(file: SessionFile, place: dict[str, Any]) -> dict[str, Any]:
    """The place of labels, which have no axis of channels: it is the first of the image."""
    n = len(file.shape)
    has_more = len(place.get("scale", ())) > n
    return reordered(place, range(1, n + 1)) if has_more else place


def _objects(
    file: SessionFile, name: str, labels: Any, place: dict[str, Any], marks: dict[str, Any]
) -> LayerData:
    about = {"name": f"{name} objects", "opacity": LABELS_OPACITY, "metadata": marks}
    displayed = file.displayed
    in_levels = is_huge([file.shape[axis] for axis in displayed])
    shown = LabelLevels.of(labels, displayed).arrays if in_levels else labels
    return shown, {**about, **_of_labels(file, place), "multiscale": in_levels}, "labels"


def _sample(name: str, *, rgb: bool) -> LayerData:
    return np.asarray(getattr(data, name)()), {"name": name, "rgb": rgb}, "image"
