"""The picture of the page: coins in a real browser. `make_page.py OUT [dark] [WIDTH]`."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from skimage import data

from napari_sam.web import write_page

SHAPE = (303, 384)  # of the image
CLICKS = ((54, 45), (57, 100), (51, 156), (46, 212), (44, 266), (125, 48))  # y, x
BOX = (167, 20, 210, 66)  # y0, x0, y1, x1
CLASS = "worn"


def main(out: Path, scheme: str, width: int) -> None:
    """Write the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no picture of the page: Chromium is not installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        image = Path(folder) / "coins.png"
        Image.fromarray(data.coins()).save(image)
        address = write_page(Path(folder) / "segment.html", image).as_uri()
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": width, "height": 760}, color_scheme="dark" if scheme else "light"
        )
        page.goto(address)
        expect(page.locator("#status")).to_have_text(re.compile("^Ready"), timeout=120_000)
        annotate(page)
        page.screenshot(path=out)
        browser.close()


def annotate(page: Page) -> None:
    """A box with a class, and clicks; the last one with its candidates stays current."""
    page.fill("#class-name", CLASS)
    page.press("#class-name", "Enter")
    page.evaluate("scrollTo(0, 0)")
    page.locator("#canvas").focus()
    page.keyboard.press("w")
    page.mouse.move(*place(page, *BOX[:2]))
    page.mouse.down()
    page.mouse.move(*place(page, *BOX[2:]), steps=4)
    page.mouse.up()
    answered(page)
    page.keyboard.press("Control+1")
    page.keyboard.press("q")
    for y, x in CLICKS:
        page.keyboard.press("n")
        page.mouse.click(*place(page, y, x))
        answered(page)
    expect(page.locator("#saved")).to_have_text(re.compile("^Saved"), timeout=30_000)


def answered(page: Page) -> None:
    """Wait for the mask."""
    expect(page.locator("#status")).to_have_text(re.compile("score"), timeout=60_000)


def place(page: Page, y: float, x: float) -> tuple[float, float]:
    """Where a pixel of the image is on the screen."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    scale = min(box["height"] / SHAPE[0], box["width"] / SHAPE[1])
    return (
        box["x"] + box["width"] / 2 + (x + 0.5 - SHAPE[1] / 2) * scale,
        box["y"] + box["height"] / 2 + (y + 0.5 - SHAPE[0] / 2) * scale,
    )


if __name__ == "__main__":
    width = int(next((word for word in sys.argv[2:] if word.isdigit()), 1200))
    main(Path(sys.argv[1]), "dark" if "dark" in sys.argv[2:] else "", width)
