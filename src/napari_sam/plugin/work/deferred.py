"""Work put off until napari is done with its own event."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from qtpy.QtCore import QObject, Qt, Signal


class Deferred(QObject):
    """Call it with a function to have that run a moment later, once if asked several times.

    It runs before the window is painted again, so that what it changes is painted with the rest:
    Qt delivers signals in its queue before it paints, and timers only after.
    """

    _asked = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._functions: dict[Hashable, Callable[[], None]] = {}
        self._asked.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def __call__(self, function: Callable[[], None]) -> None:
        """Run a function a moment later."""
        if function not in self._functions:
            self._asked.emit()
        self._functions[function] = function

    @property
    def is_waiting(self) -> bool:
        """Whether anything is put off."""
        return bool(self._functions)

    def stop(self) -> None:
        """Forget what was put off."""
        self._functions.clear()

    def _run(self) -> None:
        while self._functions:  # what they put off in turn is painted with the rest, too
            functions, self._functions = self._functions, {}
            for function in functions.values():
                function()
