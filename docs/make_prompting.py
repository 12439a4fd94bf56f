"""The picture of prompts from anywhere: coins at the peaks of a filter, in the real window.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from in_window import open_window, save, wait
from skimage import data
from skimage.feature import blob_log


def photograph(path: Path) -> None:
    """Find blobs as another program might, segment an object at each, and write what is seen."""
    viewer, widget = open_window(data.coins(), "coins")
    spots = blob_log(data.coins(), min_sigma=12, max_sigma=20, num_sigma=4, threshold=0.12)
    viewer.add_points(np.asarray(spots)[:, :2], name="spots of a filter", size=9)
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    panel = widget.prompt_panel
    wait(lambda: panel.source.findText("spots of a filter") > 0)
    panel.source.setCurrentIndex(panel.source.findText("spots of a filter"))
    panel.source.activated.emit(panel.source.currentIndex())
    wait(lambda: panel.run.isEnabled())
    panel.run.click()
    wait(lambda: not widget.prompting.is_busy and widget.worker.idle)
    viewer.layers.selection.active = viewer.layers["spots of a filter"]
    save(viewer, path)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
