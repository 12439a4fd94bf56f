"""The images of a folder as a strip of pictures. Widgets and layout, no logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPixmap
from qtpy.QtWidgets import (
    QHBoxLayout,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from .controls import Choice, ShortText

PICTURE = QSize(96, 72)
CELL = QSize(136, 112)  # a picture and two lines of text
DOT = 12  # pixels of the mark of a status
EDGE = 3  # pixels of the frame of the image shown
COLOURS = {"automatic": "#f0a030", "annotated": "#4a9bea", "done": "#3fb950"}
NAMES = {
    "": "All images",
    "new": "New",
    "automatic": "Automatic",
    "annotated": "Annotated",
    "done": "Done",
}
ALL = ""


class FolderPanel(QWidget):
    """Which image of a folder is annotated, and how far the others are."""

    image_chosen = Signal(int)
    next_clicked = Signal()
    previous_clicked = Signal()
    done_clicked = Signal()
    filter_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.text = ShortText(1, cut=Qt.TextElideMode.ElideMiddle)
        self.which = Choice("Show only the images of one status", NAMES.items())
        self.which.setMinimumWidth(120)
        self.which.activated.connect(lambda _: self.filter_chosen.emit(self.which.currentData()))
        self.previous = _button("◀", "The image before (Page Up)", self.previous_clicked.emit)
        self.next = _button("▶", "The next image (Page Down)", self.next_clicked.emit)
        self.done = _button(
            "Done, next", "Mark this image as finished, and go to the next", self.done_clicked.emit
        )
        self.strip = QListWidget()
        self.strip.setViewMode(QListView.ViewMode.IconMode)
        self.strip.setFlow(QListView.Flow.LeftToRight)
        self.strip.setWrapping(False)
        self.strip.setMovement(QListView.Movement.Static)
        self.strip.setIconSize(PICTURE)
        self.strip.setUniformItemSizes(True)
        self.strip.setHorizontalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.strip.setFixedHeight(CELL.height() + 24)  # and the scroll bar
        self.strip.setAccessibleName("Images of the folder")
        self.strip.itemActivated.connect(self._choose)
        self.strip.itemClicked.connect(self._choose)
        top = QHBoxLayout()
        top.addWidget(self.text, stretch=1)
        for control in (self.which, self.previous, self.next, self.done):
            top.addWidget(control)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(top)
        layout.addWidget(self.strip)

    def show_images(self, paths: Sequence[Path]) -> None:
        """List images, of which nothing else is known yet."""
        self.strip.clear()
        for path in paths:
            item = QListWidgetItem(_icon(None, "new"), path.name)
            item.setSizeHint(CELL)
            item.setTextAlignment(Qt.AlignmentFlag.AlignHCenter)
            self.strip.addItem(item)

    def show_image(self, at: int, text: str, tip: str, status: str) -> None:
        """Show how far an image is; its picture stays."""
        if (item := self.strip.item(at)) is not None:
            item.setText(text)
            item.setToolTip(tip)
            picture = item.data(Qt.ItemDataRole.UserRole)
            item.setIcon(_icon(picture, status))

    def show_picture(self, at: int, pixels: NDArray[np.uint8], status: str) -> None:
        """Show the picture (h, w, 3) of an image."""
        if (item := self.strip.item(at)) is not None:
            picture = _picture(pixels)
            item.setData(Qt.ItemDataRole.UserRole, picture)
            item.setIcon(_icon(picture, status))

    def show_only(self, shown: Sequence[bool]) -> None:
        """Hide all images but some."""
        for at, is_shown in enumerate(shown):
            if (item := self.strip.item(at)) is not None:
                item.setHidden(not is_shown)

    def show_current(self, at: int | None) -> None:
        """Mark the image that is annotated, and bring it into sight."""
        item = None if at is None else self.strip.item(at)
        if item is None:
            self.strip.clearSelection()
        else:
            self.strip.setCurrentItem(item)
            self.strip.scrollToItem(item)
        self.done.setEnabled(item is not None)

    def show_counts(self, text: str, tip: str, counts: Mapping[str, int]) -> None:
        """Show how many images there are of each status."""
        self.text.say(text, tip)
        for n in range(self.which.count()):
            status = self.which.itemData(n)
            name = NAMES[status]
            self.which.setItemText(n, name if status == ALL else f"{name} ({counts[status]})")

    def _choose(self, item: QListWidgetItem) -> None:
        self.image_chosen.emit(self.strip.row(item))


def _button(text: str, tip: str, clicked: object) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.clicked.connect(lambda: clicked())  # type: ignore[operator]
    return button


def _picture(pixels: NDArray[np.uint8]) -> QPixmap:
    height, width = pixels.shape[:2]
    rgb = np.ascontiguousarray(pixels)
    picture = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    keep = Qt.AspectRatioMode.KeepAspectRatio
    smooth = Qt.TransformationMode.SmoothTransformation
    return QPixmap.fromImage(picture.copy()).scaled(PICTURE, keep, smooth)


def _icon(picture: QPixmap | None, status: str) -> QIcon:
    """A picture in the middle, and a dot in the colour of the status; a new image has none."""
    canvas = QPixmap(PICTURE)
    canvas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(canvas)
    if picture is None:
        painter.fillRect(canvas.rect(), QColor(128, 128, 128, 40))
    else:
        left = (PICTURE.width() - picture.width()) // 2
        painter.drawPixmap(left, (PICTURE.height() - picture.height()) // 2, picture)
    if status in COLOURS:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(QColor(COLOURS[status]))
        painter.setPen(QColor("white"))
        painter.drawEllipse(PICTURE.width() - DOT - 2, 2, DOT, DOT)
    painter.end()
    icon = QIcon()
    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):  # a chosen picture keeps its colours
        icon.addPixmap(canvas, mode)
    return icon
