"""A saved session, opened to be read: what its folder holds. The image is not needed."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, Review, SamError, fitting_name
from napari_sam.installation import DISTRIBUTION
from napari_sam.session.annotation import Annotation, Request
from napari_sam.session.edits import place_of
from napari_sam.session.object_class import Classes
from napari_sam.session.placement import Placement
from napari_sam.session.region import Region, Window
from napari_sam.session.saved import FrameFiles
from napari_sam.session.saved_tiles import window_of

from .checking import Budget, frame_shape_of, read_annotations, read_heading, read_manifest
from .folder import SessionFolder
from .label_files import largest_tiff, read_labels
from .records import (
    Record,
    read_annotation,
    read_classes,
    read_files,
    read_frame_name,
    read_request,
    read_reviews,
)
from .schema import FORMAT, LARGEST_JSON, VERSION

SUFFIX = ".napari-sam"
MANIFEST = "session.json"


def session_path(image_path: str | Path) -> Path:
    """Where the session of an image belongs: beside it, under a name that fits there."""
    path = Path(image_path)
    return path.with_name(fitting_name(path.parent, path.name, SUFFIX))


def is_session(path: str | Path) -> bool:
    """Whether a path is a session's folder, or the session.json in it."""
    return os.path.isfile(folder_of(path) / MANIFEST)  # not, if it cannot be told


def folder_of(path: str | Path) -> Path:
    """A session's folder, given that or the session.json in it."""
    path = Path(path).absolute()
    return path.parent if path.name == MANIFEST else path


class SessionFile:
    """A saved session, opened to be read; the image is not needed.

    Frames whose files are gone or damaged are skipped, and named in :attr:`problems`.

    Raises
    ------
    SamError
        If this is not a session, one whose session.json is broken, or one of a newer version of
        this program.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = folder_of(path)
        self._files = SessionFolder(self.folder)
        self._budget = Budget()
        self._problems: dict[str, str] = {}  # by file
        self.manifest = _read_manifest(self._files, self._budget)
        self.revision: str = self.manifest["revision"]

    @property
    def problems(self) -> list[str]:
        """Parts of the session that could not be read so far, one sentence each."""
        return list(self._problems.values())

    @property
    def lost(self) -> frozenset[str]:
        """The files that could not be read so far."""
        return frozenset(self._problems)

    @property
    def shape(self) -> tuple[int, ...]:
        """The labels' shape."""
        return tuple(self.manifest["image"]["shape"])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The labels' type."""
        dtype: np.dtype[Any] = np.dtype(self.manifest["labels"]["dtype"])
        return dtype

    @property
    def displayed(self) -> tuple[int, int]:
        """The axes that span the frames of the labels."""
        first, second = self.manifest["labels"]["displayed"]
        return first, second

    @property
    def parents(self) -> dict[int, tuple[int, ...]]:
        """Which objects an object came from."""
        return {int(child): tuple(ids) for child, ids in self.manifest["parents"].items()}

    @cached_property
    def classes(self) -> Classes:
        """The classes that there are, and which object has which."""
        return read_classes(self.manifest.get("classes", []))  # from version 3 on

    @cached_property
    def reviews(self) -> dict[int, Review]:
        """The review state of each object that has one."""
        return read_reviews(self.manifest.get("reviews", {}))  # from version 4 on

    @property
    def placement(self) -> Placement | None:
        """The placement of the image in the world, if it is known."""
        placement = self.manifest["image"].get("placement")  # from version 2 on
        return None if placement is None else Placement.read(placement)

    @property
    def channel_axis(self) -> int | None:
        """The axis of the image that holds channels, if it was said; its labels have none."""
        axis: int | None = self.manifest["preprocessing"].get("channel_axis")
        return axis

    @property
    def shown(self) -> FrameIndex | None:
        """The frame that was on screen at the last save, if there was a screen."""
        name = self.manifest.get("shown")  # from version 2 on
        return None if name is None else read_frame_name(name)

    @property
    def through(self) -> dict[int, str]:
        """Which axes are "time" and which "depth", as far as the user said so."""
        said = self.manifest.get("through", {})  # not in earlier files
        return {axis: said[str(axis)] for axis in range(len(self.shape)) if str(axis) in said}

    @property
    def is_done(self) -> bool:
        """Whether the user has said that the image is finished."""
        return bool(self.manifest.get("done", False))  # not in earlier files

    def is_of(self, shape: tuple[int, ...]) -> bool:
        """Whether an image of this shape is the session's; then its objects may fill it."""
        if shape != self.shape:
            return False
        self._budget.pixels += 4 * math.prod(shape)
        return True

    def new_labels(self) -> NDArray[Any]:
        """Empty labels of the session's shape, in memory.

        Raises
        ------
        SamError
            If there is not that much.
        """
        n_bytes = math.prod(self.shape) * self.dtype.itemsize
        try:
            if n_bytes > _memory():
                raise MemoryError
            return np.zeros(self.shape, self.dtype)
        except MemoryError as error:
            raise SamError(
                f"The labels of {self.folder.name} take {n_bytes / 1e9:.1f} GB of memory, more "
                "than this computer has. Use one with more."
            ) from error

    @property
    def files(self) -> dict[FrameIndex, FrameFiles]:
        """The files of each frame."""
        frames = self.manifest["frames"].items()
        return {read_frame_name(name): read_files(record) for name, record in frames}

    def labels(self) -> Iterator[tuple[FrameIndex, Window, NDArray[Any]]]:
        """The labels of each frame that has any, and where in it they are; of huge ones in tiles.

        Where they are lost, what the frame's prompts remember.
        """
        for frame, files in self.files.items():
            for tile, file in files.labels.items():
                window = window_of(tile, frame_shape_of(frame, self.shape))
                pixels = self._labels_of(file, frame, window)
                if pixels is None:
                    pixels = self._remembered(files.annotations, frame, window)
                yield frame, window, pixels

    def annotations(self) -> Iterator[tuple[int, FrameIndex, Annotation]]:
        """Every object in every frame that was prompted, painted or propagated."""
        for frame, files in self.files.items():
            if files.annotations:
                for object_id, annotation in self._annotations_of(files.annotations, frame):
                    yield object_id, frame, annotation

    def requests(self) -> list[Request]:
        """Masks that were wanted and not decoded yet."""
        waiting = self.manifest.get("waiting", ())  # from version 2 on
        with reading(self.folder / MANIFEST):
            return [read_request(record) for record in waiting]

    def fill(self, labels: Any) -> Any:
        """Write all labels into an array of the session's shape, and return it."""
        for frame, window, pixels in self.labels():
            labels[place_of(frame, window)] = pixels
        return labels

    def _labels_of(self, file: str, frame: FrameIndex, window: Window) -> NDArray[Any] | None:
        top, left, bottom, right = window
        try:
            with reading(self.folder / file):
                shape = (bottom - top, right - left)
                content = self._files.read(file, largest_tiff(shape))
                return read_labels(content, shape, self.dtype)
        except SamError as error:
            self._problems[file] = f"The labels of {_called(frame)} are lost: {error}"
        return None

    def _remembered(self, file: str | None, frame: FrameIndex, window: Window) -> NDArray[Any]:
        """The labels in a window of a frame as its annotations know them."""
        top, left, bottom, right = window
        labels = np.zeros((bottom - top, right - left), self.dtype)
        here = Region(top, left, np.ones(labels.shape, bool))
        for object_id, annotation in self._annotations_of(file, frame) if file else ():
            landed = annotation.footprint.landed.common(here)
            if landed and object_id <= np.iinfo(self.dtype).max:
                labels[landed.within(window)] = object_id
        return labels

    def _annotations_of(self, file: str, frame: FrameIndex) -> list[tuple[int, Annotation]]:
        try:
            with reading(self.folder / file):
                content = self._files.read(file, LARGEST_JSON)
                self._budget.read(len(content))
                records = read_annotations(content, frame, self.shape, self._budget)
                return [read_annotation(record) for record in records]
        except SamError as error:
            self._problems[file] = f"The prompts of {_called(frame)} are lost: {error}"
        return []


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Inside, a file is read that may be damaged in any way, or made to do harm.

    Raises
    ------
    SamError
        In place of any other error.
    """
    try:
        yield
    except SamError:
        raise
    except Exception as error:
        raise _broken(path, error) from error


def _read_manifest(files: SessionFolder, budget: Budget) -> Record:
    path = files.path / MANIFEST
    try:
        content = files.read(MANIFEST, LARGEST_JSON)
    except (FileNotFoundError, NotADirectoryError) as error:
        beside = session_path(files.path)  # of an image
        remedy = beside if is_session(beside) else f"the folder whose name ends in {SUFFIX}"
        raise SamError(f"There is no session in {files.path}. Give {remedy}.") from error
    except OSError as error:
        raise _broken(path, error) from error
    with reading(path):
        file_format, file_version = read_heading(content)
        if file_format != FORMAT:
            raise SamError(
                f"{path} is not a session of this program. Give a folder ending in {SUFFIX}."
            )
        if file_version > VERSION:
            raise SamError(
                f"{path} is of version {file_version}, this program reads up to {VERSION}. "
                f"Update it: pip install --upgrade {DISTRIBUTION}."
            )
        budget.read(len(content))
        return read_manifest(content, budget)


def _broken(path: Path, error: Exception) -> SamError:
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    reason = " ".join((said or type(error).__name__).split())[:300].rstrip(".")
    return SamError(
        f"{path} cannot be read: {reason}. Take the whole session's folder from a backup."
    )


def _called(frame: FrameIndex) -> str:
    """A frame as people count it, by its positions on the leading axes."""
    positions = [str(i) for i in frame if i is not None]
    return f"frame {' '.join(positions)}" if positions else "the image"


def _memory() -> float:
    """Bytes of memory of this computer, as far as it says."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return math.inf
