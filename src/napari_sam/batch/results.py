"""The results of an image: a folder named by what they were made from, whole or not there.

So finished work is found again by its content, whoever did it, and is never done twice:
``out/STEM/KEY/`` with the files in it, and ``record.json``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from napari_sam.engine import SamError, address_of, fitting_name, identity_at, write_text

from .images import ImageTask

Status: TypeAlias = Literal["done", "skipped", "failed"]
RECORD, PREVIEW = "record.json", "preview.png"
HERE_ONLY = ("status", "folder", "reason")  # not recorded: results may be moved
KEY_BYTES = 10


@dataclass(frozen=True)
class Outcome:
    """What became of one image. Plain values only: it travels between processes."""

    image: str  # for people: the path, and the field of a plate
    status: Status
    folder: str = ""  # of the results
    n_objects: int = 0
    median_area: float = 0.0  # pixels, of all objects in all frames
    mean_score: float = 0.0  # of the objects that have one
    seconds: float = 0.0  # from opening the image to the files
    reason: str = ""  # why it failed
    notices: tuple[str, ...] = ()  # sentences about the image or its objects


@dataclass(frozen=True)
class Origin:
    """What the results of an image are made from, by content."""

    recipe: str
    model: str
    image: str
    companion: str = ""  # its own prompts or labels

    @property
    def key(self) -> str:
        """The name of the folder of the results."""
        return digest_of(asdict(self))


def digest_of(value: Any) -> str:
    """A short hash of plain values."""
    text = json.dumps(value, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()


def content_digest(path: str | Path, part: str | None = None) -> str:
    """A hash of the bytes of a file, or of all files in a folder with their names.

    At an address it is of what `identity_at` looks at.

    Parameters
    ----------
    part
        The folder in it that counts: a field of a plate.

    Raises
    ------
    SamError
        If it is not there or cannot be read.
    """
    if (address := address_of(path)) is not None:
        return identity_at(address, part)
    path = Path(path)
    if part is not None and (path / part).is_dir():
        path = path / part
    try:
        if path.is_dir():
            files = sorted(each for each in path.rglob("*") if each.is_file())
            return digest_of([(str(each.relative_to(path)), _digest(each)) for each in files])
        return _digest(path)
    except OSError as error:
        raise SamError(
            f"{path} cannot be read: {error.strerror}. Is it there, and may you read it?"
        ) from error


def results_folder(out: str | Path, task: ImageTask, origin: Origin) -> Path:
    """Where the results of an image are, or will be."""
    folder = Path(out)
    return folder / fitting_name(folder, task.name, "") / origin.key


def read_outcome(folder: Path, task: ImageTask) -> Outcome | None:
    """What is recorded in a folder of results; ``None`` where there are none.

    Raises
    ------
    SamError
        If the record is damaged.
    """
    try:
        record = json.loads((folder / RECORD).read_text("utf-8"))
        return Outcome(
            task.title,
            "skipped",
            str(folder),
            n_objects=int(record["n_objects"]),
            median_area=float(record["median_area"]),
            mean_score=float(record["mean_score"]),
            seconds=float(record["seconds"]),
            notices=tuple(record["notices"]),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SamError(
            f"{folder / RECORD} is damaged. Remove the folder {folder}: the image is done again."
        ) from error


def write_record(part: Path, outcome: Outcome, origin: Origin, about: Mapping[str, str]) -> None:
    """Write beside the results what they are of, and by what they were made."""
    known = {key: value for key, value in asdict(outcome).items() if key not in HERE_ONLY}
    write_text(part / RECORD, json.dumps({**known, **about, "made_from": asdict(origin)}, indent=1))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
