"""Saved sessions come back: with their image, or when the user opens one."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.settings import get_settings

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.installation import DISTRIBUTION
from napari_sam.plugin.layers.in_memory import (
    HELD,
    SessionInMemory,
    keep_in_memory,
    labels_with_session,
)
from napari_sam.plugin.layers.levels import LabelLevels, finest, is_huge
from napari_sam.plugin.layers.network_input import (
    INPUT,
    input_of,
    recall_input,
    stack_of,
    tell_channel_axis,
)
from napari_sam.plugin.layers.own_layers import new_labels
from napari_sam.plugin.layers.view import go_to_frame
from napari_sam.plugin.work.jobs import Job, Report, Worker
from napari_sam.session import (
    Session,
    SessionFile,
    empty_labels,
    load,
    read_frame,
    session_path,
)

from .places import SESSION_FOLDER, image_file, image_of, saved_sessions, user_folder

OPEN = "open a session"  # job slot
SESSION_FOLDERS = session_path("*").name + os.sep  # as napari's preferences write it


@dataclass(frozen=True, eq=False)
class Found:
    """A saved session of an image, or the reason why it could not be opened."""

    session: Session | None = None
    folder: Path | None = None
    saved: datetime | None = None
    notices: Sequence[str] = field(default_factory=list)
    levels: LabelLevels | None = None  # of huge labels; that reads all of them


class Reopening:
    """Finds and reads saved sessions in the background, and has their images annotated.

    Parameters
    ----------
    viewer
        The raw viewer model.
    worker
        Reads the sessions.
    attach
        Called as ``attach(image, labels)`` when the labels to continue with are known; without
        labels if nothing was saved.
    inform
        Given a sentence for the user, and whether it is a warning.
    fail
        Given what went wrong with a session the user requested.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        worker: Worker,
        attach: Callable[[Image, Labels | None], None],
        inform: Callable[[str, bool], None],
        fail: Callable[[Exception], None],
    ) -> None:
        self.image: Image | None = None  # whose session is being read
        self._viewer, self._worker = viewer, worker
        self._attach, self._inform, self._fail = attach, inform, fail
        self._known: WeakSet[Image] = WeakSet()
        _prefer_our_reader()

    def begin(self, image: Image) -> None:
        """Annotate an image: with the session held here, or that was saved, or with a new one.

        What was saved is looked for once: later the user may have taken the labels away to begin
        again.
        """
        self.image = None
        try:
            stack = stack_of(image)
        except SamError:
            self._attach(image, None)  # which says what is wrong with it
            return
        folders = [] if image in self._known else saved_sessions(image)
        self._known.add(image)
        for folder in folders[:1]:
            stack = _as_saved(image, folder) or stack
        if not folders or labels_with_session(self._viewer, image, stack):
            self._attach(image, None)
        elif SESSION_FOLDER in image.metadata:
            self._start(image, partial(read, folders[0], stack))
        else:
            self._start(image, partial(find, folders, stack))

    def open(self, folder: Path, image: Image | None) -> None:
        """Continue a session the user chose: on the current image if it belongs to it.

        Raises
        ------
        SamError
            If there is no session.
        """
        file = SessionFile(folder.resolve())  # the user's own link may be followed
        if image is not None and image_of(file) in (None, image_file(image)):
            stack = _as_saved(image, file.folder) or stack_of(image)
            if stack.shape == file.shape:
                self._start(image, partial(read, file.folder, stack))
                return
        self._viewer.open(str(file.folder), plugin=DISTRIBUTION)

    def is_session(self, layer: object) -> bool:
        """Whether a layer is an image that was opened for the sake of its session."""
        return isinstance(layer, Image) and SESSION_FOLDER in layer.metadata

    def _start(self, image: Image, work: Callable[[Report], Found]) -> None:
        self.image = image
        done, failed = partial(self._on_found, image), partial(self._on_failed, image)
        self._worker.submit(Job(OPEN, work, done, failed))

    def _on_found(self, image: Image, found: Found) -> None:
        if image is not self.image:
            return  # another one was chosen meanwhile
        self.image = None
        if image in self._viewer.layers:
            if found.session is not None and (frame := _last_frame(found.session)):
                go_to_frame(self._viewer, image, frame)
            self._attach(image, _hold(found, image, self._viewer))
            if text := _welcome(found):
                self._inform(text, bool(found.notices))

    def _on_failed(self, image: Image, error: Exception) -> None:
        self._fail(error)
        self._on_found(image, Found())


def _as_saved(image: Image, folder: Path) -> FrameStack | None:
    """An image seen as in a session of it; ``None`` if that is not of this image, or broken."""
    with suppress(SamError):
        file = SessionFile(folder)
        before = input_of(image)
        recall_input(image, file.channel_axis, file.manifest["preprocessing"])
        if (stack := stack_of(image)).shape == file.shape:
            return stack
        tell_channel_axis(image, before.channel_axis)
        image.metadata[INPUT] = before
    return None


def _prefer_our_reader() -> None:
    """Let napari open a dropped session without asking which reader of folders to take."""
    preferred = get_settings().plugins.extension2reader
    if SESSION_FOLDERS not in preferred:
        get_settings().plugins.extension2reader = {**preferred, SESSION_FOLDERS: DISTRIBUTION}


def find(folders: Sequence[Path], stack: FrameStack, report: Report) -> Found:
    """The first of these sessions that is of this very image. Runs in a worker's thread.

    One that is not, or that is broken, is left as it is, and said if there is no other one.
    """
    problem = ""
    for folder in folders:
        try:
            found = read(folder, stack, report)
        except SamError as error:
            problem = problem or f"{error} It is not changed."
            continue
        if found.session is not None and found.session.is_of_image:
            return found
        problem = problem or (
            f"There is a session of this image, {folder}, but the image has changed since. It is "
            "left as it is, and what you do now is saved beside it. “Open …” opens it all the same."
        )
    return Found(notices=[problem] if problem else [])


def read(folder: Path, stack: FrameStack, report: Report) -> Found:
    """A session the user requested. One that was made with other pixels is never saved over.

    Raises
    ------
    SamError
        If it is broken, or of an image of another shape.
    """
    file = SessionFile(folder)
    session = load(folder, stack, empty_labels(file.shape, file.dtype))
    if not session.is_of_image:
        session.saved = None
    saved = datetime.fromisoformat(file.manifest["saved"]).astimezone()
    is_in_levels = is_huge(stack.frame_shape)
    levels = LabelLevels.of(session.labels, stack.displayed) if is_in_levels else None
    return Found(session, file.folder, saved, session.notices, levels)


def _hold(found: Found, image: Image, viewer: ViewerModel) -> Labels | None:
    """A Labels layer that holds the session found: the one the reader made, or a new one."""
    session = found.session
    if session is None:
        return None
    waiting = (layer for layer in viewer.layers if _waits_for(layer, found))
    labels = next(waiting, None)
    if labels is None:
        labels = new_labels(image, session.stack, session.labels, found.levels)
        session.labels = finest(labels)
    else:
        _adopt(session, labels)
    keep_in_memory(session, image, labels)
    return labels


def _waits_for(layer: object, found: Found) -> bool:
    """Whether a layer is a session's labels as its reader made them, and not in use yet."""
    return (
        isinstance(layer, Labels)
        and layer.metadata.get(SESSION_FOLDER) == str(found.folder)
        and not isinstance(layer.metadata.get(HELD), SessionInMemory)
        and found.session is not None
        and finest(layer).shape == found.session.stack.shape
    )


def _last_frame(session: Session) -> FrameIndex | None:
    """The frame to continue in: the one shown last, or one that holds the current object."""
    annotated = (frame for (each, frame), _ in session.annotations() if each == session.active)
    return session.shown or next(annotated, None)


def _adopt(session: Session, labels: Labels) -> None:
    """Go on in labels that the user may have painted on since the reader made them."""
    strokes: list[tuple[tuple[Any, ...], Any, Any]] = []
    for frame in () if labels.multiscale else session.stack.indices():  # there nobody can paint
        saved, now = read_frame(session.labels, frame), read_frame(finest(labels), frame)
        differs = np.nonzero(saved != now)
        if len(differs[0]):
            spans = iter(differs)
            places = tuple(next(spans) if i is None else np.array([i]) for i in frame)
            strokes.append((places, saved[differs], now[differs]))
    session.labels = finest(labels)
    if strokes:
        session.note_stroke(strokes)


def _welcome(found: Found) -> str:
    """The message about a session that was opened, or could not be."""
    if found.session is None or found.folder is None or found.saved is None:
        return " ".join(found.notices)
    n = len(found.session.objects())
    objects = "1 object is" if n == 1 else f"{n} objects are"
    where = found.folder if found.folder.parent == user_folder() else found.folder.name
    back = f"{objects} back from {where}, saved {found.saved:%d %b %Y, %H:%M}."
    return " ".join([back, *found.notices, "To begin again, choose “New labels”."])
