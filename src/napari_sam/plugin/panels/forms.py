"""Forms for the options of a job: rows made by magicgui from the fields of its frozen config."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from html import escape
from typing import Any, cast

from magicgui import register_type
from magicgui.widgets import CheckBox, ComboBox, create_widget
from magicgui.widgets.bases import ValueWidget, Widget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFormLayout, QWidget

from napari_sam.engine import Axis, DeviceName, ModelName, OptionField, known_models, options_of

from .controls import as_choice, as_number

DEVICES = ("auto", "cpu", "cuda", "mps")
LARGEST = 10**9  # of a number that has no limit

register_type(Axis, choices=lambda _: ())  # a form gets its axes later
register_type(ModelName, choices=lambda _: [entry.name for entry in known_models()])
register_type(DeviceName, choices=lambda _: DEVICES)


class Form(QWidget):
    """Rows in which the options of a job are chosen.

    Parameters
    ----------
    config
        A frozen dataclass of options.
    names
        Which of them get a row, in this order; by default all. The others stay as by default.
    """

    changed = Signal()
    edited = Signal(str)  # which row

    def __init__(self, config: type, names: Sequence[str] | None = None) -> None:
        super().__init__()
        self._config = config
        options = options_of(config)
        self._options = {name: options[name] for name in names or options}
        self._rows = {name: _row(option) for name, option in self._options.items()}
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for name, row in self._rows.items():
            row.changed.connect(partial(self._on_changed, name))
            if isinstance(row, CheckBox):
                self._form.addRow(row.native)
            else:
                self._form.addRow(self._options[name].option.label, row.native)

    def value(self) -> Any:
        """The config as it is filled in.

        Raises
        ------
        SamError
            If the job refuses it.
        """
        chosen = {name: _read(self._options[name], row) for name, row in self._rows.items()}
        return self._config(**chosen)

    def show_value(self, config: Any) -> None:
        """Fill in a config."""
        for name, row in self._rows.items():
            option, value = self._options[name], getattr(config, name)
            if value is not None:
                row.value = value
            elif option.kind in (int, float) and not isinstance(row, ComboBox):
                row.value = _lowest(option)
            elif option.option.unset:
                row.value = None

    def control(self, name: str) -> Any:
        """The control of a row."""
        return self._rows[name].native

    def offer(self, name: str, choices: Iterable[tuple[str, Any]]) -> None:
        """Say what there is to choose from in a row: as it is shown, and the value."""
        offered = list(choices)
        texts = [text for text, _ in offered]
        row = self._rows[name]
        row.choices = [  # type: ignore[attr-defined]
            (text if texts.count(text) == 1 else f"{text} ({value})", value)
            for text, value in offered
        ]

    def show_row(self, name: str, shown: bool) -> None:
        """Show a row, or hide it where there is nothing to choose."""
        control = self.control(name)
        for widget in (control, self._form.labelForField(control)):
            if widget is not None:
                widget.setVisible(shown)

    def _on_changed(self, name: str, value: object = None) -> None:
        self.changed.emit()
        self.edited.emit(name)


def _row(field: OptionField) -> ValueWidget[Any]:
    """The control of an option, in the look of the other panels."""
    tip = f"<p>{escape(field.option.help)}</p>"
    if field.option.choices is not None:
        row = create_widget(annotation=field.type, options={"choices": _choices(field)})
        as_choice(row.native, tip)
    elif field.kind in (int, float) and field.type is not Axis:
        row = _number(field)
        as_number(row.native, tip)
    else:
        row = create_widget(annotation=field.type, label=field.option.label)
        row.native.setToolTip(tip)
        if isinstance(row, ComboBox):
            as_choice(row.native, tip)
    made = cast("ValueWidget[Any]", row)
    is_offered = not isinstance(row, ComboBox) or field.default in row.choices
    if field.default is not None and is_offered:
        made.value = field.default
    elif field.kind in (int, float) and not isinstance(row, ComboBox):
        made.value = _lowest(field)
    return made


def _number(field: OptionField) -> Widget:
    """magicgui's box for decimals: the one for whole numbers shows neither unit nor word."""
    said, is_whole = field.option, field.kind is int
    most = LARGEST if said.most is None else said.most
    limits = {"min": _lowest(field), "max": most, "step": _step(field)}
    row = create_widget(annotation=float, widget_type="FloatSpinBox", options=limits)
    row.native.setDecimals(0 if is_whole else 2)
    row.native.setSuffix(f" {said.unit}" if said.unit else "")
    row.native.setSpecialValueText(said.unset)
    return row


def _choices(field: OptionField) -> list[tuple[str, Any]]:
    given = [(text, value) for value, text in (field.option.choices or {}).items()]
    return [(field.option.unset, None), *given] if field.option.unset else given


def _lowest(field: OptionField) -> float:
    """The lowest number of a row: a step below those allowed means None."""
    least = 0 if field.option.least is None else field.option.least
    return least - _step(field) if field.is_optional else least


def _step(field: OptionField) -> float:
    """By how much the arrows change a number: a share by hundredths."""
    return 0.01 if field.kind is float and field.option.most == 1 else 1


def _read(field: OptionField, row: ValueWidget[Any]) -> Any:
    value = row.value
    if isinstance(row, ComboBox) or field.kind not in (int, float):
        return value
    if field.is_optional and value == _lowest(field):
        return None
    return field.kind(value)
