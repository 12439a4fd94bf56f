"""The layers this plugin makes. Each has the placement of the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Tracks
from napari.layers import Surface as SurfaceLayer
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, FrameStack
from napari_sam.session import Placement, Region, empty_labels

from .levels import LabelLevels, finest, is_huge

if TYPE_CHECKING:
    from napari_sam.formats.surfaces import Surface  # it brings in what the window opens without

PREVIEW_COLOUR = (1.0, 0.85, 0.2, 0.5)
OUTLINE_COLOUR = (1.0, 1.0, 1.0, 1.0)
LABELS_OPACITY = 0.5
MOVES = ("scale", "translate", "rotate", "shear", "affine", "units")  # what decides, and its events
MADE_HERE = "made by napari_sam"  # in the metadata of labels


def is_blank(labels: Labels) -> bool:
    """Whether labels were made here and nothing is in them."""
    if not labels.metadata.get(MADE_HERE):
        return False
    data = finest(labels)
    return not (data.any() if isinstance(data, np.ndarray) else data.nchunks_initialized)


def new_labels(
    image: Image, stack: FrameStack, data: Any = None, levels: LabelLevels | None = None
) -> Labels:
    """Labels on an image: these, or empty ones. Levels of huge ones are made if none are given."""
    array = empty_labels(stack.shape) if data is None else data
    if levels is None and is_huge(stack.frame_shape):
        levels = LabelLevels.of(array, stack.displayed)
    return Labels(
        array if levels is None else levels.arrays,
        multiscale=levels is not None,
        name=f"{image.name} objects",
        opacity=LABELS_OPACITY,
        metadata={MADE_HERE: True},
        **placement(image, stack.ndim),
    )


def new_preview(image: Image, stack: FrameStack) -> Labels:
    """A layer for the mask under the cursor, no larger than that; never the user's own."""
    return Labels(
        np.zeros((1,) * stack.ndim, np.uint8),
        name=f"{image.name} preview",
        colormap=DirectLabelColormap(color_dict={None: (0, 0, 0, 0), 1: PREVIEW_COLOUR}),
        visible=False,
        **placement(image, stack.ndim),
    )


def new_outline(image: Image, stack: FrameStack) -> Labels:
    """A layer for the outline of one object."""
    return Labels(
        np.zeros((1,) * stack.ndim, np.uint8),
        name=f"{image.name} outline",
        colormap=DirectLabelColormap(color_dict={None: (0, 0, 0, 0), 1: OUTLINE_COLOUR}),
        opacity=1.0,
        **placement(image, stack.ndim),
    )


def show_region(layer: Labels, region: Region, image: Image, frame: FrameIndex) -> None:
    """Let a layer hold only a region of a frame, at its place in the image.

    The viewer is not told: it would compute all extents again, though none exceeds the image's.
    """
    show_pixels(layer, region.pixels.astype(np.uint8), image, frame, (region.top, region.left))


def show_pixels(
    layer: Labels,
    pixels: NDArray[np.uint8],
    image: Image,
    frame: FrameIndex,
    corner_yx: tuple[int, int] = (0, 0),
) -> None:
    """Let a layer hold nothing but pixels ``(h, w)`` of a frame, from a corner of it on.

    napari draws a layer again after each property that is set, unless it is hidden: so it is, until
    all are set, and nobody is told.
    """
    leading = tuple(axis for axis, i in enumerate(frame) if i is not None)
    place_like(layer, image, but=("translate",))
    corner = iter(corner_yx)
    first_pixel = np.array([next(corner) if i is None else i for i in frame], float)
    place = placement(image, len(frame))
    linear = Affine(**{name: place[name] for name in ("scale", "rotate", "shear")}).linear_matrix
    events, is_visible = layer.events, layer.visible
    with events.translate.blocker(), events.data.blocker(), events.visible.blocker():
        layer.visible = False
        layer.data = np.expand_dims(pixels, leading)
        layer.translate = place["translate"] + linear @ first_pixel
        layer.visible = is_visible  # draws it there


def raise_above(viewer: ViewerModel, layer: Layer, below: Layer) -> None:
    """Raise a layer that is below another one: it could not be seen."""
    layers = viewer.layers
    if layers.index(layer) < layers.index(below):
        layers.move(layers.index(layer), layers.index(below) + 1)


def new_tracks(image: Image, data: NDArray[np.float64]) -> Tracks:
    """Objects through time; rows of id and position, ``(N, 1 + ndim)``."""
    return Tracks(data, name=f"{image.name} tracks", **placement(image, data.shape[1] - 1))


def new_surface(labels: Labels, found: Sequence[Surface]) -> SurfaceLayer:
    """The surfaces of objects in a volume of labels, each in its object's colour."""
    counts = [len(each.corners) for each in found]
    first = np.cumsum([0, *counts[:-1]])
    colours = [labels.get_color(each.object_id) for each in found]
    return SurfaceLayer(
        (
            np.concatenate([each.corners for each in found]),
            np.concatenate([each.faces + n for each, n in zip(found, first, strict=True)]),
        ),
        vertex_colors=np.repeat(np.asarray(colours, np.float32)[:, :3], counts, axis=0),
        name=f"{labels.name} surfaces",
        shading="smooth",
        **placement(labels, 3),
    )


def placement(layer: Layer, ndim: int | None = None) -> dict[str, Any]:
    """The placement of a layer's pixels in the world; of its last axes if given."""
    place = {
        "scale": layer.scale,
        "translate": layer.translate,
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }
    n = layer.ndim
    return place if ndim in (None, n) else reordered(place, range(n)[-(ndim or n) :])


def place_like(layer: Layer, image: Image, *, but: Sequence[str] = ()) -> None:
    """Let a layer lie where an image lies, in all or all but some respects."""
    now, place = placement(layer), placement(image, layer.ndim)
    for name in MOVES:
        if name not in but and not _same(now[name], place[name]):
            setattr(layer, name, place[name])


def slice_again(layers: Iterable[Layer]) -> None:
    """Show layers whose units changed: napari takes what it showed of them for out of bounds.

    It would slice them again, in the units of the world, when a slider is moved.
    """
    for layer in layers:
        layer.events.reload(layer=layer)
        layer.refresh()


def reordered(place: Mapping[str, Any], axes: Sequence[int]) -> dict[str, Any]:
    """A placement of some axes of a layer, in this order; axes left out must not be mixed in."""
    n, chosen = len(place["scale"]), list(axes)
    shear = np.eye(n)
    shear[np.triu_indices(n, 1)] = place["shear"]
    return {
        **{name: np.asarray(place[name])[chosen] for name in ("scale", "translate")},
        "rotate": np.asarray(place["rotate"])[np.ix_(chosen, chosen)],
        "shear": shear[np.ix_(chosen, chosen)][np.triu_indices(len(chosen), 1)],
        "affine": np.asarray(place["affine"])[np.ix_([*chosen, n], [*chosen, n])],
        **{name: tuple(place[name][axis] for axis in chosen) for name in ("units", "axis_labels")},
    }


def placement_of(layer: Layer) -> Placement | None:
    """The placement of a layer in the world; ``None`` if it has the default one."""
    said = placement(layer)
    units = [str(unit) for unit in said.pop("units")]
    numbers = {name: np.asarray(value).tolist() for name, value in said.items()}
    place = Placement.read({**numbers, "units": units})
    return None if place.is_plain else place


def _same(one: Any, other: Any) -> bool:
    return np.array_equal(np.asarray(one), np.asarray(other))
