"""A saved session, opened to be read: what its folder holds. The image is not needed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, SamError
from napari_sam.installation import DISTRIBUTION
from napari_sam.session.annotation import Annotation, Request
from napari_sam.session.placement import Placement

from .records import Record, read_annotation, read_frame_name, read_request

SUFFIX = ".napari-sam"
MANIFEST = "session.json"
FORMAT, VERSION = "napari-sam session", 2


def session_path(image_path: str | Path) -> Path:
    """Where the session of an image belongs: beside it."""
    path = Path(image_path)
    return path.with_name(path.name + SUFFIX)


def is_session(path: str | Path) -> bool:
    """Whether a path is a session's folder, or the session.json in it."""
    return os.path.isfile(folder_of(path) / MANIFEST)  # not, if it cannot be told


def folder_of(path: str | Path) -> Path:
    """A session's folder, given that or the session.json in it."""
    path = Path(path).absolute()
    return path.parent if path.name == MANIFEST else path


class SessionFile:
    """A saved session, opened to be read; the image is not needed.

    Raises
    ------
    SamError
        If this is no session, a broken one, or one of a newer version of this program.
    """

    def __init__(self, path: str | Path) -> None:
        self.folder = folder_of(path)
        self.manifest = _read_manifest(self.folder)
        self.revision: str = self.manifest["revision"]

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
    def parents(self) -> dict[int, tuple[int, ...]]:
        """Which objects an object came from."""
        return {int(child): tuple(ids) for child, ids in self.manifest["parents"].items()}

    @property
    def placement(self) -> Placement | None:
        """Where the image lay in the world, if that was said."""
        placement = self.manifest["image"].get("placement")  # from version 2 on
        try:
            return None if placement is None else Placement.read(placement)
        except (AttributeError, TypeError) as error:
            raise _broken(self.folder / MANIFEST, error) from error

    @property
    def shown(self) -> FrameIndex | None:
        """The frame that was on screen at the last save, if there was a screen."""
        name = self.manifest.get("shown")  # from version 2 on
        try:
            return None if name is None else read_frame_name(name)
        except (AttributeError, ValueError) as error:
            raise _broken(self.folder / MANIFEST, error) from error

    def labels(self) -> Iterator[tuple[FrameIndex, NDArray[Any]]]:
        """The labels of each frame that has any."""
        for name, entry in self.manifest["frames"].items():
            if entry["labels"]:
                yield read_frame_name(name), self._labels_of(entry["labels"])

    def annotations(self) -> Iterator[tuple[int, FrameIndex, Annotation]]:
        """Every object in every frame that was prompted, painted or propagated."""
        for name, entry in self.manifest["frames"].items():
            if entry["annotations"]:
                for object_id, annotation in self._annotations_of(entry["annotations"]):
                    yield object_id, read_frame_name(name), annotation

    def requests(self) -> list[Request]:
        """Masks that were wanted and not decoded yet."""
        waiting = self.manifest.get("waiting", ())  # from version 2 on
        try:
            return [read_request(record) for record in waiting]
        except (ValueError, KeyError, TypeError) as error:
            raise _broken(self.folder / MANIFEST, error) from error

    def fill(self, labels: Any) -> Any:
        """Write all labels into an array of the session's shape, and return it."""
        for frame, pixels in self.labels():
            labels[tuple(slice(None) if i is None else i for i in frame)] = pixels
        return labels

    def _labels_of(self, name: str) -> NDArray[Any]:
        try:
            pixels: NDArray[Any] = tifffile.imread(self.folder / name)
        except (OSError, ValueError, tifffile.TiffFileError, zlib.error) as error:
            raise _broken(self.folder / name, error) from error
        return pixels

    def _annotations_of(self, name: str) -> list[tuple[int, Annotation]]:
        try:
            records = json.loads((self.folder / name).read_bytes())
            return [read_annotation(record) for record in records]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise _broken(self.folder / name, error) from error


def _read_manifest(folder: Path) -> Record:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SamError(
            f"There is no session in {folder}. Give the folder whose name ends in {SUFFIX}."
        ) from error
    except (OSError, ValueError) as error:
        raise _broken(path, error) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise SamError(f"{path} is no session of this program. Give a folder ending in {SUFFIX}.")
    if manifest["version"] > VERSION:
        raise SamError(
            f"{path} is of version {manifest['version']}, this program reads up to {VERSION}. "
            f"Update it: pip install --upgrade {DISTRIBUTION}."
        )
    return manifest


def _broken(path: Path, error: Exception) -> SamError:
    return SamError(
        f"{path} cannot be read: {error}. Take the whole session's folder from a backup."
    )
