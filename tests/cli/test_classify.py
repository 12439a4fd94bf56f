"""`napari-sam classify`: a session with a few classes, a table with all."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import NapariSam
from napari_sam.engine import FrameStack
from napari_sam.session import Session, load, save, session_path
from napari_sam.session.classes import add_class, give_class

SIDE = 96


@pytest.fixture
def image(working_folder: Path) -> Path:
    """Small and large squares, and a session beside them in which four have a class."""
    pixels = np.random.default_rng(0).normal(40, 5, (SIDE, SIDE))
    labels = np.zeros(pixels.shape, np.uint16)
    for n in range(16):
        side, (y, x) = 6 + 6 * (n % 2), (24 * (n // 4) + 6, 24 * (n % 4) + 6)
        labels[y : y + side, x : x + side] = n + 1
        pixels[y : y + side, x : x + side] += 80
    pixels = pixels.astype(np.uint8)
    tifffile.imwrite(working_folder / "cells.tif", pixels)
    session = Session(FrameStack.from_array(pixels), labels)
    for name, ids in (("small", [1, 3]), ("large", [2, 4])):
        add_class(session, name)
        give_class(session, ids, name)
    save(session, session_path(working_folder / "cells.tif"), image_path="cells.tif")
    return working_folder / "cells.tif"


@pytest.mark.slow
def test_all_objects_get_a_class(napari_sam: NapariSam, image: Path) -> None:
    ended = napari_sam("classify cells.tif.napari-sam --out classes.csv")
    assert ended.code == 0, ended.err
    with open("classes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["small", "large"] * 8
    assert [row["class_probability"] for row in rows[:4]] == [""] * 4
    assert all(0.5 < float(row["class_probability"]) < 1 for row in rows[4:])
    assert ["small", "2", "6"] in [line.split() for line in ended.out.splitlines()]
    session = load(session_path(image), FrameStack.from_array(tifffile.imread(image)))
    assert len(session.classes.given) == 4, "the session stays as it is"

    ended = napari_sam("measure cells.tif --out measured.csv")
    assert ended.code == 0, ended.err
    with open("measured.csv", newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)][:5] == [
            *["small", "large"] * 2,
            "",
        ]
    image.unlink()
    ended = napari_sam("classify cells.tif.napari-sam --out classes.csv")
    assert ended.code == 1
    assert "--image" in ended.err
