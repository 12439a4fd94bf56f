"""The image with the outlines of its objects, as SVG: lines stay lines in a figure."""

from __future__ import annotations

import base64
import io
import math
from pathlib import Path

from PIL import Image

from napari_sam.engine import FrameStack, Labelled, colour_of

from .outlines import by_object, outlines

SHARE, STEPS = 0.25, (1, 2, 5)  # of the width that a scale bar takes at most; its round numbers
SHORT = {"micrometer": "µm", "um": "µm", "nanometer": "nm", "millimeter": "mm"}


def write(objects: Labelled, path: Path, image: FrameStack) -> None:
    """A folder with a picture a frame; a scale bar where the size of a pixel is known."""
    height, width = objects.shape[-2:]
    for positions, pixels in objects.frames():
        shown = Image.fromarray(image.frame(image.index(*positions), long_side=None))
        stored = io.BytesIO()
        shown.save(stored, "PNG")
        picture = base64.b64encode(stored.getvalue()).decode("ascii")
        name = "_".join(["frame", *(f"{at:04d}" for at in positions)])
        with (path / f"{name}.svg").open("w", encoding="utf-8") as file:
            file.write(
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
                f'width="{width}" height="{height}">\n'
                f'<image width="{width}" height="{height}" '
                f'href="data:image/png;base64,{picture}" style="image-rendering: pixelated"/>\n'
                f'<g fill="none" stroke-width="{max(1.0, max(height, width) / 500):g}">\n'
            )
            for object_id, pieces in by_object(outlines(pixels)).items():
                rings = [ring for piece in pieces for ring in (piece.outline, *piece.holes)]
                drawn = " ".join(
                    "M" + " ".join(f"{x},{y}" for y, x in ring.tolist()) + "Z" for ring in rings
                )
                red, green, blue = (round(part) for part in colour_of(object_id))
                file.write(
                    f'<path id="object-{object_id}" stroke="rgb({red},{green},{blue})" '
                    f'd="{drawn}"/>\n'
                )
            file.write(f"</g>\n{_scale_bar(objects)}</svg>\n")


def scale_bar(objects: Labelled) -> tuple[float, str] | None:
    """How long a scale bar of a round number is in pixels, and its text; none without a unit."""
    size, unit = objects.scale[-1], objects.units[-1]
    if unit == "pixel":
        return None
    most = SHARE * objects.shape[-1] * size
    power = 10 ** math.floor(math.log10(most))
    length = max(step * power for step in STEPS if step * power <= most)
    return length / size, f"{length:g} {SHORT.get(unit, unit)}"


def _scale_bar(objects: Labelled) -> str:
    found = scale_bar(objects)
    if found is None:
        return ""
    height, width = objects.shape[-2:]
    margin, thick = 0.03 * width, max(1.0, height / 80)
    bar, text = found
    left, top = width - margin - bar, height - margin - thick
    return (
        f'<rect x="{left:g}" y="{top:g}" width="{bar:g}" height="{thick:g}" fill="white"/>\n'
        f'<text x="{left + bar / 2:g}" y="{top - thick:g}" fill="white" text-anchor="middle" '
        f'font-family="sans-serif" font-size="{4 * thick:g}">{text}</text>\n'
    )
