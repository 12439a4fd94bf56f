"""A real window in which somebody works with mouse and keys until the process is killed.

`python window.py IMAGE SEED` says on stdout, each with the time: what it read, what it opened with,
each change, and what stands whenever a save begins.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import napari
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_sam.plugin.sessions import reopening
from napari_sam.session import Autosave, Session
from user import User
from window_at_work import fingerprint


def say(word: str, what: str = "-") -> None:
    """A line for the bed."""
    sys.stdout.write(f"{word} {what} {time.monotonic()}\n")
    sys.stdout.flush()


def tell_saves() -> None:
    """Say what stands before each save, at the moment at which it is copied."""
    snapshot = Autosave.snapshot

    def told(autosave: Autosave) -> object:
        if autosave.is_due:
            say("saving", fingerprint(autosave.session))
        return snapshot(autosave)

    Autosave.snapshot = told


def tell_what_is_read() -> None:
    """Say what is in a session that is read, before masks land that it waits for."""
    load = reopening.load

    def told(*given: object) -> Session:
        session = load(*given)
        say("read", fingerprint(session))
        return session

    reopening.load = told


def act(user: User, chance: random.Random) -> None:
    """One thing that somebody does at a canvas."""
    frame = user.viewer.dims.current_step[0]
    n_frames, height, width = user.widget.bridge.image.data.shape
    at = (frame, chance.uniform(4, height - 4), chance.uniform(4, width - 4))
    control = Qt.KeyboardModifier.ControlModifier
    match chance.randrange(8):
        case 0 | 1:
            user.press("n")
            user.click(at)
        case 2:
            user.click(at)
        case 3:
            user.widget.bridge.use("rectangle")
            user.drag(at, (frame, min(at[1] + 12, height - 2), min(at[2] + 12, width - 2)))
            user.widget.bridge.use("point")
        case 4:
            user.press("z", control)
        case 5:
            user.viewer.dims.set_current_step(0, chance.randrange(n_frames))
        case 6:
            user.press(".")
        case 7:
            labels = user.widget.bridge.labels
            labels.mode = "paint"
            user.drag(at, (frame, height / 2, width / 2))
            user.widget.bridge.use("point")


def wait(session: Session, milliseconds: int) -> None:
    """Let the window work, and say when something has changed."""
    known = session.n_changes
    until = time.monotonic() + milliseconds / 1000
    while time.monotonic() < until:
        QTest.qWait(5)
        if session.n_changes != known:
            known = session.n_changes
            say("change", str(known))


def work(path: str, seed: int) -> None:
    """Open the image, and its session if there is one; go on for ever."""
    chance = random.Random(seed)
    tell_saves()
    tell_what_is_read()
    viewer = napari.Viewer()
    viewer.open(path)
    user = User(viewer)
    user.refit()
    while not user.is_ready:
        QTest.qWait(20)
    session = user.widget.bridge.session
    say("opened", fingerprint(session))
    while True:
        act(user, chance)
        wait(session, chance.choice((30, 100, 300, 800)))


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))
