"""The network's input: a button that shows it, and a menu to change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qtpy.QtCore import Signal
from qtpy.QtGui import QAction, QActionGroup
from qtpy.QtWidgets import QMenu, QPushButton, QSizePolicy

MOST_CHANNELS = 16  # listed one by one
LEAST_WIDTH = 100


class InputButton(QPushButton):
    """Contrast and channels that the network sees."""

    contrast_chosen = Signal(bool)  # as shown?
    channels_chosen = Signal(object, bool)  # tuple of positions, none for all; in grey?
    axis_chosen = Signal(object)  # the axis that holds channels, or None

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, QAction] = {}
        self.setToolTip(
            "Contrast and channels that the network sees.\n"
            "Automatic contrast ignores the darkest and brightest 0.1 % of each frame"
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumWidth(LEAST_WIDTH)  # long texts are cut
        self.setStyleSheet("text-align: left; padding-left: 6px;")
        self._menu = QMenu(self)
        self.setMenu(self._menu)

    def show_input(
        self,
        *,
        as_shown: bool | None,
        axes: Sequence[str],
        channel_axis: int | None,
        n_channels: int,
        channels: Sequence[int],
        mean: bool,
    ) -> None:
        """List what can be chosen, and mark what is.

        Parameters
        ----------
        as_shown
            Contrast as shown; ``None`` where there is no choice.
        axes
            What the axes are called that may hold channels; none if no axis can.
        channels
            Positions that are seen.
        """
        for old in (*self._menu.actions(), *self._menu.findChildren(QActionGroup)):
            old.deleteLater()  # it may be the one that requested this
        for action in self._menu.actions():
            self._menu.removeAction(action)
        self.entries.clear()
        self._heading("Contrast")
        self._choice(
            (
                ("automatic", not as_shown),
                ("as shown: the layer's contrast limits", bool(as_shown)),
            ),
            lambda n: self.contrast_chosen.emit(n == 1),
            enabled=as_shown is not None,
        )
        words = ["contrast as shown" if as_shown else "auto contrast"]
        if n_channels:
            self._list_channels(n_channels, channels, mean)
            words.append(_in_words(n_channels, channels, mean))
        if axes:
            self._heading("Axis of channels")
            named = [("none", channel_axis is None)]
            named += [(name, axis == channel_axis) for axis, name in enumerate(axes)]
            self._choice(named, lambda n: self.axis_chosen.emit(n - 1 if n else None))
        self.setText(", ".join(words))

    def _list_channels(self, n_channels: int, channels: Sequence[int], mean: bool) -> None:
        self._heading("Channels: two or three are seen as colours")
        boxes = [self._entry(f"channel {n}", n in channels) for n in range(n_channels)]
        grey = self._entry("their mean, in grey", mean or len(channels) > 3)
        grey.setEnabled(len(channels) in (2, 3))

        def tell(_: bool) -> None:
            chosen = tuple(n for n, box in enumerate(boxes) if box.isChecked())
            self.channels_chosen.emit(chosen, grey.isChecked() and grey.isEnabled())

        for entry in (*boxes[:MOST_CHANNELS], grey):
            entry.triggered.connect(tell)
            self._menu.addAction(entry)

    def _choice(
        self,
        texts: Sequence[tuple[str, bool]],
        chosen: Callable[[int], object],
        *,
        enabled: bool = True,
    ) -> None:
        group = QActionGroup(self._menu)
        for n, (text, is_on) in enumerate(texts):
            entry = self._entry(text, is_on)
            entry.setEnabled(enabled)
            entry.triggered.connect(lambda _=False, n=n: chosen(n))
            group.addAction(entry)
            self._menu.addAction(entry)

    def _entry(self, text: str, is_on: bool) -> QAction:
        entry = QAction(text, self._menu)
        entry.setCheckable(True)
        entry.setChecked(is_on)
        self.entries[text] = entry
        return entry

    def _heading(self, text: str) -> None:
        if self._menu.actions():
            self._menu.addSeparator()
        heading = QAction(text, self._menu)
        heading.setEnabled(False)
        self._menu.addAction(heading)


def _in_words(n_channels: int, channels: Sequence[int], mean: bool) -> str:
    """ "channel 2", "channels 0 and 2", "mean of 5 channels"."""
    if len(channels) == 1:
        return f"channel {channels[0]}"
    if mean or len(channels) > 3:
        return f"mean of {len(channels)} channels"
    if len(channels) == n_channels:
        return f"all {n_channels} channels"
    *others, last = map(str, channels)
    return f"channels {', '.join(others)} and {last}"
