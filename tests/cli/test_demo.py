"""`napari-sam demo`: labels, pictures, and a window on a display of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from commands import NapariSam
from napari_sam import demo


@pytest.mark.window
@pytest.mark.slow
def test_demo(napari_sam: NapariSam, working_folder: Path) -> None:
    ended = napari_sam("demo --out results --device cpu")
    assert ended.code == 0
    for scene in demo.SCENES:
        labels = tifffile.imread(f"results/{scene.name}.labels.tif")
        picture = np.asarray(Image.open(f"results/{scene.name}.overlay.png"))
        assert set(np.unique(labels)) == {0, *range(1, len(scene.objects) + 1)}
        assert picture.shape[1] % labels.shape[1] == 0
        assert scene.name in ended.out
    window = np.asarray(Image.open("results/window.png").convert("RGB"))
    assert window.shape[0] > 600
    assert len(np.unique(window.reshape(-1, 3), axis=0)) > 1000  # neither black nor an empty canvas
    assert "results/window.png" in ended.out
