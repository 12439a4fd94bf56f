"""The picture of the page Classes: glands and nuclei of stained tissue, from a few of each.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
import numpy as np
from make_automatic import WIDTH, wait
from PIL import Image
from skimage import data

from napari_sam.plugin.sessions.places import NOT_SAVED
from napari_sam.session.classes import add_class, give_class

EXAMPLES = 5  # of each class


def photograph(path: Path) -> None:
    """Find objects, give the reddest and the bluest a class, and have the rest proposed."""
    viewer = napari.Viewer(title="napari: Segment Anything")
    viewer.window.resize(1250, 960)
    tissue = data.immunohistochemistry()[:, 100:]
    viewer.add_image(tissue, name="tissue", metadata={NOT_SAVED: True})
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator", "Segment Anything")
    wait(lambda: widget.predictor is not None and widget.bridge is not None)
    viewer.reset_view()
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
    picture = Image.fromarray(viewer.screenshot(canvas_only=False, flash=False)[..., :3])
    height = round(WIDTH * picture.height / picture.width)
    small = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    small.quantize(256).save(path, optimize=True)
    viewer.close()


photograph(Path(sys.argv[1]))
