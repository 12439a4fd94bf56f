"""A session saved in the background while it is worked on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_sam.engine import SamError
from napari_sam.plugin.layers.own_layers import placement_of
from napari_sam.plugin.panels.sessions import SessionPanel
from napari_sam.plugin.work.jobs import Job, Report, Worker
from napari_sam.session import Autosave, Session, Snapshot, session_path

from .images import reader_of
from .places import (
    NOT_SAVED,
    free_place,
    image_file,
    place_with_user,
    places_of,
    source_of,
    user_folder,
)

AUTOSAVE_MS = 500  # at the worst that is lost, and the time that a save takes
RETRY_AFTER = 60  # for so many rounds a folder is left alone that could not be written to
SAVE = "save"  # job slot
ELSEWHERE = "“Save as …” takes another place."
IN_MEMORY = "Until then your work is kept in this window only."
IN_LAYERS = "It is kept in the layers of this window only: open the panel again, and save it."

log = logging.getLogger(__name__)


class Saving:
    """Saves one session at a time, as soon as something in it was changed.

    Only copying what changed is done in the GUI thread. Nothing that is wrong with the disk stops
    the work: it is said once, and tried again now and then.

    Parameters
    ----------
    worker
        Writes. Nothing that takes long should run in it beside.
    panel
        Shows where the session is and since when, and asks for another place.
    inform
        Given a sentence for the user, and whether it is a warning.
    """

    def __init__(
        self, worker: Worker, panel: SessionPanel, inform: Callable[[str, bool], None]
    ) -> None:
        self._worker, self._panel, self._inform = worker, panel, inform
        self._session: Session | None = None
        self._image: Image | None = None
        self._autosave: Autosave | None = None
        self._one_at_a_time = threading.Lock()  # who touches the disk, here and in the worker
        self._is_busy = False
        self._rounds_to_wait = 0
        self._saved_at: datetime | None = None
        self._told: set[str] = set()
        panel.save_chosen.connect(self._on_save_chosen)

    @property
    def folder(self) -> Path | None:
        """Where the session is saved; ``None`` before the first change, or if it cannot be."""
        return None if self._autosave is None else self._autosave.folder

    def begin(self, session: Session, image: Image) -> None:
        """Keep a session saved from now on. Nothing is written until something changes."""
        self.end()
        if image.metadata.get(NOT_SAVED):
            self._panel.show_place("This session is not saved.")
            return
        self._session, self._image = session, image
        self._forget_problems()
        self._saved_at = None
        if session.saved is not None:
            self._submit(self._take_place, self._on_place)
        elif session.highest_id:  # labels from elsewhere belong to it with all their frames
            for frame in session.stack.indices():
                session.changed.setdefault(frame, 0)
        self._show()

    def end(self) -> None:
        """Save what is left, in another place if need be; let go of the session and its folder."""
        with self._one_at_a_time:
            if self._is_due() and (problem := self._save_rest()):
                self._save_with_user(problem)
            self._release()
            self._session = self._image = None

    def settle(self) -> str:
        """Save what is left; returns why that cannot be done, or nothing."""
        with self._one_at_a_time:
            return self._save_rest() if self._is_due() else ""

    def tick(self) -> None:
        """Have saved what changed. To be called every :data:`AUTOSAVE_MS`."""
        self._rounds_to_wait = max(0, self._rounds_to_wait - 1)
        if self._is_busy or self._rounds_to_wait or not self._is_due():
            return
        self._note_placement()
        if self._autosave is None:
            self._submit(self._take_place, self._on_place)
        elif snapshot := self._autosave.snapshot():
            self._submit(partial(self._write, self._autosave, snapshot), self._on_saved)

    def save_as(self, path: Path) -> None:
        """Go on in another place, with all that there is.

        Raises
        ------
        SamError
            If that place cannot be written to, or holds a session. All stays as it was then.
        """
        if self._session is None or self._image is None:
            raise SamError("There is no session to save. Choose an image first.")
        if path == self.folder:
            self.tick()
            return
        self._note_placement()
        with self._one_at_a_time:
            autosave = Autosave(self._session, path, image_path=source_of(self._image))
            try:
                autosave.save()
            except SamError:
                autosave.close()
                raise
            self._release()
            self._autosave = autosave
        self._on_saved(True)

    def _on_save_chosen(self, name: str) -> None:
        path = Path(name)
        try:
            self.save_as(path if session_path(path.stem).name == path.name else session_path(path))
        except SamError as error:
            self._inform(str(error), True)

    def _note_placement(self) -> None:
        """The placement of the image is saved, too; the known one is kept if there is none now."""
        if self._session is not None and self._image is not None:
            self._session.placement = placement_of(self._image) or self._session.placement
            self._session.image_reader = reader_of(self._image) or self._session.image_reader

    def _is_due(self) -> bool:
        if self._session is None:
            return False
        saved = self._session.saved
        return self._session.n_changes > (0 if saved is None else saved.n_changes)

    def _submit(self, work: Callable[[Report], Any], done: Callable[[Any], None]) -> None:
        """Have something done in the worker; of a session that was let go nothing is heard."""
        session = self._session

        def deliver(then: Callable[[Any], None], result: Any) -> None:
            self._is_busy = False
            if session is self._session:
                then(result)

        self._is_busy = True
        failed = partial(deliver, self._on_error)
        self._worker.submit(Job(SAVE, work, partial(deliver, done), failed))

    def _on_place(self, found: tuple[bool, str]) -> None:
        is_found, sentence = found
        if not is_found:
            self._refuse(sentence)
            return
        if sentence:
            self._say(sentence)
        self._show()
        self.tick()

    def _on_saved(self, is_saved: bool) -> None:
        self._forget_problems()
        if not is_saved:
            self._say(f"{self.folder} was gone. It is written again, with everything.")
            self.tick()
            return
        self._saved_at = datetime.now()
        self._show()

    def _on_error(self, error: Exception) -> None:
        self._refuse(_said(error))

    def _refuse(self, problem: str) -> None:
        self._rounds_to_wait = RETRY_AFTER
        self._say(f"{problem} {IN_MEMORY}", is_warning=True)
        self._panel.show_problem(f"Not saved! {ELSEWHERE}", problem)

    def _forget_problems(self) -> None:
        self._told.clear()
        self._rounds_to_wait = 0

    def _say(self, sentence: str, *, is_warning: bool = False) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._inform(sentence, is_warning)

    def _show(self) -> None:
        if self._autosave is not None:
            folder = self._autosave.folder
            when = "" if self._saved_at is None else f" {self._saved_at:%H:%M}"
            self._panel.show_place(f"Saved{when} in {folder.name}", str(folder))
        elif not self._rounds_to_wait:
            self._panel.show_place("Saved from the first object on.")

    # Who touches the disk, here or in the worker

    def _save_rest(self) -> str:
        """Save in the session's own place; returns why that cannot be done, or nothing.

        Whatever the reason is: the work is to be saved elsewhere then.
        """
        try:
            self._note_placement()
            is_found, problem = self._find_place()
            if not is_found or self._autosave is None:
                return problem
            self._autosave.save()
        except Exception as error:  # noqa: BLE001 after any error it is saved elsewhere
            return _said(error)
        return ""

    def _save_with_user(self, problem: str) -> None:
        """Save all there is in the user's own folder, under a name that nothing has there."""
        session, image = self._session, self._image
        if session is None or image is None:
            return
        self._release()
        try:
            self._autosave = _take(session, image, free_place(place_with_user(image)))
            self._autosave.save()
            sentence = f"{problem} So all your work is saved in {self._autosave.folder}."
        except Exception as error:  # noqa: BLE001 the layers are still there
            sentence = " ".join(dict.fromkeys([problem, _said(error), IN_LAYERS]))
        log.warning(sentence)  # the window may be gone before it is read
        self._say(sentence, is_warning=True)

    def _take_place(self, report: Report) -> tuple[bool, str]:
        with self._one_at_a_time:
            return self._find_place()

    def _find_place(self) -> tuple[bool, str]:
        """Take the first folder that can be saved in, unless one is taken.

        Returns whether there is one, and what the user should know about it.
        """
        session, image = self._session, self._image
        if self._autosave is not None or session is None or image is None:
            return True, ""
        known = None if session.saved is None else session.saved.folder
        problem = "" if image_file(image) or known else f"“{image.name}” has no file of its own."
        for place in places_of(image) if known is None else [known]:
            try:
                folder = free_place(place) if known is None else known
                self._autosave = _take(session, image, folder)
            except SamError as error:
                problem = str(error)
                continue
            note = f"{problem} So its session is saved in {folder}. {ELSEWHERE}" if problem else ""
            return True, note
        return False, problem

    def _write(self, autosave: Autosave, snapshot: Snapshot, report: Report) -> bool:
        with self._one_at_a_time:
            if autosave is self._autosave:  # else a newer state was saved at the end
                return autosave.write(snapshot)
        return True

    def _release(self) -> None:
        if self._autosave is not None:
            self._autosave.close()
            self._autosave = None


def _said(error: Exception) -> str:
    """An error in the user's words; one that nobody expected is kept in full in the log."""
    if isinstance(error, SamError):
        return str(error)
    log.error("unexpected error while saving", exc_info=error)
    return f"The session cannot be saved ({type(error).__name__}: {error})."


def _take(session: Session, image: Image, folder: Path) -> Autosave:
    """Take a session's folder; the user's own is created if needed."""
    try:
        if folder.parent == user_folder():
            folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SamError(
            f"The folder {folder.parent} cannot be made: {error.strerror or error}. {ELSEWHERE}"
        ) from error
    return Autosave(session, folder, image_path=source_of(image))
