"""The picture of a folder annotated image by image: parts of scikit-image's coins.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import tifffile
from in_window import open_window, save, wait
from skimage import data

SIDE = 150  # pixels of a part


def photograph(path: Path) -> None:
    """Annotate two of eight images, one of them to its end, and write what is seen."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "coins of Pompeii"
        folder.mkdir()
        coins = data.coins()
        corners = [(y, x) for y in (0, 150) for x in range(0, 240, 78)]
        for n, (y, x) in enumerate(corners, start=1):
            tifffile.imwrite(folder / f"coins_{n:02}.tif", coins[y : y + SIDE, x : x + SIDE])
        viewer, widget = open_window(coins, "coins")
        viewer.layers.clear()
        widget.source.folder_chosen.emit(str(folder))
        _wait_for(widget, 0)
        _find(widget)
        widget.folder.finish()
        _wait_for(widget, 1)
        _find(widget)
        widget.folder.next()
        _wait_for(widget, 2)
        wait(lambda: widget.worker.idle and widget.downloads.idle and widget.saver.idle)
        save(viewer, path)


def _find(widget: Any) -> None:
    """Find all coins of an image, and accept them."""
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.accept_all.click()
    wait(lambda: widget.worker.idle and widget.saver.idle)


def _wait_for(widget: Any, at: int) -> None:
    wait(lambda: widget.folder.current == at and widget.reopening.image is None)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
