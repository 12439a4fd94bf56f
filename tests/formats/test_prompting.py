"""Prompts from files of other programs: what they say, and what of them is left out by name."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import roifile
import tifffile

from labelled_cases import CASES, RING, Case, divided, movie
from napari_sam import FrameStack, Prompts
from napari_sam.engine import FrameError, Labelled, ObjectPrompts, PromptError, PromptSet, SamError
from napari_sam.formats import export, read_prompt_file
from napari_sam.headless import describe

STACK = FrameStack.from_array(np.zeros((20, 30), np.uint8))
MOVIE = FrameStack.from_array(np.zeros((3, 20, 30), np.uint8), axes="TYX")
WRITERS = {
    "geojson": "objects.geojson",
    "coco": "objects.json",
    "imagej-rois": "objects.zip",
    "cellpose": "objects_seg.npy",
    "tiff": "objects.tif",
    "ome-zarr": "objects.zarr",
}


def stack_of(objects: Labelled) -> FrameStack:
    axes = None if "Q" in objects.axes else objects.axes
    return FrameStack.from_array(np.zeros(objects.shape, np.uint8), axes=axes)


def drawn(prompts: PromptSet, stack: FrameStack) -> np.ndarray:
    """Labels with the masks of prompts."""
    labels = np.zeros(stack.shape, np.uint32)
    fitted = prompts.fitted(stack)
    assert fitted.problems == ()
    for each in fitted.objects:
        mask = each.in_frame(stack.frame_shape).mask
        labels[each.at][mask] = each.object_id
    return labels


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", WRITERS)
def test_objects_of_every_format_become_masks_with_their_numbers(
    name: str, case: Case, tmp_path: Path
) -> None:
    objects = case.make()
    if name == "cellpose" and len(objects.shape) > 3:
        return
    path = tmp_path / WRITERS[name]
    export(objects, path, name)
    stack = stack_of(objects)
    np.testing.assert_array_equal(drawn(read_prompt_file(path, stack), stack), objects.labels)


@pytest.mark.parametrize("name", ["geojson", "coco"])
def test_classes_are_kept(name: str, tmp_path: Path) -> None:
    objects = movie()
    export(objects, tmp_path / WRITERS[name], name)
    read = read_prompt_file(tmp_path / WRITERS[name], stack_of(objects))
    assert read.classes == objects.classes


def test_tracks_of_trackmate_keep_one_number(tmp_path: Path) -> None:
    objects = divided()
    export(objects, tmp_path / "spots.xml", "trackmate")
    stack = stack_of(objects)
    read = read_prompt_file(tmp_path / "spots.xml", stack)
    by_object: dict[int, list[int]] = {}
    for each in read.objects:
        by_object.setdefault(each.object_id, []).append(each.at[0])
    assert sorted(by_object.values()) == [[0, 1, 3], [1], [4], [4]]
    labels = drawn(read, stack)
    np.testing.assert_array_equal(labels != 0, np.asarray(objects.labels) != 0)


def write_json(content: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "given.json"
        path.write_text(json.dumps(content))
        return path

    return write


def write_text(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def coco(annotations: list[dict[str, Any]], **image: Any) -> Callable[[Path], Path]:
    images = [{"id": 1, "height": 20, "width": 30, "file_name": "a.png", **image}]
    categories = [{"id": 3, "name": "nucleus"}]
    content = {"images": images, "categories": categories, "annotations": annotations}
    return write_json(content)


def rois(*each: roifile.ImagejRoi) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        with zipfile.ZipFile(folder / "rois.zip", "w") as file:
            for n, one in enumerate(each):
                file.writestr(f"{n}.roi", one.tobytes())
        return folder / "rois.zip"

    return write


def roi(points: Any, kind: roifile.ROI_TYPE, name: str = "") -> roifile.ImagejRoi:
    made = roifile.ImagejRoi.frompoints(np.array(points), name=name)
    made.roitype = kind
    return made


def rectangle(top: int, left: int, bottom: int, right: int) -> roifile.ImagejRoi:
    made = roifile.ImagejRoi()
    made.roitype = roifile.ROI_TYPE.RECT
    made.top, made.left, made.bottom, made.right = top, left, bottom, right
    return made


def feature(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def label_image(array: np.ndarray, name: str = "given.tif") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        if path.suffix == ".npy":
            np.save(path, array)
        else:
            tifffile.imwrite(path, array)
        return path

    return write


SPOTS = (
    '<TrackMate version="7"><Model><AllSpots><SpotsInFrame frame="0">'
    '<Spot ID="4" POSITION_X="5" POSITION_Y="{y}" POSITION_Z="0"/>'
    '<Spot ID="5" POSITION_X="20" POSITION_Y="10" POSITION_Z="0"/>'
    "</SpotsInFrame></AllSpots></Model></TrackMate>"
)
BOX = {"image_id": 1, "bbox": [4, 2, 10, 6], "category_id": 3, "score": 0.75}
POLYGON = [[2, 3], [8, 3], [8, 9], [2, 9], [2, 3]]
SQUARE = np.pad(np.ones((6, 6), np.uint16), ((3, 11), (2, 22)))


@dataclass(frozen=True)
class ReadCase:
    """A file, the prompts in it, and what is said of the rest."""

    name: str
    write: Callable[[Path], Path]
    wanted: tuple[tuple[int, str], ...]  # number, prompts
    says: tuple[str, ...] = ()
    stack: FrameStack = STACK


def described(prompts: PromptSet) -> tuple[tuple[int, str], ...]:
    return tuple(
        (each.object_id, describe(each.prompts.with_mask(each.mask))) for each in prompts.objects
    )


READ_CASES = (
    ReadCase("COCO's boxes", coco([BOX]), ((1, "box (1.5, 3.5, 7.5, 13.5)"),)),
    ReadCase(
        "a list of a detector's results",
        write_json([{**BOX, "image_id": 77}]),
        ((1, "box (1.5, 3.5, 7.5, 13.5)"),),
    ),
    ReadCase(
        "an annotation of COCO that is broken does not end it",
        coco([{"image_id": 1}, {**BOX, "bbox": [1, 2, float("nan"), 4]}, {**BOX, "track_id": 9}]),
        ((9, "box (1.5, 3.5, 7.5, 13.5)"),),
        ("annotation 0: annotation 0 has no 'bbox'", "annotation 1: point 1"),
    ),
    ReadCase(
        "COCO of an image of another size",
        coco([BOX], height=512),
        (),
        ("its image has 512 × 30 pixels, this one 20 × 30",),
    ),
    ReadCase(
        "numbers of COCO twice",
        coco([{**BOX, "object_id": 4}, {**BOX, "object_id": 4}]),
        ((4, "box (1.5, 3.5, 7.5, 13.5)"),),
        ("1 left out, annotation 1: an object before it has the same number",),
    ),
    ReadCase(
        "GeoJSON by another ending",
        write_json({"type": "FeatureCollection", "features": [feature("Point", [5.5, 3.5])]}),
        ((1, "point (3, 5)"),),
    ),
    ReadCase(
        "points, polygons, lines",
        write_text(
            "given.geojson",
            json.dumps(
                [
                    feature("MultiPoint", [[5.5, 3.5], [7.5, 8.5]], name="3"),
                    feature("Polygon", [POLYGON], name="7"),
                    feature("LineString", [[1, 2], [3, 4]]),
                    feature("Point", [500, 3]),
                ]
            ),
        ),
        ((1, "point (3, 5)"), (2, "point (8, 7)"), (7, "mask")),
        ("feature 2: neither a polygon nor a point", "feature 3: outside the image"),
    ),
    ReadCase(
        "ROIs of each kind",
        rois(
            roi([[2, 3], [8, 3], [8, 9], [2, 9]], roifile.ROI_TYPE.POLYGON, "12"),
            rectangle(3, 2, 9, 8),
            roi([[5, 4], [9, 8]], roifile.ROI_TYPE.POINT),
            roi([[2, 3], [8, 9]], roifile.ROI_TYPE.LINE),
        ),
        ((12, "mask"), (1, "box (2.5, 1.5, 8.5, 7.5)"), (2, "point (4, 5)"), (3, "point (8, 9)")),
        ("a line or a text, neither an area nor a point",),
    ),
    ReadCase(
        "spots",
        write_text("spots.xml", SPOTS.format(y="7")),
        ((1, "point (7, 5)"), (2, "point (10, 20)")),
    ),
    ReadCase(
        "a spot at NaN",
        write_text("spots.xml", SPOTS.format(y="NaN")),
        ((2, "point (10, 20)"),),
        ("spot 0: the POSITION_Y of spot 0 is 'NaN'",),
    ),
    ReadCase(
        "spots of one ID",
        write_text("a.xml", SPOTS.format(y="7").replace('"5"', '"4"')),
        ((1, "point (7, 4)"),),
        ("1 left out, spot 1: a spot before it has the same ID '4'",),
    ),
    ReadCase(
        "an annotation of an image that is not in the file",
        coco([{**BOX, "image_id": "x"}, BOX, {**BOX, "image_id": {}}]),
        ((1, "box (1.5, 3.5, 7.5, 13.5)"),),
        ("annotation 0: annotation 0 is of the image 'x'", "annotation 2 is of the image {}"),
    ),
    ReadCase("an array of labels", label_image(SQUARE * 5, "given.npy"), ((5, "mask"),)),
    ReadCase(
        "labels of one frame of a stack", label_image(SQUARE * 5), ((5, "mask"),), stack=MOVIE
    ),
    ReadCase(
        "a table of another program",
        write_text("t.csv", "name,x,y,frame,class\na,5,3,0,big\nb,5,3,7,\nc,x,3,1,\nd,5,99,2,\n"),
        ((1, "point (3, 5)"),),
        (
            "line 3: the image has no such frame: it has 3, counted from 0",
            "line 4: x is 'x'",
            "line 5: outside the image",
        ),
        MOVIE,
    ),
    ReadCase(
        "run lengths whose sum is larger than a number can be",
        coco(
            [
                {"image_id": 1, "segmentation": {"size": [20, 30], "counts": [2**62] * 3}},
                {"image_id": 1, "bbox": [2, 3, 4, 5]},
            ]
        ),
        ((1, "box (2.5, 1.5, 7.5, 5.5)"),),
        ("1 left out, annotation 0", "do not fit its image"),
    ),
    ReadCase(
        "x and y exchanged",
        write_text("t.csv", "y,x\n25,3\n28,4\n3,4\n"),
        ((3, "point (3, 4)"),),
        ("2 left out, line 2, line 3: outside", "would be inside with y and x exchanged"),
    ),
)


@pytest.mark.parametrize("case", READ_CASES, ids=lambda case: case.name)
def test_prompts_of_files(case: ReadCase, tmp_path: Path) -> None:
    read = read_prompt_file(case.write(tmp_path), case.stack).fitted(case.stack)
    assert described(read) == case.wanted
    said = "\n".join(read.problems)
    for each in case.says:
        assert each in said
    assert bool(said) == bool(case.says)


def test_of_a_file_about_many_images_the_one_of_this_name_is_read(tmp_path: Path) -> None:
    content = {
        "images": [
            {"id": n, "height": 20, "width": 30, "file_name": f"plate/{name}.png"}
            for n, name in enumerate("abc")
        ],
        "annotations": [{**BOX, "image_id": n, "object_id": n + 10} for n in range(3)],
    }
    path = write_json(content)(tmp_path)
    read = read_prompt_file(path, STACK, image="b.png")
    assert [each.object_id for each in read.objects] == [11]
    assert [each.at for each in read_prompt_file(path, MOVIE).objects] == [(0,), (1,), (2,)]
    with pytest.raises(FrameError, match=r"about 3 images, and none of them is called other\.png"):
        read_prompt_file(path, STACK, image="other.png")


@pytest.mark.parametrize(
    ("shape", "wanted"), [("box", "box (2.5, 1.5, 8.5, 7.5)"), ("point", "point (5, 4)")]
)
def test_masks_as_boxes_and_points(shape: Any, wanted: str, tmp_path: Path) -> None:
    for write in (
        label_image(SQUARE),
        write_text("p.geojson", json.dumps([feature("Polygon", [POLYGON])])),
    ):
        read = read_prompt_file(write(tmp_path), STACK, shape=shape)
        assert described(read) == ((1, wanted),)


def zip_bomb(folder: Path) -> Path:
    path = folder / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.roi", b"Iout" + bytes(30_000_000))
    return path


def damaged_roi(folder: Path) -> Path:
    path = folder / "damaged.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.roi", b"Iout" + struct.pack(">h", 227))
        file.writestr("b.roi", rectangle(3, 2, 9, 8).tobytes())
    return path


def test_a_damaged_roi_is_left_out_alone(tmp_path: Path) -> None:
    read = read_prompt_file(damaged_roi(tmp_path), STACK)
    assert described(read) == ((1, "box (2.5, 1.5, 8.5, 7.5)"),)
    assert "ROI 'a.roi'" in read.problems[0]


REFUSED = {
    "no file": (lambda folder: folder / "no.csv", "There is no file"),
    "truncated JSON": (write_text("a.json", '{"images": ['), "is no JSON, or ends too early"),
    "foreign JSON": (write_text("a.json", '{"name": "me"}'), "has no 'annotations'"),
    "foreign GeoJSON": (write_text("a.geojson", '{"type": "Topology"}'), "is no GeoJSON"),
    "a zip bomb": (zip_bomb, "larger than ROIs are"),
    "no zip": (write_text("a.zip", "PK"), "is no zip of ROIs, or damaged"),
    "foreign XML": (write_text("a.xml", "<html/>"), "XML of html, not of TrackMate"),
    "labels of another image": (label_image(RING), r"labels of shape \(11, 10\) do not fit"),
    "an image for labels": (
        label_image(np.random.default_rng(0).integers(0, 250, (20, 30)).astype(np.uint8)),
        "an image rather than labels",
    ),
    "an unknown kind": (write_text("a.docx", "me"), "a.docx"),
    "no table": (write_text("a.csv", "1,2,3\n"), "a.csv, line 1: the columns are 1, 2, 3"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_files_without_prompts_are_refused_in_a_sentence(name: str, tmp_path: Path) -> None:
    write, says = REFUSED[name]
    with pytest.raises(SamError, match=says):
        read_prompt_file(write(tmp_path), STACK)


@pytest.mark.slow
def test_a_table_of_many_rows_of_one_object_takes_time_in_proportion(tmp_path: Path) -> None:
    rows = "".join(f"1,point,{n % 20},{n % 30}\n" for n in range(20_000))
    path = write_text("many.csv", "object_id,kind,y,x\n" + rows)(tmp_path)
    (only,) = read_prompt_file(path, STACK).objects
    assert len(only.prompts.points) == 20_000


def test_a_prompt_without_a_frame_goes_to_the_one_in_question() -> None:
    given = PromptSet.of([])
    assert given.fitted(MOVIE).summary == "0 objects"
    given = PromptSet.of([ObjectPrompts(Prompts.from_points([(1, 2)]))])
    assert given.fitted(MOVIE, MOVIE.index(2)).objects[0].at == (2,)
    with pytest.raises(PromptError, match="outside"):
        given.objects[0].fitted((1, 1))
