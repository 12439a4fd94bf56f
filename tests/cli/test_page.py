"""`napari-sam page`: what it refuses before anything is written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from commands import NapariSam, Refusal, assert_refused
from napari_sam import FrameStack
from napari_sam.headless import new_session
from napari_sam.session import save, session_path
from napari_sam.web.images import COMPRESSIONS, LARGEST_PICTURE, MOST_PIXELS

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

OK = np.zeros((300, 300), np.uint8)


def cut_off(folder: Path) -> None:
    path = folder / "bad.tif"
    tifffile.imwrite(path, OK)
    path.write_bytes(path.read_bytes()[:50_000])


def damaged(folder: Path) -> None:
    path = folder / "bad.tif"
    tifffile.imwrite(path, OK, compression="zlib", rowsperstrip=100)
    content = bytearray(path.read_bytes())
    content[-40:] = bytes(40)
    path.write_bytes(content)


def too_many_pixels(folder: Path) -> None:
    """A file that holds none of them."""
    tifffile.memmap(folder / "bad.tif", shape=(8200, 8200), dtype=np.uint8).flush()


def saved_as(**options: Any) -> Callable[[Path], None]:
    picture = Image.fromarray(OK).convert(options.pop("mode", "L"))
    return lambda folder: picture.save(folder / "bad.tif", **options)


IMAGES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "cut off": ("bad.tif could not be read", cut_off),
    "damaged": ("bad.tif could not be read", damaged),
    "text": (
        "bad.tif could not be read",
        lambda folder: (folder / "bad.tif").write_text("these are no pixels") and None,
    ),
    "64 bit": (
        "Its pixels are uint64 of 64 bit. Save the image",
        lambda folder: tifffile.imwrite(folder / "bad.tif", OK.astype(np.uint64)),
    ),
    "1 bit": ("Its pixels are bool of 1 bit", saved_as(mode="1")),
    "a palette": ("Its colours are stored as PALETTE", saved_as(mode="P")),
    "many pixels": ("8200 × 8200 pixels, too many for a browser", too_many_pixels),
    "another kind": ("no.czi. The file is of another kind", lambda folder: None),
    "no file": ("no.tif cannot be read", lambda folder: None),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_that_no_page_opens_are_refused_here(
    name: str, napari_sam: NapariSam, working_folder: Path
) -> None:
    says, before = IMAGES[name]
    file = {"another kind": "no.czi", "no file": "no.tif"}.get(name, "bad.tif")
    case = Refusal(name, f"page {file} --out page.html", says, before)
    assert_refused(case, napari_sam, working_folder)


def test_what_a_page_opens_is_what_its_source_says() -> None:
    source = Path(__file__).parents[2] / "web" / "src" / "frames"
    opening, packing = (source / name for name in ("open.ts", "tiff_packing.ts"))
    assert f"MOST_PIXELS = 2 ** {int(np.log2(MOST_PIXELS))};" in opening.read_text()
    assert f"LARGEST_PICTURE = {LARGEST_PICTURE / 1e6:.0f}e6;" in opening.read_text()
    unpacked = re.findall(r"^  (\d+): ", packing.read_text(), re.MULTILINE)
    assert sorted(map(int, unpacked)) == sorted(COMPRESSIONS)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, cells: Path) -> None:
    assert_refused(case, napari_sam, cells.parent)
