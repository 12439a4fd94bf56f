"""`napari-sam detectors …`, and what `segment --text` does with them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.engine import TextChoice

from .options import Json
from .printing import print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameIndex, FrameStack, PromptSet

app = typer.Typer(
    help="List and download detectors that find objects by words.", no_args_is_help=True
)


@app.command("list")
def list_detectors(as_json: Json = False) -> None:
    """List detectors: is it here, its size, licence.

    Those of the catalogue, and all others that were downloaded.
    """
    from napari_sam.engine import detector_state, known_detectors

    entries = known_detectors()
    if as_json:
        rows = [{**asdict(entry), "state": detector_state(entry)} for entry in entries]
        typer.echo(json.dumps(rows, indent=2))
        return
    header = ("detector", "state", "size", "licence", "of huggingface.co", "about")
    print_table(
        header,
        [(e.name, detector_state(e), e.size, e.licence, e.repository, e.about) for e in entries],
    )


@app.command("get")
def get_detector(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name that `detectors list` shows, or OWNER/NAME of the hub."
        ),
    ],
) -> None:
    """Download a detector from huggingface.co; its size and licence are printed first.

    After a stop, the same command resumes.
    """
    from napari_sam.engine import ask_hub, fetch_detector

    offer = ask_hub(name)
    entry = offer.entry
    tell(f"{entry.repository}: {entry.size}; licence: {entry.licence}; see {entry.page}")
    with progress_bar(entry.name, "B") as progress:
        folder = fetch_detector(offer, progress=progress)
    typer.echo(str(folder))


def find_by_words(
    stack: FrameStack,
    choice: TextChoice,
    device: str,
    frames: Sequence[FrameIndex],
    cell_size: float | None,
) -> PromptSet:
    """The boxes of a detector above the threshold; how many there are is printed.

    Raises
    ------
    PromptError
        If there are none.
    """
    from napari_sam.engine import PromptError, PromptSet, detect_by_words, load_text_detector

    phrases = choice.text or ()
    detector = load_text_detector(choice.detector, device=device)
    with progress_bar(f"looking for {', '.join(phrases)}", "look") as progress:
        looked = detect_by_words(
            phrases, detector, stack, frames, cell_size=cell_size, progress=progress
        )
        found = PromptSet.of(looked, detector.name)
    threshold = choice.text_threshold
    lowest = detector.usual_threshold if threshold is None else threshold
    kept = found.at_least(lowest)
    if not kept:
        best = max((each.score or 0.0 for each in found.objects), default=0.0)
        raise PromptError(
            f"{detector.name} found nothing that it calls {' or '.join(phrases)} with a score of "
            f"{lowest:g} or more; the highest is {best:.2f}. Lower --text-threshold, use other "
            "words, or give examples: napari-sam alike."
        )
    tell(f"{detector.name}: {kept.summary} with a score of {lowest:g} or more.")
    return kept
