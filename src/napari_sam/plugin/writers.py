"""Writers named in napari.yaml: a labels layer by File → Save, in the format of its ending."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari.utils.notifications import show_warning

from napari_sam.engine import Labelled
from napari_sam.formats import export


def write(name: str, path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write the labels of a layer; what the format cannot hold is said.

    Parameters
    ----------
    name
        Of the format.
    path, data, attributes
        As napari gives them to a writer of one layer.

    Returns
    -------
    The path, as napari wants it.
    """
    pixels = data[0] if isinstance(data, list | tuple) else data  # of several resolutions
    ndim = len(pixels.shape)
    units = [str(unit) for unit in attributes.get("units") or ("pixel",) * ndim]
    letters = "".join(str(each).upper() for each in attributes.get("axis_labels") or ())
    known = len(letters) == ndim and letters.isalpha() and letters.endswith("YX")
    objects = Labelled.of(
        pixels, axes=letters if known else None, scale=attributes.get("scale"), units=units
    )
    for lost in export(objects, path, name):
        show_warning(lost)
    return [path]


write_geojson = partial(write, "geojson")
write_coco = partial(write, "coco")
write_rois = partial(write, "imagej-rois")
write_ome_tiff = partial(write, "ome-tiff")
write_ome_zarr = partial(write, "ome-zarr")
write_trackmate = partial(write, "trackmate")
write_tracks = partial(write, "tracks-csv")
write_geff = partial(write, "geff")
