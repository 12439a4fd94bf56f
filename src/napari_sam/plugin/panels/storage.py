"""What is kept: embeddings for the next time, and the session. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .controls import ShortText, paragraph, thin_bar


class EmbeddingPanel(QWidget):
    """Embeddings of all frames, how far that is, and the room they take."""

    embed_clicked = Signal()
    cancel_clicked = Signal()
    clear_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.embed = QPushButton("Embed all frames")
        self.embed.setToolTip("Encode every frame now, so that each click is answered at once")
        self.embed.clicked.connect(self.embed_clicked)
        self.cancel = QPushButton("Stop")
        self.cancel.setToolTip("What is done stays; begun again it goes on from there")
        self.cancel.clicked.connect(self.cancel_clicked)
        self.clear = QPushButton("Clear")
        self.clear.setToolTip("Forget all embeddings, of all images, in memory and on disk")
        self.clear.clicked.connect(self.clear_clicked)
        self.bar = thin_bar()
        self.text, self.sizes = ShortText(1), ShortText(1)
        work = QHBoxLayout()
        work.addWidget(self.embed, stretch=1)
        work.addWidget(self.cancel)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self.text)
        texts.addWidget(self.sizes)
        room = QHBoxLayout()
        room.addLayout(texts, stretch=1)
        room.addWidget(self.clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(work)
        layout.addWidget(self.bar)
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
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        self.bar.show()
        self.cancel.setEnabled(True)
        self.embed.setEnabled(False)

    def show_sizes(self, text: str, folder: str) -> None:
        """The room that embeddings take, and where they are."""
        self.sizes.say(text, f"{text}, in {folder}" if folder else "")


class SessionPanel(QWidget):
    """Where the session is saved and since when; another place, or another session."""

    save_chosen = Signal(str)
    open_chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.text = ShortText(1, cut=Qt.TextElideMode.ElideMiddle)
        self.warning = paragraph()
        self.warning.setStyleSheet("font-weight: bold;")
        self.warning.hide()
        self.save = QPushButton("Save as …")
        self.save.setToolTip("Save the session somewhere else, and go on there")
        self.save.clicked.connect(self._ask_where_to_save)
        self.open = QPushButton("Open …")
        self.open.setToolTip("Open a session saved before; dropping it into the window does too")
        self.open.clicked.connect(self._ask_what_to_open)
        self._place = ""
        row = QHBoxLayout()
        row.addWidget(self.text, stretch=1)
        row.addWidget(self.save)
        row.addWidget(self.open)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.warning)
        layout.addLayout(row)

    def show_place(self, text: str, place: str = "") -> None:
        """What was saved when; the whole path as a tool tip."""
        self.warning.hide()
        self.text.say(text, place)
        self._place = place

    def show_problem(self, text: str, problem: str) -> None:
        """Nothing is saved: a warning that is never cut, with what is wrong as a tool tip."""
        self.text.say("")
        self.warning.setText(text)
        self.warning.setToolTip(problem)
        self.warning.show()

    def _ask_where_to_save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the session as", self._place)
        if name:
            self.save_chosen.emit(name)

    def _ask_what_to_open(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Open a session: IMAGE.napari-sam")
        if folder:
            self.open_chosen.emit(folder)
