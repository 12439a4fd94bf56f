"""Controls that the panels are made of. None moves its neighbours when it shows something else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QTextLayout, QTextOption
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QFrame,
    QLabel,
    QProgressBar,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

INSETS = 12  # pixels at both sides that napari's style leaves free
REFITTED = (QEvent.Type.Resize, QEvent.Type.Polish, QEvent.Type.FontChange, QEvent.Type.StyleChange)


class ShortText(QLabel):
    """Plain text in a fixed number of lines; what does not fit in is in the tool tip.

    Parameters
    ----------
    n_lines
        Lines it takes, also when it is empty.
    text
        What it says first.
    cut
        Where the last line loses what is too long; in the middle, only its last word does.
    """

    def __init__(
        self, n_lines: int, text: str = "", cut: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__()
        self._n_lines, self._cut = n_lines, cut
        self._text = self._tip = ""
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.say(text)

    def text(self) -> str:
        """The whole text."""
        return self._text

    def say(self, text: str, tip: str = "") -> None:
        """Say something else. The tool tip is what was cut, unless one is given."""
        self._text, self._tip = text.replace("\n", " "), tip
        self._fit()

    def take_lines(self, n_lines: int) -> None:
        """Take another number of lines from now on."""
        self._n_lines = n_lines
        self._fit()

    def event(self, event: QEvent | None) -> bool:
        """Another width or another font breaks the lines again."""
        handled = super().event(event)
        if event is not None and event.type() in REFITTED:
            self._fit()
        return handled

    def _fit(self) -> None:
        self.setFixedHeight(self._n_lines * self.fontMetrics().lineSpacing() + 2)
        lines, is_whole = self._lines(self.contentsRect().width() - INSETS)
        self.setText("\n".join(lines))
        tip = self._tip or ("" if is_whole else self._text)
        self.setToolTip(f"<p>{escape(tip)}</p>" if tip else "")

    def _lines(self, width: int) -> tuple[list[str], bool]:
        """The text in lines of so many pixels, and whether all of it is there."""
        starts = self._line_starts(width)[: self._n_lines]
        *whole, last = (self._text[a:b] for a, b in pairwise([*starts, len(self._text)]))
        metrics, kept = self.fontMetrics(), ""
        if self._cut == Qt.TextElideMode.ElideMiddle:  # of the last word, which is a path
            kept = last[: last.rfind(" ") + 1]
        room = width - metrics.horizontalAdvance(kept)
        if room < metrics.horizontalAdvance("…"):
            kept, room = "", width
        fitting = kept + metrics.elidedText(last.removeprefix(kept), self._cut, room)
        return [*whole, fitting], fitting == last

    def _line_starts(self, width: int) -> list[int]:
        """Where each line begins if the text is broken between words."""
        layout = QTextLayout(self._text, self.font())
        layout.setTextOption(_between_words())
        starts = []
        layout.beginLayout()
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            starts.append(line.textStart())
        layout.endLayout()
        return starts or [0]


def paragraph(text: str = "") -> QLabel:
    """Plain text in as many lines as it needs: for what must be read."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def rule() -> QFrame:
    """A line between two parts."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Sunken)
    return line


class Choice(QComboBox):
    """One of several. The wheel scrolls the panel; it chooses nothing by accident.

    Parameters
    ----------
    tip
        The tool tip.
    entries
        What there is to choose from: its name, and as it is shown.
    """

    def __init__(self, tip: str, entries: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__()
        as_choice(self, tip)
        for name, text in entries:
            self.addItem(text, name)


class Number(QSpinBox):
    """A number to type, whose first digit takes the place of what was there.

    Parameters
    ----------
    tip
        The tool tip.
    suffix
        Follows the number.
    """

    def __init__(self, tip: str, suffix: str) -> None:
        super().__init__()
        as_number(self, tip)
        self.setSuffix(suffix)


def thin_bar() -> QProgressBar:
    """A bar that keeps its place while nothing is going on."""
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setFixedHeight(6)
    keep_place(bar)
    return bar


def show_progress(bar: QProgressBar, done: int, total: int) -> None:
    """How far a bar is, painted when all else is: Qt would paint it, and the window, at once."""
    bar.setUpdatesEnabled(False)
    bar.setRange(0, total)
    bar.setValue(done)
    bar.setUpdatesEnabled(True)


def keep_place(control: QWidget) -> None:
    """Let a control take its room while it is hidden as well."""
    policy = control.sizePolicy()
    policy.setRetainSizeWhenHidden(True)
    control.setSizePolicy(policy)


def as_choice(combo: QComboBox, tip: str) -> None:
    """Let a box of choices look and behave as those of the panels do."""
    combo.setToolTip(tip)
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(6)
    combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    combo.installEventFilter(_Manners(combo))


def as_number(box: QAbstractSpinBox, tip: str) -> None:
    """Let a box for a number look and behave as those of the panels do."""
    box.setToolTip(tip)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.installEventFilter(_Manners(box))


class _Manners(QObject):
    """Leaves the wheel to the panel; selects a number once the click that focused it is over."""

    def eventFilter(self, control: QObject | None, event: QEvent | None) -> bool:  # noqa: N802 Qt's name
        """Whether the control is to hear nothing of an event."""
        if event is None:
            return False
        if event.type() == QEvent.Type.Wheel:
            event.ignore()
            return True
        if event.type() == QEvent.Type.FocusIn and isinstance(control, QAbstractSpinBox):
            QTimer.singleShot(0, control.selectAll)
        return False


def _between_words() -> QTextOption:
    option = QTextOption()
    option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    return option
