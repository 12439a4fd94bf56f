"""The page as one HTML file: what `make web` built, with an image and its session."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from uuid import uuid4

from napari_sam.engine import SamError, written

from .images import image_bytes

BUILT = Path(__file__).with_name("page.html")
PLACE = "<!-- parts -->"  # before it, parts are added


def write_page(
    out: str | Path,
    image: str | Path | None = None,
    session: str | Path | None = None,
    more: Iterable[tuple[str, bytes]] = (),
) -> Path:
    """Write a page that segments in a browser, without a server or network.

    Parameters
    ----------
    out
        The HTML file.
    image
        TIFF, PNG or JPEG, opened with the page; it travels in the file.
    session
        The folder of the image's session, to continue with.
    more
        Further parts by their names, such as :func:`encoded_parts` makes; each is written as soon
        as it is made.

    Raises
    ------
    SamError
        If the page was not built, or image or session cannot travel in it.
    """
    parts = {"page.json": json.dumps({"id": uuid4().hex, **_named(image)}).encode()}
    if image is not None:
        parts["image"] = image_bytes(Path(image))
    if session is not None:
        parts["session.zip"] = _packed(Path(session))
    if not BUILT.is_file():
        raise SamError(
            "The page for browsers is missing from this installation. Build it in a copy of the "
            "repository with `make web`, or install a released wheel."
        )
    before, _, after = BUILT.read_text(encoding="utf-8").partition(PLACE)
    with written(Path(out)) as part, part.open("w", encoding="utf-8") as page:
        page.write(before)
        page.writelines(_elements(chain(parts.items(), more)))
        page.write(PLACE + after)
    return Path(out)


def _named(image: str | Path | None) -> dict[str, str]:
    return {} if image is None else {"image": Path(image).name}


def _elements(parts: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Base64 in elements that no browser runs."""
    for name, content in parts:
        yield f'<script type="application/octet-stream" data-part="{name}">'
        yield base64.b64encode(content).decode()
        yield "</script>\n"


def _packed(folder: Path) -> bytes:
    """A session's folder as a ZIP archive."""
    manifest = folder / "session.json"
    if not manifest.is_file():
        raise SamError(f"There is no session in {folder}. Give a folder ending in .napari-sam.")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in (manifest, *sorted(folder.glob("frames/*"))):
            packed.write(path, path.relative_to(folder))
    return archive.getvalue()
