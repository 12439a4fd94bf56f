"""An object as a picture: the object, its outline, the model's, the prompts.

Outlines are SVG in frame pixels, coordinates x, y as SVG has them. The frame behind them is a small
PNG inside the page, which so stays a single file.
"""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from html import escape
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import measure

from napari_sam.training.clicks import Mask
from napari_sam.training.data import AnnotatedFrame

from .examples import Example
from .protocol import CORRECTED, PackedMask, Trial

Pixel = TypeVar("Pixel", bound=np.generic)

MARGIN = 0.7  # of the object's size, shown around it
LONG_SIDE = 240  # px of the PNG; what is smaller is enlarged by the browser, pixel by pixel
DOT = 0.028  # radius of a click, as a share of the picture


@dataclass(frozen=True)
class Window:
    """The part of a frame that is shown: its first row and column, and its size in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, pixels: NDArray[Pixel]) -> NDArray[Pixel]:
        """The window's part of an array (H, W, …)."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


def quality(trial: Trial) -> float:
    """By what trials are ranked: the mean of the three IoU that are shown."""
    return float(np.mean([shown for _, shown, _ in _shown(trial)]))


def draw_trial(example: Example[Trial], frame: AnnotatedFrame) -> str:
    """One object: what came of one click, of a box, and of corrections, side by side."""
    trial = example.result
    truth = frame.labels == trial.object_id
    window = window_around(truth)
    panels = []
    for title, reached, drawn in _shown(trial):
        outlines = [
            outline(truth, window, "truth"),
            outline(drawn.unpack(), window, "model-mask"),
            prompts(trial, title, window),
        ]
        panels.append(_panel(title, reached, "".join(outlines), window))
    name = f"{trial.frame} · object {trial.object_id} · {trial.area} px"
    picture = png(window.cut(frame.image))
    return (
        f'<figure style="--frame:url({picture})"><div class="panels">{"".join(panels)}</div>'
        f'<figcaption><b class="{example.kind}">{example.kind}</b> {escape(name)}</figcaption>'
        "</figure>"
    )


def window_around(truth: Mask) -> Window:
    """A square around an object, some of its surroundings included, moved inside the frame."""
    ys, xs = np.flatnonzero(truth.any(1)), np.flatnonzero(truth.any(0))
    size = 1 + max(ys[-1] - ys[0], xs[-1] - xs[0])
    side = math.ceil(size * (1 + 2 * MARGIN)) + 8
    height, width = (min(side, full) for full in truth.shape)
    top = int(np.clip((ys[0] + ys[-1] + 1 - height) // 2, 0, truth.shape[0] - height))
    left = int(np.clip((xs[0] + xs[-1] + 1 - width) // 2, 0, truth.shape[1] - width))
    return Window(top, left, height, width)


def png(crop: NDArray[np.uint8], long_side: int = LONG_SIDE) -> str:
    """Pixels (h, w, 3) as a PNG in a data URI, stretched so that dim objects can be seen."""
    low, high = np.percentile(crop, (0.5, 99.8))
    stretched = (crop.astype(np.float32) - low) * (255 / max(high - low, 1))
    pixels = np.clip(stretched, 0, 255).astype(np.uint8)
    grey = (pixels == pixels[..., :1]).all()
    image = Image.fromarray(pixels[..., 0] if grey else pixels)
    image.thumbnail((long_side, long_side))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def outline(mask: Mask, window: Window, kind: str) -> str:
    """The border of a mask as an SVG path, on a dark one that sets it off from any ground."""
    shown = np.pad(window.cut(mask), 1).astype(np.float32)
    path = ""
    for contour in measure.find_contours(shown, 0.5):
        corners = measure.approximate_polygon(contour, 0.3)[:-1]
        points = (f"{x + window.left - 1:.1f} {y + window.top - 1:.1f}" for y, x in corners)
        path += f"M{'L'.join(points)}Z"
    if not path:
        return ""
    return f'<path class="ground" d="{path}"/><path class="{kind}" d="{path}"/>'


def prompts(trial: Trial, title: str, window: Window) -> str:
    """The prompts of a panel: the box, or clicks as dots, with a bar in the negative ones."""
    box = trial.prompts.box
    if title == "box" and box is not None:
        y0, x0, y1, x1 = box
        frame = f'x="{x0}" y="{y0}" width="{x1 - x0}" height="{y1 - y0}"'
        return f'<rect class="ground" {frame}/><rect class="box" {frame}/>'
    n = 1 if title == "1 click" else CORRECTED
    radius = DOT * max(window.height, window.width)
    clicks = zip(trial.prompts.points[:n], trial.prompts.labels[:n], strict=True)
    drawn = []
    for (y, x), label in clicks:
        kind = "positive" if label else "negative"
        sign = f"M{x - radius / 2:.2f} {y}h{radius:.2f}"
        if label:
            sign += f"M{x} {y - radius / 2:.2f}v{radius:.2f}"
        drawn.append(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius:.2f}"/>')
        drawn.append(f'<path class="sign" d="{sign}"/>')
    return "".join(drawn)


def _shown(trial: Trial) -> list[tuple[str, float, PackedMask]]:
    """Title, IoU and mask of the three panels."""
    clicks = trial.score.iou_clicks
    return [
        ("1 click", clicks[0], trial.one_click),
        ("box", trial.score.iou_box, trial.box),
        (f"{CORRECTED} clicks", clicks[:CORRECTED][-1], trial.corrected),
    ]


def _panel(title: str, reached: float, outlines: str, window: Window) -> str:
    view = f"{window.left - 0.5} {window.top - 0.5} {window.width} {window.height}"
    return f'<div><svg viewBox="{view}">{outlines}</svg><p>{title} <b>{reached:.2f}</b></p></div>'
