"""`napari-sam page`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def page(
    image: Annotated[
        Path | None,
        typer.Argument(metavar="IMAGE", help="TIFF, PNG or JPEG that travels in the page."),
    ] = None,
    *,
    session: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The image's session, to continue with."),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="HTML", help="The file to be written.")] = Path(
        "segment.html"
    ),
) -> None:
    """Write a page that segments in a browser, offline, for someone without Python."""
    from napari_sam.web import write_page

    written = write_page(out, image, session)
    typer.echo(f"{written}: {written.stat().st_size / 1e6:.1f} MB. Open it in any current browser.")
