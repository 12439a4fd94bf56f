"""Image files in, label files out: one kind of file, one file of code here."""

from .identity import identity_at
from .labels import LabelFile, as_ids, check_labels_path, read_labels, write_labels
from .opening import OpenedImage, images_in, list_series, open_image, read_image
from .places import address_of
from .scales import read_scales, scales_of
from .tiff import tiff_axes
from .zarrs import is_zarr

__all__ = (
    "LabelFile",
    "OpenedImage",
    "address_of",
    "as_ids",
    "check_labels_path",
    "identity_at",
    "images_in",
    "is_zarr",
    "list_series",
    "open_image",
    "read_image",
    "read_labels",
    "read_scales",
    "scales_of",
    "tiff_axes",
    "write_labels",
)
