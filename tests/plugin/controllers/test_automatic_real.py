"""The page Automatic on a real image, with the embedded model: nuclei found, corrected, kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from scipy import ndimage

from automatic_page import Page
from napari_sam.session import load
from napari_sam.training import match

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
NUCLEI = "dsb2018/03f583ec5018"  # 17 nuclei in 360 x 360 pixels
FRAME = (None, None)


@pytest.mark.slow
def test_nuclei_are_found_filtered_accepted_corrected_undone_saved(
    open_window, data_folder: Path, tmp_path: Path
) -> None:
    truth = tifffile.imread(data_folder / f"{NUCLEI}.labels.tif")
    image = shutil.copy(data_folder / f"{NUCLEI}.image.tif", tmp_path / "nuclei.tif")  # unsaved yet
    page = Page(open_window(image))
    panel, user = page.panel, page.user
    labels, session = page.bridge.labels, page.bridge.session
    page.find()
    assert " objects found." in panel.outcome.text()
    areas = [each.area for each in page.automatic.run.decided[FRAME] if not each.dropped]
    page.set("min_area", min(areas) + 1)
    page.settle()
    assert "too small" in panel.outcome.text()
    page.press(panel.accept_all)
    assert page.said.startswith("Accepted ")
    accepted = labels.data.copy()
    score = match(truth, accepted).counts
    assert 2 * score.n_matched / (score.n_true + score.n_found) > 0.7

    object_id = int(np.bincount(accepted.ravel())[1:].argmax()) + 1
    middle = _deepest(accepted == object_id)
    user.click(middle, modifiers=SHIFT)
    user.ready()
    assert session.active == object_id
    user.click(middle)
    user.ready()
    assert session.anchors(object_id) == {FRAME}
    corrected = labels.data.copy()
    assert corrected[middle] == object_id
    others = (accepted != object_id) & (accepted > 0)
    np.testing.assert_array_equal(corrected[others], accepted[others])

    for undone in (accepted, np.zeros_like(accepted)):
        user.press("z", CONTROL)
        page.settle()
        np.testing.assert_array_equal(labels.data, undone)
    assert not session.undo()
    for expected in (accepted, corrected):
        user.press("z", CONTROL | SHIFT)
        page.settle()
        np.testing.assert_array_equal(labels.data, expected)
    page.save()
    again = load(session.saved.folder, session.stack)
    np.testing.assert_array_equal(again.labels, corrected)
    assert sum(bool(a.found_by) for _, a in again.annotations()) == len(np.unique(accepted)) - 2


def _deepest(mask: np.ndarray) -> tuple[int, int]:
    """The pixel farthest from the border of an object."""
    depth = ndimage.distance_transform_edt(mask)
    y, x = np.unravel_index(depth.argmax(), mask.shape)
    return int(y), int(x)
