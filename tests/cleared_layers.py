"""A real window in which all layers are deleted before the next image is shown.

Run as a process of its own, because napari may die of it where nothing is done about it.
"""

from __future__ import annotations

import os
from time import perf_counter

import napari
from qtpy.QtWidgets import QApplication
from skimage import data

from napari_sam.plugin.layers import AttributeArrays

N_IMAGES = 3
SHOWN_S = 0.3  # long enough to be drawn


def show() -> None:
    """Say so after each image that was drawn."""
    viewer = napari.Viewer()
    arrays = AttributeArrays(viewer)
    for n in range(N_IMAGES):
        viewer.add_image(data.coins())
        _wait()
        viewer.add_shapes([[[40, 40], [80, 80]]])
        viewer.add_points([[60, 60]])
        _wait()
        print(n, flush=True)  # noqa: T201 the test reads it
        viewer.layers.clear()
        _wait()
    arrays.close()
    os._exit(0)  # closing a window is not a part of it


def _wait() -> None:
    end = perf_counter() + SHOWN_S
    while perf_counter() < end:
        QApplication.processEvents()


if __name__ == "__main__":
    show()
