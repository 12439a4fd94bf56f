"""The candidates for the current object, as pictures to choose from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

THUMBNAIL_SIDE = 56
MASK_TINT = np.array([255, 217, 61])


class CandidatePanel(QWidget):
    """The candidates as thumbnails with their IoU predictions.

    They take room from the first ones on, until another page is shown: a panel that jumps at each
    click is hard to hit.
    """

    chosen = Signal(int)  # position in the row

    def __init__(self) -> None:
        super().__init__()
        self.buttons: list[QPushButton] = []
        self.scores: list[QLabel] = []
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(0)
        self._grid.setColumnStretch(99, 1)  # the candidates keep to the left
        self.setFixedHeight(THUMBNAIL_SIDE + 30)
        self.hide()

    def show_candidates(
        self, pictures: Sequence[NDArray[np.uint8]], scores: Sequence[float], best: int
    ) -> None:
        """Show candidates, ``(h, w, 3)`` uint8 each, and mark one of them."""
        if pictures:
            self.show()
        while len(self.buttons) < len(pictures):
            self._add_candidate(len(self.buttons))
        for i, (button, score) in enumerate(zip(self.buttons, self.scores, strict=True)):
            button.setVisible(i < len(pictures))
            score.setVisible(i < len(pictures))
            if i < len(pictures):
                button.setIcon(QIcon(_pixmap(pictures[i])))
                button.setChecked(i == best)
                score.setText(f"<b>{scores[i]:.2f}</b>" if i == best else f"{scores[i]:.2f}")

    def leave_no_gap(self, _: object = None) -> None:
        """Take no room while there is no candidate."""
        self.setVisible(any(not button.isHidden() for button in self.buttons))

    def _add_candidate(self, position: int) -> None:
        button = QPushButton()
        button.setToolTip(
            "Choose this mask (K: the next one). The number is the model's own estimate of "
            "its quality"
        )
        button.setCheckable(True)
        button.setIconSize(QSize(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        button.setFixedSize(THUMBNAIL_SIDE + 8, THUMBNAIL_SIDE + 8)
        button.setStyleSheet("padding: 0px;")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        button.clicked.connect(lambda _=False: self.chosen.emit(position))
        score = QLabel()
        score.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._grid.addWidget(button, 0, position)
        self._grid.addWidget(score, 1, position)
        self.buttons.append(button)
        self.scores.append(score)


def candidate_pictures(
    picture: NDArray[np.uint8], low_res_logits: NDArray[np.float32]
) -> list[NDArray[np.uint8]]:
    """Each candidate over the part of the frame around all of them.

    Parameters
    ----------
    picture
        The frame in small, ``(h, w, 3)``.
    low_res_logits
        ``(M, m, m)``; its upper left ``(h, w)`` is on the picture pixel for pixel.
    """
    height, width = picture.shape[:2]
    masks = low_res_logits[:, :height, :width] > 0  # (M, h, w)
    rows, columns = (np.flatnonzero(masks.any(axis=(0, axis))) for axis in (2, 1))
    if not len(rows):
        return [picture] * len(masks)
    side = max(np.ptp(rows), np.ptp(columns)) + 12
    top, left = (max(0, int(at.mean() - side / 2)) for at in (rows, columns))
    window = (slice(top, top + side), slice(left, left + side))
    plain = picture[window]
    tinted = (plain + MASK_TINT) // 2
    return [np.where(mask[window][..., None], tinted, plain).astype(np.uint8) for mask in masks]


def _pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    height, width = picture.shape[:2]
    image = QImage(picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return QPixmap.fromImage(image).scaled(
        THUMBNAIL_SIDE,
        THUMBNAIL_SIDE,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
