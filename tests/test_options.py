"""The options of a job: Python, files, commands and forms cannot differ in them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from configs import AllKinds, any_of
from napari_sam.cli import app
from napari_sam.cli.options import takes_options
from napari_sam.engine import (
    AutomaticOptions,
    EncodingChoice,
    GridRules,
    ImageChoice,
    ModelChoice,
    PromptChoice,
    SamError,
    TextChoice,
    load_model,
    options_of,
    read_options,
    write_options,
)
from napari_sam.headless import stacks
from napari_sam.stacks import LinkRules, PropagationOptions, RefineRules, plan
from napari_sam.training import EvaluationOptions, TrainingConfig, evaluate_model

COMMANDS = typer.main.get_command(app).commands


CONFIGS = (
    PropagationOptions,
    LinkRules,
    GridRules,
    ImageChoice,
    PromptChoice,
    TextChoice,
    RefineRules,
    EncodingChoice,
    TrainingConfig,
    EvaluationOptions,
    AllKinds,
)


# Python


@pytest.mark.parametrize(
    ("config", "function"),
    [
        (PropagationOptions, plan),
        (PropagationOptions, stacks.propagate),
        (ModelChoice, load_model),
        (EvaluationOptions, evaluate_model),
    ],
    ids=lambda each: each.__qualname__,
)
def test_keywords_have_the_names_and_defaults_of_the_options(
    config: type, function: Callable[..., Any]
) -> None:
    parameters = inspect.signature(function).parameters
    for name, option in options_of(config).items():
        if (config, name) == (ModelChoice, "model"):
            continue  # the model itself is no option of the function that loads it
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == option.default


# Commands


@pytest.mark.parametrize(
    ("config", "command"),
    [(PropagationOptions, "propagate"), (LinkRules, "track")]
    + [(TrainingConfig, "train"), (EvaluationOptions, "evaluate"), (EncodingChoice, "embed")]
    + [
        (each, name)
        for each in (ImageChoice, ModelChoice)
        for name in ("segment", "propagate", "auto")
    ]
    + [
        (AutomaticOptions, "auto"),
        (GridRules, "auto"),
        (PromptChoice, "segment"),
        (TextChoice, "segment"),
        (RefineRules, "refine"),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_command_has_the_options_of_its_job(config: type, command: str) -> None:
    parameters = {each.name: each for each in COMMANDS[command].params}
    for name, option in options_of(config).items():
        parameter, said = parameters[name], option.option
        assert f"--{name.replace('_', '-')}" in parameter.opts
        assert set(said.also) < set(parameter.opts)
        assert parameter.default == option.default
        assert parameter.help == said.help
        if said.choices is not None:
            assert parameter.metavar == "|".join(said.choices)


def given_to_a_command(config: type, arguments: list[str]) -> Any:
    """What a command gets that takes the options of a job."""
    heard = []
    small = typer.Typer()

    def command(options: Any) -> None:
        heard.append(options)

    command.__annotations__["options"] = config
    small.command()(takes_options(command))
    CliRunner().invoke(small, arguments, catch_exceptions=False)
    return heard[0]


def as_arguments(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option if value else f"--no-{name.replace('_', '-')}"]
    values = value if isinstance(value, tuple) else () if value is None else (value,)
    return [part for each in values for part in (option, str(each))]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda each: each.__name__)
@given(data=st.data())
def test_commands_and_files_give_the_config_that_python_gives(
    config: type, data: st.DataObject
) -> None:
    chosen = data.draw(any_of(config))
    record = write_options(chosen)
    arguments = [part for name, value in record.items() for part in as_arguments(name, value)]
    assert given_to_a_command(config, arguments) == chosen
    assert read_options(config, json.loads(json.dumps(record))) == chosen
    assert read_options(config, yaml.safe_load(yaml.safe_dump(record))) == chosen
    assert read_options(config, {}) == config()


# What is refused

REFUSED = [
    (PropagationOptions, "direction", "sideways", "forward, backward, both or between."),
    (PropagationOptions, "n_frames", 0, "a whole number of 1 or more, or leave it out."),
    (PropagationOptions, "n_frames", -3, "a whole number of 1 or more, or leave it out."),
    (PropagationOptions, "axis", -1, "a whole number of 0 or more, or leave it out."),
    (PropagationOptions, "through", "space", "time or depth, or leave it out."),
    (ImageChoice, "channel", (0, -1), "a whole number of 0 or more, or several, or leave it out."),
    (TrainingConfig, "minutes", 0.0, "a number of 0.01 or more."),
    (EvaluationOptions, "max_objects", 0, "a whole number of 1 or more."),
    (AllKinds, "share", 1.5, "a number of 0 or more and of 1 or less."),
    (AllKinds, "share", float("nan"), "a number of 0 or more and of 1 or less."),
    (AllKinds, "count", 0, "a whole number of 1 or more."),
]


@pytest.mark.parametrize(("config", "name", "value", "wanted"), REFUSED)
def test_what_cannot_be_is_refused_everywhere_in_one_sentence(
    config: type, name: str, value: Any, wanted: str
) -> None:
    said = f"{name} is {value!r}. Give {wanted}"
    with pytest.raises(SamError) as in_python:
        config(**{name: value})
    with pytest.raises(SamError) as in_file:
        read_options(config, {name: value})
    with pytest.raises(SamError) as in_command:
        given_to_a_command(config, as_arguments(name, value))
    assert {str(each.value) for each in (in_python, in_file, in_command)} == {said}


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_frames", 2.5), ("n_frames", True), ("direction", None), ("direction", ["forward"])],
)
def test_what_is_of_another_kind_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SamError, match=f"^{name} is "):
        read_options(PropagationOptions, {name: value})


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(SamError, match=r"no option 'frames'. There are direction, n_frames, axis"):
        read_options(PropagationOptions, {"frames": 3})


def test_a_plan_refuses_as_its_config_does() -> None:
    with pytest.raises(SamError, match=r"^direction is 'sideways'. Give forward, backward"):
        plan(None, [1], (0, None, None), direction="sideways")
