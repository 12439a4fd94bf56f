"""Prompts as a table in a CSV file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from napari_builtins.io import napari_write_points

from napari_sam.engine.errors import PromptError, SamError
from napari_sam.engine.left_out import LeftOut
from napari_sam.engine.prompt_rows import Layout, read_row, read_rows
from napari_sam.engine.prompt_table import read_prompt_set, read_prompts, write_prompts
from napari_sam.engine.prompts import Prompts

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POINTS = st.lists(st.tuples(st.tuples(NUMBERS, NUMBERS), st.integers(0, 1)), max_size=5)
PROMPTS = st.builds(
    lambda points, box: Prompts(tuple(p for p, _ in points), tuple(n for _, n in points), box),
    POINTS,
    st.none() | st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS),
).filter(bool)
TABLES = st.integers(0, 3).flatmap(
    lambda n_axes: st.dictionaries(
        st.tuples(st.integers(1, 70000), st.tuples(*[st.integers(0, 999)] * n_axes)),
        PROMPTS,
        max_size=5,
    )
)

POINT = Prompts.from_points([(30, 40.5)])
BOX = Prompts.from_box((10, 12, 48, 51.5))
HEADER = "object_id,frame,kind,y,x,label,y0,x0,y1,x1\n"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLES)
def test_what_is_written_is_read(tmp_path, table):
    write_prompts(tmp_path / "prompts.csv", table)
    again = read_prompts(tmp_path / "prompts.csv")
    assert again == table
    assert list(again) == list(table)


READ_CASES = {
    "the example of the manual": (
        HEADER
        + "1,0,point,30.0,40.5,1,,,,\n1,0,point,55.0,40.0,0,,,,\n2,0,box,,,,10.0,12.0,48.0,51.5\n",
        {(1, (0,)): POINT.with_point((55, 40), 0), (2, (0,)): BOX},
    ),
    "points of one image": ("object_id,kind,y,x\n7,point,30,40.5\n", {(7, ()): POINT}),
    "boxes of one image": ("object_id,kind,y0,x0,y1,x1\n7,box,10,12,48,51.5\n", {(7, ()): BOX}),
    "two frame axes": (
        "object_id,t,z,kind,y,x\n7,3,0,point,30,40.5\n7,4,0,point,30,40.5\n",
        {(7, (3, 0)): POINT, (7, (4, 0)): POINT},
    ),
    "columns in another order": (
        "object_id,kind,label,x,y\n7,point,0,40.5,30\n",
        {(7, ()): Prompts.from_points([(30, 40.5)], [0])},
    ),
    "of a German spreadsheet": (
        "\ufeffobject_id;frame;kind;y;x;label\r\n1;0;point;30;40.5;1\r\n",
        {(1, (0,)): POINT},
    ),
    "tabs": ("object_id\tkind\ty\tx\n1\tpoint\t30\t40.5\n", {(1, ()): POINT}),
    "spaces, capitals, blank lines, empty cells, short rows": (
        "Object_ID, Kind, Y, X, Label, Y0, X0, Y1, X1\n\n 1, point, 30, 40.5\n,,,,\n\n",
        {(1, ()): POINT},
    ),
    "an object in several places of the table": (
        "object_id,kind,y,x,label,y0,x0,y1,x1\n1,point,30,40.5,1\n2,point,30,40.5,\n"
        "1,box,,,,10,12,48,51.5\n",
        {(1, ()): POINT.with_box((10, 12, 48, 51.5)), (2, ()): POINT},
    ),
    "whole numbers as a spreadsheet writes them": (
        "object_id,frame,kind,y,x,label\n1.0,2.0,point,30,40.5,1.0\n",
        {(1, (2,)): POINT},
    ),
    "no rows": (HEADER, {}),
    "decimal commas": ("object_id;kind;y;x\n1;point;30,0;40,5\n", {(1, ()): POINT}),
    "a line that says what separates": (
        "sep=,\r\nobject_id,kind,y,x\r\n1,point,30,40.5\r\n",
        {(1, ()): POINT},
    ),
    "a separator of its own": ("sep=|\nobject_id|kind|y|x\n1|point|30|40,5\n", {(1, ()): POINT}),
    "points of another program": (
        "Name,X,Y,T,Z,Track_ID\na,40.5,30,3,0,8\n",
        {(8, (3, 0)): POINT},
    ),
    "boxes of another program": ("y0,x0,y1,x1,area\n10,12,48,51.5,7\n", {(1, ()): BOX}),
    "labels of points without a kind": (
        "object_id,y,x,label\n7,30,40.5,1\n7,55,40,0\n",
        {(7, ()): POINT.with_point((55, 40), 0)},
    ),
    "labels that are numbers of objects, as scikit-image calls them": (
        "label,y,x\n0,30,40.5\n",
        {(1, ()): POINT},
    ),
    "a box has no label, whatever is written there": (
        "object_id,kind,y,x,label,y0,x0,y1,x1\n7,box,,,0,5,6,7,8\n8,box,,,x,5,6,7,8\n",
        {(i, ()): Prompts.from_box((5, 6, 7, 8)) for i in (7, 8)},
    ),
    "labels that are more than the object's points": (
        "object_id,y,x,label\n7,30,40.5,0\n8,30,40.5,2\n",
        {(7, ()): POINT, (8, ()): POINT},
    ),
    "napari's points": (
        "index,axis-0,axis-1,axis-2\n0,0.0,30.0,40.5\n1,1.6,30.0,40.5\n",
        {(1, (0,)): POINT, (2, (2,)): POINT},
    ),
    "napari's points with a column that says which object": (
        "index,axis-0,axis-1,object_id\n0,30.0,40.5,7\n1,1.0,2.0,7\n",
        {(7, ()): POINT.with_point((1, 2))},
    ),
    "rows without a number never become the object of another row": (
        "object_id,y,x\n2,30,40.5\n,1,2\n,3,4\n",
        {
            (2, ()): POINT,
            (1, ()): Prompts.from_points([(1, 2)]),
            (3, ()): Prompts.from_points([(3, 4)]),
        },
    ),
}


CELLS = st.sampled_from(
    ["", "0", "1", "1.0", " 2 ", "7.5", "-3", "1,5", "nan", "1e400", "9e9", "1e20", "x", "1_0"]
)
LAYOUTS = {
    "with kinds": (
        ("object_id", "t", "kind", "y", "x", "label", "y0", "x0", "y1", "x1", "class", "score"),
        Layout(("t",)),
    ),
    "decimal commas": (
        ("object_id", "kind", "y", "x", "label"),
        Layout((), decimal_commas=True),
    ),
    "of another program": (
        ("track_id", "y", "x", "y0", "x0", "y1", "x1", "t", "score", "object_id"),
        Layout(("t",), has_kind=False),
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
@given(data=st.data())
def test_many_rows_at_once_are_read_as_each_by_itself(name, data):
    header, layout = LAYOUTS[name]
    kinds = st.sampled_from(["point", "box", " box", "dot"])
    row = st.tuples(*(kinds if column == "kind" else CELLS for column in header))
    more = st.sampled_from([(), ("",), ("9",)])
    rows = [[*cells, *data.draw(more)] for cells in data.draw(st.lists(row, max_size=9))]

    def expected():
        for line, cells in enumerate(rows, start=2):
            if any(cell.strip() for cell in cells):
                try:
                    yield line, read_row(header, cells, layout)
                except PromptError as error:
                    yield LeftOut(f"line {line}", str(error))

    assert list(read_rows(header, rows, layout, 2)) == list(expected())


def test_a_wrong_row_among_many_is_named_by_its_line(tmp_path):
    rows = [f"{n},0,point,{n}.25,4" for n in range(2, 10_002)]
    rows[7_000] += ",2"
    rows[9_000] = "\n"
    found = read_prompt_set(table_of(tmp_path, HEADER + "\n".join(rows)))
    assert [(each.where, each.reason[:14]) for each in found.left_out] == [
        ("line 7002", "the label is 2")
    ]
    assert len(found) == 9_998
    last = found.objects[-1]
    assert (last.object_id, last.where, last.prompts.points) == (
        10_001,
        "line 10002",
        ((10_001.25, 4.0),),
    )


def table_of(folder: Path, text: str) -> Path:
    path = folder / "prompts.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize("name", READ_CASES)
def test_read(tmp_path, name):
    text, expected = READ_CASES[name]
    assert read_prompts(table_of(tmp_path, text)) == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_spreadsheets(tmp_path, encoding):
    (tmp_path / "prompts.csv").write_text("object_id\tkind\ty\tx\n1\tpoint\t30\t40,5\n", encoding)
    assert read_prompts(tmp_path / "prompts.csv") == {(1, ()): POINT}


def test_points_that_napari_saves_are_read(tmp_path):
    path = tmp_path / "points.csv"
    napari_write_points(str(path), np.array([[0, 30, 40.5], [2, 30, 40.5]]), {})
    assert read_prompts(path) == {(1, (0,)): POINT, (2, (2,)): POINT}


WRONG_CASES = {
    "nothing": ("", "line 1: the columns are missing"),
    "no header": ("1,0,point,3,4\n", "line 1: the columns are 1, 0, point"),
    "no kind": ("object_id,y\n", "line 1: .* Wanted are object_id"),
    "a column twice": ("object_id,kind,y,y,x\n", "each once"),
    "a column misspelt": ("object_id,kind,y,x,lable\n", "line 1: the column 'lable'"),
    "a column misplaced": ("object_id,y,x,kind\n", "line 1: the column 'y'"),
    "no object": (HEADER + ",0,point,3,4\n", "line 2: object_id is missing"),
    "object 0": (
        HEADER + "0,0,point,3,4\n",
        "line 2: 0 is not an object id. Give a whole number of 1",
    ),
    "half an object": (HEADER + "1.5,0,point,3,4\n", "line 2: object_id is 1.5"),
    "a frame below 0": (HEADER + "1,-1,point,3,4\n", "line 2: frame is -1"),
    "an unknown kind": (HEADER + "1,0,points,3,4\n", "the kind is 'points'. Write point or box"),
    "no kind in a row": (HEADER + "1,0,,3,4\n", "the kind is ''"),
    "a point without x": (HEADER + "1,0,point,3\n", "line 2: x is missing. Write a number"),
    "a word for y": (HEADER + "1,0,point,three,4\n", "line 2: y is 'three'"),
    "NaN": (HEADER + "1,0,point,nan,4\n", "line 2: y is 'nan'"),
    "label 2": (HEADER + "1,0,point,3,4,2\n", "line 2: the label is 2"),
    "half a label": (HEADER + "1,0,point,3,4,0.5\n", "line 2: label is 0.5"),
    "half a box": (HEADER + "1,0,box,,,,3,4\n", "line 2: y1 is missing"),
    "two boxes": (
        HEADER + "1,0,box,,,,3,4,5,6\n\n1,0,box,,,,3,4,5,6\n",
        "line 4: object 1 has a box in this frame already",
    ),
    "an id that no labels hold": (HEADER + "4294967296,0,point,3,4\n", "is not an object id"),
    "a decimal comma where commas separate": (
        'object_id,kind,y,x\n1,point,"3,5",4\n',
        "line 2: y is '3,5'",
    ),
    "a thousand and a half": ("object_id;kind;y;x\n1;point;1.000,5;4\n", "y is '1.000,5'"),
    "a point of napari before the first frame": (
        "index,axis-0,axis-1,axis-2\n0,-3,4,5\n",
        "line 2: the point is before the first frame",
    ),
    "a point of napari on one axis": ("index,axis-0\n0,3\n", "the columns are index, axis-0"),
    "a column of two lines": ('"a\nb",kind\n', "the columns are a b, kind"),
    "object 0 at a point of napari": (
        "index,axis-0,axis-1,object_id\n0,3,4,0\n",
        "line 2: 0 is not an object id",
    ),
    "decimal commas between commas": (
        "object_id,kind,y,x\n1,point,3,5,4,5\n",
        "line 2: 6 cells were found under 4 columns. Write decimals with a point",
    ),
}


@pytest.mark.parametrize("name", WRONG_CASES)
def test_wrong_tables_are_explained(tmp_path, name):
    text, message = WRONG_CASES[name]
    with pytest.raises(PromptError, match=f"prompts.csv.*{message}"):
        read_prompts(table_of(tmp_path, text))


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(PromptError, match=r"There is no file .*missing\.csv"):
        read_prompts(tmp_path / "missing.csv")
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(PromptError, match="saved as CSV"):
        read_prompts(tmp_path / "picture.csv")


def test_names_of_the_frame_columns(tmp_path):
    path = tmp_path / "prompts.csv"
    write_prompts(path, {(1, (2, 3)): POINT}, frame_axes=("t", "z"))
    assert path.read_text().startswith("object_id,t,z,kind,")
    write_prompts(path, {(1, (2, 3)): POINT})
    assert path.read_text().startswith("object_id,frame_0,frame_1,kind,")


def test_what_a_table_cannot_hold(tmp_path):
    path = tmp_path / "prompts.csv"
    with pytest.raises(PromptError, match="Object 3 is prompted by a mask"):
        write_prompts(path, {(3, ()): Prompts.from_mask(np.ones((4, 5)))})
    with pytest.raises(PromptError, match="one image at a time"):
        write_prompts(path, {(1, ()): POINT, (1, (2,)): POINT})
    with pytest.raises(PromptError, match="one for each of"):
        write_prompts(path, {(1, ()): POINT}, frame_axes=("t",))
    assert not path.exists()
    with pytest.raises(SamError, match="Choose a folder that exists"):
        write_prompts(tmp_path / "none" / "prompts.csv", {(1, ()): POINT})
