"""`napari-sam measure`: real files in, tables out, in the units of the files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from annotating import CLICK, land, new_session, paint, square
from commands import NapariSam, Refusal, assert_refused
from napari_sam.engine import read_scales, write_labels
from napari_sam.session import Placement, save

LABELS = np.zeros((3, 20, 30), np.uint16)
LABELS[:, 2:6, 3:9] = 7
LABELS[1:, 10:12, 10:20] = 300


@pytest.fixture
def movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A movie of ImageJ with the size of its pixels, and labels without."""
    monkeypatch.chdir(tmp_path)
    image = (LABELS > 0).astype(np.uint16) * 40 + 10
    about = {"axes": "TYX", "unit": "um", "finterval": 30.0}
    tifffile.imwrite("movie.tif", image, imagej=True, resolution=(2, 2), metadata=about)
    write_labels("labels.tif", LABELS, "TYX")
    return tmp_path


@pytest.mark.parametrize("name", ["table.csv", "table.xlsx", "table.parquet"])
def test_a_table(movie: Path, napari_sam: NapariSam, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    out = "--tracks tracks.csv --background frame"
    ended = napari_sam(f"measure movie.tif --labels labels.tif --out {name} {out}")
    assert ended.code == 0, ended.err
    assert "2 objects in 5 rows" in ended.out
    read = {"csv": pd.read_csv, "xlsx": pd.read_excel, "parquet": pd.read_parquet}
    table = read[name.partition(".")[2]](name)
    assert table["object_id"].tolist() == [7, 7, 300, 7, 300]
    assert table["time_s"].tolist() == [0, 30, 30, 60, 60]
    assert table["area_um2"].tolist() == [6, 6, 5, 6, 5]
    assert set(table["intensity_mean"]) == {40}
    assert set(table["background"]) == {10}
    assert pd.read_csv("tracks.csv")["lifetime_s"].tolist() == [90, 60]


def test_the_size_of_a_pixel_as_said(movie: Path, napari_sam: NapariSam) -> None:
    line = "measure movie.tif --labels labels.tif --out a.csv --scale 0.1"
    assert napari_sam(f"{line} --unit nanometer").code == 0
    assert pd.read_csv("a.csv")["area_nm2"].tolist()[0] == pytest.approx(0.24)


def test_a_session_with_its_image_or_without(movie: Path, napari_sam: NapariSam) -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1, 4))
    paint(session, 0, square(5, 5), 1)
    n = 3
    session.placement = Placement(
        *((1.0, 0.5, 0.5), (0.0,) * n, tuple(map(tuple, np.eye(n))), (0.0,) * n),
        affine=tuple(map(tuple, np.eye(n + 1))),
        units=("pixel", "micrometer", "micrometer"),
        axis_labels=("t", "y", "x"),
    )
    save(session, movie / "cells.tif.napari-sam", image_path="cells.tif")
    ended = napari_sam("measure cells.tif.napari-sam --out a.csv")
    assert ended.code == 0
    assert "without intensities" in ended.err
    nines = np.full(session.stack.shape, 9, np.uint8)
    tifffile.imwrite("cells.tif", nines, imagej=True, metadata={"axes": "TYX"})
    for given in ("cells.tif.napari-sam", "cells.tif"):
        assert napari_sam(f"measure {given} --out b.csv").code == 0
        (row,) = pd.read_csv("b.csv").to_dict("records")
        assert (row["object_id"], row["t"], row["area_um2"]) == (1, 0, 20 / 4)
        assert row["by_hand_share"] == pytest.approx(4 / 20)
        assert row["score"] == 0.9
        assert row["model"] == "pocket"
        assert row["intensity_mean"] == 9
    next((movie / "cells.tif.napari-sam" / "frames").glob("0*.json")).unlink()
    ended = napari_sam("measure cells.tif --out c.csv")
    assert (ended.code, len(pd.read_csv("c.csv"))) == (3, 1)
    assert "The prompts of frame 0 are lost" in ended.err


def write_noise(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(1, 99, LABELS.shape, np.uint16)
    tifffile.imwrite(folder / "noise.tif", noise, photometric="minisblack")


WITH = "measure movie.tif --labels labels.tif --out"
REFUSALS = (
    Refusal("no labels", "measure movie.tif --out a.csv", "No session is saved beside"),
    Refusal("a picture", f"{WITH} a.png", ".csv, .parquet"),
    Refusal("the input", f"{WITH} labels.tif", "Choose a name"),
    Refusal("not numbers", f"{WITH} a.csv --scale um", "cannot be read"),
    Refusal("a unit of nothing", f"{WITH} a.csv --unit nm", "such as 0.2"),
    Refusal("twice", f"{WITH} a.csv --tracks a.csv", "Two results"),
    Refusal(
        "an image",
        "measure movie.tif --labels noise.tif --out a.csv",
        "rather than labels",
        write_noise,
    ),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refused(case: Refusal, movie: Path, napari_sam: NapariSam) -> None:
    assert_refused(case, napari_sam, movie)


def test_a_package_that_is_not_installed(
    movie: Path, napari_sam: NapariSam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    ended = napari_sam("measure movie.tif --labels labels.tif --out a.xlsx")
    assert ended.code == 1
    assert "napari-sam-annotator[formats]" in ended.err


OME = {"axes": "TZYX", "PhysicalSizeX": 250, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}


def test_sizes_of_pixels_of_files(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 8, 9), np.uint8)
    about = {**OME, "TimeIncrement": 5}
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="minisblack", metadata=about)
    assert read_scales(tmp_path / "a.ome.tif") == {
        "X": (250, "nm"),
        "Y": (0.25, "µm"),
        "T": (5, "s"),
    }
    about = {"axes": "TZYX", "unit": "micron", "spacing": 2.0}
    tifffile.imwrite(tmp_path / "b.tif", pixels, imagej=True, resolution=(4, 2), metadata=about)
    found = read_scales(tmp_path / "b.tif")
    assert found == {"X": (0.25, "micron"), "Y": (0.5, "micron"), "Z": (2, "micron")}
    tifffile.imwrite(tmp_path / "c.tif", pixels, imagej=True, metadata={"axes": "TZYX"})
    assert read_scales(tmp_path / "c.tif") == {}
    group = zarr.open_group(tmp_path / "d.zarr", mode="w")
    group.create_array("0", data=pixels[0])
    group.attrs["multiscales"] = [
        {
            "axes": [{"name": n, "type": "space", "unit": "nanometer"} for n in "zyx"],
            "datasets": [
                {
                    "path": "0",
                    "coordinateTransformations": [{"type": "scale", "scale": [9, 3, 3]}],
                }
            ],
            "coordinateTransformations": [{"type": "scale", "scale": [1, 2, 2]}],
        }
    ]
    sizes = {"Z": (9, "nanometer"), "Y": (6, "nanometer"), "X": (6, "nanometer")}
    assert read_scales(tmp_path / "d.zarr") == sizes
    for wrong in ([9, 3], [9, "x", 3], None):
        (said,) = group.attrs["multiscales"]
        said["datasets"][0]["coordinateTransformations"] = [{"type": "scale", "scale": wrong}]
        group.attrs["multiscales"] = [said]
        assert read_scales(tmp_path / "d.zarr") == {}
    write_labels(tmp_path / "e.tif", pixels)
    assert read_scales(tmp_path / "e.tif") == {}
