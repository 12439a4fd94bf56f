"""Stacks without a screen: in Python, and `napari-sam propagate` and `napari-sam track`."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

import movies
from movies import movie, moving
from napari_sam.cli import main
from napari_sam.engine import FrameError, iou
from napari_sam.headless_stacks import propagate, seeded_session

COURSES = {3: moving(16, 10, 0, 4, 5), 8: moving(48, 50, 0, -4, 5)}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def napari_sam(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Run a command in this process, with the network that sees what is bright."""
    model = movies.predictor().model
    monkeypatch.setattr("napari_sam.engine.load_model", lambda *_, **__: model)

    def run(command: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["napari-sam", *command.split()])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


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


@pytest.mark.parametrize("whole", [False, True], ids=["one frame", "a whole stack"])
def test_seeds_are_those_of_one_frame(whole: bool) -> None:
    stack, labels = movie(COURSES)
    session = seeded_session(stack, labels if whole else labels[2], stack.index(2))
    np.testing.assert_array_equal(session.labels[2], labels[2])
    assert not session.labels[[0, 1, 3, 4]].any()


def test_seeds_that_do_not_fit() -> None:
    stack, labels = movie(COURSES)
    with pytest.raises(FrameError, match="do not fit"):
        seeded_session(stack, labels[:, :-1], stack.index(0))
    with pytest.raises(FrameError, match="no object"):
        seeded_session(stack, np.zeros_like(labels), stack.index(0))


def test_propagate_in_python() -> None:
    """Every result is in the labels when it comes; stopping keeps it."""
    stack, labels = movie(COURSES)
    session = seeded_session(stack, labels, stack.index(0))
    results = propagate(session, stack.index(0), movies.predictor())
    first = next(results)
    assert (first.object_id, first.frame) == (3, (1, None, None))
    np.testing.assert_array_equal(session.region(3, first.frame).pixels, first.mask.pixels)
    next(results)
    results.close()
    assert session.labels[1].any()
    assert not session.labels[2].any()
    assert session.annotation(3, first.frame).model_hash == "0"


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


def test_why_an_object_ended_is_printed(napari_sam, truth) -> None:
    movie_pixels = tifffile.imread("movie.tif")
    movie_pixels[1:, 40:] = 20
    tifffile.imwrite("gone.tif", movie_pixels, imagej=True, metadata={"axes": "TYX"})
    ended = napari_sam("propagate gone.tif --labels all.tif --frame 0 --out out.tif")
    assert "Object 8 ends before frame 3. It vanished." in ended.out


def test_track(napari_sam, truth) -> None:
    mixed = truth.copy()
    mixed[2][truth[2] == 3], mixed[2][truth[2] == 8] = 8, 3
    tifffile.imwrite("mixed.tif", mixed, imagej=True, metadata={"axes": "TYX"})
    ended = napari_sam("track mixed.tif --out tracks.csv --labels-out tracked.tif")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("2 tracks, 0 divisions")
    np.testing.assert_array_equal(tifffile.imread("tracked.tif"), truth)
    with open("tracks.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("propagate movie.tif --labels all.tif --frame 9 --out o.tif", "outside a stack of 5"),
        ("propagate movie.tif --labels all.tif --frame x --out o.tif", "--frame x cannot be read"),
        ("propagate movie.tif --labels all.tif --frame 0 --ids a --out o.tif", "--ids a cannot"),
        ("propagate movie.tif --labels all.tif --frame 0 --ids 5 --out o.tif", "Object 5 has no"),
        ("propagate movie.tif --labels all.tif --frame 4 --out o.tif", "no frame forward"),
        ("propagate movie.tif --labels all.tif --frame 0 --out no/o.tif", "There is no folder"),
        ("track movie.png --out tracks.csv", "There is no file"),
        ("track third.tif --out tracks.csv", "time axis"),
    ],
)
def test_refusal(napari_sam, truth, command: str, says: str) -> None:
    ended = napari_sam(command)
    assert ended.code == 1
    assert says in ended.err
    assert ended.err.count("\n") == 1
