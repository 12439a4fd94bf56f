"""Forms of the options of a job: what is filled in is the config, and the look is the panels'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QComboBox, QLabel

from configs import AllKinds, any_of
from napari_sam.engine import AutomaticOptions, ModelChoice, options_of
from napari_sam.plugin.panels.dock import LEAST_WIDTH
from napari_sam.plugin.panels.forms import Form
from napari_sam.plugin.panels.stack import PageOptions, StackPanel
from napari_sam.stacks import PropagationOptions

CONFIGS = (PropagationOptions, PageOptions, ModelChoice, AllKinds)
AXES = (("t", 0), ("z", 1), ("z", 2))


@pytest.fixture
def form_of(qtbot) -> Callable[[type], Form]:
    """A form, with axes to choose from where it has a row for one."""

    def make(config: type) -> Form:
        form = Form(config)
        qtbot.addWidget(form)
        if "axis" in options_of(config):
            form.offer("axis", AXES)
        return form

    return make


def as_in_a_form(chosen: Any) -> Any:
    """The nearest config that rows can say: of what is there to choose, and with two decimals."""
    if isinstance(chosen, ModelChoice):
        return ModelChoice(precision=chosen.precision)
    if isinstance(chosen, AllKinds):
        chosen = replace(chosen, share=round(chosen.share, 2))
    else:
        chosen = replace(chosen, through=chosen.through or "depth")
    return replace(chosen, axis=(chosen.axis or 0) % len(AXES))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda each: each.__name__)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_what_is_filled_in_is_the_config(config: type, form_of, data: st.DataObject) -> None:
    form = form_of(config)
    chosen = as_in_a_form(data.draw(any_of(config)))
    form.show_value(chosen)
    assert form.value() == chosen


@pytest.mark.parametrize("config", CONFIGS, ids=lambda each: each.__name__)
def test_a_form_begins_with_the_defaults_and_says_what_the_fields_say(
    config: type, form_of
) -> None:
    form = form_of(config)
    value = form.value()
    for name, field in options_of(config).items():
        if field.default is not None:
            assert getattr(value, name) == field.default
        control, said = form.control(name), field.option
        assert said.help in control.toolTip().replace("&#x27;", "'")
        if field.kind is bool:
            assert control.text() == said.label
        else:
            assert said.label in {label.text() for label in form.findChildren(QLabel)}
        if said.choices is not None:
            offered = {control.itemData(i): control.itemText(i) for i in range(control.count())}
            assert offered == dict(said.choices)
        if isinstance(control, QAbstractSpinBox) and field.is_optional:
            assert control.text() == said.unset or not said.unset


def test_rows_that_are_left_out_are_by_default(qtbot) -> None:
    form = Form(PropagationOptions, ("n_frames",))
    qtbot.addWidget(form)
    form.control("n_frames").setValue(4)
    assert form.value() == PropagationOptions(n_frames=4)


def test_a_change_is_heard(form_of) -> None:
    form = form_of(AllKinds)
    heard: list[AllKinds] = []
    form.changed.connect(lambda: heard.append(form.value()))
    form.control("count").setValue(7)
    form.control("is_on").setChecked(True)
    form.control("axis").setCurrentIndex(2)
    assert heard[-1] == AllKinds(count=7, is_on=True, axis=2)
    assert len(heard) == 3


def test_axes_of_one_name_are_told_apart(form_of) -> None:
    form = form_of(PropagationOptions)
    axis = form.control("axis")
    assert [axis.itemText(i) for i in range(axis.count())] == ["t", "z (1)", "z (2)"]


def rows(form: Form) -> list[Any]:
    """The controls in which something is chosen or typed."""
    kinds = (QComboBox, QAbstractSpinBox)
    return [each for kind in kinds for each in form.findChildren(kind)]


def test_the_wheel_changes_nothing_and_keys_reach_every_row(form_of) -> None:
    form = form_of(AllKinds)
    form.show()
    before = form.value()
    for control in rows(form):
        down, middle = QPoint(0, -120), QPointF(control.rect().center())
        none = Qt.KeyboardModifier.NoModifier
        event = QWheelEvent(
            middle, middle, down, down, Qt.MouseButton.NoButton, none,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(control, event)
        assert not event.isAccepted(), "the panel scrolls"
        assert control.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert form.value() == before
    assert len(rows(form)) == 4


def test_the_page_fits_into_the_narrowest_dock(qtbot) -> None:
    panel = StackPanel()
    qtbot.addWidget(panel)
    panel.show_axes([(0, "slider -4"), (1, "slider -3")], 200, {1: "depth"})
    assert panel.minimumSizeHint().width() <= LEAST_WIDTH - 15
    assert panel.options() == PageOptions(axis=0), "nobody said what it is"
    panel.axis.setCurrentIndex(1)
    assert panel.options() == PageOptions(axis=1, through="depth")


def test_the_arrows_lead_from_unset_to_the_lowest_share(form_of) -> None:
    form = form_of(AutomaticOptions)
    row = form.control("min_score")
    assert (form.value().min_score, row.text()) == (None, "of the method")
    row.stepBy(1)
    assert form.value().min_score == 0
    row.stepBy(5)
    assert form.value().min_score == 0.05
    row.stepBy(-9)
    assert form.value().min_score is None
