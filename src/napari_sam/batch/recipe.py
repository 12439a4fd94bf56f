"""A recipe: which images are read, what is done with each, and what is written where.

On disk it is YAML. Paths in it are relative to its own folder.
"""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.json_schema import GenerateJsonSchema

from napari_sam.engine import (
    AlikeOptions,
    AutomaticOptions,
    EncodingChoice,
    ImageChoice,
    ModelName,
    SamError,
    address_of,
    write_text,
)
from napari_sam.formats import FORMATS
from napari_sam.measurements import MeasureOptions
from napari_sam.stacks import PropagationOptions, RefineRules

from .option_keys import OptionsOf, Several

JobName: TypeAlias = Literal["automatic", "alike", "prompts", "propagate", "refine"]
JOBS: tuple[JobName, ...] = ("automatic", "alike", "prompts", "propagate", "refine")
FINDING: tuple[JobName, ...] = ("automatic", "alike")  # jobs that find objects, frame by frame
REMEDIES = {  # by pydantic's types of errors
    "bool_parsing": "Write true or false",
    "bool_type": "Write true or false",
    "int_parsing": "Write a whole number",
    "int_type": "Write a whole number",
    "model_type": "Write keys and values below it",
    "string_type": "Write text",
    "too_short": "Write one or more",
    "tuple_type": "Write one, or several in [ ]",
}
OF_THE_IMAGE = "may hold {folder} and {stem}: the folder of the image, and its name less its ending"


class Part(BaseModel):
    """What recipes have in common: nothing unknown, nothing changed later."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Alike(Part):
    """More objects like the examples, which are labelled in one image."""

    image: str = Field(description="The image with the examples.")
    labels: str = Field(description="Its labels: the examples, one to three or more objects.")
    options: Annotated[AlikeOptions, OptionsOf(AlikeOptions)] = AlikeOptions()


class FromPrompts(Part):
    """Objects by clicks, boxes and outlines, of which each image has a file."""

    table: str = Field(
        description="The table of an image, or another file of prompts: GeoJSON, COCO, ROIs of "
        f"ImageJ, spots of TrackMate, labels; {OF_THE_IMAGE}."
    )


class Propagate(Part):
    """Objects of one labelled frame, propagated to the others."""

    labels: str = Field(description=f"The labels of an image; {OF_THE_IMAGE}.")
    frame: tuple[int, ...] = Field((0,), description="Their frame, counted from 0: [T] or [T, Z].")
    options: Annotated[PropagationOptions, OptionsOf(PropagationOptions)] = PropagationOptions()


class Refine(Part):
    """Labels of another tool, each object replaced where the model agrees with it."""

    labels: str = Field(description=f"The labels of an image; {OF_THE_IMAGE}.")
    options: Annotated[RefineRules, OptionsOf(RefineRules)] = RefineRules()


class Recipe(Part):
    """What to do with many images; exactly one of the keys that :data:`JOBS` names."""

    images: Annotated[tuple[str, ...], Several()] = Field(
        min_length=1,
        description="Patterns such as images/*.tif, with ** for all folders below; OME-Zarr "
        "images and plates, also at addresses (https://…); lists in .csv with a column `image`.",
    )
    reading: Annotated[ImageChoice, OptionsOf(ImageChoice)] = Field(
        ImageChoice(), description="How each image is read."
    )
    model: Annotated[EncodingChoice, OptionsOf(EncodingChoice)] = Field(
        EncodingChoice(), description="The model, its device and precision, and the frames."
    )
    automatic: Annotated[AutomaticOptions, OptionsOf(AutomaticOptions)] | None = Field(
        None, description="Find all objects: method and filters; {} for the defaults."
    )
    alike: Alike | None = None
    prompts: FromPrompts | None = None
    propagate: Propagate | None = None
    refine: Refine | None = None
    link: bool = Field(
        False, description="Give each object of a stack one number in all frames of it."
    )
    measure: Annotated[MeasureOptions, OptionsOf(MeasureOptions)] | None = Field(
        None, description="Write a table of measurements for each image; {} for the defaults."
    )
    write: Annotated[tuple[str, ...], Several(tuple(FORMATS))] = Field(
        ("tiff",), description="Formats of `napari-sam export --list`, one or more."
    )
    out: str = Field(description="The folder of the results. It is made if it is not there.")

    @field_validator("write")
    @classmethod
    def _known_formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in FORMATS:
                raise ValueError(f"{name!r} is no format. Choose among {', '.join(FORMATS)}.")
        return tuple(dict.fromkeys(names))

    @model_validator(mode="after")
    def _one_job(self) -> Recipe:
        given = [name for name in JOBS if getattr(self, name) is not None]
        if len(given) != 1:
            wrong = (
                f"Both {given[0]} and {given[1]} are given" if given else "Nothing is to be done"
            )
            raise ValueError(f"{wrong}. Give exactly one of {', '.join(JOBS)}; automatic: {{}}.")
        if self.link and self.job not in FINDING:
            raise ValueError(
                f"link is for automatic and alike: by {self.job} an object has one number already. "
                "Leave link out."
            )
        return self

    @property
    def job(self) -> JobName:
        """What is done with each image."""
        return next(name for name in JOBS if getattr(self, name) is not None)

    @property
    def companion(self) -> str | None:
        """Where an image has its own prompts or labels."""
        if self.prompts is not None:
            return self.prompts.table
        labelled = self.propagate or self.refine
        return None if labelled is None else labelled.labels

    def within(self, folder: str | Path) -> Recipe:
        """The same with paths that are relative to a folder made absolute."""

        def at(path: str) -> str:
            return path_in(folder, path)

        moved: dict[str, Any] = {"images": tuple(map(at, self.images)), "out": at(self.out)}
        if os.path.isfile(at(self.model.model)):  # else it is the name of one
            moved["model"] = replace(self.model, model=ModelName(at(self.model.model)))
        if self.alike is not None:
            paths = {"image": at(self.alike.image), "labels": at(self.alike.labels)}
            moved["alike"] = self.alike.model_copy(update=paths)
        for name, key in (("prompts", "table"), ("propagate", "labels"), ("refine", "labels")):
            part = getattr(self, name)
            if part is not None and not getattr(part, key).startswith("{folder}"):
                moved[name] = part.model_copy(update={key: at(getattr(part, key))})
        return self.model_copy(update=moved)

    def decides(self) -> dict[str, Any]:
        """All that the results of an image depend on, besides files; what is by default as well."""
        job = getattr(self, self.job)
        options = getattr(job, "options", job) if self.job != "prompts" else None
        return {
            "reading": asdict(self.reading),
            "frames": self.model.frames,
            "precision": self.model.precision,
            "job": self.job,
            "options": None if options is None else asdict(options),
            "frame": None if self.propagate is None else self.propagate.frame,
            "link": self.link,
            "measure": None if self.measure is None else asdict(self.measure),
            "write": self.write,
        }


def path_in(folder: str | Path, path: str) -> str:
    """A path in a folder, made absolute; an address such as https://… stays as it is."""
    return address_of(path) or os.path.normpath(os.path.join(os.path.abspath(folder), path))


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe; paths in it become absolute.

    Raises
    ------
    SamError
        If the file is missing or no YAML, or a key or value is not valid: it names the key.
    """
    path = Path(path)
    try:
        record = yaml.load(path.read_text("utf-8"), _EachKeyOnce)
    except OSError as error:
        raise SamError(f"{path} cannot be read: {error.strerror}. Check its name.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise SamError(f"{path} is no YAML: {said}. Correct it there.") from error
    except RecursionError as error:
        raise SamError(f"{path} is nested too deeply. Write it as in the examples.") from error
    except SamError as error:
        raise SamError(f"{path.name}, {error}") from error
    try:
        return parse_recipe(record).within(path.parent)
    except SamError as error:
        raise SamError(f"{path.name}: {error}") from error


class _EachKeyOnce(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML in which a key that is given twice is an error: of two values one would be lost."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        names = (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        for key in names:
            if key.value in seen:
                raise SamError(
                    f"line {key.start_mark.line + 1}: the key {key.value} is given twice. Keep one "
                    "of them."
                )
            seen.add(key.value)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def parse_recipe(record: Any) -> Recipe:
    """A recipe from what a file in YAML or JSON holds.

    Raises
    ------
    SamError
        If a key or value is not valid: it names the key.
    """
    if not isinstance(record, dict):
        raise SamError("A recipe has keys and values, such as images: folder/*.tif. Write some.")
    try:
        return Recipe.model_validate(record)
    except ValidationError as error:
        raise SamError(_first_problem(error)) from error


def write_recipe(path: str | Path, recipe: Recipe) -> None:
    """Write a recipe as YAML, without what is by default; errors as in `write_text`."""
    record = recipe.model_dump(mode="json", exclude_defaults=True)
    write_text(path, yaml.safe_dump(record, sort_keys=False, allow_unicode=True))


class _Schema(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        """Of a config by default nothing needs to be written."""
        return {} if is_dataclass(dft) else super().encode_default(dft)


def recipe_schema() -> str:
    """The JSON schema of recipes: editors complete and check keys with it."""
    return json.dumps(Recipe.model_json_schema(schema_generator=_Schema), indent=2)


def _first_problem(error: ValidationError) -> str:
    """The key, what is wrong with it, and what to do."""
    problems = error.errors(include_url=False)
    unknown = [each for each in problems if each["type"] == "extra_forbidden"]  # of a typing error
    problem = (unknown or problems)[0]
    *parents, last = problem["loc"] or ("",)
    key = ".".join(str(each) for each in problem["loc"])
    if problem["type"] == "missing":
        return f"The key {key} is missing. {_about(parents, str(last))}"
    if problem["type"] == "extra_forbidden":
        known = list(_part(parents).model_fields)
        near = difflib.get_close_matches(str(last), known, 1)
        remedy = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
        return f"There is no key {key}. {remedy}"
    if problem["type"] == "value_error":
        said = problem["msg"].removeprefix("Value error, ")
        return f"{key}: {said}" if key else said
    remedy = REMEDIES.get(problem["type"], problem["msg"])
    return f"{key} is {problem['input']!r}. {remedy}. {_about(parents, str(last))}".rstrip()


def _part(keys: list[Any]) -> type[Part]:
    parts: dict[Any, type[Part]] = {
        "alike": Alike,
        "prompts": FromPrompts,
        "propagate": Propagate,
        "refine": Refine,
    }
    return parts.get(keys[0], Recipe) if keys else Recipe


def _about(parents: list[Any], key: str) -> str:
    """What a key is for."""
    part = _part(parents)
    name = str(parents[0]) if part is Recipe and parents else key  # an item of a list
    known = part.model_fields.get(name)
    return "" if known is None else str(known.description or "")
