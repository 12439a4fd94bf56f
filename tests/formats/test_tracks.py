"""Objects over time in the files of tracking programs."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numcodecs
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from labelled_cases import divided, movie, volumes
from napari_sam.engine import FrameError, Labelled
from napari_sam.formats import FORMATS, Canvas, export, import_objects
from napari_sam.formats.lineage import USUAL_RADIUS
from napari_sam.stacks import find_tracks

NAMES = {"ctc": "01_RES", "tracks-csv": "a.csv", "trackmate": "a.xml", "geff": "a.geff"}


def families(objects: Labelled) -> set[tuple[object, ...]]:
    """Where objects are, and where their mothers were last: no numbers."""
    tracks = find_tracks(objects.labels[...], objects.parents)
    ends = {i: max(tracks.frames[tracks.ids == i]) for i in np.unique(tracks.ids)}
    return {
        (
            *np.round(centre).astype(int).tolist(),
            int(frame),
            *(int(ends[m]) for m in objects.parents.get(int(i), ())),
        )
        for i, frame, centre in zip(tracks.ids, tracks.frames, tracks.centres, strict=True)
    }


@pytest.mark.parametrize("name", NAMES)
def test_out_and_in_again(name: str, tmp_path: Path) -> None:
    """Discs, so that also what has no pixels comes back, but for a few at the edge."""
    objects = divided()
    export(objects, tmp_path / NAMES[name], name)
    again = import_objects(tmp_path / NAMES[name], canvas=Canvas.of(objects))
    differ = np.sum((again.labels[...] > 0) != (objects.labels > 0))
    assert differ <= (0 if name in ("ctc", "trackmate") else 0.1 * np.sum(objects.labels > 0))
    if name == "ctc":  # an object that was away goes on as its own daughter
        assert again.parents == {10: (1,), 2: (10,), 3: (10,)}
        assert np.unique(again.labels[...][3]).tolist() == [0, 10]
    else:
        assert families(again) == families(objects)
    if "reviews" in FORMATS[name].holds:  # of the object that is in one frame only
        assert sorted(again.classes.values()) == ["ring"]
        assert list(again.reviews.values()) == [objects.reviews[9]]
    if name == "trackmate":
        assert again.problems == ()
        assert import_objects(tmp_path / "a.xml").shape == objects.shape


def test_cell_tracking_challenge(tmp_path: Path) -> None:
    path = tmp_path / "01_RES"
    export(divided(), path)
    assert path.joinpath("res_track.txt").read_text().splitlines() == [
        "1 0 1 0",
        "2 4 4 10",
        "3 4 4 10",
        "9 1 1 0",
        "10 3 3 1",
    ]
    assert len(list(path.glob("mask*.tif"))) == 5
    again = import_objects(path)
    assert again.axes == "TYX"
    with pytest.raises(FrameError, match="numbers up to 65535"):
        export(
            replace(divided(), labels=divided().labels.astype(np.uint32) * 9999), tmp_path / "b_RES"
        )
    assert not (tmp_path / "b_RES").exists()


def test_volumes_over_time(tmp_path: Path) -> None:
    import geff

    for name in NAMES:
        export(volumes(), tmp_path / NAMES[name], name)
    again = import_objects(tmp_path / "01_RES")
    np.testing.assert_array_equal(again.labels[...], volumes().labels)
    assert import_objects(tmp_path / "a.xml").shape == volumes().shape
    nodes = geff.read(tmp_path / "a.geff")[0].nodes
    assert {nodes[0][axis] for axis in "tz"} == {0.0, nodes[0]["z"]}


def test_geff_is_valid(tmp_path: Path) -> None:
    import geff

    objects = divided()
    export(objects, tmp_path / "a.geff")
    geff.validate_structure(str(tmp_path / "a.geff"))
    graph, about = geff.read(tmp_path / "a.geff")
    assert [(axis.name, axis.unit) for axis in about.axes] == [
        ("t", "second"),
        ("y", "micrometer"),
        ("x", "micrometer"),
    ]
    steps = {(graph.nodes[a]["seg_id"], graph.nodes[b]["seg_id"]) for a, b in graph.edges}
    assert steps == {(1, 1), (1, 2), (1, 3)}
    assert {node["x"] for node in graph.nodes.values() if node["seg_id"] == 9} == {3.0}


def test_geff_of_a_stranger_is_decoded_with_care(tmp_path: Path) -> None:
    """A chunk of Blosc that says it is longer than it is would be read beyond its end."""
    path, canvas = tmp_path / "a.geff", Canvas.of(divided())
    export(divided(), path)
    times = path / "nodes/props/t/values"
    values = zarr.open_array(times, mode="r")[...]
    zarr.create_array(
        times, data=values, zarr_format=2, compressors=numcodecs.Blosc(), overwrite=True
    )
    assert import_objects(path, canvas=canvas).labels[...].any()
    chunk = next(file for file in times.iterdir() if not file.name.startswith((".", "zarr")))
    content = bytearray(chunk.read_bytes())
    struct.pack_into("<I", content, 12, len(content) + 10**8)
    chunk.write_bytes(content)
    with pytest.raises(FrameError, match="bytes and says that it has 1000"):
        import_objects(path, canvas=canvas)


def test_trackmate_as_fiji_reads_it(tmp_path: Path) -> None:
    export(divided(), tmp_path / "a.xml")
    root = ElementTree.parse(tmp_path / "a.xml").getroot()
    assert root.find("Model").attrib == {"spatialunits": "micron", "timeunits": "sec"}
    spots = {spot.get("ID"): spot for spot in root.iter("Spot")}
    spot = next(spot for spot in spots.values() if spot.get("name") == "9")
    assert float(spot.get("POSITION_X")) == 3.0  # the centre of the first pixel is at 0
    assert min(map(float, spot.text.split())) == -2.25  # 4 pixels and a half from the centre
    assert len(spot.text.split()) == 2 * int(spot.get("ROI_N_POINTS"))
    (track,) = root.find("Model/AllTracks")
    assert len(track) == 4
    assert [each.get("TRACK_ID") for each in root.iter("TrackID")] == [track.get("TRACK_ID")]
    assert root.find("Settings/ImageData").get("nframes") == "5"


def test_points_of_others(tmp_path: Path) -> None:
    path = tmp_path / "spots.csv"
    path.write_text("Track_ID,T,Y,X\n4,0,10,12\n4,1,10,15\n7,0,400,400\n")
    again = import_objects(path, canvas=Canvas((2, 20, 30), "TYX"))
    assert np.unique(again.labels).tolist() == [0, 4]
    assert again.labels[1, 10, 15] == 4
    assert "each object becomes a disc, 10 pixels across" in again.problems[0]
    assert "1 points" in again.problems[1]


HEAD = "id,frame,y,x\n"
SPOT = '<Spot ID="1" POSITION_X="1" POSITION_Y="2"'
MODEL = "<TrackMate><Model><AllSpots><SpotsInFrame frame='0'>{}</SpotsInFrame></AllSpots>{}</Model>"
SIZE = '<ImageData width="9" height="8" nslices="1" nframes="1"/></TrackMate>'


def xml(spots: str, tracks: str = "") -> str:
    return MODEL.format(spots, tracks) + SIZE


DAMAGED = (
    ("no column", "a.csv", "id,frame,y\n", "no column 'x'"),
    ("text", "a.csv", HEAD + "1,0,2,x\n", "x of line 2 is 'x'"),
    ("NaN", "a.csv", HEAD + "1,0,2,nan\n", "x of line 2 is 'nan'"),
    ("short", "a.csv", HEAD + "1,0\n", "y of line 2"),
    ("a frame too late", "a.csv", HEAD + "1,9,2,2\n", "line 2 is in the plane t 9"),
    ("cut off", "a.xml", "<TrackMate><Model>", "ends too early"),
    ("foreign", "a.xml", "<html/>", "XML of html"),
    ("entities", "a.xml", '<!DOCTYPE a [<!ENTITY b "c">]><TrackMate/>', "defines entities"),
    ("no size", "a.xml", "<TrackMate/>", "--like"),
    ("nowhere", "a.xml", xml(SPOT + ' RADIUS="inf"/>'), "RADIUS of spot 0"),
    ("no outline", "a.xml", xml(SPOT + ' ROI_N_POINTS="2">1 2 3</Spot>'), "no list of points"),
    ("no spot", "a.xml", xml("", '<Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="2"/>'), "not there"),
)


@pytest.mark.parametrize("case", DAMAGED, ids=lambda c: c[0])
def test_damaged_files(case: tuple[str, str, str, str], tmp_path: Path) -> None:
    _, name, text, says = case
    (tmp_path / name).write_text(text)
    canvas = None if name.endswith("xml") else Canvas((2, 8, 9), "TYX")
    with pytest.raises(FrameError) as caught:
        import_objects(tmp_path / name, canvas=canvas)
    assert says in str(caught.value)
    assert name in str(caught.value)


ODD = (
    ("a.csv", HEAD + "1,0,2,2\n1.5,0,2,2\n2,1,6,6", 2, "1 left out, line 3: the id of line 3"),
    ("a.csv", HEAD + "1,0,2,2\n2,9,2,2\n2,1,6,6", 2, "line 3: line 3 is in the plane t 9"),
    ("a.csv", HEAD + "1,0,2,2\n2\n2,1,6,6", 2, "line 3: the frame of line 3"),
    ("a.xml", xml(SPOT + "/>" + SPOT + "/>"), 1, "1 left out, spot 1: a spot before it has"),
    ("a.xml", xml(SPOT + '/><Spot ID="2" POSITION_X="a"/>'), 1, "POSITION_Y of spot 1 is None"),
    (
        "a.xml",
        xml(SPOT + "/>" + SPOT + '/><Spot ID="2"/>' + SPOT.replace('"1"', '"3"') + "/>"),
        2,
        "left out, spot 2: the POSITION_Y of spot 2",
    ),
    (
        "a.xml",
        xml(SPOT + "/>", '<Edge SPOT_SOURCE_ID="1" SPOT_TARGET_ID="1"/>'),
        1,
        "1 left out, edge 0: it goes from frame 0 to frame 0, not forward",
    ),
)


@pytest.mark.parametrize(("name", "text", "n", "says"), ODD)
def test_one_odd_record_does_not_end_the_file(
    name: str, text: str, n: int, says: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(text)
    canvas = None if name.endswith("xml") else Canvas((2, 8, 9), "TYX")
    found = import_objects(tmp_path / name, canvas=canvas)
    assert len(np.unique(found.labels)) - 1 == n
    assert found.problems[0].startswith(name)
    assert says in found.problems[0]


def test_a_node_that_is_nowhere_is_left_out(tmp_path: Path) -> None:
    path, canvas = tmp_path / "a.geff", Canvas.of(divided())
    export(divided(), path)
    places = zarr.open_array(path / "nodes/props/x/values", mode="a")
    places[0] = np.nan
    found = import_objects(path, canvas=canvas)
    assert "1 left out, node 0: it is at y" in found.problems[0]
    assert len(np.unique(found.labels)) == len(np.unique(divided().labels))


def test_a_time_point_that_cannot_be_read_is_an_empty_frame(tmp_path: Path) -> None:
    path = tmp_path / "01_RES"
    export(divided(), path)
    path.joinpath("mask001.tif").write_bytes(b"II*")
    path.joinpath("mask003.tif").unlink()
    table = path / "res_track.txt"
    table.write_text(table.read_text() + "7 9 1 0\n")
    found = import_objects(path)
    assert found.shape == divided().shape
    assert [bool(frame.any()) for frame in found.labels] == [True, False, False, False, True]
    assert "mask001.tif" in found.problems[0]
    assert "time point 3: it has no mask. Its frame is empty" in found.problems[1]
    assert "line 6: it ends before it begins" in found.problems[2]
    assert found.parents == {10: (1,), 2: (10,), 3: (10,)}


TABLES = ("1 0 1", "1 2 1 0", "1 0 1 1", "a 0 1 0")


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ctc") / "01_RES"
    export(divided(), path)
    return path


@pytest.mark.parametrize("table", TABLES)
def test_damaged_tables_of_tracks(table: str, challenge: Path) -> None:
    challenge.joinpath("res_track.txt").write_text(table)
    with pytest.raises(FrameError, match=r"line [12]"):
        import_objects(challenge)


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "a_RES").mkdir()
    with pytest.raises(FrameError, match=r"mask000\.tif"):
        import_objects(tmp_path / "a_RES")
    with pytest.raises(FrameError, match="no objects over time"):
        export(replace(movie(), axes="CYX"), tmp_path / "a.csv")


@pytest.mark.parametrize("name", ["tracks-csv", "geff"])
def test_positions_take_the_pixels_of_given_labels(name: str, tmp_path: Path) -> None:
    """Holes and pieces, too; numbers, mothers, classes are of the file."""
    objects = replace(divided(), classes={9: "ring"})
    export(objects, tmp_path / NAMES[name], name)
    segments = np.where(objects.labels > 0, objects.labels % 7 + 20, 0)
    segments[0, -1, -1] = 99
    if name == "geff":  # nodes say which number they have in the labels: here other ones
        seg_ids = zarr.open_array(tmp_path / "a.geff/nodes/props/seg_id/values", mode="a")
        seg_ids[:] = seg_ids[:] % 7 + 20
    canvas = replace(Canvas.of(objects), segments=segments)
    again = import_objects(tmp_path / NAMES[name], canvas=canvas)
    np.testing.assert_array_equal(again.labels[...] > 0, objects.labels > 0)
    assert families(again) == families(objects)
    assert list(again.classes.values()) == ["ring"]
    (problem,) = again.problems
    assert problem == f"1 objects of the labels have no position in {NAMES[name]}: left out."


def test_positions_beside_the_objects_of_given_labels_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "spots.csv"
    path.write_text("id,frame,z,y,x\n4,0,0,2,2\n5,0,1,3,3\n6,0,0,9,9\n7,0,0,99,9\n")
    segments = np.zeros((2, 12, 12), np.uint16)
    segments[:, 1:5, 1:5] = 3
    canvas = Canvas(segments.shape, "ZYX", segments=segments)
    found = import_objects(path, canvas=canvas)
    np.testing.assert_array_equal(found.labels, np.where(segments, 4, 0))
    assert found.problems == (
        "spots.csv: 1 left out, line 3: another point has the same object in the labels.",
        "spots.csv: 2 left out, line 4, line 5: no object is there in the labels.",
    )


def test_geff_names_its_labels(tmp_path: Path) -> None:
    objects = divided()
    export(objects, tmp_path / "a.geff")
    export(objects, tmp_path / "labels.zarr")
    about = zarr.open_group(tmp_path / "a.geff", mode="a")
    named = {"type": "labels", "path": "../labels.zarr", "node_prop": "seg_id"}
    about.attrs["geff"] = {**about.attrs["geff"], "related_objects": [named]}
    again = import_objects(tmp_path / "a.geff", canvas=Canvas.of(objects))
    np.testing.assert_array_equal(again.labels[...] > 0, objects.labels > 0)
    assert again.problems == ()


@settings(max_examples=min(40, settings().max_examples))
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            *(st.floats(-9, 33).map(lambda at: round(at, 2)) for _ in "yx"),
            st.sampled_from([0, 0.5, 3, 50, 400, 9000]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_discs_are_those_that_are_drawn_one_after_the_other(rows) -> None:
    shape = (3, 20, 24)
    expected = np.zeros(shape, int)
    for object_id, (t, y, x, area) in enumerate(rows, 1):
        reach = min(max(np.sqrt(area / np.pi) if area else USUAL_RADIUS, 0.5), 24)
        at_y, at_x = np.ogrid[:20, :24]
        inside = (at_y - y) ** 2 + (at_x - x) ** 2 <= reach**2
        expected[t][inside & (expected[t] == 0)] = object_id
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tracks.csv"
        lines = [f"{n},{t},{y},{x},{area}" for n, (t, y, x, area) in enumerate(rows, 1)]
        path.write_text("\n".join(["id,frame,y,x,area", *lines]))
        objects = import_objects(path, canvas=Canvas(shape, "TYX"))
    np.testing.assert_array_equal(objects.labels[...], expected)
