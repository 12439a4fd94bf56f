"""`napari-sam export` and `import`: real files, what is lost, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from annotating import CLICK, land, new_session, square
from commands import NapariSam, Refusal, assert_refused
from labelled_cases import RING
from napari_sam.engine import write_labels
from napari_sam.formats import FORMATS
from napari_sam.session import save


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labels of a movie, their image, and a session."""
    monkeypatch.chdir(tmp_path)
    write_labels("labels.tif", np.stack([RING, RING]), "TYX")
    image = np.stack([RING, RING]).astype(np.uint8)
    tifffile.imwrite("movie.tif", image, imagej=True, metadata={"axes": "TYX"})
    session = new_session()
    land(session, 3, 1, CLICK, square(1, 1))
    save(session, tmp_path / "cells.tif.napari-sam", image_path="cells.tif")
    return tmp_path


def test_out_and_in(folder: Path, napari_sam: NapariSam) -> None:
    for out in ("a.geojson", "a.json", "a.zip", "a.zarr", "a.ome.tif"):
        ended = napari_sam(f"export labels.tif --out {out}")
        assert ended.code == 0, ended.err
        assert f"written to {out}" in ended.out
        ended = napari_sam(f"import {out} --like movie.tif --out again.tif")
        assert (ended.code, ended.err) == (0, "")
        np.testing.assert_array_equal(tifffile.imread("again.tif"), np.stack([RING, RING]))


def test_of_a_session(folder: Path, napari_sam: NapariSam) -> None:
    assert napari_sam("export cells.tif.napari-sam --to coco --out a.json").code == 0
    (record,) = json.loads(Path("a.json").read_text())["annotations"]
    assert (record["object_id"], record["image_id"], record["area"]) == (3, 2, 4)
    for part in Path("cells.tif.napari-sam", "frames").glob("*.json"):
        part.unlink()
    ended = napari_sam("export cells.tif.napari-sam --to coco --out a.json")
    assert ended.code == 3
    assert "prompts of frame 1 are lost" in ended.err


def test_a_session_in_a_zip_file(folder: Path, napari_sam: NapariSam) -> None:
    shutil.make_archive("cells.tif.napari-sam", "zip", ".", "cells.tif.napari-sam")
    ended = napari_sam("import cells.tif.napari-sam.zip --out again.tif")
    assert (ended.code, ended.err) == (0, "")
    again = tifffile.imread("again.tif")
    assert np.argwhere(again == 3).tolist() == [[1, 1, 1], [1, 1, 2], [1, 2, 1], [1, 2, 2]]


def test_what_is_lost_is_said(folder: Path, napari_sam: NapariSam) -> None:
    ended = napari_sam("export labels.tif --to yolo --out yolo")
    assert ended.code == 0
    assert "YOLO segmentation: holes of objects are filled." in ended.err
    assert "in time is lost" in ended.err


def test_the_list(napari_sam: NapariSam) -> None:
    shown = napari_sam("export --list").out
    assert all(name in shown for name in FORMATS)


def write_polygons(folder: Path) -> None:
    polygon = {"type": "Polygon", "coordinates": [[[1, 1], [5, 1], [5, 5]]], "plane": {"t": 7}}
    feature = {"type": "Feature", "geometry": polygon, "properties": {}}
    folder.joinpath("late.geojson").write_text(json.dumps(feature))


REFUSALS = (
    Refusal("no labels", "export", "--list shows formats"),
    Refusal("a page", "export web --out a", "Did you mean `napari-sam page IMAGE"),
    Refusal("no format", "export labels.tif --out a.abc", "does not tell the format"),
    Refusal("another format", "export labels.tif --to obj3 --out a", "'obj3' is no format"),
    Refusal("over the labels", "export labels.tif --to tiff --out labels.tif", "an input"),
    *(
        Refusal(
            f"pixels of {size}",
            f"export labels.tif --to ome-tiff --out a.ome.tif --scale {size}",
            "do not exist. Give numbers above 0.",
        )
        for size in ("0", "nan", "0.2,inf")
    ),
    Refusal("no folder", "export labels.tif --out no/a.geojson", "There is no folder"),
    Refusal("a folder there", "export labels.tif --to yolo --out .", "there already"),
    Refusal("over the file", "import movie.tif --out movie.tif", "an input"),
    Refusal("no image", "import late.geojson --out a.tif", "--like", write_polygons),
    Refusal(
        "no such frame",
        "import late.geojson --like movie.tif --out a.tif",
        "feature 0 is in the plane t 7, z 0",
        write_polygons,
    ),
    Refusal("only written", "import movie.tif --from yolo --out a.tif", "only written"),
    Refusal("no file", "import nothing.json --out a.tif", "There is no file"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refused(case: Refusal, folder: Path, napari_sam: NapariSam) -> None:
    assert_refused(case, napari_sam, folder)


def test_a_package_that_is_not_installed(
    folder: Path, napari_sam: NapariSam, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "roifile", None)
    ended = napari_sam("export labels.tif --out a.zip")
    assert ended.code == 1
    assert "napari-sam-annotator[formats]" in ended.err
