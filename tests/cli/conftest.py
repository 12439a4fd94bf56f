"""What the tests of commands share: a network that sees what is bright, and a movie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import movies
from movies import moving


@pytest.fixture
def sees_what_is_bright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model is the network that sees what is bright."""
    model = movies.predictor().model
    monkeypatch.setattr("napari_sam.engine.load_model", lambda *_, **__: model)


@pytest.fixture
def two_discs(working_folder: Path, sees_what_is_bright: None) -> np.ndarray:
    """Labels (4, 64, 64) of the movie in the working folder, whose first frame is first.png."""
    _, labels = movies.movie({1: moving(16, 10, 0, 4, 4), 2: moving(48, 50, 0, -4, 4)})
    pixels = np.where(labels > 0, 200, 20).astype(np.uint8)
    tifffile.imwrite("movie.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    Image.fromarray(pixels[0]).save("first.png")
    return labels
