"""The scenes of `napari-sam demo`: real images from scikit-image, clicks, boxes, masks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from napari_sam.engine import (
    FrameStack,
    Predictor,
    Prompts,
    SamError,
    overlay,
    write_labels,
    written,
)
from napari_sam.headless.image import Segmented, segment
from napari_sam.session import Session

if TYPE_CHECKING:
    import napari

    from napari_sam.plugin.widget import SamWidget

WINDOW = (1500, 900)  # pixels
PATIENCE = 180.0  # seconds that a picture of the window may take


@dataclass(frozen=True)
class Scene:
    """One of scikit-image's pictures, and what is clicked and drawn in it."""

    name: str  # in skimage.data
    objects: tuple[Prompts, ...]
    shown: int = 1  # the object whose prompts the window shows

    def image(self) -> NDArray[np.uint8]:
        """(H, W) or (H, W, 3); read from scikit-image's own folder, nothing is fetched."""
        from skimage import data

        return np.asarray(getattr(data, self.name)())


SCENES = (
    Scene(
        "cell",
        (
            Prompts.from_points([(374, 427)]),
            Prompts.from_box((423, 185, 438, 200)),
        ),
    ),
    Scene(
        "coins",
        (
            Prompts.from_points([(54, 45)]),
            Prompts.from_points([(57, 100)]),
            Prompts.from_points([(51, 156)]),
            Prompts.from_points([(51, 216)]),
            Prompts.from_box((15, 305, 71, 364)),
            Prompts.from_points([(125, 46)]),
            Prompts.from_points([(126, 103)]),
            Prompts.from_points([(127, 154)]),
            Prompts.from_box((95, 246, 144, 296)),
            Prompts.from_points([(194, 213)]),
            Prompts.from_points([(195, 275), (206, 255)]),
            Prompts.from_box((155, 314, 219, 380)),
            Prompts.from_box((232, 18, 289, 75)),
            Prompts.from_points([(264, 245)]),
        ),
        shown=11,
    ),
    Scene(
        "immunohistochemistry",
        (
            Prompts.from_box((154, 300, 190, 322)),
            Prompts.from_box((101, 403, 122, 438)),
            Prompts.from_points([(258, 366), (233, 357), (266, 384)], labels=[1, 0, 0]),
            Prompts.from_points([(37, 484)]),
            Prompts.from_box((276, 234, 294, 248)),
            Prompts.from_box((350, 184, 376, 194)),
            Prompts.from_box((420, 208, 434, 224)),
            Prompts.from_points([(140, 492)]),
        ),
    ),
)
WINDOW_SCENE = SCENES[1]


@dataclass(frozen=True)
class Shown:
    """A scene, segmented."""

    scene: Scene
    stack: FrameStack
    labels: NDArray[np.uint16]
    results: tuple[Segmented, ...]


def show(
    scene: Scene, predictor: Predictor, progress: Callable[[int, int], None] | None = None
) -> Shown:
    """Segment every object of a scene; object ids count from 1."""
    image = scene.image()
    stack = FrameStack.from_array(image, rgb=image.ndim == 3)
    labels = np.zeros(stack.shape, np.uint16)
    prompts = {(n, stack.index()): wanted for n, wanted in enumerate(scene.objects, start=1)}
    results = segment(Session(stack, labels), prompts, predictor, progress)
    return Shown(scene, stack, labels, tuple(results))


def write(shown: Shown, folder: Path) -> tuple[Path, Path]:
    """Write `NAME.labels.tif` and `NAME.overlay.png` into a folder, made where missing."""
    folder.mkdir(parents=True, exist_ok=True)
    labels_path = folder / f"{shown.scene.name}.labels.tif"
    overlay_path = folder / f"{shown.scene.name}.overlay.png"
    write_labels(labels_path, shown.labels)
    with written(overlay_path) as part:
        draw(shown).save(part, "png")
    return labels_path, overlay_path


def draw(shown: Shown, long_side: int = 1200) -> Image.Image:
    """The frame with its objects tinted and outlined and its prompts drawn in, enlarged."""
    zoom = max(1, long_side // max(shown.labels.shape))
    frame = Image.fromarray(shown.stack.frame(shown.stack.index(), long_side=None))
    frame = frame.resize((zoom * frame.width, zoom * frame.height), Image.Resampling.BICUBIC)
    labels = shown.labels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    picture = Image.fromarray(overlay(np.asarray(frame), labels))
    pen = ImageDraw.Draw(picture)
    for prompts in shown.scene.objects:
        draw_prompts(pen, prompts, zoom)
    return picture


def draw_prompts(pen: ImageDraw.ImageDraw, prompts: Prompts, zoom: int) -> None:
    """Draw points (green positive, red negative) and the box, over a picture enlarged by `zoom`."""
    if prompts.box is not None:
        y0, x0, y1, x1 = (zoom * (edge + 0.5) for edge in prompts.box)
        pen.rectangle((x0, y0, x1, y1), outline="white", width=2)
    for (y, x), label in zip(prompts.points, prompts.labels, strict=True):
        centre = (zoom * (x + 0.5), zoom * (y + 0.5))
        pen.circle(centre, 7, fill="#3ddc84" if label else "#ff5252", outline="white", width=2)


def open_window(scene: Scene) -> tuple[napari.Viewer, SamWidget]:
    """napari with a scene, the dock widget, the scene's prompts; masks land as they are decoded.

    Raises
    ------
    SamError
        If no Qt is installed.
    """
    try:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_sam.plugin.sessions.places import NOT_SAVED

        viewer = napari.Viewer(title="napari: Segment Anything")
    except ImportError as error:
        raise SamError(
            "There is no Qt to open a window with. Install it: "
            "pip install 'napari-sam-annotator[gui]'"
        ) from error
    viewer.window.resize(*WINDOW)
    viewer.add_image(scene.image(), name=scene.name, metadata={NOT_SAVED: True})
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator", "Segment Anything")
    _wait_until(lambda: widget.bridge is not None)
    assert widget.bridge is not None
    for object_id, prompts in enumerate(scene.objects, start=1):
        widget.bridge.session.edit(object_id, widget.bridge.frame, prompts)
    widget.bridge.select(scene.shown)
    QApplication.processEvents()  # the dock takes its room
    viewer.reset_view()
    return viewer, widget


def use_window(scene: Scene) -> None:
    """Open the window and stay until it is closed."""
    viewer, _ = open_window(scene)
    viewer.show(block=True)


def photograph(scene: Scene, path: Path) -> None:
    """Write a picture of the window once every prompt is answered, and close it.

    Raises
    ------
    SamError
        If that takes longer than three minutes.
    """
    viewer, widget = open_window(scene)
    try:
        _wait_until(lambda: _is_answered(widget))
        path.parent.mkdir(parents=True, exist_ok=True)
        viewer.screenshot(str(path), canvas_only=False, flash=False)
    finally:
        viewer.close()


def photograph_apart(path: Path) -> str | None:
    """Have another process write a picture of the window, on a virtual display where there is one.

    Returns
    -------
    None, or why there is no picture.
    """
    command = [sys.executable, "-m", "napari_sam", "demo", "--screenshot", str(path)]
    xvfb_run = shutil.which("xvfb-run")
    if xvfb_run:
        command = [xvfb_run, "-a", "-s", "-screen 0 1600x1000x24", *command]
    elif sys.platform == "linux" and not os.environ.get("DISPLAY"):
        return "there is no display and no Xvfb here"
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE)
    except subprocess.TimeoutExpired:
        return "the window did not open in time"
    complaints = ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"]
    return None if path.is_file() and ended.returncode == 0 else complaints[-1]


def _wait_until(done: Callable[[], bool]) -> None:
    """Let the window live until something is so."""
    from qtpy.QtWidgets import QApplication

    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise SamError("The window did not answer in time. Is the computer very busy?")
        QApplication.processEvents()
        time.sleep(0.01)
    QApplication.processEvents()


def _is_answered(widget: SamWidget) -> bool:
    """Whether the model is loaded and every prompt answered."""
    pending = widget.bridge is not None and widget.bridge.session.pending()
    return widget.predictor is not None and widget.worker.idle and not pending
