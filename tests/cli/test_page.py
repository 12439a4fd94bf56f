"""`napari-sam page`: what it refuses before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import NapariSam, Refusal, assert_refused
from napari_sam import FrameStack
from napari_sam.headless import new_session
from napari_sam.session import save, session_path

SESSION = "cells.tif.napari-sam"


@pytest.fixture
def cells(working_folder: Path) -> Path:
    """An image with an empty session beside it."""
    pixels = np.zeros((32, 32), np.uint8)
    path = working_folder / "cells.tif"
    tifffile.imwrite(path, pixels)
    session = new_session(FrameStack.from_array(pixels))
    save(session, session_path(path), image_path=path)
    return path


REFUSALS = (
    Refusal("over the image", "page cells.tif --out cells.tif", "cells.tif is an input"),
    Refusal(
        "over the image of a session", f"page {SESSION} --out cells.tif", "cells.tif is the same"
    ),
    Refusal(
        "over the session",
        f"page cells.tif --session {SESSION} --out {SESSION}/session.json",
        f"inside {SESSION}, an input of this command",
    ),
    Refusal("a folder", "page cells.tif --out .", ". is a folder. Give the name of a file."),
    Refusal("no folder", "page cells.tif --out no/page.html", "There is no folder no"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, cells: Path) -> None:
    assert_refused(case, napari_sam, cells.parent)
