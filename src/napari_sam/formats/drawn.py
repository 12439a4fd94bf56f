"""The image with the outlines of its objects in its pixels: PNGs, or all as one GIF or MP4."""

from __future__ import annotations

import itertools
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
VIDEO_SIDE = 1080  # of a video, whose size grows less with it
FRAME_MS = 200  # that each frame of both is shown
# H.264 that PowerPoint and browsers play: sides are even, and it begins before all of it is there
PLAYABLE = (
    *("-f", "mp4", "-crf", "18", "-movflags", "+faststart"),
    *("-vf", "scale=out_color_matrix=bt709,pad=ceil(iw/2)*2:ceil(ih/2)*2"),
    *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
)


def write(
    objects: Labelled, path: Path, image: FrameStack, kind: Literal["png", "gif", "mp4"] = "png"
) -> None:
    """A folder of PNGs, or one GIF or MP4 that goes through all frames in their order.

    With a scale bar where the size of a pixel is known.
    """
    side = max(objects.shape[-2:])
    if kind == "png":
        for positions, picture in _pictures(objects, image, -(-CLEAR_SIDE // side)):
            name = "_".join(["frame", *(f"{at:04d}" for at in positions)])
            picture.save(path / f"{name}.png")
        return
    longest, write_movie = {
        "gif": (ANIMATED_SIDE, _write_gif),
        "mp4": (VIDEO_SIDE, _write_mp4),
    }[kind]
    write_movie(path, (picture for _, picture in _pictures(objects, image, longest / side)))


def _write_gif(path: Path, pictures: Iterator[Image.Image]) -> None:
    first = next(pictures)
    first.save(
        *(path, "GIF"),
        save_all=True,
        append_images=pictures,  # one is in memory at a time
        duration=FRAME_MS,
        loop=0,
    )


def _write_mp4(path: Path, pictures: Iterator[Image.Image]) -> None:
    import imageio_ffmpeg

    first = next(pictures)
    encoder = imageio_ffmpeg.write_frames(
        path,
        first.size,
        fps=1000 / FRAME_MS,
        codec="libx264",
        quality=None,
        macro_block_size=1,
        ffmpeg_log_level="quiet",
        output_params=list(PLAYABLE),
    )
    n_frames = 0
    try:
        encoder.send(None)
        for picture in itertools.chain([first], pictures):
            encoder.send(picture.tobytes())
            n_frames += 1
        encoder.close()
        # The encoder ends without a word where the disk is full
        n_written, _ = imageio_ffmpeg.count_frames_and_secs(path)
    except (OSError, RuntimeError):
        n_written = 0
    if n_written < max(1, n_frames):
        raise OSError(f"the encoder stopped after frame {n_frames}")


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
