"""`napari-sam session show|export`: what was saved, without image, window or network."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from annotating import CLICK, SHAPE, frame, land, new_session, paint, square
from napari_sam.cli import app
from napari_sam.engine import read_image
from napari_sam.session import Carried, Region, Session, objects, save


@pytest.fixture
def session() -> Session:
    """One object prompted and carried, and divided in the last frame."""
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    run = session.new_run()
    for t in (1, 2, 3):
        mask = Region.from_mask(square(t, t))
        session.carry(Carried(1, frame(t), mask, 0.7, 0.6, 0.5, "pocket", frame(0)), run)
    paint(session, 3, square(6, 6), 2)
    objects.divide(session, 1, (1, 2), frame(3))
    return session


@pytest.fixture
def saved(session: Session, tmp_path: Path) -> Path:
    """That session, saved."""
    folder = tmp_path / "movie.tif.napari-sam"
    save(session, folder, image_path="movie.tif")
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["session", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_show(saved: Path) -> None:
    text = run("show", saved)
    assert "movie.tif, 4 × 8 × 9, uint8" in text
    assert "pocket, fp32, sha256:0" in text
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows == [
        ["1", "3", "1", "2", "1", "0.50"],
        ["2", "1", "1", "0", "0", "1"],
        ["3", "1", "0", "1", "0", "0.50", "1"],
    ]


def test_show_as_json(saved: Path) -> None:
    shown = json.loads(run("show", saved / "session.json", "--json"))
    assert shown["image"]["shape"] == list(SHAPE)
    assert shown["parents"] == {"2": [1], "3": [1]}
    assert [row["object_id"] for row in shown["objects"]] == [1, 2, 3]


@pytest.mark.parametrize("name", ["labels.tif", "labels.zarr"])
def test_export(session: Session, saved: Path, tmp_path: Path, name: str) -> None:
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
    ]
    with scores.open() as file:
        carried = [row for row in csv.DictReader(file) if row["source"]]
    assert [(r["object_id"], r["frame"], r["score"], r["source"]) for r in carried] == [
        ("1", "1", "0.5000", "0"),
        ("1", "2", "0.5000", "0"),
        ("3", "3", "0.5000", "0"),
    ]


def test_export_of_the_labels_alone(saved: Path, tmp_path: Path) -> None:
    run("export", saved, "--labels", tmp_path / "labels.tif")
    assert tifffile.imread(tmp_path / "labels.tif").shape == SHAPE
    assert not list(tmp_path.glob("*.csv"))
