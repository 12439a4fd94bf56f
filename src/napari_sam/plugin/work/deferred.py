"""Work put off until napari is done with its own event."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from qtpy.QtCore import QObject, QTimer


class Deferred(QObject):
    """Call it with a function to have that run a moment later, once if asked several times."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._functions: dict[Hashable, Callable[[], None]] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._run)

    def __call__(self, function: Callable[[], None]) -> None:
        """Run a function a moment later."""
        self._functions[function] = function
        self._timer.start()

    @property
    def is_waiting(self) -> bool:
        """Whether anything is put off."""
        return self._timer.isActive()

    def stop(self) -> None:
        """Forget what was put off."""
        self._timer.stop()
        self._functions.clear()

    def _run(self) -> None:
        functions, self._functions = self._functions, {}
        for function in functions.values():
            function()
