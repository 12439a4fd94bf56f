"""A session on disk: a folder of which, whenever the power goes, all is the old or all the new.

``IMAGE.napari-sam/session.json`` names one file of labels (TIFF) and one of annotations (JSON) for
each frame that holds anything. Files are never changed: a save writes those of the frames that
changed under new names, then replaces session.json at once, then removes what nothing names any
more. So a save costs as much as what changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tifffile
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.installation import DISTRIBUTION
from napari_sam.session.annotation import Annotation
from napari_sam.session.edits import read_frame
from napari_sam.session.saved import FrameFiles, Saved
from napari_sam.session.session import Session

from .records import Record, read_frame_name, write_annotation, write_frame, write_request
from .session_file import FORMAT, MANIFEST, VERSION, SessionFile, folder_of, is_session

OWNER, LOCK, FRAMES = "owner.json", "lock", "frames"
SAMPLED_FRAMES, SAMPLED_SIDE = 5, 1024  # of an image, to know it again


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What is to be saved, as it was at one moment. Nothing in it changes any more."""

    n_changes: int
    is_whole: bool  # all that the session holds, not what changed since the last save only
    stack: FrameStack
    header: Record
    labels: Mapping[FrameIndex, NDArray[Any] | None]  # None: there are none in this frame
    annotations: Mapping[FrameIndex, list[tuple[int, Annotation]]]


class Autosave:
    """Saves a session again and again. Owns the folder until it is closed.

    ``snapshot()`` belongs into the thread that changes the session and only copies the labels of
    the frames that changed; ``write(snapshot)`` may run in another one, one at a time. A folder
    that vanished meanwhile is made again.

    Parameters
    ----------
    path
        The session's folder, made where there is none.
    image_path
        The image's file, for whoever opens the session.

    Raises
    ------
    SamError
        If the folder cannot be written to, is in use by another window, or holds a session that
        is not this one.
    """

    def __init__(
        self, session: Session, path: str | Path, *, image_path: str | Path | None = None
    ) -> None:
        self.session = session
        self.folder = folder_of(path)
        self.image_path = image_path
        self._image: tuple[FrameStack, Record] | None = None
        self._owner = _new_owner()
        self._lock = _take(self.folder, self._owner)
        saved = session.saved
        self._saved = saved if saved and saved.folder == self.folder else None
        try:
            self._hold()
        except SamError:
            self.close()
            raise

    @property
    def is_due(self) -> bool:
        """Whether anything changed since the last save."""
        return self._saved is None or self.session.n_changes > self._saved.n_changes

    def snapshot(self) -> Snapshot | None:
        """What changed since the last save; ``None`` if nothing did."""
        if not self.is_due:
            return None
        session, since = self.session, -1 if self._saved is None else self._saved.n_changes
        frames = [frame for frame, number in session.changed.items() if number > since]
        own = [frame for frame in frames if _is_own(frame, session.stack)]
        return Snapshot(
            session.n_changes,
            self._saved is None,
            session.stack,
            _header(session, self.image_path),
            {frame: _copied(read_frame(session.labels, frame)) for frame in own},
            {frame: session.annotations_in(frame) for frame in frames},
        )

    def write(self, snapshot: Snapshot) -> bool:
        """Save a snapshot, all of it or nothing.

        Returns
        -------
        bool
            ``False`` if what was saved before is gone and this is but what changed since: the next
            snapshot has everything.

        Raises
        ------
        SamError
            If it could not be written. What was saved before is untouched, and the next snapshot
            has all that this one had.
        """
        self._hold()
        if self._saved is None and not snapshot.is_whole:
            return False
        saves = 1 if self._saved is None else self._saved.saves + 1
        files = dict(self._saved.files) if self._saved else {}
        written: list[Path] = []
        try:
            (self.folder / FRAMES).mkdir(exist_ok=True)
            for frame in snapshot.annotations:
                name = write_frame(frame)
                entry = self._write_frame(f"{FRAMES}/{name}-{saves}", frame, snapshot, written)
                files.pop(name, None)
                if any(entry.values()):
                    files[name] = entry
            revision = uuid.uuid4().hex
            image = {**snapshot.header["image"], **self._image_record(snapshot.stack)}
            manifest = {**snapshot.header, "image": image, "frames": files}
            manifest |= {"revision": revision, "saves": saves}
            _names_to_disk(self.folder / FRAMES)
            _replace(self.folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        except OSError as error:
            for path in written:
                path.unlink(missing_ok=True)
            raise _unwritable(self.folder, error) from error
        self._saved = Saved(self.folder, revision, saves, snapshot.n_changes, files)
        self.session.saved = self._saved
        _remove_unnamed(self.folder, files)
        return True

    def save(self) -> None:
        """Save now what changed."""
        while (snapshot := self.snapshot()) and not self.write(snapshot):
            pass  # once more, whole

    def close(self) -> None:
        """Let go of the folder. Saves nothing."""
        if self._lock.is_locked:
            if _read_owner(self.folder) == self._owner:
                (self.folder / OWNER).unlink(missing_ok=True)
            self._lock.release()

    def _image_record(self, stack: FrameStack) -> Record:
        """Read once an image, where reading takes no time from the user."""
        if self._image is None or self._image[0] is not stack:
            self._image = (stack, _image_record(stack))
        return self._image[1]

    def _write_frame(
        self, stem: str, frame: FrameIndex, snapshot: Snapshot, written: list[Path]
    ) -> FrameFiles:
        entry: FrameFiles = {"labels": None, "annotations": None}
        labels, annotations = snapshot.labels.get(frame), snapshot.annotations[frame]
        if labels is not None:
            entry["labels"] = f"{stem}.tif"
            written.append(self.folder / f"{stem}.tif")
            with written[-1].open("wb") as file:
                tifffile.imwrite(file, labels, compression="zlib", photometric="minisblack")
                _to_disk(file)
        if annotations:
            entry["annotations"] = f"{stem}.json"
            written.append(self.folder / f"{stem}.json")
            records = [write_annotation(*each) for each in annotations]
            with written[-1].open("wb") as file:
                file.write(json.dumps(records, separators=(",", ":")).encode())
                _to_disk(file)
        return entry

    def _hold(self) -> None:
        """Make sure of the folder: one that was deleted is taken again."""
        try:
            if not self._lock.is_locked or _read_owner(self.folder) != self._owner:
                self._lock.release()
                self._lock = _take(self.folder, self._owner)
            self._check_ours()
        except OSError as error:
            raise _unwritable(self.folder, error) from error

    def _check_ours(self) -> None:
        """Never write over what someone else saved; what is gone is not saved any more."""
        if not (self.folder / MANIFEST).exists():
            self._saved = None
        elif self._saved is None:
            raise SamError(
                f"{self.folder} holds a session already. Open it to go on with it, or save this "
                "one in another place."
            )
        elif SessionFile(self.folder).revision != self._saved.revision:
            raise SamError(
                f"{self.folder} was changed by someone else since it was opened here. Save this "
                "session in another place, then compare the two."
            )


def save(session: Session, path: str | Path, *, image_path: str | Path | None = None) -> None:
    """Save a session once. See :class:`Autosave`."""
    autosave = Autosave(session, path, image_path=image_path)
    try:
        autosave.save()
    finally:
        autosave.close()


def load(path: str | Path, stack: FrameStack, labels: Any = None) -> Session:
    """Open a saved session again.

    Parameters
    ----------
    stack
        The image. If its pixels are others than they were, the session's notices say so.
    labels
        Empty labels of the image's shape to write into; by default an array in memory.

    Raises
    ------
    SamError
        If there is no session, it cannot be read, or the image has another shape.
    """
    file = SessionFile(path)
    if file.shape != stack.shape:
        raise SamError(
            f"The session {file.folder.name} belongs to an image of shape {file.shape}, this one "
            f"has {stack.shape}. Open the image it was made with."
        )
    labels = np.zeros(file.shape, file.dtype) if labels is None else labels
    manifest = file.manifest
    session = Session(stack, file.fill(labels), highest_id=0)
    session.restore(
        {(object_id, frame): a for object_id, frame, a in file.annotations()},
        file.requests(),
        file.parents,
        manifest["highest_id"],
    )
    session.protect_neighbours = manifest["protect_neighbours"]
    session.placement = file.placement
    session.shown = file.shown
    session.models = {n: (m["hash"], m["precision"]) for n, m in manifest["models"].items()}
    session.select(manifest["active"])
    session.changed = {read_frame_name(name): 0 for name in manifest["frames"]}
    session.saved = Saved(file.folder, file.revision, manifest["saves"], 0, manifest["frames"])
    if manifest["image"]["content"] != _image_record(stack)["content"]:
        session.notices.append(
            f"The image is not the one {file.folder.name} was made with: its pixels differ. The "
            "objects are where they were; check that they still fit."
        )
    return session


def _is_own(frame: FrameIndex, stack: FrameStack) -> bool:
    return all((i is None) == (axis in stack.displayed) for axis, i in enumerate(frame))


def _copied(labels: NDArray[Any]) -> NDArray[Any] | None:
    return labels.copy() if labels.any() else None


def _header(session: Session, image_path: str | Path | None) -> Record:
    stack, limits = session.stack, session.stack.fixed_limits
    placement = None if session.placement is None else session.placement.write()
    return {
        "format": FORMAT,
        "version": VERSION,
        "program": f"{DISTRIBUTION} {version(DISTRIBUTION)}",
        "saved": _now(),
        "image": {
            "path": None if image_path is None else str(image_path),
            "placement": placement,
        },
        "preprocessing": {
            "rgb": stack.rgb,
            "channels": list(stack.channels),
            "limits": None if limits is None else [list(map(float, pair)) for pair in limits],
        },
        "labels": {"dtype": str(session.labels.dtype), "displayed": list(stack.displayed)},
        "models": {n: {"hash": h, "precision": p} for n, (h, p) in session.models.items()},
        "parents": {str(child): list(ids) for child, ids in session.parents.items()},
        "waiting": [write_request(request) for request in session.pending()],
        "protect_neighbours": session.protect_neighbours,
        "active": session.active,
        "shown": None if session.shown is None else write_frame(session.shown),
        "highest_id": session.highest_id,
    }


def _image_record(stack: FrameStack) -> Record:
    """Shape, type and a hash of a sample of an image: enough to notice another one."""
    finest = stack.levels[0]
    record = {"shape": list(stack.shape), "dtype": str(finest.dtype)}
    digest = hashlib.blake2b(repr((record, stack.rgb)).encode(), digest_size=16)
    try:
        for where in _sample(stack):
            digest.update(np.ascontiguousarray(finest[where]).data)
    except (OSError, ValueError, RuntimeError, zlib.error):  # the image's file is gone
        return {**record, "content": None}
    return {**record, "content": f"blake2b:{digest.hexdigest()}"}


def _sample(stack: FrameStack) -> Iterator[tuple[int | slice, ...]]:
    """The middle of a few frames, all channels."""
    sizes = list(stack.shape)
    windows = [slice(max(0, (n - SAMPLED_SIDE) // 2), (n + SAMPLED_SIDE) // 2) for n in sizes]
    leading = [axis for axis in range(len(sizes)) if axis not in stack.displayed]
    for share in np.linspace(0, 1, SAMPLED_FRAMES if leading else 1):
        where: list[int | slice] = [
            int(share * (sizes[axis] - 1)) if axis in leading else windows[axis]
            for axis in range(len(sizes))
        ]
        if stack.colour_axis is not None:
            where.insert(stack.colour_axis, slice(None))
        yield tuple(where)


def _take(folder: Path, owner: Record) -> FileLock:
    """Lock a session's folder. The system lets go of the lock of a process that was killed."""
    try:
        folder.mkdir(exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0, thread_local=False)
        lock.acquire()
        _replace(folder / OWNER, json.dumps(owner).encode())
    except Timeout as error:
        raise SamError(
            f"{folder} is open elsewhere{_whose(folder)}. Close it there, or save this session in "
            "another place."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error
    return lock


def _new_owner() -> Record:
    computer, process = platform.node(), os.getpid()
    return {"computer": computer, "process": process, "key": uuid.uuid4().hex, "since": _now()}


def _read_owner(folder: Path) -> Any:
    """Who has a session open; ``None`` if that cannot be read."""
    try:
        return json.loads((folder / OWNER).read_bytes())
    except (OSError, ValueError):
        return None


def _whose(folder: Path) -> str:
    """Who has a session open, in words, as far as that is known."""
    try:
        owner = _read_owner(folder)
        since = datetime.fromisoformat(owner["since"]).astimezone()
        here = owner["computer"] == platform.node()
        where = "on this computer" if here else f"on the computer {owner['computer']}"
        return f": in a window or a program {where}, since {since:%d %b %Y, %H:%M}"
    except (ValueError, KeyError, TypeError):
        return ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _replace(path: Path, content: bytes) -> None:
    """Write a file so that at every moment it is the old or the new one."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            _to_disk(file)
        part.replace(path)
        _names_to_disk(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _to_disk(file: BinaryIO) -> None:
    """Survive a power cut as well: what session.json names must be there before it is."""
    file.flush()
    os.fsync(file.fileno())


def _names_to_disk(folder: Path) -> None:
    """The same for the names of files, on systems that offer it."""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_unnamed(folder: Path, files: Mapping[str, FrameFiles]) -> None:
    """Remove files of earlier saves, and of saves that were killed."""
    named = {name for entry in files.values() for name in entry.values()}
    for path in (folder / FRAMES).iterdir():
        if f"{FRAMES}/{path.name}" not in named:
            with contextlib.suppress(OSError):  # someone reads it, on Windows: the next save will
                path.unlink()


def _unwritable(folder: Path, error: OSError) -> SamError:
    untouched = "; what was saved before is untouched" if is_session(folder) else ""
    return SamError(
        f"The session cannot be saved in {folder}: {error.strerror or error}. Choose a folder that "
        f"can be written to and has room{untouched}."
    )
