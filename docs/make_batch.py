"""The report of a batch, for the documentation: 24 parts of an image of coins, and a broken file.

python docs/make_batch.py batch.png    (needs Chromium)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tifffile
from PIL import Image
from skimage import data

from napari_sam.cli import main as napari_sam

SIDE = 128
RECIPE = "images: images/*.tif\nautomatic: {min_area: 30}\nmeasure: {}\nout: results\n"
SIZE = "1100,1560"


def make(folder: Path) -> Path:
    """Run the batch, and return its page."""
    images = folder / "images"
    images.mkdir()
    coins = data.coins()
    for n in range(24):
        y, x = (60 * n) % (coins.shape[0] - SIDE), (97 * n) % (coins.shape[1] - SIDE)
        tifffile.imwrite(images / f"coins_{n + 1:02d}.tif", coins[y : y + SIDE, x : x + SIDE])
    images.joinpath("coins_25.tif").touch()
    recipe = folder / "coins.yaml"
    recipe.write_text(RECIPE)
    sys.argv = ["napari-sam", "batch", str(recipe)]
    try:
        napari_sam()
    except SystemExit as ended:
        if ended.code != 3:
            raise
    return folder / "results" / "report" / "index.html"


def photograph(page: Path, target: Path) -> None:
    """A picture of the page in a browser."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("no picture of the report: it needs Chromium")
    command = [browser, "--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={SIZE}"]
    shot = f"--screenshot={target.absolute()}"
    subprocess.run([*command, shot, page.as_uri()], check=True, capture_output=True)
    few = Image.open(target).convert("RGB").quantize(200, Image.Quantize.MAXCOVERAGE)
    few.save(target, optimize=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        target = Path(sys.argv[1])
        photograph(make(Path(name)), target)
