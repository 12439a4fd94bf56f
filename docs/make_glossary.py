"""The pictures of the glossary: prompts, candidates, and from the frame to the labels.

`make_pictures.py` calls this.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from napari_sam import Predictor, Prompts, overlay
from napari_sam.demo import SCENES, draw_prompts

Picture = NDArray[np.uint8]

Part = tuple[slice, slice]  # of a frame, y and x

COINS, TISSUE = SCENES[1:3]
COIN, NUCLEUS = (187, 347), (258, 366)  # y, x
AROUND_COIN, AROUND_NUCLEUS = (slice(130, 240), slice(274, 384)), (slice(195, 305), slice(320, 430))
ZOOM, GAP, CAPTION, FONT_SIZE = 3, 12, 34, 20  # of the pictures, in pixels
OUTLINE = [
    (157, 335),
    (156, 358),
    (170, 377),
    (198, 379),
    (216, 362),
    (218, 336),
    (200, 318),
    (174, 318),
]


def prompts_picture(predictor: Predictor) -> Image.Image:
    """Four ways to say which coin is meant, and the masks that come of them."""
    image = COINS.image()
    embedding = predictor.encode(image)
    point = Prompts.from_points([COIN])
    panels = {
        "positive point": point,
        "and a negative point": point.with_point((150, 330), 0),
        "box": Prompts.from_box((155, 314, 219, 380)),
        "outline": Prompts.from_polygon(OUTLINE, image.shape),
    }
    parts = []
    for title, prompts in panels.items():
        mask = predictor.refine(embedding, prompts).mask()
        picture = enlarged(tinted(np.stack([image] * 3, axis=-1), mask), AROUND_COIN)
        pen = ImageDraw.Draw(picture)
        if title == "outline":
            corners = [on_picture(yx, AROUND_COIN) for yx in (*OUTLINE, OUTLINE[0])]
            pen.line(corners, fill="white", width=2)
        else:
            draw_prompts(pen, moved(prompts, AROUND_COIN), ZOOM)
        parts.append(captioned(picture, title))
    return in_a_row(parts)


def candidates_picture(predictor: Predictor) -> Image.Image:
    """One click and the candidates it has, best first."""
    image = TISSUE.image()
    prompts = Prompts.from_points([NUCLEUS])
    prediction = predictor.predict(predictor.encode(image), prompts)
    parts = []
    for n in np.argsort(prediction.iou_predictions)[::-1]:
        picture = enlarged(tinted(image, prediction.mask(int(n))), AROUND_NUCLEUS)
        draw_prompts(ImageDraw.Draw(picture), moved(prompts, AROUND_NUCLEUS), ZOOM)
        scores = prediction.iou_predictions[n], prediction.stability_scores[n]
        parts.append(captioned(picture, "IoU prediction {:.2f}, stability {:.2f}".format(*scores)))
    return in_a_row(parts)


def labels_picture(predictor: Predictor) -> Image.Image:
    """The frame, one object's mask, and the labels of all objects with their numbers."""
    image = COINS.image()
    embedding = predictor.encode(image)
    masks = [predictor.refine(embedding, prompts).mask() for prompts in COINS.objects]
    labels = np.zeros(image.shape, np.uint16)
    for object_id, mask in enumerate(masks, start=1):
        labels[mask & (labels == 0)] = object_id
    corner = (slice(20, 150), slice(10, 184))
    black = np.zeros((*image.shape, 3), np.uint8)
    one = np.where(masks[1][..., None], np.uint8(255), black)
    parts = [np.stack([image] * 3, axis=-1), one, overlay(black, labels)]
    pictures = [enlarged(part, corner) for part in parts]
    pen = ImageDraw.Draw(pictures[2])
    for object_id in np.unique(labels[corner])[1:]:
        ys, xs = np.nonzero(labels[corner] == object_id)
        middle = (ZOOM * float(xs.mean()), ZOOM * float(ys.mean()))
        pen.text(middle, str(object_id), "white", font=font(), anchor="mm")
    titles = ("frame", "mask of object 2", "labels")
    return in_a_row([captioned(p, t) for p, t in zip(pictures, titles, strict=True)])


def tinted(image: Picture, mask: NDArray[np.bool_]) -> Picture:
    """A frame with one mask."""
    return overlay(image, mask.astype(np.uint16))


def enlarged(image: Picture, part: Part) -> Image.Image:
    """A part of a picture, enlarged."""
    small = Image.fromarray(np.ascontiguousarray(image[part]))
    return small.resize((ZOOM * small.width, ZOOM * small.height), Image.Resampling.BICUBIC)


def moved(prompts: Prompts, part: Part) -> Prompts:
    """Points and box of a prompt where they lie in the part that is shown."""
    y0, x0 = (edge.start for edge in part)
    points = [(y - y0, x - x0) for y, x in prompts.points]
    shown = Prompts.from_points(points, labels=prompts.labels) if points else Prompts()
    if prompts.box is None:
        return shown
    top, left, bottom, right = prompts.box
    return shown.with_box((top - y0, left - x0, bottom - y0, right - x0))


def on_picture(point_yx: tuple[float, float], part: Part) -> tuple[float, float]:
    """Where a point lies in the enlarged part, x first."""
    y, x = point_yx
    return ZOOM * (x - part[1].start + 0.5), ZOOM * (y - part[0].start + 0.5)


def captioned(picture: Image.Image, text: str) -> Image.Image:
    """A picture with a line of text below."""
    whole = Image.new("RGB", (picture.width, picture.height + CAPTION), "white")
    whole.paste(picture, (0, 0))
    middle = (picture.width / 2, picture.height + CAPTION / 2)
    ImageDraw.Draw(whole).text(middle, text, "black", font=font(), anchor="mm")
    return whole


def in_a_row(parts: Sequence[Image.Image]) -> Image.Image:
    """Pictures side by side."""
    width = sum(part.width for part in parts) + GAP * (len(parts) - 1)
    row = Image.new("RGB", (width, max(part.height for part in parts)), "white")
    left = 0
    for part in parts:
        row.paste(part, (left, 0))
        left += part.width + GAP
    return row


def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow."""
    return ImageFont.load_default(FONT_SIZE)
