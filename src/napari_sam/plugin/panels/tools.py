"""The panel of prompt tools. Widgets and layout, no logic."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

TOOLS = (  # name, button, tooltip
    (
        "point",
        "Point",
        "Click an object (Q). Right click or Ctrl+click: negative point. Shift+click: select "
        "an object",
    ),
    ("rectangle", "Box", "Drag a box around an object (W)"),
    ("ellipse", "Ellipse", "Drag an ellipse over an object: the model corrects its outline"),
    ("polygon", "Lasso", "Draw around an object: the model corrects the outline"),
    ("path", "Scribble", "Draw along an object; with 'not this' on, along what is not the object"),
)


class ToolPanel(QWidget):
    """Tools to prompt with, and what a prompt means."""

    tool_clicked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QPushButton] = {}
        group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        for name, text, tip in TOOLS:
            button = QPushButton(text)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.setMinimumWidth(40)
            button.clicked.connect(lambda _=False, name=name: self.tool_clicked.emit(name))
            group.addButton(button)
            row.addWidget(button)
            self.buttons[name] = button
        self.negative = QCheckBox("Not this (G)")
        self.negative.setToolTip(
            "Points and scribbles mark what does not belong to the object: negative prompts, "
            "red in the image"
        )
        self.single = QCheckBox("One per prompt (J)")
        self.single.setToolTip("Each box and each positive point begins a new object")
        self.protect = QCheckBox("Protect neighbours")
        self.protect.setToolTip("Masks and napari's brush leave other objects unchanged")
        self.protect.setChecked(True)
        self.hover = QCheckBox("Preview (H)")
        self.hover.setToolTip("Show in yellow, under the cursor, the mask that a click would give")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addLayout(_in_columns(self.negative, self.hover))
        self.more = QWidget()  # for a page of its own
        more = QVBoxLayout(self.more)
        more.setContentsMargins(0, 0, 0, 0)
        more.addWidget(self.single)
        more.addWidget(self.protect)

    def show_tool(self, tool: str) -> None:
        """Mark the current tool; "" for none: a click in the image is not a prompt then."""
        for name, button in self.buttons.items():
            if group := button.group():
                group.setExclusive(bool(tool))
            button.setChecked(name == tool)


def _in_columns(*boxes: QCheckBox) -> QGridLayout:
    layout = QGridLayout()
    for column, box in enumerate(boxes):
        layout.addWidget(box, 0, column)
        layout.setColumnStretch(column, 1)
    return layout
