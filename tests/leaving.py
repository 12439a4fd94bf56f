"""A real window that is left while threads compute: `python leaving.py WAY`.

Run as a process of its own, which must end with 0 and say nothing.
"""

from __future__ import annotations

import sys

import napari
import numpy as np
from napari.settings import get_settings
from qtpy.QtCore import QTimer
from qtpy.QtTest import QTest

from user import User

SIDE, N_FRAMES = 256, 12
WAYS = ("window", "quit", "exit", "dock")  # of them the first two while the model is loaded


def open_window() -> User:
    """Discs that move, and the dock."""
    y, x = np.mgrid[:SIDE, :SIDE]
    shifts = 2 * np.arange(N_FRAMES)[:, None, None]
    discs = np.where(np.hypot(y % 64 - 32, (x + shifts) % 64 - 32) < 20, 180, 60)
    viewer = napari.Viewer()
    viewer.add_image(discs.astype(np.uint8), axis_labels=("t", "y", "x"))
    viewer.dims.set_point(0, 0)
    return User(viewer)


def wait(until) -> None:
    """Let the window work."""
    while not until():
        QTest.qWait(2)


def propagate(user: User) -> None:
    """Click an object and begin to propagate it."""
    user.refit()
    wait(lambda: user.is_ready)
    user.click((0, 96, 96))
    wait(lambda: user.is_ready and user.widget.bridge.labels.data[0].any())
    user.widget.propagation.propagate()
    wait(lambda: any(run.frames for run in user.widget.propagation.runs.values()))


def close_by(way: str, user: User) -> None:
    """Leave through the window, through the menu, or with the dock closed before."""
    window = user.viewer.window
    if way == "quit":
        (action,) = (a for a in window.file_menu.actions() if a.shortcut().toString() == "Ctrl+Q")
        action.trigger()
    elif way == "dock":
        window.remove_dock_widget(user.widget)
        QTimer.singleShot(0, window._qt_window.close)
    else:
        window._qt_window.close()


def leave(way: str) -> None:
    """Open, let the threads begin, leave."""
    get_settings().application.confirm_close_window = False
    user = open_window()
    if way == "dock":
        propagate(user)
    elif way == "exit":
        wait(lambda: user.widget.predictor is not None and not user.widget.worker.idle)
        sys.exit(0)
    else:
        wait(lambda: not user.widget.worker.idle)
    QTimer.singleShot(0, lambda: close_by(way, user))
    napari.run()


if __name__ == "__main__":
    leave(sys.argv[1])
