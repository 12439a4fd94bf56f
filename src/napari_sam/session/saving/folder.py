"""A session's folder. It may come from someone else, so no link in it is ever followed.

Where the system has directory descriptors, every file is reached through those of the folder and
of ``frames``, opened without following links. Elsewhere (Windows) each step of the way is looked at
first, and an opened file is compared with what was looked at.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HAS_DESCRIPTORS = (
    {os.open, os.stat, os.unlink, os.mkdir, os.rename} <= os.supports_dir_fd
    and os.listdir in os.supports_fd
    and hasattr(os, "O_NOFOLLOW")
    and hasattr(os, "O_DIRECTORY")
)
FRAMES = "frames"  # the one folder in it
FRAME_NAME = r"(?:(?:[0-9]{1,12}|[yx])_)*(?:[0-9]{1,12}|[yx])"
FRAME_FILE = rf"{FRAMES}/{FRAME_NAME}-(?P<saves>[0-9]{{1,16}})(?:-[0-9a-f]{{8}})?\.(?:tif|json)"
PART = re.compile(r"\.napari-sam-[0-9a-f]{16}\.part")
NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0)
READ = os.O_RDONLY | NOT_FOLLOWED | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NOT_FOLLOWED | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class _Directory:
    """A directory that is in use, by its descriptor, or else by its path."""

    path: Path
    descriptor: int | None

    def at(self, name: str) -> str | Path:
        return self.path / name if self.descriptor is None else name

    def names(self) -> list[str]:
        return os.listdir(self.path if self.descriptor is None else self.descriptor)

    def status(self, name: str) -> os.stat_result:
        return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)

    def open(self, name: str, flags: int) -> int:
        return os.open(self.at(name), flags, 0o666, dir_fd=self.descriptor)

    def remove(self, name: str) -> None:
        os.unlink(self.at(name), dir_fd=self.descriptor)


class SessionFolder:
    """Files by their names within the folder, such as "session.json" and "frames/0_y_x-1.tif".

    All that is wrong with the folder is an ``OSError``: it is for whoever uses it to say what the
    user can do.

    Parameters
    ----------
    path
        The folder.
    by_descriptor
        Whether the system has directory descriptors.
    """

    def __init__(self, path: Path, *, by_descriptor: bool = HAS_DESCRIPTORS) -> None:
        self.path = path
        self._by_descriptor = by_descriptor

    def make(self) -> None:
        """Create the folder if needed; its parent must exist."""
        with contextlib.suppress(FileExistsError):
            self.path.mkdir()
        with self._directory():
            pass  # it is a real one

    def make_frames(self) -> None:
        """Create the folder of the frames if needed."""
        with self._directory() as directory, contextlib.suppress(FileExistsError):
            os.mkdir(directory.at(FRAMES), dir_fd=directory.descriptor)

    def holds(self, name: str) -> bool:
        """Whether there is a file of a name: a real one, no link and no folder."""
        try:
            with self._place(name) as (directory, base):
                return stat.S_ISREG(directory.status(base).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def frame_files(self) -> set[str]:
        """The names of the real files in the folder of the frames."""
        try:
            with self._directory(FRAMES) as directory:
                names = directory.names()
                return {f"{FRAMES}/{name}" for name in names if _is_file(directory, name)}
        except FileNotFoundError:
            return set()

    def read(self, name: str, most_bytes: int) -> bytes:
        """The content of a file that is no larger than that."""
        with self._place(name) as (directory, base):
            looked_at = directory.status(base)
            if not stat.S_ISREG(looked_at.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file")
            with open(directory.open(base, READ), "rb") as file:
                opened = os.fstat(file.fileno())
                if not os.path.samestat(looked_at, opened):
                    raise OSError(errno.EAGAIN, "it was replaced while it was read")
                if opened.st_size <= most_bytes:
                    content = file.read(opened.st_size + 1)
                    if len(content) <= most_bytes:
                        return content
        raise OSError(errno.EFBIG, f"it is larger than {most_bytes / 1e6:.0f} MB")

    def write_new(self, name: str, content: bytes) -> None:
        """Write a file under a name that nothing has yet, safe from a power cut, or nothing."""
        with self._place(name) as (directory, base):
            _write_new(directory, base, content)

    def replace(self, name: str, content: bytes) -> None:
        """Write a file so that at every moment it is the old or the new one."""
        with self._place(name) as (directory, base):
            part = f".napari-sam-{secrets.token_hex(8)}.part"
            _write_new(directory, part, content)
            source, target, fd = directory.at(part), directory.at(base), directory.descriptor
            try:
                if fd is None:
                    os.replace(source, target)
                else:
                    os.replace(source, target, src_dir_fd=fd, dst_dir_fd=fd)
            except OSError:
                directory.remove(part)
                raise
            _names_to_disk(directory)

    def remove(self, name: str) -> None:
        """Remove a real file if it is there; where that cannot be now, it stays."""
        with (
            contextlib.suppress(OSError),  # someone reads it, on Windows
            self._place(name) as (directory, base),
        ):
            if _is_file(directory, base):
                directory.remove(base)

    def remove_parts(self) -> None:
        """Remove files left behind by killed writers. Only the owner of the folder may do this."""
        with self._directory() as directory:
            for name in filter(PART.fullmatch, directory.names()):
                self.remove(name)

    def names_to_disk(self) -> None:
        """Have the names of the frames' files survive a power cut, where the system offers it."""
        with self._directory(FRAMES) as directory:
            _names_to_disk(directory)

    @contextmanager
    def _place(self, name: str) -> Iterator[tuple[_Directory, str]]:
        part, _, base = name.rpartition("/")
        if part not in ("", FRAMES) or base in ("", ".", "..") or {"/", "\\", "\0"} & set(base):
            raise OSError(errno.EINVAL, f"{name!r} is not a name of a session file")
        with self._directory(part) as directory:
            yield directory, base

    @contextmanager
    def _directory(self, part: str = "") -> Iterator[_Directory]:
        """The folder, or the one in it, in use without following a link."""
        path = self.path / part
        if not self._by_descriptor:
            for step in dict.fromkeys((self.path, path)):
                _check_directory(os.lstat(step))
            yield _Directory(path, None)
            return
        flags = os.O_RDONLY | os.O_DIRECTORY
        _check_directory(os.lstat(self.path))
        descriptors = [os.open(self.path, flags | NOT_FOLLOWED)]
        try:
            if part:
                _check_directory(os.stat(part, dir_fd=descriptors[0], follow_symlinks=False))
                descriptors.append(os.open(part, flags | NOT_FOLLOWED, dir_fd=descriptors[0]))
            yield _Directory(path, descriptors[-1])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


def _check_directory(status: os.stat_result) -> None:
    """Refuse links and their like on Windows, with a reason that can be read."""
    reparses = getattr(status, "st_file_attributes", 0) & stat.FILE_ATTRIBUTE_REPARSE_POINT
    if stat.S_ISLNK(status.st_mode) or reparses:
        raise OSError(errno.ELOOP, "the folder was replaced by a link, which is not followed")
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _is_file(directory: _Directory, name: str) -> bool:
    try:
        return stat.S_ISREG(directory.status(name).st_mode)
    except OSError:
        return False


def _write_new(directory: _Directory, name: str, content: bytes) -> None:
    descriptor = directory.open(name, CREATE)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # what session.json names must be there before it is
    except OSError:
        with contextlib.suppress(OSError):
            directory.remove(name)
        raise


def _names_to_disk(directory: _Directory) -> None:
    if directory.descriptor is not None:
        with contextlib.suppress(OSError):
            os.fsync(directory.descriptor)
