"""The picture of the page Automatic: coins found in the real window.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from in_window import open_window, save, wait
from skimage import data


def photograph(path: Path) -> None:
    """Find the coins of scikit-image's picture, keep the larger ones, and write what is seen."""
    viewer, widget = open_window(data.coins(), "coins")
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.unfold.click()
    widget.everything.control("min_area").setValue(1200)
    wait(lambda: widget.worker.idle)
    save(viewer, path)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
