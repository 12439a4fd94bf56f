"""The panel of stored embeddings. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText, show_progress, thin_bar


class EmbeddingPanel(QWidget):
    """Embeddings of all frames, how far that is, and the room they take."""

    embed_clicked = Signal()
    cancel_clicked = Signal()
    clear_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.embed = QPushButton("Embed all frames")
        self.embed.setToolTip(
            "Encode every frame now, so that each click is answered at once. Of frames of more "
            "than 1024 pixels: the part on screen"
        )
        self.embed.clicked.connect(self.embed_clicked)
        self.cancel = QPushButton("Stop")
        self.cancel.setToolTip("Finished frames are kept; start again to resume")
        self.cancel.clicked.connect(self.cancel_clicked)
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Delete all embeddings, of all images, in memory and on disk")
        self.clear.clicked.connect(self.clear_clicked)
        self.bar = thin_bar()
        self.text, self.sizes = ShortText(1), ShortText(1)
        work = QHBoxLayout()
        work.addWidget(self.embed, stretch=1)
        work.addWidget(self.cancel)
        room = QHBoxLayout()
        room.addWidget(self.sizes, stretch=1)
        room.addWidget(self.clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(work)
        layout.addWidget(self.bar)
        layout.addWidget(self.text)
        layout.addLayout(room)
        self.show_idle("")

    def show_idle(self, text: str) -> None:
        """Not all frames are being embedded just now."""
        self.text.say(text)
        self.bar.hide()
        self.cancel.setEnabled(False)
        self.embed.setEnabled(True)

    def show_busy(self, text: str, done: int, total: int) -> None:
        """How far it is."""
        self.text.say(text)
        show_progress(self.bar, done, total)
        self.bar.show()
        self.cancel.setEnabled(True)
        self.embed.setEnabled(False)

    def show_sizes(self, text: str, folder: str) -> None:
        """The room that embeddings take, and where they are."""
        self.sizes.say(text, f"{text}, in {folder}" if folder else "")
