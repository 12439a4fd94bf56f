"""The image that travels in a page: refused here rather than in the browser that opens it."""

from __future__ import annotations

from pathlib import Path

import tifffile

from napari_sam.engine import FrameStack, SamError, open_image

TIFFS = (".tif", ".tiff")
PICTURES = (".png", ".jpg", ".jpeg")
LARGEST_IMAGE = 500_000_000  # bytes; a browser holds the text of a page several times
LARGEST_PICTURE = 200_000_000  # bytes of a PNG or JPEG, which is read whole
MOST_PIXELS = 2**26  # of a frame
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
COMPRESSIONS = (1, 5, 8, 32773, 32946)  # none, LZW, deflate by two numbers, PackBits
PHOTOMETRICS = (0, 1, 2)  # grey, either way around, and RGB


def image_bytes(path: Path) -> bytes:
    """An image file, if a page can open it and all of its frames can be read.

    Raises
    ------
    SamError
        If it is damaged, too large, or of a kind that the page does not read.
    """
    suffix = path.suffix.lower()
    if suffix not in (*TIFFS, *PICTURES):
        raise _not_for_a_page(path, "The file is of another kind")
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= LARGEST_IMAGE else b""
    except OSError as error:
        raise SamError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    if size > (LARGEST_IMAGE if suffix in TIFFS else LARGEST_PICTURE):
        raise SamError(
            f"{path.name} has {size / 1e6:.0f} MB, too much for a page of one file. Give a "
            "part of it, or make a page without an image: it opens larger ones."
        )
    _check_frames(path)
    if suffix in TIFFS:
        _check_tiff(path)
    return content


def _check_frames(path: Path) -> None:
    """Read all frames once."""
    opened = open_image(path)
    stack = FrameStack.from_array(opened.data, axes=opened.axes)
    height, width = stack.frame_shape
    if height * width > MOST_PIXELS:
        raise SamError(
            f"A frame of {path.name} has {width} × {height} pixels, too many for a browser. Crop "
            "it to 8000 × 8000 or less."
        )
    for index in stack.indices():
        stack.frame(index)


def _check_tiff(path: Path) -> None:
    with tifffile.TiffFile(path) as file:
        first = file.pages.first
        if str(first.dtype) not in DTYPES or first.bitspersample % 8:
            raise _not_for_a_page(
                path, f"Its pixels are {first.dtype} of {first.bitspersample} bit"
            )
        if first.compression not in COMPRESSIONS:
            name = tifffile.COMPRESSION(first.compression).name
            raise _not_for_a_page(path, f"It is compressed by {name}")
        if first.photometric not in PHOTOMETRICS:
            name = tifffile.PHOTOMETRIC(first.photometric).name
            raise _not_for_a_page(path, f"Its colours are stored as {name}")


def _not_for_a_page(path: Path, reason: str) -> SamError:
    return SamError(
        f"A page cannot open {path.name}. {reason}. Save the image as TIFF of 8- or 16-bit "
        "integers without compression, grey or RGB, or as PNG or JPEG, and give that."
    )
