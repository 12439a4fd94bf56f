"""Files out: each is written under another name and then renamed, so that it is whole or not there.

The other name cannot be guessed, is created exclusively, and is short even if the target's is
long. A lock on it tells the next run whether its writer is still alive: what was left behind is
removed.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import SamError

if sys.platform != "win32":
    import fcntl

PART = ".part"
REMEDY = "Choose a folder that exists, can be written to and has room."
TAKEN = "something of that name is there already", "Choose another name, or remove it first."


@contextmanager
def written(target: str | Path, *, folder: bool = False, remedy: str = REMEDY) -> Iterator[Path]:
    """A temporary file, or folder, that becomes the target at the end; or nothing.

    A file replaces what was there. Of several processes that write one target the last one wins.

    Raises
    ------
    SamError
        If it cannot be written, from the file system's ``OSError`` in here as well.
    """
    target = Path(target)
    part = target
    try:
        _remove_left_behind(target)
        part, lock = _create(target, folder=folder)
        try:
            yield part
            if lock is not None:
                os.fsync(lock)
            part.replace(target)
        finally:
            if lock is not None:
                os.close(lock)
    except OSError as error:
        is_taken = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        reason, remedy = TAKEN if is_taken else (_reason(error), remedy)
        raise SamError(f"{target} could not be written: {reason}. {remedy}") from error
    finally:
        if part != target:
            _remove(part)


@contextmanager
def alone(target: Path, problem: SamError) -> Iterator[None]:
    """Inside, no other process that asks for it works on a file; the problem is raised else."""
    name = target.with_name(f"{_prefix(target)}lock")
    lock = FileLock(name, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise problem from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows does not part with what is open
            os.unlink(name)
        lock.release()


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all; errors as in :func:`written`."""
    with written(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def write_table(path: str | Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, whole or not at all; errors as in :func:`written`."""
    with written(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def check_name(path: Path) -> None:
    """Notice before the work a name that no file can have there.

    Raises
    ------
    SamError
        If the file system does not take it.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:  # a null character is a ValueError
        shown = f"{path.name[:40]}…" if len(path.name) > 40 else repr(path.name)
        raise SamError(f"No file can be called {shown}: {_reason(error)}. Shorten it.") from error


def fitting_name(folder: Path, stem: str, suffix: str) -> str:
    """A name derived from the user's that the file system takes.

    ``stem + suffix`` where that is short enough, else the stem cut and told apart by its digest.
    """
    longest = _longest_name(folder)
    if len(os.fsencode(stem + suffix)) <= longest:
        return stem + suffix
    digest = f"~{_digest(stem)}"
    room = longest - len(os.fsencode(digest + suffix))
    return os.fsencode(stem)[:room].decode(errors="ignore") + digest + suffix


def _create(target: Path, *, folder: bool) -> tuple[Path, int | None]:
    """A new part of a target, and its lock."""
    while True:
        part = target.with_name(f"{_prefix(target)}{secrets.token_hex(8)}{PART}")
        if folder:
            part.mkdir()
        else:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        if sys.platform == "win32":  # nobody can remove there what another process has open
            return part, None
        # Another run may take it for left behind, and remove it, before it is locked
        try:
            lock = os.open(part, os.O_RDONLY)
        except FileNotFoundError:
            continue
        with contextlib.suppress(OSError):  # not every network drive has locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if part.exists():
            return part, lock
        os.close(lock)


def _remove_left_behind(target: Path) -> None:
    """Remove the parts of this target whose writers were killed."""
    for part in target.parent.glob(f"{_prefix(target)}*{PART}"):
        if sys.platform == "win32":
            _remove(part)
            continue
        with contextlib.suppress(OSError):  # it is locked, so its writer lives
            lock = os.open(part, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(part)
            finally:
                os.close(lock)


def _prefix(target: Path) -> str:
    return f".napari-sam-{_digest(target.name)}-"


def _digest(name: str) -> str:
    return hashlib.blake2b(os.fsencode(name), digest_size=4).hexdigest()


def _longest_name(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):
        return 255


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            part.unlink()


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
