"""`napari-sam auto`: what it finds and writes, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

import movies
from commands import NapariSam, Refusal, assert_refused

GRID = "--method grid --points-per-side 16"


@pytest.fixture(autouse=True)
def truth(two_discs: np.ndarray) -> np.ndarray:
    """Beside the movie the same pixels as a volume, and a blank picture."""
    pixels = tifffile.imread("movie.tif")
    tifffile.imwrite("volume.tif", pixels, imagej=True, metadata={"axes": "ZYX"})
    Image.fromarray(np.full((64, 64), 7, np.uint8)).save("blank.png")
    return two_discs


def test_a_picture(napari_sam: NapariSam, truth: np.ndarray) -> None:
    ended = napari_sam(f"auto first.png --out out.tif {GRID} --overlay look.png")
    assert ended.code == 0, ended.err
    labels = tifffile.imread("out.tif")
    assert labels.dtype == np.uint16
    assert movies.same_tracks(labels, truth[0])
    with Image.open("look.png") as picture:
        assert picture.size == (64, 64)
    lines = ended.out.splitlines()
    assert lines[0].split() == ["object", "score", "stability", "area", "box"]
    assert lines[1].split() == ["1", "0.90", "1.00", "113", "9.5,3.5,22.5,16.5"]
    assert lines[3] == "2 objects"
    assert lines[4].startswith("dropped: 720 low score, ")
    assert lines[5] == "written to out.tif"


@pytest.mark.slow
def test_labels_written_tile_by_tile(napari_sam: NapariSam, truth: np.ndarray) -> None:
    pixels = np.tile(np.where(truth[0] > 0, 200, 20).astype(np.uint8), (2, 2))
    tifffile.imwrite("large.tif", pixels)
    ended = napari_sam(f"auto large.tif --out out.ome.zarr {GRID} --cell-size 40")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines()[0] == "8 objects in 9 tiles"
    labels = zarr.open("out.ome.zarr")["0"][:]
    np.testing.assert_array_equal(labels > 0, pixels > 100)
    result = napari_sam(f"auto large.tif --out again.ome.zarr {GRID} --cell-size 40 --json").json
    assert (result["n_objects"], result["n_tiles"]) == (8, 9)


def test_json(napari_sam: NapariSam) -> None:
    result = napari_sam(f"auto movie.tif --out out.zarr {GRID} --frames 1-2 --json").json
    assert (result["image"], result["model"]) == ("movie.tif", "threshold")
    assert [each["object_id"] for each in result["objects"]] == [1, 2, 3, 4]
    assert [each["frame"] for each in result["objects"]] == [[1], [1], [2], [2]]
    assert {each["method"] for each in result["objects"]} == {"grid"}
    assert result["dropped"]["low score"] > 0
    labels = zarr.open("out.zarr")[:]
    assert [bool(frame.any()) for frame in labels] == [False, True, True, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "n_objects"),
    [
        ("", 2),
        ("--within 0,0,32,64", 1),
        ("--within 0,0,0,64,64,64", 1),
        ("--min-area 200", 0),
        ("--max-area 100", 0),
        ("--min-score 0.95", 0),
        ("--min-roundness 0.99", 0),
        ("--max-intensity 0.5", 0),
        ("--min-intensity 0.5", 2),
        ("--points-per-side 1", 0),
    ],
)
def test_options_say_what_is_found(napari_sam: NapariSam, options: str, n_objects: int) -> None:
    ended = napari_sam(f"auto first.png --out out.tif {GRID} {options}")
    assert ended.code == 0
    assert len(np.unique(tifffile.imread("out.tif"))) - 1 == n_objects
    assert ("No object was found" in ended.err) == (n_objects == 0)


@pytest.mark.slow
@pytest.mark.parametrize("image", ["movie.tif", "volume.tif"])
def test_linked(napari_sam: NapariSam, truth: np.ndarray, image: str) -> None:
    ended = napari_sam(f"auto {image} --out out.tif {GRID} --link")
    assert ended.code == 0, ended.err
    n_ids = len(np.unique(tifffile.imread("out.tif"))) - 1
    if image == "movie.tif":
        assert "2 objects in 4 frames" in ended.out
        assert movies.same_tracks(tifffile.imread("out.tif"), truth)
    assert f"{n_ids} objects in 4 frames" in ended.out
    assert "assumed" not in ended.err


def test_linked_over_time_where_nobody_says_what_it_is(napari_sam: NapariSam) -> None:
    tifffile.imwrite("unnamed.tif", tifffile.imread("movie.tif")[:2], photometric="minisblack")
    ended = napari_sam(f"auto unnamed.tif --out out.tif {GRID} --link")
    assert ended.code == 0, ended.err
    assert "Time is assumed" in ended.err
    assert "--axes ZYX" in ended.err


def test_a_blank_picture_is_told(napari_sam: NapariSam) -> None:
    ended = napari_sam(f"auto blank.png --out out.tif {GRID}")
    assert ended.code == 0
    assert "There is nothing to see in this image" in ended.err
    assert not tifffile.imread("out.tif").any()


REFUSALS = (
    Refusal("no image", "auto none.png --out out.tif", "none.png"),
    Refusal("no place", "auto first.png --out none/out.tif", "There is no folder none"),
    Refusal("over the image", "auto movie.tif --out movie.tif", "is an input of this command"),
    Refusal("labels in png", "auto first.png --out out.png", "Choose a name in .tif or .zarr"),
    Refusal(
        "no picture", "auto first.png --out o.tif --overlay o.xyz", "is not the name of a picture"
    ),
    Refusal(
        "links of tiles", "auto movie.tif --out o.ome.zarr --link", "without --link and --overlay"
    ),
    Refusal("no method", "auto first.png --out o.tif --method best", "auto, grid or seeds."),
    Refusal(
        "no maps", "auto first.png --out o.tif --method seeds", "Choose the method grid, or the"
    ),
    Refusal(
        "contradiction",
        "auto first.png --out o.tif --min-area 9 --max-area 3",
        "9 pixels or more and of 3 or less",
    ),
    Refusal(
        "darker than dark",
        "auto first.png --out o.tif --min-intensity 0.8 --max-intensity 0.2",
        "0.8 or more and of 0.2 or less",
    ),
    Refusal("a share", "auto first.png --out o.tif --overlap 3", "overlap is 3.0. Give a number"),
    Refusal("no area", "auto first.png --out o.tif --within 3,3,3,9", "has no area"),
    Refusal("outside", "auto first.png --out o.tif --within 500,500,600,600", "holds no pixel"),
    Refusal("no box", "auto first.png --out o.tif --within 3,3,9", "a box Y0,X0,Y1,X1 or a poly"),
    Refusal("no grid", "auto first.png --out o.tif --points-per-side 0", "points_per_side is 0."),
    Refusal("frames of one", "auto first.png --out o.tif --frames 1", "outside a stack of 1"),
    Refusal("frames outside", "auto movie.tif --out o.tif --frames 2-4", "outside a stack of 4"),
    Refusal("frames", "auto movie.tif --out o.tif --frames a-b", "Write all, 7, 0-20"),
    Refusal("no frames", "auto movie.tif --out o.tif --frames 3-1", "Write all, 7, 0-20"),
    Refusal("some backwards", "auto movie.tif --out o.tif --frames 3-1,2", "Write all, 7, 0-20"),
    Refusal("too many", "auto movie.tif --out o.tif --frames 0-9999999999999", "outside a stack"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_what_cannot_be_is_refused(
    napari_sam: NapariSam, working_folder: Path, case: Refusal
) -> None:
    assert_refused(case, napari_sam, working_folder)
