"""Where the saved sessions of an image are, and where the image itself is."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from napari.layers import Image

from napari_sam.engine.writing import fitting_name
from napari_sam.installation import DISTRIBUTION
from napari_sam.session import Placement, SessionFile, is_session, session_path

SESSION_FOLDER, IMAGE_FILE = "napari_sam_session", "napari_sam_image"  # in a layer's metadata
SERIES = "napari_sam_series"  # in an image's metadata: which one of its file, if not the first
NOT_SAVED = "napari_sam_not_saved"  # in an image's metadata: for demonstrations


def user_folder() -> Path:
    """Where sessions of images without a file are, or of those in a read-only folder."""
    return platformdirs.user_data_path(DISTRIBUTION, appauthor=False) / "sessions"


def source_of(image: Image) -> Path | None:
    """The file an image layer was opened from, there or not."""
    path = image.metadata.get(IMAGE_FILE) or image.source.path
    is_file = path and "://" not in str(path) and not is_session(path)
    return Path(path).absolute() if is_file else None


def image_file(image: Image) -> Path | None:
    """The file an image layer came from, if there is one."""
    file = source_of(image)
    return file if file and os.path.exists(file) else None


def places_of(image: Image) -> list[Path]:
    """Where a session of an image may be, the best place first: beside it, or with the user."""
    file = image_file(image)
    beside = [] if file is None else [session_path(file.with_name(_own_name(image, file)))]
    return [*beside, place_with_user(image)]


def place_with_user(image: Image) -> Path:
    """Where a session of an image is that cannot be beside it, even if its file is gone now."""
    file = source_of(image)
    name = "".join(c if c.isalnum() or c in " ._-" else "_" for c in image.name)
    return session_path(user_folder() / (_own_name(image, file) if file else name))


def _own_name(image: Image, file: Path) -> str:
    """The name of an image's file, and which image of it that is: each has a session of its own."""
    series = image.metadata.get(SERIES)
    return f"{file.name}.{series}" if series else file.name


def free_place(place: Path) -> Path:
    """This place, or a numbered one beside it, where no session is yet."""
    return next(folder for folder in _numbered(place) if not is_session(folder))


def saved_sessions(image: Image) -> list[Path]:
    """The sessions that may be an image's, the one saved last first."""
    marked = image.metadata.get(SESSION_FOLDER)
    if marked and is_session(marked):
        return [Path(marked)]
    if image.metadata.get(NOT_SAVED):
        return []
    return _saved_in(places_of(image))


def sessions_of_file(file: Path) -> list[Path]:
    """The sessions that may be those of an image file, the one saved last first."""
    return _saved_in([session_path(file), session_path(user_folder() / file.name)])


def image_of(file: SessionFile) -> Path | None:
    """The image of a saved session: beside it, so that both can be moved, or where it was."""
    recorded = file.manifest["image"]["path"]
    if recorded is None:
        return None
    beside = file.folder.parent
    places = (beside / Path(recorded).name, Path(recorded), beside / file.folder.stem)
    return next((path for path in places if os.path.isfile(path) or os.path.isdir(path)), None)


def arguments_of(place: Placement) -> dict[str, Any]:
    """Keyword arguments that put a layer in this place."""
    return {**place.write(), "rotate": np.array(place.rotate), "affine": np.array(place.affine)}


def _saved_in(places: Iterable[Path]) -> list[Path]:
    there = (itertools.takewhile(Path.exists, _numbered(place)) for place in places)
    folders = [folder for folder in itertools.chain(*there) if is_session(folder)]
    return sorted(folders, key=lambda folder: -(folder / "session.json").stat().st_mtime)


def _numbered(place: Path) -> Iterator[Path]:
    """``cells.tif.napari-sam``, ``cells.tif-2.napari-sam`` and so on."""
    yield place
    for n in itertools.count(2):
        yield place.with_name(fitting_name(place.parent, f"{place.stem}-{n}", place.suffix))
