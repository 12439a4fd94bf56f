"""The picture of the page Classes: glands and nuclei of stained tissue, from a few of each.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from in_window import open_window, save, wait
from skimage import data

from napari_sam.session.classes import add_class, give_class

EXAMPLES = 5  # of each class


def photograph(path: Path) -> None:
    """Find objects, give the reddest and the bluest a class, and have the rest proposed."""
    tissue = data.immunohistochemistry()[:, 100:]
    viewer, widget = open_window(tissue, "tissue")
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.control("min_area").setValue(200)
    wait(lambda: widget.worker.idle)
    widget.automatic.accept(only_chosen=False)
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    session, labels = widget.bridge.session, widget.bridge.labels.data
    redness = tissue[..., 0].astype(float) - tissue[..., 2]
    ids = np.unique(labels[labels > 0])
    by_redness = sorted(ids.tolist(), key=lambda i: redness[labels == i].mean())
    for name, colour, some in (
        ("gland", "#e69f00", by_redness[-EXAMPLES:]),
        ("nucleus", "#56b4e9", by_redness[:EXAMPLES]),
    ):
        add_class(session, name, colour=colour)
        give_class(session, some, name)
    widget.pages.tabs.setCurrentIndex(widget.classes_page)
    widget.classes.propose()
    wait(lambda: widget.worker.idle and session.classes.has_proposals)
    widget.class_panel.colour.setChecked(True)
    widget.bridge.select(by_redness[-1])
    wait(lambda: "Review (" in widget.pages.tabs.tabText(widget.review_page))
    save(viewer, path)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
