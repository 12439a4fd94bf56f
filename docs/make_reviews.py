"""The picture of review states: coins in the real window, some approved, one unclear.

`make_pictures.py` runs this where there is a display, or a virtual one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from in_window import open_window, save, wait
from skimage import data

from napari_sam.session.review_states import set_review


def photograph(path: Path) -> None:
    """Find the coins of scikit-image's picture, and review the first of them."""
    viewer, widget = open_window(data.coins(), "coins", (1280, 960))
    widget.pages.tabs.setCurrentIndex(widget.automatic_page)
    widget.automatic.begin()
    wait(lambda: not widget.automatic.is_busy and widget.worker.idle)
    widget.everything.accept_all.click()
    wait(lambda: widget.worker.idle and not widget.deferred.is_waiting)
    widget.pages.tabs.setCurrentIndex(0)
    session = widget.bridge.session
    ids = [each.object_id for each in session.objects()]
    set_review(session, ids[:3], "approved", by="mary")
    set_review(session, ids[3:4], "unclear", note="two coins?", by="mary")
    set_review(session, ids[4:6], "to check", by="mary")
    widget.objects.choose(ids[3:4])
    wait(lambda: not widget.deferred.is_waiting)
    save(viewer, path)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]))
