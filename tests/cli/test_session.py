"""`napari-sam session show|export`: what was saved, without image, window or network."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from annotating import CLICK, SHAPE, frame, land, new_session, paint, square
from commands import NapariSam, Refusal, assert_refused
from napari_sam.engine import read_image
from napari_sam.session import Propagated, Region, Session, classes, objects, save

WARNING = "It shrank too much."
WHY = "Object 4 ends before frame 1. It vanished."


@pytest.fixture
def session() -> Session:
    """One object prompted and propagated, and divided in the last frame."""
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    run = session.new_run()
    for t in (1, 2, 3):
        mask = Region.from_mask(square(t, t))
        warning = WARNING if t == 2 else ""
        propagated = Propagated(
            1, frame(t), mask, 0.7, 0.6, 0.5, "pocket", frame(0), warning=warning
        )
        session.land_propagated(propagated, run)
    paint(session, 3, square(6, 6), 2)
    objects.divide(session, 1, (1, 2), frame(3))
    land(session, 4, 0, CLICK, square(5, 5))
    session.land_propagated(
        Propagated(4, frame(1), Region.empty(), 0, 0, 0, "pocket", frame(0), WHY), run
    )
    session.edit(4, frame(3), CLICK)
    classes.add_class(session, "early")
    classes.give_class(session, [1], "early")
    classes.take_proposals(session, {2: ("early", 0.75)})
    return session


@pytest.fixture
def saved(session: Session, tmp_path: Path) -> Path:
    """That session, saved."""
    folder = tmp_path / "movie.tif.napari-sam"
    save(session, folder, image_path="movie.tif")
    return folder


REFUSALS = (
    Refusal("the image", "--labels movie.tif", "movie.tif, an input of this command"),
    Refusal("in the session", "--labels movie.tif.napari-sam/labels.tif", "is inside"),
    Refusal(
        "the session",
        "--labels labels.tif --scores movie.tif.napari-sam/session.json",
        "movie.tif.napari-sam/session.json is inside",
    ),
    Refusal("tracks over labels", "--labels a.tif --tracks a.tif", "Two results"),
    Refusal("labels as text", "--labels labels.csv", "Choose a name in .tif or .zarr"),
)


@pytest.mark.parametrize("moved", [False, True], ids=["where it was", "moved with its image"])
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_what_export_must_not_overwrite(
    case: Refusal,
    moved: bool,
    session: Session,
    tmp_path: Path,
    napari_sam: NapariSam,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.joinpath("movie.tif").write_text("pixels")
    recorded = tmp_path / ("elsewhere" if moved else "") / "movie.tif"
    save(session, tmp_path / "movie.tif.napari-sam", image_path=recorded)
    command = f"session export movie.tif.napari-sam {case.command}"
    assert_refused(replace(case, command=command), napari_sam, tmp_path)


def test_an_image_is_no_session(tmp_path: Path, napari_sam: NapariSam) -> None:
    tmp_path.joinpath("movie.tif").write_text("pixels")
    ended = napari_sam(f"session show {tmp_path / 'movie.tif'}")
    assert ended.code == 1
    assert "There is no session in" in ended.err
    assert "Give the folder whose name ends in .napari-sam." in ended.err


def test_the_session_beside_an_image_is_named(
    tmp_path: Path, napari_sam: NapariSam, session: Session
) -> None:
    tmp_path.joinpath("movie.tif").write_text("pixels")
    save(session, folder := tmp_path / "movie.tif.napari-sam")
    ended = napari_sam(f"session show {tmp_path / 'movie.tif'}")
    assert ended.code == 1
    assert f"Give {folder}." in ended.err.replace("\n", "")


@pytest.fixture
def run(napari_sam: NapariSam) -> Callable[..., str]:
    """Run `napari-sam session …`, which succeeds; what it prints."""

    def run_(*arguments: object) -> str:
        ended = napari_sam(" ".join(["session", *map(str, arguments)]))
        assert ended.code == 0, ended.err
        return ended.out

    return run_


def test_show(run, saved: Path) -> None:
    text = run("show", saved)
    assert "movie.tif, 4 × 8 × 9, uint8" in text
    assert "pocket, fp32, sha256:0" in text
    assert "waiting 1 to be decoded" in text
    *rows, last = (line.split() for line in text.splitlines()[-4:])
    assert last == ["4", "1", "1", "0", "0", "1", "0.90", *WHY.split()]
    assert rows == [
        ["1", "3", "1", "2", "0", "1", "0.50", "early"],
        ["2", "1", "1", "0", "0", "0", "1", "early", "0.75"],
        ["3", "1", "0", "1", "0", "0", "0.50", "1"],
    ]


def test_show_as_json(run, saved: Path) -> None:
    shown = json.loads(run("show", saved / "session.json", "--json"))
    assert shown["image"]["shape"] == list(SHAPE)
    assert shown["parents"] == {"2": [1], "3": [1]}
    assert [row["object_id"] for row in shown["objects"]] == [1, 2, 3, 4]
    assert [row["warnings"] for row in shown["objects"]] == [[WARNING], [], [], []]
    assert [row["ended"] for row in shown["objects"]] == [[], [], [], [WHY]]
    assert [row["class"] for row in shown["objects"]] == ["early", "early", "", ""]
    assert [row["class_probability"] for row in shown["objects"]] == [None, 0.75, None, None]


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr"])
def test_export(run, session: Session, saved: Path, tmp_path: Path, name: str) -> None:
    out, tracks, scores = (tmp_path / n for n in (name, "tracks.csv", "scores.csv"))
    run("export", saved, "--labels", out, "--tracks", tracks, "--scores", scores)
    np.testing.assert_array_equal(np.asarray(read_image(out)[0]), session.labels)
    with tracks.open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["id"], r["parent"], r["frame"]) for r in rows] == [
        ("1", "", "0"),
        ("1", "", "1"),
        ("1", "", "2"),
        ("2", "1", "3"),
        ("3", "1", "3"),
        ("4", "", "0"),
    ]
    with scores.open() as file:
        rows = list(csv.DictReader(file))
    classed = {(r["object_id"], r["class"], r["class_probability"]) for r in rows if r["class"]}
    assert classed == {("1", "early", ""), ("2", "early", "0.7500")}
    propagated = [row for row in rows if row["source"]]
    columns = ("object_id", "frame", "score", "source", "warning", "stopped")
    assert {tuple(row[name] for name in columns) for row in propagated} == {
        ("1", "1", "0.5000", "0", "", ""),
        ("1", "2", "0.5000", "0", WARNING, ""),
        ("3", "3", "0.5000", "0", "", ""),
        ("4", "1", "", "0", "", WHY),
    }


def test_export_of_the_labels_alone(run, saved: Path, tmp_path: Path) -> None:
    run("export", saved, "--labels", tmp_path / "labels.tif")
    assert tifffile.imread(tmp_path / "labels.tif").shape == SHAPE
    assert not list(tmp_path.glob("*.csv"))


@pytest.mark.parametrize("lost", ["0_y_x-*.tif", "3_y_x-*.json"])
def test_of_a_session_with_parts_missing_the_rest_and_exit_code_3(
    napari_sam: NapariSam, session: Session, saved: Path, tmp_path: Path, lost: str
) -> None:
    (part,) = (saved / "frames").glob(lost)
    part.unlink()
    for command in ("show", "show --json", f"export --labels {tmp_path / 'a.tif'}"):
        word, *options = command.split()
        ended = napari_sam(" ".join(["session", word, str(saved), *options]))
        assert ended.code == 3
        assert "frame" in ended.err
        assert ended.out
    labels = tifffile.imread(tmp_path / "a.tif")
    np.testing.assert_array_equal(labels[1:3], session.labels[1:3])
