"""A session on disk: a folder of which, whenever the power goes, all is the old or all the new.

``IMAGE.napari-sam/session.json`` names one file of labels (TIFF) and one of annotations (JSON) for
each frame that holds anything. Files are never changed: a save writes those of the frames that
changed under new names, then replaces session.json at once, then removes what it named before. So a
save costs as much as what changed.

A session may come from someone else: only files with a session's own names are removed and
that its session.json names, or that a save left behind which was killed before it was there.
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.installation import DISTRIBUTION
from napari_sam.session.annotation import Annotation
from napari_sam.session.edits import place_of
from napari_sam.session.label_arrays import frozen, is_written
from napari_sam.session.saved import FrameFiles, Saved
from napari_sam.session.saved_tiles import TileIndex, is_tiled, tiles_in, window_of
from napari_sam.session.session import Session

from .folder import FRAME_FILE, FRAMES, SessionFolder
from .image_record import image_record
from .label_files import LARGEST_TIFF, write_labels
from .owner import Owner, now, unwritable
from .records import (
    Record,
    write_annotation,
    write_classes,
    write_files,
    write_frame,
    write_request,
    write_reviews,
)
from .schema import FORMAT, LARGEST_JSON, VERSION
from .session_file import MANIFEST, SessionFile, folder_of

ReadLabels: TypeAlias = Callable[[], NDArray[Any] | None]  # None: there are none


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The state to save at one moment. It is immutable."""

    n_changes: int
    is_whole: bool  # all that the session holds, not what changed since the last save only
    stack: FrameStack
    header: Record
    labels: Mapping[FrameIndex, Mapping[TileIndex | None, ReadLabels]]  # None: of the whole frame
    annotations: Mapping[FrameIndex, list[tuple[int, Annotation]]]


class Autosave:
    """Saves a session again and again. Owns the folder until it is closed.

    ``snapshot()`` belongs into the thread that changes the session and only copies the labels of
    the frames that changed; ``write(snapshot)`` may run in another one, one at a time. A folder
    that vanished meanwhile is made again.

    Parameters
    ----------
    path
        The session's folder, created if needed.
    image_path
        The image's file, for those who open the session.

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
        self._lost: set[FrameIndex] = set()  # frames whose files someone deleted
        self._files = SessionFolder(self.folder)
        self._owner = Owner(self._files)
        saved = session.saved
        self._saved = saved if saved and saved.folder == self.folder else None
        try:
            self._check_ours()
        except SamError:
            self.close()
            raise

    @property
    def is_due(self) -> bool:
        """Whether anything changed since the last save."""
        return self._saved is None or self.session.n_changes > self._saved.n_changes

    def snapshot(self) -> Snapshot | None:
        """The changes since the last save; ``None`` if there are none."""
        if not self.is_due:
            return None
        session, since = self.session, -1 if self._saved is None else self._saved.n_changes
        changed = [frame for frame, number in session.changed.items() if number > since]
        frames = list(dict.fromkeys([*changed, *self._lost]))
        own = [frame for frame in frames if _is_own(frame, session.stack)]
        as_now = frozen(session.labels)
        return Snapshot(
            session.n_changes,
            self._saved is None,
            session.stack,
            _header(session, self.image_path),
            {frame: self._labels_since(since, frame, as_now) for frame in own},
            {frame: session.annotations_in(frame) for frame in frames},
        )

    def _labels_since(
        self, since: int, frame: FrameIndex, as_now: Any
    ) -> Mapping[TileIndex | None, ReadLabels]:
        """The labels of a frame that are to be written: all, or the tiles that changed."""
        frame_shape = self.session.stack.frame_shape_of(frame)
        tiles: Iterable[TileIndex | None] = (None,)
        before = None if self._saved is None else self._saved.files.get(frame)
        if is_tiled(frame_shape):
            tiles = tiles_in(window_of(None, frame_shape))
            if before is not None and None not in before.labels and frame not in self._lost:
                changed = self.session.changed_tiles.get(frame, {})
                tiles = [tile for tile, number in changed.items() if number > since]
        places = {tile: place_of(frame, window_of(tile, frame_shape)) for tile in tiles}
        labels = self.session.labels
        return {tile: _reading(labels, as_now, place) for tile, place in places.items()}

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
        self._owner.hold()
        self._check_ours()
        if self._saved is None and not snapshot.is_whole:
            return False
        try:
            self._lost = self._lost_since(snapshot)
            if self._lost:
                return False
            self._saved = self._write(snapshot)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        self.session.saved = self._saved
        for file in self._saved.replaced:
            self._files.remove(file)
        return True

    def save(self) -> None:
        """Save now what changed."""
        while (snapshot := self.snapshot()) and not self.write(snapshot):
            pass  # once more, whole

    def close(self) -> None:
        """Let go of the folder. Saves nothing."""
        self._owner.release()

    def _lost_since(self, snapshot: Snapshot) -> set[FrameIndex]:
        """Frames whose files are gone, though nothing that is about to be written replaces them."""
        saved, there = self._saved.files if self._saved else {}, self._files.frame_files()
        frames = {frame for frame, files in saved.items() if files.named - there}
        return frames - snapshot.annotations.keys()

    def _write(self, snapshot: Snapshot) -> Saved:
        """Write what a snapshot holds, then the session.json that names it."""
        before = self._saved
        saves = 1 if before is None else before.saves + 1
        files = dict(before.files) if before else {}
        self._files.make_frames()
        self._remove_unfinished(saves)
        written: list[str] = []
        try:
            for frame in snapshot.annotations:
                kept = files.pop(frame, FrameFiles({}, None))
                if entry := self._write_frame(frame, snapshot, saves, kept, written):
                    files[frame] = entry
            named = _all_named(files)
            replaced = frozenset(_all_named(before.files) - named if before else ())
            if before:
                replaced |= before.replaced & self._files.frame_files()
            revision = uuid.uuid4().hex
            manifest = {
                **snapshot.header,
                "image": {**snapshot.header["image"], **self._image_record(snapshot.stack)},
                "revision": revision,
                "saves": saves,
                "frames": {write_frame(frame): write_files(each) for frame, each in files.items()},
                "replaced": sorted(replaced),
            }
            self._files.names_to_disk()
            self._files.replace(MANIFEST, _checked(json.dumps(manifest, indent=1), LARGEST_JSON))
        except (OSError, SamError):
            for file in written:
                self._files.remove(file)
            raise
        return Saved(self.folder, revision, saves, snapshot.n_changes, files, replaced)

    def _write_frame(
        self,
        frame: FrameIndex,
        snapshot: Snapshot,
        saves: int,
        before: FrameFiles,
        written: list[str],
    ) -> FrameFiles:
        """Write the files of a frame; of one whose labels are saved in tiles, some stay."""
        given = snapshot.labels.get(frame, {})
        stays = before.labels.keys() - given.keys() - {None}
        labels = {tile: before.labels[tile] for tile in stays}

        def write(content: bytes | str, most_bytes: int, suffix: str) -> str:
            stem = f"{FRAMES}/{write_frame(frame)}-{saves}-{secrets.token_hex(4)}"
            self._files.write_new(stem + suffix, _checked(content, most_bytes))
            written.append(stem + suffix)
            return stem + suffix

        for tile, read in given.items():
            if (pixels := read()) is not None:
                labels[tile] = write(write_labels(pixels), LARGEST_TIFF, ".tif")
        if not (annotations := snapshot.annotations[frame]):
            return FrameFiles(labels, None)
        records = [write_annotation(*each) for each in annotations]
        text = json.dumps(records, separators=(",", ":"))
        return FrameFiles(labels, write(text, LARGEST_JSON, ".json"))

    def _remove_unfinished(self, saves: int) -> None:
        """Remove what a save left behind that was killed before it had its session.json."""
        for file in self._files.frame_files():
            own = re.fullmatch(FRAME_FILE, file)
            if own and int(own["saves"]) >= saves:
                self._files.remove(file)

    def _image_record(self, stack: FrameStack) -> Record:
        """Read once an image, where reading takes no time from the user."""
        if self._image is None or self._image[0] is not stack:
            self._image = (stack, image_record(stack))
        return self._image[1]

    def _check_ours(self) -> None:
        """Never write over what someone else saved; what is gone is not saved any more."""
        try:
            is_there = self._files.holds(MANIFEST)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        if not is_there:
            self._saved = None
        elif self._saved is None:
            raise SamError(
                f"{self.folder} holds a session already. Open it to continue with it, or save this "
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


def _is_own(frame: FrameIndex, stack: FrameStack) -> bool:
    return all((i is None) == (axis in stack.displayed) for axis, i in enumerate(frame))


def _reading(labels: Any, as_now: Any, place: tuple[int | slice, ...]) -> ReadLabels:
    """How to read what is in a place of labels; what cannot be frozen is copied now."""
    if as_now is not None:
        return partial(_unless_empty, as_now, place)
    pixels = _unless_empty(labels, place)
    return lambda: pixels


def _unless_empty(labels: Any, place: tuple[int | slice, ...]) -> NDArray[Any] | None:
    if not is_written(labels, place):
        return None
    pixels = np.asarray(labels[place])
    return np.array(pixels) if pixels.any() else None


def _header(session: Session, image_path: str | Path | None) -> Record:
    stack, limits = session.stack, session.stack.fixed_limits
    placement = None if session.placement is None else session.placement.write()
    return {
        "format": FORMAT,
        "version": VERSION,
        "program": f"{DISTRIBUTION} {version(DISTRIBUTION)}",
        "saved": now(),
        "image": {
            "path": None if image_path is None else _text(str(image_path)),
            "reader": session.image_reader,
            "placement": placement,
        },
        "preprocessing": {
            "rgb": stack.rgb,
            "channels": list(stack.channels),
            "limits": None if limits is None else [list(map(float, pair)) for pair in limits],
            "mean": stack.mean,
            "channel_axis": session.channel_axis,
        },
        "labels": {"dtype": str(session.labels.dtype), "displayed": list(stack.displayed)},
        "models": {_text(n): {"hash": h, "precision": p} for n, (h, p) in session.models.items()},
        "classes": write_classes(session.classes),
        "reviews": write_reviews(session.reviews),
        "parents": {str(child): list(ids) for child, ids in session.parents.items()},
        "waiting": [write_request(request) for request in session.pending()],
        "protect_neighbours": session.protect_neighbours,
        "active": session.active,
        "shown": None if session.shown is None else write_frame(session.shown),
        "through": {str(axis): said for axis, said in session.through.items()},
        "done": session.is_done,
        "highest_id": session.highest_id,
    }


def _text(said: str) -> str:
    """JSON is Unicode; other characters of a file's name are escaped."""
    return said.encode("utf-8", "backslashreplace").decode()


def _all_named(files: Mapping[FrameIndex, FrameFiles]) -> frozenset[str]:
    return frozenset().union(*(each.named for each in files.values()))


def _checked(content: bytes | str, most_bytes: int) -> bytes:
    """A file's content, unless it is larger than what is read again."""
    content = content.encode() if isinstance(content, str) else content
    if len(content) > most_bytes:
        raise SamError(
            f"A frame's part of the session takes {len(content) / 1e6:.0f} MB, more than the "
            f"{most_bytes / 1e6:.0f} MB that a session's file may. Export the labels."
        )
    return content
