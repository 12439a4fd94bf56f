"""Detectors that are asked by words: which there are, and where they lie on this computer.

A detector is a folder as `transformers` saves it. Those that were downloaded here lie in the models
folders under ``detectors/OWNER/NAME``; those of the hub's own cache are used as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_sam.engine.errors import ModelError
from napari_sam.engine.models.catalogue import model_folders
from napari_sam.engine.models.download import readable_size

DetectorState = Literal["here", "elsewhere", "to fetch"]

CONFIG = "config.json"  # written last: a folder that has it is whole
FOLDER = "detectors"
REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
EXTRA = "pip install 'napari-sam-annotator[text]'"


@dataclass(frozen=True)
class DetectorEntry:
    """One detector of huggingface.co."""

    name: str
    repository: str  # OWNER/NAME
    about: str  # in one sentence
    size_bytes: int = 0  # of its files, approximate; 0: not known
    licence: str = "see its page"

    @property
    def size(self) -> str:
        """The size of its files as people read it: "620 MB"."""
        return readable_size(self.size_bytes) if self.size_bytes else "size unknown"

    @property
    def page(self) -> str:
        """Where it is described."""
        return f"https://huggingface.co/{self.repository}"


DETECTORS = (
    DetectorEntry(
        name="owlv2-base",
        repository="google/owlv2-base-patch16-ensemble",
        about="OWLv2: one look at 960 × 960 pixels; each phrase by itself, of up to 16 tokens.",
        size_bytes=620_000_000,
        licence="Apache-2.0",
    ),
    DetectorEntry(
        name="grounding-dino-tiny",
        repository="IDEA-Research/grounding-dino-tiny",
        about="Grounding DINO: one look at about 800 × 1333 pixels; longer descriptions.",
        size_bytes=690_000_000,
        licence="Apache-2.0",
    ),
)


def known_detectors() -> tuple[DetectorEntry, ...]:
    """The catalogue, then all others in the models folders."""
    listed = {entry.repository for entry in DETECTORS}
    found = {
        f"{path.parent.parent.name}/{path.parent.name}"
        for folder in model_folders()
        for path in (folder / FOLDER).glob(f"*/*/{CONFIG}")
    }
    return DETECTORS + tuple(_unlisted(name) for name in sorted(found - listed))


def find_detector(name: str) -> DetectorEntry:
    """The entry of a name of the catalogue, or of any ``OWNER/NAME`` of huggingface.co.

    Raises
    ------
    ModelError
        If it is neither.
    """
    for entry in DETECTORS:
        if name in (entry.name, entry.repository):
            return entry
    if REPOSITORY.fullmatch(name):
        return _unlisted(name)
    names = ", ".join(entry.name for entry in known_detectors())
    raise ModelError(
        f"There is no detector {name!r}. Choose one of: {names}; or give OWNER/NAME of "
        "huggingface.co, or a folder that has a detector's files."
    )


def detector_state(entry: DetectorEntry) -> DetectorState:
    """Whether its files are here; nothing is loaded."""
    if any(_is_whole(place) for place in _own_places(entry)):
        return "here"
    return "to fetch" if _in_cache_of_hub(entry) is None else "elsewhere"


def detector_folder(name_or_path: str | Path) -> Path:
    """The folder of a detector that is on this computer.

    Raises
    ------
    ModelError
        If it is not here; the message says how to get it, its size and its licence.
    """
    path = Path(name_or_path).expanduser()
    if path.is_dir():
        if _is_whole(path):
            return path
        raise ModelError(
            f"The folder {path} has no {CONFIG}. Give one that has all files of a detector: "
            f"{CONFIG}, model.safetensors, and those of its processor and tokenizer."
        )
    entry = find_detector(str(name_or_path))
    places = (*_own_places(entry), _in_cache_of_hub(entry))
    for place in places:
        if place is not None and _is_whole(place):
            return place
    raise ModelError(
        f"The detector {entry.name} is not on this computer yet. Fetch it ({entry.size}; licence: "
        f"{entry.licence}): napari-sam detectors get {entry.name}"
    )


def _unlisted(repository: str) -> DetectorEntry:
    return DetectorEntry(repository, repository, "Not of the catalogue: read its page first.")


def _own_places(entry: DetectorEntry) -> list[Path]:
    return [folder / FOLDER / entry.repository for folder in model_folders()]


def _is_whole(folder: Path) -> bool:
    return (folder / CONFIG).is_file()


def _in_cache_of_hub(entry: DetectorEntry) -> Path | None:
    """Where the hub's own programs have put it, if they have."""
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    found = try_to_load_from_cache(entry.repository, "model.safetensors")
    folder = Path(found).parent if isinstance(found, str) else None
    return folder if folder is not None and _is_whole(folder) else None
