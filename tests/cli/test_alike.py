"""`napari-sam alike`: what it finds and writes, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

import movies
from commands import NapariSam, Refusal, assert_refused

GRID = "--method grid --points-per-side 16"


@pytest.fixture(autouse=True)
def truth(two_discs: np.ndarray) -> np.ndarray:
    """Beside the movie its last frame, and labels: one example, none, and those of another size."""
    Image.fromarray(np.where(two_discs[3] > 0, 200, 20).astype(np.uint8)).save("last.png")
    tifffile.imwrite("examples.tif", np.where(two_discs[0] == 1, 5, 0).astype(np.uint16))
    tifffile.imwrite("none.tif", np.zeros((64, 64), np.uint16))
    tifffile.imwrite("small.tif", np.ones((4, 4), np.uint16))
    return two_discs


def test_a_picture_and_another(napari_sam: NapariSam, truth: np.ndarray) -> None:
    ended = napari_sam(
        "alike first.png --labels examples.tif --out out.tif --others last.png "
        f"{GRID} --overlay look.png"
    )
    assert ended.code == 0, ended.err
    labels = tifffile.imread("out.tif")
    np.testing.assert_array_equal(labels == 5, truth[0] == 1)
    assert movies.same_tracks(labels, truth[0])
    assert movies.same_tracks(tifffile.imread("out-last.tif"), truth[3])
    assert Path("look.png").is_file()
    assert "1 object\n" in ended.out
    assert "written to out-last.tif" in ended.out


def test_frames_of_a_stack_in_json(napari_sam: NapariSam, truth: np.ndarray) -> None:
    result = napari_sam(
        f"alike movie.tif --labels examples.tif --out out.tif {GRID} --frames 0-1 --json"
    ).json
    assert result["examples"] == 1
    (image,) = result["images"]
    assert [each["frame"] for each in image["objects"]] == [[0], [1], [1]]
    assert all(each["likeness"] > 0.4 for each in image["objects"])
    labels = tifffile.imread("out.tif")
    assert [bool(frame.any()) for frame in labels] == [True, True, False, False]


def test_a_threshold_nothing_reaches(napari_sam: NapariSam) -> None:
    ended = napari_sam(f"alike first.png --labels examples.tif --out out.tif {GRID} --threshold 1")
    assert ended.code == 0
    assert "Try a lower --threshold" in ended.err
    assert set(np.unique(tifffile.imread("out.tif"))) == {0, 5}


ALIKE = "alike first.png --out o.tif --labels"
REFUSALS = (
    Refusal("no image", "alike no.png --labels examples.tif --out o.tif", "no.png"),
    Refusal("no labels", f"{ALIKE} no.tif", "no.tif"),
    Refusal("no example", f"{ALIKE} none.tif", "There is no example"),
    Refusal("another shape", f"{ALIKE} small.tif", "of this image, of all its frames"),
    Refusal("a threshold", f"{ALIKE} examples.tif --threshold 2", "min_likeness is 2"),
    Refusal("no seeds", f"{ALIKE} examples.tif --method seeds", "Choose the method grid"),
    Refusal(
        "over the examples",
        "alike first.png --labels examples.tif --out examples.tif",
        "is an input of this command",
    ),
    Refusal("another image", f"{ALIKE} examples.tif --others no.png", "no.png"),
    Refusal(
        "two of one name",
        f"{ALIKE} examples.tif --others last.png --others again/last.png",
        "Two of the other images have one name",
    ),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_what_cannot_be_is_refused(
    napari_sam: NapariSam, working_folder: Path, case: Refusal
) -> None:
    assert_refused(case, napari_sam, working_folder)
