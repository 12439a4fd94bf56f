"""What is wrong in a session's JSON is refused at the door, by the schema that is published."""

from __future__ import annotations

import json
import math
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import napari_sam.session.saving
from annotating import CLICK, SHAPE, frame, land, new_session, new_stack, square
from napari_sam.engine import Prompts, SamError
from napari_sam.session import SessionFile, classes, load, review_states, save, session_path
from napari_sam.session.saving.checking import Budget, read_annotations, read_manifest
from tampering import tampered

SCHEMA = json.loads(
    Path(napari_sam.session.saving.__file__).with_name("session.schema.json").read_text("utf-8")
)
RECORDS = {**SCHEMA["$defs"]["annotations"], "$defs": SCHEMA["$defs"]}


def checking(schema: Any) -> Callable[[Any], None]:
    """Keeps to the published schema, as JSON has it."""
    validator = jsonschema.Draft202012Validator(schema)
    return lambda value: validator.validate(json.loads(json.dumps(value)))


check_manifest, check_records = checking(SCHEMA), checking(RECORDS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    session = new_session()
    land(session, 1, 0, CLICK.with_box((1, 1, 5.5, 4)), square(1, 1))
    land(session, 2, 1, Prompts.from_mask(square(3, 3)), square(3, 3))
    session.edit(3, frame(2), Prompts.from_mask(square(5, 5)))
    classes.add_class(session, "cell")
    classes.add_class(session, "kind", parent="cell")
    classes.give_class(session, [1], "cell")
    classes.take_proposals(session, {2: ("kind", 0.75)})
    review_states.set_review(session, [1], "approved", note="round", by="mary")
    save(session, path := session_path(tmp_path / "movie.tif"), image_path="movie.tif")
    return path


def records(folder: Path) -> tuple[Path, Any]:
    path = folder / SessionFile(folder).manifest["frames"]["1_y_x"]["annotations"]
    return path, json.loads(path.read_text())


Change = Callable[[dict[str, Any]], object]


@dataclass(frozen=True)
class Hostile:
    name: str
    change: Change
    says: str


BIG = 2**39
ROOM = {"top": 0, "left": 0, "height": 8, "width": 9}

IN_RECORDS = [
    Hostile("no number", lambda r: r.update(score=math.nan), "number"),
    Hostile("a key missing", lambda r: r.pop("base"), "base: Field required"),
    Hostile("a string for a number", lambda r: r.update(object_id="1"), "object_id"),
    Hostile("an object below 1", lambda r: r.update(object_id=0), "object_id"),
    Hostile("a kind of drawing", lambda r: r["drawings"][0].update(kind="sphere"), "drawings"),
    Hostile("a label a point too many", lambda r: r["labels"].append(1), "2 labels for 1 points"),
    Hostile("runs longer than the crop", lambda r: r["landed"].update(runs=[0, 73]), "longer"),
    Hostile("long runs", lambda r: r["landed"].update(runs=[0, BIG]), "longer"),
    Hostile("negative runs", lambda r: r["landed"].update(runs=[4, -4]), "greater"),
    Hostile("outside the frame", lambda r: r["landed"].update(top=7), "outside its frame"),
    Hostile("a large region", lambda r: r["landed"].update(height=BIG, width=BIG), "outside"),
    Hostile("a large mask", lambda r: r.update(mask={"shape": [BIG, BIG], "region": None}), "mask"),
    Hostile("a source elsewhere", lambda r: r.update(source=[9, None, None]), "not a frame of"),
    Hostile("a crop outside", lambda r: r.update(crop=[0, 0, 8, 10]), "a crop is outside"),
    Hostile("an empty crop", lambda r: r.update(crop=[4, 4, 4, 6]), "a crop is outside"),
    Hostile("a far point", lambda r: r.update(points=[[1e300, 0]]), "points"),
]


@pytest.mark.parametrize("case", IN_RECORDS, ids=lambda c: c.name)
def test_hostile_records_ask_for_nothing(case: Hostile, folder: Path) -> None:
    path, content = records(folder)
    content[0]["landed"] = {**ROOM, "runs": [0, 4]}
    content[0].update(points=[[1, 1]], labels=[1], drawings=[{**POINT}])
    path.write_text(json.dumps(content))
    assert load(folder, new_stack()).notices == []
    case.change(content[0])
    path.write_text(json.dumps(content))
    tracemalloc.start()
    opened = load(folder, new_stack())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    (notice,) = opened.notices
    assert case.says in notice, notice
    assert peak < 30e6


POINT = {"kind": "point", "vertices": [[1, 1]], "label": 1}

IN_MANIFEST = [
    Hostile("axes for two numbers", lambda m: m["labels"].update(displayed=[1, 1]), "displayed"),
    Hostile("an axis too many", lambda m: m["labels"].update(displayed=[1, 3]), "displayed"),
    Hostile("labels of objects", lambda m: m["labels"].update(dtype="object"), "labels.dtype"),
    Hostile("a frame outside", lambda m: m["frames"].update({"4_y_x": FILES}), "not a frame of"),
    Hostile("another frame's file", lambda m: m["frames"].update({"3_y_x": FILES}), "of this"),
    Hostile("a frame twice", lambda m: m["frames"].update({"00_y_x": FILES}), "how the frame"),
    Hostile("a date that never was", lambda m: m.update(saved="2026-02-31"), "day"),
    Hostile("a date before time", lambda m: m.update(saved="0001-01-01T00:00:00+14:00"), "date"),
    Hostile("a null in the path", lambda m: m["image"].update(path="a\0b"), "image.path"),
    Hostile("a place of no size", lambda m: m["image"].update(placement=PLACE), "placement"),
    Hostile("a class of no name", lambda m: m["classes"][0].update(name=" "), "needs a name"),
    Hostile("a class twice", lambda m: m["classes"][1].update(name="Cell"), "already"),
    Hostile("two classes at once", lambda m: m["classes"][1]["objects"].append(1), "two classes"),
    Hostile("a key of two", lambda m: m["classes"][1].update(key=1), "The key 1"),
    Hostile("its own parent", lambda m: m["classes"][0].update(parent="kind"), "of itself"),
    Hostile("a parent of none", lambda m: m["classes"][0].update(parent="x"), "no class “x”"),
    Hostile("a colour of none", lambda m: m["classes"][0].update(colour="red"), "not a colour"),
    Hostile("more than sure", lambda m: m["classes"][0].update(proposed={"9": 1.5}), "proposed"),
    Hostile("an object of no id", lambda m: m["classes"][0].update(proposed={"-1": 1}), "proposed"),
    Hostile("a review state of none", lambda m: m["reviews"]["1"].update(state="good"), "reviews"),
    Hostile("a review of no object", lambda m: m["reviews"].update({"0": {}}), "reviews"),
    Hostile("a long note", lambda m: m["reviews"]["1"].update(note="x" * 2001), "reviews"),
    Hostile("a hidden version", lambda m: m.update(version=True), "not a session of this"),
]
FILES = {"labels": "frames/4_y_x-1.tif", "annotations": None}
ROWS = [[1.0, 0.0], [0.0, 1.0]]
PLACE = {
    "scale": [0.0, 1.0],
    "translate": [0.0, 0.0],
    "rotate": ROWS,
    "shear": [0.0],
    "affine": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
    "units": ["pixel", "pixel"],
    "axis_labels": ["y", "x"],
}


@pytest.mark.parametrize("case", IN_MANIFEST, ids=lambda c: c.name)
def test_a_hostile_manifest_is_refused(case: Hostile, folder: Path) -> None:
    path = folder / "session.json"
    manifest = json.loads(path.read_text())
    case.change(manifest)
    path.write_text(json.dumps(manifest))
    with pytest.raises(SamError) as refusal:
        load(folder, new_stack())
    assert case.says in str(refusal.value)


def test_regions_are_bounded_by_what_is_on_disk() -> None:
    """A small file that fills gigabytes is refused before they are requested."""
    record = {
        "object_id": 1,
        **dict.fromkeys(("box", "mask", "candidate", "diameter", "iou_prediction"), None),
        **dict.fromkeys(("stability", "score", "source", "base", "painted", "erased"), None),
        **{key: [] for key in ("points", "labels", "drawings")},
        **dict.fromkeys(("model", "model_hash", "precision", "doubt", "stopped"), ""),
        "landed": {"top": 0, "left": 0, "height": 30_000, "width": 30_000, "runs": []},
    }
    shape = (2, 30_000, 30_000)
    one = json.dumps([record]).encode()
    assert read_annotations(one, (0, None, None), shape, Budget())
    with pytest.raises(ValueError, match="more memory"):
        read_annotations(json.dumps([record] * 2).encode(), (0, None, None), shape, Budget())


def test_the_door_and_the_published_schema_agree(folder: Path) -> None:
    """What is let in keeps to the schema, but for what the first version lacked and new keys."""
    _, content = records(folder)
    manifest = json.loads((folder / "session.json").read_text())
    rng, let_in = random.Random(0), 0
    for _ in range(400):
        changed = tampered(content, rng)
        try:
            kept = read_annotations(json.dumps(changed).encode(), (1, None, None), SHAPE, Budget())
            check_records([{"doubt": "", "stopped": "", **each} for each in kept])
            let_in += 1
        except ValueError:
            pass
        changed = tampered(manifest, rng)
        try:
            kept = read_manifest(json.dumps(changed).encode(), Budget())
            lacking = {
                "waiting": [],
                "classes": [],
                "reviews": {},
                "shown": None,
                **kept,
                "version": 5,
            }
            lacking["image"] = {"placement": None, **kept["image"]}
            check_manifest(lacking)
            let_in += 1
        except ValueError:
            pass
    assert 20 < let_in < 700, "some changes are harmless, most are not"
