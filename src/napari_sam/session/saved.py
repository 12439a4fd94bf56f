"""The part of a session that is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

FrameFiles: TypeAlias = dict[str, str | None]  # "labels" and "annotations" → path in the folder


@dataclass(frozen=True, eq=False)
class Saved:
    """The last save of a session."""

    folder: Path
    revision: str  # of session.json: another one was written by someone else
    saves: int
    n_changes: int  # the session's last change that is in it
    files: Mapping[str, FrameFiles]
    replaced: frozenset[str] = frozenset()  # files of earlier saves, to be removed
