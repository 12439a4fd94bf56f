"""Every format: out, in again, and opened by the reader of those who use it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import roifile
import tifffile
import zarr
from ome_zarr_models.v04.image_label import ImageLabelAttrs as Attributes04
from ome_zarr_models.v05.image_label import ImageLabelAttrs as Attributes05
from pycocotools.coco import COCO
from shapely.geometry import shape as to_shapely

from labelled_cases import CASES, RING, Case, holes, many, movie, volume, volumes
from napari_sam.engine import (
    FrameError,
    Labelled,
    SamError,
    read_image,
    read_labels,
    read_scales,
)
from napari_sam.formats import FORMATS, Canvas, export, import_objects, losses
from napari_sam.formats.catalogue import SHAPES

ENDINGS = {"ome-zarr-0.4": "04.zarr", "yolo": "yolo"}
READ = [
    each.name
    for each in FORMATS.values()
    if each.reads and each.holds >= SHAPES and each.name != "ctc"  # which has tests of its own
]


def path_of(folder: Path, name: str) -> Path:
    return folder / ENDINGS.get(
        name, f"objects{FORMATS[name].suffixes[0]}" if FORMATS[name].suffixes else name
    )


def written(objects: Labelled, folder: Path, name: str) -> Path:
    path = path_of(folder, name)
    export(objects, path, name)
    return path


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", READ)
def test_out_and_in_again(name: str, case: Case, tmp_path: Path) -> None:
    objects = case.make()
    if name == "cellpose" and len(objects.shape) > 3:
        with pytest.raises(FrameError, match="a frame or a volume"):
            written(objects, tmp_path, name)
        return
    path = written(objects, tmp_path, name)
    again = import_objects(path, canvas=Canvas.of(objects))
    np.testing.assert_array_equal(again.labels[...], objects.labels)
    assert again.problems == ()
    holds = FORMATS[name].holds
    if "classes" in holds:
        there = set(np.unique(objects.labels).tolist())
        assert again.classes == {k: v for k, v in objects.classes.items() if k in there}
    if "reviews" in holds:
        assert again.reviews == objects.reviews
    if "scale" in holds and objects.units[-1] != "pixel":
        np.testing.assert_allclose(again.scale[-2:], objects.scale[-2:], rtol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing else is left


@pytest.mark.parametrize("name", [n for n in READ if not FORMATS[n].needs_canvas])
def test_in_again_without_the_image(name: str, tmp_path: Path) -> None:
    objects = movie()
    again = import_objects(written(objects, tmp_path, name))
    np.testing.assert_array_equal(again.labels[...], objects.labels)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["axon_sem", "cancer_migration_timelapse", "mouse_embryo_3d"])
def test_real_objects_come_back(source: str, data_folder: Path, tmp_path: Path) -> None:
    index = json.loads((data_folder / "index.json").read_text())
    about = next(each for each in index if each["source"] == source)
    labels = np.asarray(read_labels(data_folder / about["labels"])[0][...])
    objects = Labelled.of(labels, axes=about["axes"])
    for name in (*READ, "ctc"):
        again = import_objects(written(objects, tmp_path, name), name, canvas=Canvas.of(objects))
        np.testing.assert_array_equal(again.labels[...], labels)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coco", "geojson", "imagej-rois"])
def test_seventy_thousand_objects(name: str, tmp_path: Path) -> None:
    """No time or memory that grows with objects times pixels; a few thousand come back."""
    written(Labelled.of(many()), tmp_path, name)
    labels = many(40)
    path = written(Labelled.of(labels), tmp_path, name)
    again = import_objects(path, canvas=Canvas(labels.shape, "YX"))
    np.testing.assert_array_equal(again.labels[...], labels)


# Opened by the readers of others


def test_imagej_knows_axes_and_sizes(tmp_path: Path) -> None:
    path = written(
        replace(volumes(), units=("s", "micrometer", "micrometer", "micrometer")), tmp_path, "tiff"
    )
    with tifffile.TiffFile(path) as file:
        about = file.imagej_metadata
        assert (about["frames"], about["slices"], about["hyperstack"]) == (2, 3, True)
        assert (about["unit"], about["spacing"], about["finterval"]) == ("um", 2.0, 1.5)
        assert file.series[0].axes == "TZYX"
        assert file.pages[0].tags["XResolution"].value == (4, 1)
        assert file.asarray().dtype == np.uint16
    path = written(Labelled.of(RING.astype(np.uint32) * 70_000), tmp_path, "tiff")
    assert tifffile.imread(path).dtype == np.uint32


def test_ome_tiff(tmp_path: Path) -> None:
    path = written(volume(), tmp_path, "ome-tiff")
    with tifffile.TiffFile(path) as file:
        assert file.is_ome
        assert 'PhysicalSizeZ="2.0"' in file.ome_metadata
        assert 'PhysicalSizeXUnit="nm"' in file.ome_metadata
    assert read_scales(path)["Y"] == (0.5, "nm")


@pytest.mark.parametrize(
    ("name", "model"), [("ome-zarr", Attributes05), ("ome-zarr-0.4", Attributes04)]
)
def test_ome_zarr_is_valid(name: str, model: type, tmp_path: Path) -> None:
    labels = np.zeros((3, 700, 900), np.uint16)
    labels[1, 100:400, 200:500] = 5
    objects = replace(movie(), labels=labels, classes={5: "nucleus"})
    path = written(objects, tmp_path, name)
    attributes = zarr.open_group(path, mode="r").attrs
    about = model.model_validate(attributes.get("ome", dict(attributes)))
    (image,) = about.multiscales
    assert [axis.name for axis in image.axes] == ["t", "y", "x"]
    assert image.axes[1].unit == "micrometer"
    scales = [level.coordinateTransformations[0].scale for level in image.datasets]
    assert scales == [[30, 0.2, 0.2], [30, 0.4, 0.4], [30, 0.8, 0.8]]
    label = about.image_label
    assert [colour.label_value for colour in label.colors] == [5]
    smallest = zarr.open_group(path, mode="r")["2"]
    assert smallest.shape == (3, 175, 225)
    assert smallest[1, 50, 60] == 5
    pixels, axes = read_image(path)
    assert axes == "TYX"
    assert pixels[0].shape == labels.shape


@pytest.mark.parametrize(("name", "zarr_format"), [("ome-zarr", 3), ("ome-zarr-0.4", 2)])
def test_ome_zarr_inside_an_image(name: str, zarr_format: int, tmp_path: Path) -> None:
    image = zarr.create_group(tmp_path / "image.zarr", zarr_format=zarr_format)
    image.create_group("labels")
    for each in ("cells", "again"):
        export(holes(), tmp_path / "image.zarr" / "labels" / each, name)
    node = zarr.open_group(tmp_path / "image.zarr" / "labels", mode="r")
    assert node.attrs.get("ome", node.attrs)["labels"] == ["again", "cells"]
    pixels, _ = read_image(tmp_path / "image.zarr" / "labels" / "cells")
    np.testing.assert_array_equal(pixels[0], RING)


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # of pycocotools itself
def test_pycocotools(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    objects = movie()
    coco = COCO(written(objects, tmp_path, "coco"))
    assert sorted(each["name"] for each in coco.cats.values()) == ["block", "object", "ring"]
    assert len(coco.imgs) == 3
    assert not coco.getAnnIds(imgIds=[2])
    for t in (0, 2):
        for record in coco.loadAnns(coco.getAnnIds(imgIds=[t + 1])):
            mask = objects.labels[t] == record["object_id"]
            np.testing.assert_array_equal(coco.annToMask(record), mask)
            assert record["area"] == mask.sum()
            y, x = np.nonzero(mask)
            box = [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]
            assert record["bbox"] == box
    capsys.readouterr()


def test_coco_polygons_of_others(tmp_path: Path) -> None:
    image = {"id": "a", "height": 20, "width": 30}
    polygon = {"image_id": "a", "segmentation": [[2, 3, 12, 3, 12, 8, 2, 8]], "category_id": 4}
    runs = {"image_id": "a", "segmentation": {"size": [20, 30], "counts": [0, 20, 580]}}
    content = {
        "images": [image],
        "annotations": [polygon, runs],
        "categories": [{"id": 4, "name": "rod"}],
    }
    path = tmp_path / "others.json"
    path.write_text(json.dumps(content))
    found = import_objects(path)
    assert (found.labels[3:8, 2:12] == 1).all()
    assert np.bincount(found.labels.ravel())[1:].tolist() == [50, 20]
    assert found.classes == {1: "rod"}


def test_geojson_is_valid_for_shapely_and_as_qupath_writes_it(tmp_path: Path) -> None:
    objects = movie()
    content = json.loads(written(objects, tmp_path, "geojson").read_text())
    assert content["type"] == "FeatureCollection"
    for feature in content["features"]:
        t = feature["geometry"].get("plane", {"t": 0})["t"]
        polygon = to_shapely(feature["geometry"])
        assert polygon.is_valid
        object_id = int(feature["properties"]["name"])
        assert polygon.area == (objects.labels[t] == object_id).sum()
        assert feature["properties"]["objectType"] == "annotation"
        assert feature["properties"]["measurements"]["area_um2"] == pytest.approx(
            0.04 * polygon.area
        )
    assert len({feature["id"] for feature in content["features"]}) == len(content["features"])
    classes = {f["properties"].get("classification", {}).get("name") for f in content["features"]}
    assert classes == {"ring", "block", None}


def test_rois_as_roifile_reads_them(tmp_path: Path) -> None:
    path = written(volumes(), tmp_path, "imagej-rois")
    with zipfile.ZipFile(path) as file:
        assert len(file.namelist()) == 4 * 6 + 4
    rois = roifile.roiread(path)
    places = {(roi.t_position, roi.z_position) for roi in rois}
    assert places == {(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)}
    assert [roi.composite for roi in rois if roi.name in "12"] == [True, False] * 5
    plain = Labelled.of(np.pad(np.ones((4, 5), np.uint16), 2))
    (roi,) = roifile.roiread(written(plain, tmp_path, "imagej-rois"))
    assert roi.coordinates().tolist() == [[2, 2], [7, 2], [7, 6], [2, 6]]


def test_rois_drawn_by_hand(tmp_path: Path) -> None:
    rois = [
        roifile.ImagejRoi.frompoints([[1, 1], [6, 1], [6, 5], [1, 5]], name="left one", t=0),
        roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=8, left=2, bottom=14, right=12),
        roifile.ImagejRoi(roitype=roifile.ROI_TYPE.RECT, top=8, left=20, bottom=10, right=25),
        roifile.ImagejRoi(roitype=roifile.ROI_TYPE.LINE),
    ]
    path = tmp_path / "drawn.zip"
    roifile.roiwrite(path, rois)
    found = import_objects(path, canvas=Canvas((16, 30), "YX"))
    areas = np.bincount(found.labels.ravel())[1:]
    assert areas[[0, 2]].tolist() == [20, 10]
    assert areas[1] == pytest.approx(np.pi * 3 * 5, rel=0.05)
    assert "1 ROIs of drawn.zip are lines" in found.problems[0]


def test_yolo(tmp_path: Path) -> None:
    path = written(movie(), tmp_path, "yolo")
    first = (path / "labels" / "frame_0000.txt").read_text().splitlines()
    assert len(first) == 8  # pieces
    number, *shares = first[0].split()
    assert number == "2"  # ring, after block and object
    points = np.array(shares, float).reshape(-1, 2) * (10, 11)
    np.testing.assert_allclose(points, [[1, 1], [6, 1], [6, 6], [1, 6]], atol=1e-4)
    assert (path / "labels" / "frame_0001.txt").read_text() == ""
    assert '2: "ring"' in (path / "data.yaml").read_text()


def test_cellpose_opens_it(tmp_path: Path) -> None:
    path = written(holes(), tmp_path, "cellpose")
    content = np.load(path, allow_pickle=True).item()
    np.testing.assert_array_equal(content["masks"], RING)
    assert set(content) >= {"outlines", "colors", "filename", "flows", "ismanual", "chan_choose"}
    assert content["colors"].shape == (6, 3)
    assert set(np.unique(content["outlines"])) == set(range(7))


# What is lost, and what is damaged


def test_losses_are_told() -> None:
    told = {name: " ".join(losses(movie(), FORMATS[name])) for name in FORMATS}
    assert "holes of objects are filled" in told["yolo"]
    assert "several pieces" in told["yolo"]
    assert "came from which" in told["coco"]
    assert "in time is lost" in told["coco"]
    assert "classes" in told["tiff"]
    assert [name for name in told if "numbered anew" in told[name]] == ["yolo", "trackmate"]
    assert "size of a pixel" in told["geojson"]
    assert losses(Labelled.of(np.ones((4, 4), np.uint8)), FORMATS["geojson"]) == []


BAD_NUMBER = [[[0, 0], [0, float("nan")], [2, 2]]]


def feature(**geometry: object) -> dict:
    return {"type": "Feature", "geometry": {"type": "Polygon", **geometry}, "properties": {}}


ONE_IMAGE = {"images": [{"id": 1, "height": 8, "width": 9}]}


def coco(**record: object) -> str:
    return json.dumps({**ONE_IMAGE, "annotations": [{"image_id": 1, **record}]})


def coco_of(odd: object) -> str:
    """Three annotations, the middle one odd."""
    others = [{"image_id": 1, "segmentation": [[x, 5, x + 2, 5, x + 2, 7, x, 7]]} for x in (1, 5)]
    return json.dumps({**ONE_IMAGE, "annotations": [others[0], odd, others[1]]})


def features(*given: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(given)})


def runs(counts: object, size: tuple[int, int] = (8, 9)) -> str:
    return coco(segmentation={"size": size, "counts": counts})


def square(**more: object) -> dict:
    return feature(coordinates=[[[0, 0], [0, 2], [2, 2], [2, 0]]], **more)


def other() -> dict:
    return feature(coordinates=[[[4, 4], [4, 6], [6, 6], [6, 4]]])


FAR = [[[0, 1e99], [1, 1], [0, 1]]]
NAMED = {**square(), "properties": {"name": "4"}}
DAMAGED: tuple[tuple[str, str, str, str], ...] = (
    ("truncated", "a.geojson", '{"type": "FeatureCollection", "features": [{"ty', "line 1"),
    ("foreign", "a.geojson", '{"type": "Topology"}', "FeatureCollection is wanted"),
    ("not text", "a.geojson", "\udcff\udcfe", "UTF-8"),
    ("nested", "a.geojson", "[" * 100_000, "nested"),
    ("NaN", "a.geojson", features(feature(coordinates=BAD_NUMBER)), "x 0, y nan"),
    ("far away", "a.geojson", features(feature(coordinates=FAR)), "point 0"),
    ("no points", "a.geojson", features(feature(coordinates=[["a"]])), "no list of points"),
    ("no ring", "a.geojson", features(feature(coordinates=["a"])), "no list of points"),
    ("a number", "a.geojson", features(3), "feature 0"),
    ("another plane", "a.geojson", features(square(plane={"t": 9})), "does not have"),
    ("half a plane", "a.geojson", features(square(plane={"t": 0.5})), "whole number"),
    ("thrice", "a.geojson", features(NAMED, NAMED, NAMED), "the same number"),
    ("no images", "a.json", '{"annotations": []}', "'images'"),
    ("no image", "a.json", '{"images": [], "annotations": []}', "0 sizes"),
    ("another image", "a.json", coco(image_id=2), "which is not in the file"),
    ("no mask", "a.json", coco(), "segmentation of annotation 0"),
    ("runs of letters", "a.json", runs("µ"), "no text of COCO"),
    ("too many runs", "a.json", runs([0, 99]), "do not fit"),
    ("negative runs", "a.json", runs([-1, 3]), "do not fit"),
    ("runs elsewhere", "a.json", runs([0, 9], (9, 8)), "its size"),
    ("odd polygon", "a.json", coco(segmentation=[[1, 2, 3]]), "no list of points"),
    ("number 0", "a.json", coco(segmentation=[[1, 2, 3, 4]], object_id=0), "1 to 4294967295"),
    ("no zip", "a.zip", "PK nothing", "no zip of ROIs"),
)


@pytest.mark.parametrize("case", DAMAGED, ids=lambda c: c[0])
def test_damaged_files_are_told_in_a_sentence(
    case: tuple[str, str, str, str], tmp_path: Path
) -> None:
    _, name, text, says = case
    path = tmp_path / name
    path.write_text(text, "utf-8", errors="surrogateescape")
    with pytest.raises(FrameError) as caught:
        import_objects(path, canvas=Canvas((8, 9), "YX"))
    message = str(caught.value)
    assert says in message
    assert name in message
    assert message.endswith(".")


def rois(**entries: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in entries.items():
                file.writestr(name.replace("_", "."), content)

    return make


TRIANGLE = roifile.ImagejRoi.frompoints([[0, 0], [1, 1], [2, 0]]).tobytes()
BAD_ZIPS = (
    ("a bomb", rois(a_roi=bytes(50_000_000)), "unfolds to 50 MB"),
    ("another file", rois(a_roi=b"x" * 100), "ROI 'a.roi'"),
    ("cut off", rois(a_roi=TRIANGLE[:70]), "'a.roi'"),
    ("no ROI", rois(a_txt=b"roi"), "holds no ROI"),
)


@pytest.mark.parametrize("case", BAD_ZIPS, ids=lambda c: c[0])
def test_damaged_zips(case: tuple[str, Callable[[Path], None], str], tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    case[1](path)
    with pytest.raises(FrameError, match=case[2]):
        import_objects(path, canvas=Canvas((8, 9), "YX"))


def bad_checksum(path: Path) -> None:
    """A zip of which one ROI is not what its checksum says."""
    triangles = [roifile.ImagejRoi.frompoints([[n, 0], [n + 4, 0], [n, 4]]) for n in (0, 3, 5)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for name, roi in zip("abc", triangles, strict=True):
            file.writestr(f"{name}.roi", roi.tobytes())
    content = bytearray(path.read_bytes())
    content[content.index(b"Iout", content.index(b"b.roi")) + 70] ^= 0xFF
    path.write_bytes(content)


SQUARE = {"segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]}
ODD: tuple[tuple[str, Callable[[Path], object] | str, int, str], ...] = (
    ("a.json", coco_of({**SQUARE, "image_id": [1]}), 2, "annotation 1: annotation 1 is of the"),
    ("a.json", coco_of({**SQUARE, "image_id": 7}), 2, "of the image 7, which is not in the file"),
    ("a.json", coco_of(SQUARE), 3, ""),
    ("a.json", coco_of({**SQUARE, "image_id": 1, "category_id": {}}), 3, ""),
    ("a.json", coco_of("text"), 2, "1 left out, annotation 1: annotation 1 is str"),
    ("a.json", coco_of({**SQUARE, "image_id": 1, "object_id": "x"}), 2, "the number of annotation"),
    ("a.json", coco_of({"image_id": 1, "bbox": [1, 2, 3, 4]}), 2, "the segmentation of annotat"),
    ("a.geojson", features(square(), {"geometry": 3}, other()), 2, "1 left out, feature 1"),
    ("a.geojson", features(square(), feature(coordinates=BAD_NUMBER), other()), 2, "feature 1"),
    ("a.geojson", features(NAMED, other(), NAMED), 2, "feature 2: an object before it has"),
    ("a.zip", bad_checksum, 2, "1 left out, ROI 'b.roi': it could not be read: BadZipFile"),
)


@pytest.mark.parametrize(("name", "made", "n", "says"), ODD)
def test_one_odd_record_does_not_end_the_file(
    name: str, made: Callable[[Path], object] | str, n: int, says: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    _ = path.write_text(made) if isinstance(made, str) else made(path)
    found = import_objects(path, canvas=Canvas((8, 9), "YX"))
    assert len(np.unique(found.labels)) - 1 == n
    said = [each for each in found.problems if "are of several objects" not in each]
    assert len(said) == (1 if says else 0)
    assert says in "".join(said)
    assert "".join(said).startswith(name if says else "")


def test_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    broken = replace(holes(), labels=_Broken())
    with pytest.raises(SamError, match="gone"):
        export(broken, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    for to, says in (("svg", "no format"), (None, "does not tell"), ("ome-zarr", "there already")):
        with pytest.raises(SamError, match=says):
            export(holes(), tmp_path if to == "ome-zarr" else tmp_path / "a.abc", to)


class _Broken:
    """Labels whose file is gone."""

    shape, dtype = RING.shape, RING.dtype

    def __getitem__(self, where: object) -> np.ndarray:
        raise OSError("gone")
