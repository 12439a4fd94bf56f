"""`napari-sam propagate` and `napari-sam track`: results, and how they refuse."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from commands import NapariSam, Refusal, assert_refused
from movies import movie, moving
from napari_sam.engine import iou

COURSES = {3: moving(16, 10, 0, 4, 5), 8: moving(48, 50, 0, -4, 5)}

pytestmark = pytest.mark.usefixtures("sees_what_is_bright")


@pytest.fixture
def truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A working folder with a movie, its labels, and those of its third frame alone."""
    _, labels = movie(COURSES)
    pixels = np.where(labels > 0, 200, 20).astype(np.uint8)
    tifffile.imwrite(tmp_path / "movie.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "all.tif", labels, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "third.tif", labels[2])
    monkeypatch.chdir(tmp_path)
    return labels


@pytest.mark.parametrize(
    ("options", "frames", "ids"),
    [
        ("--labels third.tif", {2, 3, 4}, {3, 8}),
        ("--labels all.tif --direction both", {0, 1, 2, 3, 4}, {3, 8}),
        ("--labels all.tif --direction backward --frames 1 --ids 8", {1, 2}, {8}),
    ],
)
def test_propagate(napari_sam, truth, options, frames, ids) -> None:
    ended = napari_sam(f"propagate movie.tif {options} --frame 2 --out out.tif --scores scores.csv")
    assert ended.code == 0, ended.err
    labels = tifffile.imread("out.tif")
    assert {t for t in range(5) if np.isin(labels[t], list(ids)).any()} == frames
    for object_id in ids:
        for t in frames:
            assert iou(labels[t] == object_id, truth[t] == object_id) > 0.8
    with open("scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(int(row["object_id"]), int(row["frame"])) for row in rows} == {
        (object_id, t) for object_id in ids for t in frames - {2}
    }
    assert all(0.5 < float(row["score"]) <= 1 for row in rows)
    assert "object  frames  lowest score  in frame" in ended.out


def test_frames_between_are_filled(napari_sam, truth) -> None:
    """Every frame that holds objects counts as annotated; one in the middle is named."""
    known = truth.copy()
    known[1:4] = 0
    tifffile.imwrite("known.tif", known, imagej=True, metadata={"axes": "TYX"})
    between = "propagate movie.tif --direction between --frame 2 --out out.tif"
    ended = napari_sam(f"{between} --labels known.tif")
    assert ended.code == 0, ended.err
    labels = tifffile.imread("out.tif")
    for t, object_id in np.ndindex(5, 9):
        if object_id in COURSES:
            assert iou(labels[t] == object_id, truth[t] == object_id) > 0.8
    ended = napari_sam(f"{between.replace('out.tif', 'no.tif')} --labels third.tif")
    assert ended.code
    assert "labels of the whole stack" in ended.err
    assert not Path("no.tif").exists()


def test_why_an_object_ended_is_printed(napari_sam, truth) -> None:
    movie_pixels = tifffile.imread("movie.tif")
    movie_pixels[1:, 40:] = 20
    tifffile.imwrite("gone.tif", movie_pixels, imagej=True, metadata={"axes": "TYX"})
    ended = napari_sam("propagate gone.tif --labels all.tif --frame 0 --out out.tif")
    assert "Object 8 ends before frame 3. It vanished." in ended.out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axes", "option", "ends", "asks"),
    [
        ("TYX", "", False, False),
        ("ZYX", "", True, False),
        ("QYX", "", False, True),
        ("QYX", "--through depth", True, False),
        ("ZYX", "--through time", False, False),
    ],
)
def test_what_an_axis_is_comes_from_the_file_or_is_told(
    napari_sam, truth, axes: str, option: str, ends: bool, asks: bool
) -> None:
    """A disc that moves by half of its width: in a volume those would be other objects."""
    moves = movie({3: moving(30, 10, 0, 5, 6, 5)})[1] > 0
    pixels = np.where(moves, 200, 20).astype(np.uint8)
    tifffile.imwrite("stack.tif", pixels, metadata={"axes": axes})
    tifffile.imwrite("seed.tif", moves[0].astype(np.uint8))
    ended = napari_sam(f"propagate stack.tif --labels seed.tif --frame 0 --out o.tif {option}")
    assert ended.code == 0, ended.err
    assert ("ends before frame" in ended.out) == ends
    assert ("does not say whether axis 0 is time or depth" in ended.err) == asks


def test_track(napari_sam, truth) -> None:
    mixed = truth.copy()
    mixed[2][truth[2] == 3], mixed[2][truth[2] == 8] = 8, 3
    tifffile.imwrite("mixed.tif", mixed, imagej=True, metadata={"axes": "TYX"})
    ended = napari_sam("track mixed.tif --out tracks.csv --labels-out tracked.tif")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("5 frames with 2 objects each in mixed.tif\n2 tracks, 0 divisions")
    np.testing.assert_array_equal(tifffile.imread("tracked.tif"), truth)
    with open("tracks.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


def write_ids(folder: Path, ids: np.ndarray) -> None:
    tifffile.imwrite(folder / "ids.tif", ids, metadata={"axes": "TYX"})


def noise(folder: Path) -> None:
    pixels = np.random.default_rng(0).poisson(30, (5, 64, 64))
    write_ids(folder, pixels.astype(np.uint8))


def fractions(folder: Path) -> None:
    write_ids(folder, tifffile.imread(folder / "all.tif") / np.float32(2))


def in_colours(folder: Path) -> None:
    pixels = np.repeat(tifffile.imread(folder / "third.tif")[..., None], 3, axis=-1)
    tifffile.imwrite(folder / "ids.tif", pixels.astype(np.uint8), photometric="rgb")


def negative(folder: Path) -> None:
    write_ids(folder, -tifffile.imread(folder / "all.tif").astype(np.int16))


PROPAGATE = "propagate movie.tif --labels all.tif"
REFUSALS = (
    Refusal("frame outside", f"{PROPAGATE} --frame 9 --out o.tif", "outside a stack of 5"),
    Refusal("frame x", f"{PROPAGATE} --frame x --out o.tif", "--frame x cannot be read"),
    Refusal(
        "through x",
        f"{PROPAGATE} --frame 0 --through x --out o.tif",
        "through is 'x'. Give time or depth",
    ),
    Refusal("ids a", f"{PROPAGATE} --frame 0 --ids a --out o.tif", "--ids a cannot"),
    Refusal(
        "object of another frame",
        f"{PROPAGATE} --frame 0 --ids 3,5 --out o.tif",
        "Object 5 is not in this frame of the labels. Choose one that is: 3, 8.",
    ),
    Refusal(
        "sideways",
        f"{PROPAGATE} --frame 0 --direction sideways --out o.tif",
        "direction is 'sideways'. Give forward, backward, both or between.",
    ),
    Refusal("at the end", f"{PROPAGATE} --frame 4 --out o.tif", "no frame forward"),
    Refusal("axis 7", f"{PROPAGATE} --frame 0 --axis 7 --out o.tif", "Choose axis 0."),
    Refusal("no folder", f"{PROPAGATE} --frame 0 --out no/o.tif", "There is no folder"),
    Refusal("over the image", f"{PROPAGATE} --frame 0 --out movie.tif", "movie.tif is an input"),
    Refusal("over the labels", f"{PROPAGATE} --frame 0 --out all.tif", "all.tif is an input"),
    Refusal(
        "scores over the labels",
        f"{PROPAGATE} --frame 0 --out o.tif --scores all.tif",
        "all.tif is an input",
    ),
    Refusal(
        "a single image",
        "propagate third.tif --labels third.tif --frame 0 --out o.tif",
        "third.tif is a single image, 64 × 64 pixels",
    ),
    *(
        Refusal(f"{name}, {command.split()[0]}", command, says, before)
        for command in (
            "propagate movie.tif --labels ids.tif --frame 0 --out o.tif",
            "track ids.tif --out tracks.csv",
        )
        for name, before, says in (
            ("an image for labels", noise, "This is an image rather than labels"),
            ("fractions for labels", fractions, "Labels are whole numbers, but these hold 1.5"),
            ("negative labels", negative, "reach from -8 to 0"),
        )
    ),
    Refusal("tracks over labels", "track all.tif --out all.tif", "all.tif is an input"),
    Refusal(
        "labels over labels",
        "track all.tif --out t.csv --labels-out all.tif",
        "all.tif is an input",
    ),
    Refusal("missing labels", "track movie.png --out tracks.csv", "There is no file"),
    *(
        Refusal(f"a reach of {reach}", f"track all.tif --out t.csv --reach {reach}", "reach is")
        for reach in ("-1", "0", "nan")
    ),
    Refusal(
        "a picture", "track ids.tif --out t.csv", "axes YXS of ids.tif none is time", in_colours
    ),
    Refusal("labels of one frame", "track third.tif --out tracks.csv", "none is time"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, truth: np.ndarray, tmp_path: Path) -> None:
    assert_refused(case, napari_sam, tmp_path)


def as_pyramid(ids: np.ndarray, folder: Path) -> None:
    """An OME-Zarr image of two levels."""
    group = zarr.open_group(folder / "ids.zarr", mode="w")
    group.create_array("0", data=ids)
    group.create_array("1", data=ids[:, ::2, ::2])
    axes = [{"name": name} for name in "tyx"]
    levels = [{"path": "0"}, {"path": "1"}]
    group.attrs["ome"] = {"multiscales": [{"axes": axes, "datasets": levels}]}


LABEL_FILES = {
    "ImageJ's floats": (
        "ids.tif",
        lambda ids, folder: write_ids(folder, ids.astype(np.float32)),
    ),
    "signed": ("ids.tif", lambda ids, folder: write_ids(folder, ids.astype(np.int32))),
    "OME-Zarr": ("ids.zarr", as_pyramid),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", LABEL_FILES)
def test_what_other_programs_save_as_labels(
    napari_sam: NapariSam, truth: np.ndarray, tmp_path: Path, kind: str
) -> None:
    name, write = LABEL_FILES[kind]
    write(truth, tmp_path)
    for command in (
        f"propagate movie.tif --labels {name} --frame 2 --direction both --out out.tif",
        f"track {name} --out tracks.csv --labels-out out.tif",
    ):
        ended = napari_sam(command)
        assert ended.code == 0, ended.err
        np.testing.assert_array_equal(tifffile.imread("out.tif"), truth)


def test_a_seed_frame_without_contrast_is_said(napari_sam: NapariSam, truth: np.ndarray) -> None:
    pixels = tifffile.imread("movie.tif")
    pixels[0] = 7
    tifffile.imwrite("dark.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    ended = napari_sam("propagate dark.tif --labels all.tif --frame 0 --frames 1 --out out.tif")
    assert "There is nothing to see in frame 0" in ended.err
