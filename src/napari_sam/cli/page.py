"""`napari-sam page`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .embed import open_store, tell_progress
from .options import Device, check_outputs, open_predictor, weights_file

if TYPE_CHECKING:
    from napari_sam.session import SessionFile


def page(
    image: Annotated[
        Path | None,
        typer.Argument(
            metavar="IMAGE",
            help="TIFF, PNG or JPEG that travels in the page; or its saved session.",
        ),
    ] = None,
    *,
    session: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The image's session, to continue with."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The Segment Anything network that answers in the image: its embeddings and its "
            "decoder travel in the page. By default the session's; pocket: none but the embedded "
            "model.",
        ),
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(
            metavar="all|0-20",
            help="The frames in which it answers, counted from 0; by default those with objects in "
            "the session, or all.",
        ),
    ] = None,
    device: Device = "auto",
    out: Annotated[Path, typer.Option(metavar="HTML", help="The file to be written.")] = Path(
        "segment.html"
    ),
) -> None:
    """Write a page that segments in a browser, offline, for someone without Python."""
    from napari_sam.engine import SamError
    from napari_sam.session import SessionFile, is_session
    from napari_sam.web import EMBEDDED, model_of, write_page

    if image is not None and is_session(image):
        image, session = _image_of(image), image
    check_outputs((image, session, weights_file(model or "")), None, out)
    file = None if session is None else SessionFile(session)
    name = model or (None if file is None else model_of(file)) or EMBEDDED
    if name == EMBEDDED:
        written = write_page(out, image, session)
    elif image is None:
        raise SamError(f"Embeddings of {name} are of an image. Give the image that travels along.")
    else:
        more = _encoded(image, file, name, frames, device)
        written = write_page(out, image, session, more)
    typer.echo(f"{written}: {written.stat().st_size / 1e6:.1f} MB. Open it in any current browser.")


def _image_of(session: Path) -> Path:
    from napari_sam.engine import SamError
    from napari_sam.headless.labelled import image_of

    image = image_of(session)
    if image is None:
        raise SamError(
            f"The image of {session} is not there. Give it, and the session with --session."
        )
    return image


def _encoded(
    image: Path, session: SessionFile | None, name: str, frames: str | None, device: str
) -> Iterator[tuple[str, bytes]]:
    """The parts of a network, told of while they are made."""
    from napari_sam.engine import DeviceName, EmbeddingCache, ModelChoice, ModelError, ModelName
    from napari_sam.headless import choose_frames, parse_frames
    from napari_sam.web import (
        EMBEDDED,
        annotated_frames,
        annotated_places,
        annotated_stack,
        encoded_parts,
    )

    stack = annotated_stack(image, session)
    chosen = list(choose_frames(stack, parse_frames(frames or "all")))
    if frames is None and session is not None:
        chosen = annotated_frames(session) or chosen
    try:
        predictor = open_predictor(ModelChoice(ModelName(name), DeviceName(device)))
    except ModelError as error:
        raise ModelError(
            f"{error} With --model {EMBEDDED} only the embedded model answers in the page."
        ) from error
    places = annotated_places(stack, chosen, session, predictor.model.name)
    cache = EmbeddingCache(store=open_store())
    with tell_progress(image.name) as progress:
        parts = encoded_parts(predictor, stack, places, cache)
        for n, part in enumerate(parts):
            progress(min(n + 1, len(places)), len(places), n + 1)
            yield part
