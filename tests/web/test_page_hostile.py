"""Bad input: a sentence, the work stays, and no script runs from data."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from playwright.sync_api import Browser, expect

from page_user import PageUser

pytestmark = pytest.mark.slow

SHAPE = (32, 128)
SCRIPT = "<img src=x onerror=window.ran=1><script>window.ran=1</script>"


@pytest.fixture
def dots(tmp_path: Path) -> Path:
    return image_file(tmp_path / "dots.tif", SHAPE)


def image_file(path: Path, shape: tuple[int, ...]) -> Path:
    pixels = np.full(shape, 30, np.uint8)
    pixels[..., 8:24, 20:36] = 220
    tifffile.imwrite(path, pixels)
    return path


def truncated(folder: Path) -> Path:
    path = image_file(folder / "truncated.tif", (300, 300))
    path.write_bytes(path.read_bytes()[:50_000])
    return path


def with_many_pixels(folder: Path) -> Path:
    """300 MB, of which the file holds none."""
    path = folder / "large.tif"
    tifffile.memmap(path, shape=(10_000, 30_000), dtype=np.uint8).flush()
    return path


def no_image(folder: Path) -> Path:
    path = folder / "notes.tif"
    path.write_text("these are no pixels")
    return path


def of_half_precision(folder: Path) -> Path:
    path = folder / "half.tif"
    tifffile.imwrite(path, np.zeros(SHAPE, np.float16))
    return path


def damaged_archive(folder: Path) -> Path:
    path = folder / "session.zip"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    return path


def of_another_image(folder: Path) -> Path:
    return session_archive(folder, shape=[7, 9])


def session_archive(folder: Path, shape: list[int], text: str = "x") -> Path:
    manifest = {
        "format": "napari-sam session",
        "version": 3,
        "revision": text,
        "saves": 1,
        "saved": "2026-01-01T00:00:00+00:00",
        "program": text,
        "image": {"path": text, "placement": None, "shape": shape, "dtype": text, "content": None},
        "preprocessing": {"rgb": False, "channels": [0], "limits": None},
        "labels": {"dtype": "uint16", "displayed": [0, 1]},
        "models": {text: {"hash": text, "precision": text}},
        "classes": [
            {
                "name": text,
                "colour": "#ff0000",
                "key": 1,
                "parent": text,
                "objects": [1],
                "proposed": {},
            }
        ],
        "parents": {},
        "waiting": [],
        "protect_neighbours": True,
        "active": 1,
        "shown": None,
        "highest_id": 1,
        "frames": {},
    }
    path = folder / "hostile.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("session.json", json.dumps(manifest))
    return path


BAD = {
    truncated: "ends too early",
    with_many_pixels: "too many for a browser",
    of_half_precision: "floating-point numbers of 16 bit cannot be opened here. Save the image "
    "with integers of 8 or 16 bit, or floating-point numbers of 32 bit.",
    no_image: "neither TIFF, PNG nor JPEG",
    damaged_archive: "damaged",
    of_another_image: "belongs to an image of 7 × 9",
}


def test_bad_files_are_said_and_the_work_stays(user: PageUser, dots: Path, tmp_path: Path) -> None:
    user.open(dots, SHAPE)
    user.click(16, 28)
    before = user.objects()
    makers: dict[Callable[[Path], Path], str] = BAD
    for make, sentence in makers.items():
        given = make(tmp_path)
        user.page.set_input_files("#file", given)
        user.wait_for_notice(sentence)
        expect(user.page.locator("#status")).to_have_text(f"{given.name} was not opened.")
        for close in user.page.locator("#notices button").all():
            close.click()
    assert user.objects() == before
    assert user.page.locator("#image-name").inner_text() == "dots.tif"


def test_no_script_runs_from_names_and_sessions(user: PageUser, tmp_path: Path) -> None:
    image = image_file(tmp_path / f"{SCRIPT.replace('/', '')}.tif", SHAPE)
    user.open(image, SHAPE)
    user.click(16, 28)
    user.page.fill("#class-name", SCRIPT[:60])
    user.press("Enter")
    user.page.locator("#classes button").click()
    user.page.set_input_files("#file", session_archive(tmp_path, list(SHAPE), SCRIPT))
    expect(user.page.locator("#classes button")).to_contain_text("<img")
    user.page.set_input_files("#file", no_image(tmp_path).rename(tmp_path / f"{SCRIPT[:30]}.txt"))
    user.wait_for_notice("neither TIFF")
    user.wait_until_saved()
    user.page.reload()
    user.wait_until_ready()
    assert user.page.locator("#classes button").inner_text().startswith("<img")
    assert user.page.locator("img").count() == 0
    assert user.page.evaluate("window.ran") is None
    assert user.errors == []  # the policy had nothing to refuse either


def test_storage_that_is_refused_is_said(browser: Browser, page_file: Path, dots: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("indexedDB.open = () => { throw new Error('refused'); }")
    user = PageUser(page)
    user.visit(page_file)
    user.open(dots, SHAPE)
    user.click(16, 28)
    user.wait_for_notice("The browser does not keep your work")
    expect(page.locator("#saved")).to_have_text("Not saved!")
    assert len(user.objects()) == 1
    context.close()


def test_a_browser_without_simd_is_told(browser: Browser, page_file: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("WebAssembly.validate = () => false")
    user = PageUser(page)
    user.visit(page_file)
    user.wait_for_notice("no WebAssembly SIMD")
    context.close()
