"""The page in Firefox: what is clicked is segmented as in Python, saved and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from firefox_user import firefox
from napari_sam.engine import iou
from napari_sam.session import SessionFile
from replaying import opened, replayed, unpacked
from three_cells import CELLS, SHAPE, write_cells

pytestmark = pytest.mark.slow


def test_masks_are_those_of_python_and_kept(page_file: Path, tmp_path: Path) -> None:
    cells = write_cells(tmp_path)
    with firefox(tmp_path) as user:
        if user is None:
            pytest.skip("no Firefox on this computer (Debian: firefox-esr)")
        user.visit(page_file)
        user.open(cells)
        user.drag(user.place(*CELLS[0], SHAPE))
        user.press("n", "w")
        user.drag(user.place(14, 94, SHAPE), user.place(46, 126, SHAPE))
        user.press("n", "q")
        user.drag(user.place(*CELLS[2], SHAPE))
        user.drag(user.place(60, 230, SHAPE), button=2)
        user.wait_for("#saved", "Saved")
        user.visit(page_file)
        user.wait_for("#status", "Ready")
        assert user.evaluate("document.querySelector('#count').textContent") == "3 objects"
        file = SessionFile(unpacked(user.save("session"), tmp_path))
        assert user.errors == []
    labels = file.fill(file.new_labels())
    expected = replayed(file, opened(cells)).labels
    for object_id, place in enumerate(CELLS, 1):
        assert iou(labels == object_id, expected == object_id) >= 0.98
        assert labels[place] == object_id
