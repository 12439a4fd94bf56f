"""Which images a recipe reads: patterns, plates, lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from file_server import FolderServer, serving_folder
from napari_sam.batch import find_images, parse_recipe
from napari_sam.engine import SamError


def images_of(folder: Path, images: Any, **more: Any) -> list[tuple[str, str]]:
    """Paths and companions relative to the folder."""
    record = {"images": images, "automatic": {}, "out": "results"} | more
    found = find_images(parse_recipe(record).within(folder))
    return [
        (str(Path(each.image).relative_to(folder)), str(each.companion or each.series or ""))
        for each in found
    ]


def make(folder: Path, *names: str) -> None:
    for name in names:
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).touch()


def test_patterns_find_images_each_once(tmp_path: Path) -> None:
    make(tmp_path, "a/1.tif", "a/2.png", "a/notes.txt", "a/.3.tif", "a/b/4.tif", "results/5.tif")
    assert images_of(tmp_path, ["a/*", "a/1.tif"]) == [("a/1.tif", ""), ("a/2.png", "")]
    assert [name for name, _ in images_of(tmp_path, "**/*.tif")] == ["a/1.tif", "a/b/4.tif"]


@pytest.mark.parametrize("folder", ["run [2]", "a*b", "what?", "[", "ünï 'c\"d"])
def test_a_folder_may_be_called_like_a_pattern(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder
    make(place, "x/1.tif", "x/[3].tif")
    assert images_of(place, "x/*.tif") == [("x/1.tif", ""), ("x/[3].tif", "")]
    assert images_of(place, "x/[3].tif") == [("x/[3].tif", "")]
    assert images_of(tmp_path, "**/1.tif") == [(f"{folder}/x/1.tif", "")]


def make_plate(path: Path) -> None:
    """An OME-Zarr plate of two wells, one of them with two fields."""
    plate = zarr.create_group(path, zarr_format=2)
    plate.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    for well, fields in (("A/1", ("0", "1")), ("B/2", ("0",))):
        group = plate.create_group(well)
        group.attrs["well"] = {"images": [{"path": field} for field in fields]}
        for field in fields:
            image = group.create_group(field)
            image.create_array("0", data=np.zeros((8, 8), np.uint8))
            axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
            image.attrs["multiscales"] = [{"axes": axes, "datasets": [{"path": "0"}]}]


def test_each_field_of_a_plate_is_an_image(tmp_path: Path) -> None:
    make_plate(tmp_path / "plate.zarr")
    fields = [("plate.zarr", each) for each in ("A/1/0", "A/1/1", "B/2/0")]
    assert images_of(tmp_path, "*.zarr") == fields
    assert images_of(tmp_path, "*.zarr", reading={"series": "A/1/1"}) == [("plate.zarr", "")]


def test_a_list_names_images_and_what_they_have(tmp_path: Path) -> None:
    make(tmp_path, "x/1.tif", "2.tif", "x/own.csv", "x/1-first.csv", "2-first.csv")
    lines = "image,companion\n1.tif,own.csv\n../2.tif,\n"
    tmp_path.joinpath("x/list.csv").write_text(lines, "utf-8")
    prompts = {"automatic": None, "prompts": {"table": "{folder}/{stem}-first.csv"}}
    assert images_of(tmp_path, "x/list.csv", **prompts) == [
        ("x/1.tif", str(tmp_path / "x/own.csv")),
        ("2.tif", str(tmp_path / "2-first.csv")),
    ]


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("b/*.tif", r"There is no image at .*b/\*\.tif"),
        ("results/*.tif", "are inside .*results, the folder of the results"),
        ("list.csv", "list.csv, line 3: no image is given"),
        ("none.csv", "none.csv cannot be read: No such file"),
    ],
)
def test_no_image(images: str, says: str, tmp_path: Path) -> None:
    make(tmp_path, "results/1.tif")
    tmp_path.joinpath("list.csv").write_text("image,series\n1.tif,\n,x\n")
    with pytest.raises(SamError, match=says):
        images_of(tmp_path, images)


def test_no_image_has_its_prompts(tmp_path: Path) -> None:
    make(tmp_path, "1.tif")
    with pytest.raises(SamError, match=r"prompts\.table: there is no file .*1\.csv"):
        images_of(tmp_path, "*.tif", automatic=None, prompts={"table": "{folder}/{stem}.csv"})


def test_images_at_addresses(tmp_path: Path) -> None:
    make_plate(tmp_path / "plate.zarr")
    with serving_folder(FolderServer(tmp_path)) as server:
        listed = f"image,companion\n{server.url}/b.zarr,{server.url}/c.zarr\n"
        tmp_path.joinpath("images.csv").write_text(listed)
        given = [f"{server.url}/plate.zarr", "images.csv"]
        recipe = parse_recipe({"images": given, "automatic": {}, "out": "results"}).within(tmp_path)
        found = find_images(recipe)
    assert [(each.image, each.series) for each in found] == [
        *((given[0], field) for field in ("A/1/0", "A/1/1", "B/2/0")),
        (f"{server.url}/b.zarr", None),
    ]
    assert found[0].name == "plate-A-1-0"
    assert found[-1].companion == f"{server.url}/c.zarr"
