"""Work that is put off until napari is done with its own event."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget

from napari_sam.plugin.work.deferred import Deferred


class Painted(QWidget):
    """A widget that notes when it is painted."""

    def __init__(self, noted: list[str]) -> None:
        super().__init__()
        self.noted = noted

    def paintEvent(self, event: object) -> None:  # noqa: N802 Qt's name
        self.noted.append("painted")


def test_what_is_put_off_is_done_once_and_before_the_window_is_painted(qtbot) -> None:
    noted: list[str] = []
    widget = Painted(noted)
    qtbot.addWidget(widget)
    with qtbot.waitExposed(widget):
        widget.show()
    qtbot.waitUntil(lambda: bool(noted))
    noted.clear()
    deferred = Deferred(widget)

    def first() -> None:
        noted.append("first")
        deferred(second)  # which is asked for by what was put off

    def second() -> None:
        noted.append("second")

    widget.update()
    deferred(first)
    deferred(first)
    assert deferred.is_waiting
    assert not noted
    qtbot.waitUntil(lambda: "painted" in noted)
    assert noted == ["first", "second", "painted"]
    assert not deferred.is_waiting


def test_what_is_stopped_is_not_done(qtbot) -> None:
    widget, noted = QWidget(), []
    qtbot.addWidget(widget)
    deferred = Deferred(widget)
    deferred(lambda: noted.append("before"))
    deferred.stop()
    assert not deferred.is_waiting
    deferred(lambda: noted.append("after"))
    qtbot.waitUntil(lambda: not deferred.is_waiting)
    assert noted == ["after"]
