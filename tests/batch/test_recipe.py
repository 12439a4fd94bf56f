"""Recipes: what is read is what was written, and what is wrong is said by its key."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from configs import any_of
from napari_sam.batch import Recipe, parse_recipe, read_recipe, recipe_schema, write_recipe
from napari_sam.engine import AutomaticOptions, GridRules, ImageChoice, SamError

SCHEMA = Draft202012Validator(json.loads(recipe_schema()))
LEAST: dict[str, Any] = {"images": "a/*.tif", "automatic": {}, "out": "results"}
FULL: dict[str, Any] = {
    "images": ["a/*.tif", "plate.zarr", "list.csv"],
    "reading": {"channel": 1, "axes": "TYX"},
    "model": {"model": "pocket", "frames": "0-20"},
    "alike": {"image": "a/1.tif", "labels": "l.tif", "options": {"min_likeness": 0.5}},
    "link": True,
    "measure": {"background": "ring"},
    "write": ["tiff", "coco"],
    "out": "results",
}
OTHERS = [
    LEAST,
    FULL,
    LEAST | {"automatic": {"points_per_side": 8, "within": [[0, 0], [0, 9], [9, 9]]}},
    {"images": "a/*.tif", "prompts": {"table": "{folder}/{stem}.csv"}, "out": "o"},
    {"images": "a/*.tif", "propagate": {"labels": "{stem}.tif", "frame": [1, 2]}, "out": "o"},
]


@pytest.mark.parametrize("record", OTHERS)
def test_a_recipe_is_written_and_read_again(record: dict[str, Any], tmp_path: Path) -> None:
    recipe = parse_recipe(record)
    write_recipe(tmp_path / "r.yaml", recipe)
    assert read_recipe(tmp_path / "r.yaml") == recipe.within(tmp_path)
    SCHEMA.validate(record)
    SCHEMA.validate(yaml.safe_load((tmp_path / "r.yaml").read_text()))


@given(grid=any_of(GridRules), reading=any_of(ImageChoice), border=st.booleans())
def test_options_survive(grid: GridRules, reading: ImageChoice, border: bool) -> None:
    recipe = parse_recipe(
        LEAST | {"automatic": AutomaticOptions(grid=grid, border=border), "reading": reading}
    )
    record = json.loads(recipe.model_dump_json(exclude_defaults=True))
    record.setdefault("automatic", {})
    assert parse_recipe(record) == recipe
    SCHEMA.validate(record)


REFUSED = [
    ([], "A recipe has keys and values"),
    ({"automatic": {}, "out": "o"}, "The key images is missing. Patterns such as"),
    (LEAST | {"imags": "x"}, "There is no key imags. Did you mean images?"),
    ({"imags": "x", "automatic": {}, "out": "o"}, "There is no key imags. Did you mean images?"),
    (LEAST | {"images": 3}, "images is 3. Write one, or several in [ ]."),
    (LEAST | {"images": [3]}, "images.0 is 3. Write text."),
    (LEAST | {"images": []}, "images is []. Write one or more."),
    (LEAST | {"link": "perhaps"}, "link is 'perhaps'. Write true or false."),
    (LEAST | {"write": "tif"}, "write: 'tif' is no format. Choose among tiff, ome-tiff"),
    (LEAST | {"automatic": None}, "Nothing is to be done. Give exactly one of automatic, al"),
    (LEAST | {"prompts": {"table": "t"}}, "Both automatic and prompts are given."),
    (LEAST | {"automatic": {"min_area": "x"}}, "automatic: min_area is 'x'. Give a whole number"),
    (LEAST | {"automatic": {"min_are": 1}}, "automatic: There is no key 'min_are'. There are meth"),
    (LEAST | {"automatic": 7}, "automatic: Write options as NAME: VALUE"),
    (LEAST | {"automatic": {"min_area": 9, "max_area": 5}}, "automatic: No object is of 9 pixels"),
    (LEAST | {"reading": {"channel": -1}}, "reading: channel is (-1,). Give a whole number of 0"),
    (LEAST | {"automatic": None, "alike": {"image": "a"}}, "The key alike.labels is missing. Its"),
    (
        LEAST | {"automatic": None, "alike": {"image": "a", "labls": "b"}},
        "There is no key alike.labls. Did you mean labels?",
    ),
    (
        LEAST | {"automatic": None, "prompts": {"table": "t"}, "link": True},
        "link is for automatic and alike",
    ),
]


@pytest.mark.parametrize(("record", "says"), REFUSED)
def test_what_is_wrong_is_said_by_its_key(record: Any, says: str) -> None:
    with pytest.raises(SamError) as refused:
        parse_recipe(record)
    assert str(refused.value).startswith(says)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"images: [", "is no YAML"),
        (b"images: a\nautomatic: {}\nimages: b", r"line 3: the key images is given twice\."),
        (b"images: a\nautomatic: {min_area: 1, min_area: 2}", "line 2: the key min_area is given"),
        (b"images: a\n? [b, c]\n: d", "is no YAML"),
        (b"\xff\xfe\x00", "is no YAML"),
        (b"", "has keys and values"),
        (b"a: " + b"[" * 3000, "is nested too deeply"),
    ],
)
def test_a_file_that_is_no_recipe(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(content)
    with pytest.raises(SamError, match=says):
        read_recipe(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SamError, match=r"r\.yaml cannot be read: No such file"):
        read_recipe(tmp_path / "r.yaml")


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    recipe = parse_recipe(FULL).within(tmp_path)
    assert recipe.images == tuple(str(tmp_path / each) for each in FULL["images"])
    assert recipe.alike is not None
    assert (recipe.out, recipe.alike.labels) == (str(tmp_path / "results"), str(tmp_path / "l.tif"))
    assert recipe.model.model == "pocket"  # a name, since there is no such file
    tmp_path.joinpath("pocket").touch()
    assert parse_recipe(FULL).within(tmp_path).model.model == str(tmp_path / "pocket")


def test_results_depend_on_what_is_done_and_not_on_where() -> None:
    recipe = parse_recipe(LEAST)
    elsewhere = recipe.model_copy(update={"images": ("b",), "out": "p"})
    on_gpu = recipe.model_copy(update={"model": replace(recipe.model, device="cuda")})
    assert recipe.decides() == elsewhere.decides() == on_gpu.decides()
    for other in OTHERS[1:]:
        assert parse_recipe(other).decides() != recipe.decides()


PAGE = Path(__file__).resolve().parents[2] / "docs" / "batch.md"
ON_THE_PAGE = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("text", ON_THE_PAGE)
def test_recipes_of_the_documentation(text: str) -> None:
    parse_recipe(yaml.safe_load(text))


def test_the_documentation_has_every_key() -> None:
    keys = re.findall(r"^\| `(\w+)` \|", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(keys) == set(Recipe.model_fields)
