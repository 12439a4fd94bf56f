"""The picture of the page Results: coins measured in the real window, some chosen in the plot.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from in_window import open_window, save, wait
from skimage import data


def photograph(path: Path) -> None:
    """Find the coins of scikit-image's picture, measure them, choose the large ones."""
    viewer, widget = open_window(data.coins(), "coins", (1280, 960))
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.accept_all.click()
    wait(lambda: widget.worker.idle and not widget.deferred.is_waiting)
    widget.pages.tabs.setCurrentIndex(widget.results_page)
    widget.measurements.run.click()
    wait(lambda: not widget.measuring.is_busy)
    panel = widget.measurements
    panel.across.setCurrentIndex(panel.across.findData("area_px2"))
    panel.up.setCurrentIndex(panel.up.findData("intensity_mean"))
    table = widget.measuring.table
    panel.plot.chosen.emit(np.flatnonzero(table["area_px2"] > table["area_px2"].quantile(0.7)))
    wait(lambda: not widget.deferred.is_waiting)
    save(viewer, path)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
