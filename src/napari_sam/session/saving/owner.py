"""Who has a session open: one window or program at a time."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import stat
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from napari_sam.engine import SamError

from .folder import SessionFolder
from .schema import STRICT
from .session_file import is_session

OWNER, LOCK = "owner.json", "lock"
LARGEST_OWNER = 10_000  # bytes

Line = Annotated[str, Field(max_length=300, pattern=r"^[^\x00-\x1f]*$")]


@with_config(STRICT)
class OwnerRecord(TypedDict):
    """owner.json: who has the session open."""

    computer: Line
    process: int
    key: Line
    since: Line


_OWNER = TypeAdapter(OwnerRecord)


class Owner:
    """Holds a session's folder for one who saves in it, until it is let go.

    Parameters
    ----------
    folder
        The session's folder, created if needed.

    Raises
    ------
    SamError
        If it cannot be written to, or is in use by another window.
    """

    def __init__(self, folder: SessionFolder) -> None:
        self._folder = folder
        computer, process = platform.node()[:300], os.getpid()
        self._record: OwnerRecord = {
            "computer": computer,
            "process": process,
            "key": uuid.uuid4().hex,
            "since": now(),
        }
        self._lock = self._take()

    def hold(self) -> None:
        """Make sure of the folder: one that was deleted is taken again.

        Raises
        ------
        SamError
            As at the beginning.
        """
        if not self._lock.is_locked or _read(self._folder) != self._record:
            self._lock.release()
            self._lock = self._take()

    def release(self) -> None:
        """Let go of the folder. Nothing of that can fail."""
        if self._lock.is_locked:
            if _read(self._folder) == self._record:
                self._folder.remove(OWNER)
            with contextlib.suppress(OSError):
                self._lock.release()

    def _take(self) -> FileLock:
        """Lock the folder. The system lets go of the lock of a process that was killed."""
        folder = self._folder
        try:
            folder.make()
            _check_lock(folder.path / LOCK)
            lock = FileLock(folder.path / LOCK, timeout=0, thread_local=False)
            lock.acquire()
        except Timeout as error:
            raise SamError(
                f"{folder.path} is open elsewhere{_whose(folder)}. Close it there, or save this "
                "session in another place."
            ) from error
        except OSError as error:
            raise unwritable(folder.path, error) from error
        try:
            folder.remove_parts()
            folder.replace(OWNER, json.dumps(self._record).encode())
        except OSError as error:
            lock.release()
            raise unwritable(folder.path, error) from error
        return lock


def now() -> str:
    """The time, as it is written."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def unwritable(folder: Path, error: OSError) -> SamError:
    """The operating system's error, in the user's words."""
    untouched = "; what was saved before is untouched" if is_session(folder) else ""
    return SamError(
        f"The session cannot be saved in {folder}: {error.strerror or error}. Choose a folder that "
        f"can be written to and has room{untouched}."
    )


def _check_lock(path: Path) -> None:
    """A lock is opened by its path: only a file of its own is, nothing that leads elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(0, f"“{LOCK}” in it is a link or no file; delete it")


def _read(folder: SessionFolder) -> OwnerRecord | None:
    """Who has a session open; ``None`` if that cannot be read."""
    try:
        return _OWNER.validate_json(folder.read(OWNER, LARGEST_OWNER))
    except (OSError, ValueError):
        return None


def _whose(folder: SessionFolder) -> str:
    """Who has a session open, in words, as far as that is known."""
    owner = _read(folder)
    try:
        since = datetime.fromisoformat(owner["since"]).astimezone() if owner else None
    except (ValueError, OverflowError, OSError):
        since = None
    if owner is None or since is None:
        return ""
    here = owner["computer"] == platform.node()[:300]
    where = "on this computer" if here else f"on the computer {owner['computer']}"
    return f": in a window or a program {where}, since {since:%d %b %Y, %H:%M}"
