"""The options of a job, said once: in the fields of its frozen config.

A Python keyword, a key of a file, an option of a command and a row of a form have the name, the
default, the range, the choices and the words of such a field.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeVar, Union, cast

from .errors import SamError

Axis = NewType("Axis", int)
ModelName = NewType("ModelName", str)
DeviceName = NewType("DeviceName", str)

Config = TypeVar("Config")

OPTION = "option"  # in the metadata of a field


@dataclass(frozen=True)
class Option:
    """The texts of a field for people, and its allowed values."""

    label: str  # beside a row of a form
    help: str  # sentences
    choices: Mapping[Any, str] | None = None  # values, and as a form shows them
    least: float | None = None
    most: float | None = None
    unit: str = ""  # behind a number, in a form
    unset: str = ""  # what None means, in a form; empty: a form always says something
    metavar: str = ""  # of a command's option
    also: tuple[str, ...] = ()  # further names of a command's option


@dataclass(frozen=True)
class OptionField:
    """A field of a config, with what it says of itself."""

    name: str
    type: Any  # without None
    default: Any
    is_optional: bool
    option: Option

    @property
    def is_many(self) -> bool:
        """Whether several values can be given: a tuple."""
        return typing.get_origin(self.type) is tuple

    @property
    def kind(self) -> type:
        """The type of a value in Python: str, int, float or bool."""
        if typing.get_origin(self.type) is Literal:
            return type(typing.get_args(self.type)[0])
        if self.is_many:
            return cast(type, typing.get_args(self.type)[0])
        kind: type = getattr(self.type, "__supertype__", self.type)
        return kind

    @property
    def wanted(self) -> str:
        """The allowed values, in words."""
        option = self.option
        if option.choices is not None:
            *others, last = map(str, option.choices)
            return f"{', '.join(others)} or {last}" if others else last
        if self.kind not in (int, float):
            return {bool: "true or false", str: "text"}[self.kind]
        low = "" if option.least is None else f" of {option.least:g} or more"
        high = "" if option.most is None else f" of {option.most:g} or less"
        number = "a whole number" if self.kind is int else "a number"
        several = ", or several" if self.is_many else ""
        return f"{number}{' and'.join(filter(None, (low, high)))}{several}"

    def accepts(self, value: Any) -> bool:
        """Whether it can be this."""
        option = self.option
        if value is None:
            return self.is_optional
        if self.is_many:
            one = replace(self, type=self.kind, is_optional=False)
            return isinstance(value, tuple) and all(map(one.accepts, value))
        if option.choices is not None:
            return isinstance(value, self.kind) and value in option.choices
        if self.kind not in (int, float):
            return isinstance(value, self.kind)
        wanted = int if self.kind is int else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool) or not math.isfinite(value):
            return False
        low = -math.inf if option.least is None else option.least
        high = math.inf if option.most is None else option.most
        return low <= value <= high


def about(label: str, help: str, **more: Any) -> dict[str, Option]:
    """Describe an option: the metadata of its field.

    Parameters
    ----------
    label, help, more
        As in :class:`Option`.
    """
    return {OPTION: Option(label, help, **more)}


def options_of(config: Any) -> dict[str, OptionField]:
    """The options of a config, by name, in order."""
    hints = typing.get_type_hints(config if isinstance(config, type) else type(config))
    options = {}
    for each in fields(config):
        if OPTION in each.metadata:
            hint = hints[each.name]
            parts = (
                typing.get_args(hint) if typing.get_origin(hint) in (Union, UnionType) else (hint,)
            )
            kinds = [kind for kind in parts if kind is not NoneType]
            is_optional = NoneType in parts
            options[each.name] = OptionField(
                each.name, kinds[0], each.default, is_optional, each.metadata[OPTION]
            )
    return options


def check_options(config: Any) -> None:
    """Refuse a config with a value that is not allowed.

    Raises
    ------
    SamError
        It names the option, the value, and the allowed values.
    """
    for name, each in options_of(config).items():
        value = getattr(config, name)
        if not each.accepts(value):
            remedy = ", or leave it out" if each.is_optional else ""
            raise SamError(f"{name} is {value!r}. Give {each.wanted}{remedy}.")


def read_options(config: type[Config], record: Mapping[str, Any]) -> Config:
    """A config from what a file in YAML or JSON holds; what it does not name is by default.

    Raises
    ------
    SamError
        If a name or a value is not valid.
    """
    known = options_of(config)
    if unknown := [name for name in record if name not in known]:
        raise SamError(f"There is no option {unknown[0]!r}. There are {', '.join(known)}.")
    return config(**{n: tuple(v) if known[n].is_many and v else v for n, v in record.items()})


def write_options(config: Any) -> dict[str, Any]:
    """As YAML and JSON hold a config: all its options by name."""
    return {name: getattr(config, name) for name in options_of(config)}
