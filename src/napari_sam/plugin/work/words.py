"""What runs in a worker's thread for words: a detector is fetched, loaded, and looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from napari_sam.engine import FrameIndex, FrameStack, PromptSet

from .jobs import Report
from .tasks import encoding

if TYPE_CHECKING:
    from napari_sam.engine import TextDetector


def fetch(name: str, report: Report) -> None:
    """Fetch a detector of huggingface.co."""
    from napari_sam.engine import ask_hub, fetch_detector

    fetch_detector(ask_hub(name), progress=report)


def look_for(
    phrases: Sequence[str],
    detector: TextDetector | str,
    stack: FrameStack,
    frames: Sequence[FrameIndex] | None,
    cell_size: float | None,
    report: Report,
) -> tuple[TextDetector, PromptSet]:
    """A detector, loaded where only its name is given, and all that it finds."""
    import torch

    from napari_sam.engine import detect_by_words, load_text_detector

    with torch.inference_mode(mode=False):  # also where an encoder makes way for it
        loaded = load_text_detector(detector) if isinstance(detector, str) else detector
    looked = detect_by_words(
        phrases, loaded, stack, frames, cell_size=cell_size, progress=encoding(report)
    )
    return loaded, PromptSet.of(looked, loaded.name)
