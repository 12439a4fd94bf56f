"""The part of a session that is on disk."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_sam.engine import FrameIndex

from .saved_tiles import TileIndex


@dataclass(frozen=True)
class FrameFiles:
    """The files of a frame, by their paths in the folder."""

    labels: Mapping[TileIndex | None, str]  # None: of the whole frame
    annotations: str | None

    def __bool__(self) -> bool:
        return bool(self.named)

    @property
    def named(self) -> frozenset[str]:
        """All of them."""
        return frozenset(filter(None, (*self.labels.values(), self.annotations)))

    def without(self, lost: Collection[str]) -> FrameFiles:
        """Those that are not lost."""
        labels = {tile: file for tile, file in self.labels.items() if file not in lost}
        return FrameFiles(labels, None if self.annotations in lost else self.annotations)


@dataclass(frozen=True, eq=False)
class Saved:
    """The last save of a session."""

    folder: Path
    revision: str  # of session.json: another one was written by someone else
    saves: int
    n_changes: int  # the session's last change that is in it
    files: Mapping[FrameIndex, FrameFiles]
    replaced: frozenset[str] = frozenset()  # files of earlier saves, to be removed
