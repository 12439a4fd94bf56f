"""The image with the outlines of its objects in its pixels: a PNG a frame, or all as one GIF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_sam.engine import FrameStack, Labelled, colour_of

from .outlines import by_object, outlines
from .overlay import scale_bar

CLEAR_SIDE = 1000  # pixels; smaller pictures are enlarged, or outlines would hide small objects
ANIMATED_SIDE = 800  # pixels at most of an animation
FRAME_MS = 200  # that each frame of an animation is shown


def write(
    objects: Labelled, path: Path, image: FrameStack, kind: Literal["png", "gif"] = "png"
) -> None:
    """A folder of PNGs, or one GIF that goes through all frames in their order.

    With a scale bar where the size of a pixel is known.
    """
    side = max(objects.shape[-2:])
    if kind == "gif":
        pictures = (picture for _, picture in _pictures(objects, image, ANIMATED_SIDE / side))
        first = next(pictures)
        first.save(
            *(path, "GIF"),
            save_all=True,
            append_images=pictures,  # one is in memory at a time
            duration=FRAME_MS,
            loop=0,
        )
        return
    for positions, picture in _pictures(objects, image, -(-CLEAR_SIDE // side)):
        name = "_".join(["frame", *(f"{at:04d}" for at in positions)])
        picture.save(path / f"{name}.png")


def _pictures(
    objects: Labelled, image: FrameStack, enlarged: float
) -> Iterator[tuple[tuple[int, ...], Image.Image]]:
    for positions, pixels in objects.frames():
        shown = Image.fromarray(image.frame(image.index(*positions), long_side=None))
        height, width = pixels.shape
        size = (max(1, round(width * enlarged)), max(1, round(height * enlarged)))
        kind = Image.Resampling.NEAREST if enlarged >= 1 else Image.Resampling.BOX
        picture = shown.resize(size, kind)
        _draw(ImageDraw.Draw(picture), objects, pixels, enlarged)
        yield positions, picture


def _draw(
    canvas: ImageDraw.ImageDraw, objects: Labelled, pixels: NDArray[Any], enlarged: float
) -> None:
    """Outlines along the edges of pixels, and the scale bar."""
    height, width = (side * enlarged for side in pixels.shape)
    thick = max(1, round(max(height, width) / 500))
    for object_id, pieces in by_object(outlines(pixels)).items():
        red, green, blue = (round(part) for part in colour_of(object_id))
        for ring in (ring for piece in pieces for ring in (piece.outline, *piece.holes)):
            corners = [(x * enlarged, y * enlarged) for y, x in ring.tolist()]
            canvas.line([*corners, corners[0]], (red, green, blue), thick, joint="curve")
    if (bar := scale_bar(objects)) is not None:
        length, text = bar
        text = text.replace("µ", "u")  # which the font that comes with Pillow does not have
        margin, high = 0.03 * width, max(2.0, height / 80)
        right, bottom = width - margin, height - margin
        left = right - length * enlarged
        canvas.rectangle((left, bottom - high, right, bottom), "white")
        at = ((left + right) / 2, bottom - 2 * high)
        canvas.text(at, text, "white", ImageFont.load_default(max(8, 4 * high)), anchor="ms")
