"""Values of a recipe: one text or several; the options of a job, whose names are the keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import core_schema

from napari_sam.engine import GridRules, OptionField, SamError, options_of, read_options

WITHIN = "within"  # an outline, which no command or form has as an option
JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Several:
    """One text, or a list of them."""

    choices: tuple[str, ...] | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        def listed(value: Any) -> Any:
            return [value] if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(listed, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one: dict[str, Any] = {"type": "string"}
        if self.choices is not None:
            one["enum"] = list(self.choices)
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


class OptionsOf:
    """Lets pydantic read, write and describe a config by its options."""

    def __init__(self, config: type) -> None:
        self.config = config
        self.has_grid = any(each.name == "grid" for each in fields(config))
        self.options = options_of(config) | (options_of(GridRules) if self.has_grid else {})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        properties = {name: _described(each) for name, each in self.options.items()}
        if self.has_grid:
            pair = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
            properties[WITHIN] = {
                "type": "array",
                "items": pair,
                "description": "Vertices y, x of the only part of a frame to look in.",
            }
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def read(self, record: Any) -> Any:
        """The config from what a recipe holds; a config stays as it is."""
        if isinstance(record, self.config):
            return record
        if not isinstance(record, Mapping):
            raise ValueError("Write options as NAME: VALUE, each on its own line; {} for none")
        known = [*self.options, *([WITHIN] if self.has_grid else [])]
        if unknown := [name for name in record if name not in known]:
            raise ValueError(f"There is no key {unknown[0]!r}. There are {', '.join(known)}.")
        try:
            return self._read(record)
        except SamError as error:
            raise ValueError(str(error)) from error

    def _read(self, record: Mapping[str, Any]) -> Any:
        given = {name: self._value(name, value) for name, value in record.items()}
        own = {name: given[name] for name in options_of(self.config) if name in given}
        config: Any = read_options(self.config, own)
        if not self.has_grid:
            return config
        of_grid = {name: given[name] for name in options_of(GridRules) if name in given}
        return replace(config, grid=read_options(GridRules, of_grid), within=given.get(WITHIN))

    def _value(self, name: str, value: Any) -> Any:
        """One value where several can be given is a list of it."""
        is_one = name in self.options and self.options[name].is_many
        return [value] if is_one and not isinstance(value, list | tuple | None) else value

    def write(self, config: Any) -> dict[str, Any]:
        """What of a config is not by default, as YAML and JSON hold it."""
        values = {name: getattr(config, name) for name in options_of(config)}
        if self.has_grid:
            values |= {name: getattr(config.grid, name) for name in options_of(GridRules)}
        chosen = {name: v for name, v in values.items() if v != self.options[name].default}
        if self.has_grid and config.within is not None:
            chosen[WITHIN] = config.within
        return {name: _as_lists(value) for name, value in chosen.items()}


def _as_lists(value: Any) -> Any:
    return [_as_lists(each) for each in value] if isinstance(value, tuple) else value


def _described(field: OptionField) -> dict[str, Any]:
    """An option in JSON schema."""
    option = field.option
    one: dict[str, Any] = {"type": JSON_TYPES[field.kind]}
    if option.choices is not None:
        one["enum"] = list(option.choices)
    if option.least is not None:
        one["minimum"] = option.least
    if option.most is not None:
        one["maximum"] = option.most
    kinds = [one, {"type": "array", "items": one}] if field.is_many else [one]
    kinds += [{"type": "null"}] if field.is_optional else []
    whole = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {**whole, "title": option.label, "description": option.help, "default": field.default}
