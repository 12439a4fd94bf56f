"""Sessions on disk: nothing is lost, nothing of others is overwritten, and what fails says why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays

import napari_sam.session.saving
from annotating import (
    CLICK,
    SHAPE,
    answer,
    frame,
    land,
    new_session,
    new_stack,
    paint,
    square,
    state,
    waiting,
)
from napari_sam.engine import FrameStack, Prompts, SamError
from napari_sam.session import (
    Autosave,
    Drawing,
    Placement,
    Propagated,
    Region,
    Session,
    SessionFile,
    is_session,
    load,
    objects,
    save,
    session_path,
)
from napari_sam.session.saving.records import (
    read_frame_name,
    read_region,
    write_frame,
    write_region,
)

SCHEMA = json.loads(
    Path(napari_sam.session.saving.__file__).with_name("session.schema.json").read_text("utf-8")
)
TESTS = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return session_path(tmp_path / "movie.tif")


PLACEMENT = Placement(
    scale=(2.0, 0.65, 0.65),
    translate=(0.0, -10.5, 3.25),
    rotate=((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    shear=(0.0, 0.0, 0.5),
    affine=tuple(tuple(float(i == j) for j in range(4)) for i in range(4)),
    units=("second", "micrometer", "micrometer"),
    axis_labels=("t", "y", "x"),
)


def rich_session() -> Session:
    """Something of everything that a session can hold."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[3, 5:, 5:] = 7
    session = new_session(labels)
    land(session, 1, 0, CLICK.with_point((0.25, 7.5), 0).with_box((1, 1, 5.5, 4)), square(1, 1))
    session.draw(2, frame(1), (Drawing("polygon", ((1.0, 1.0), (1.0, 6.0), (6.0, 3.5))),))
    outline = session.pending()[0]
    session.land(answer(outline, square(1, 2, side=4)))
    land(session, 7, 3, CLICK, square(4, 4, side=4))
    paint(session, 0, square(6, 6), 1)
    paint(session, 0, square(1, 1, side=1), 0)
    run = session.new_run()
    for t in (1, 2):
        mask = Region.from_mask(square(t, t))
        warning = "There are two similar objects now: it may have divided."
        propagated = Propagated(
            1, frame(t), mask, 0.7, 0.6, 0.5, "pocket", frame(0), warning=warning
        )
        session.land_propagated(propagated, run)
    paint(session, 2, square(5, 6), 3)
    objects.divide(session, 1, (1, 3), frame(2))
    why = "Object 2 ends before frame 2. It vanished."
    session.land_propagated(
        Propagated(2, frame(2), Region.empty(), 0, 0, 0, "pocket", frame(1), why), run
    )
    session.edit(7, frame(3), CLICK.with_point((6, 6)))
    session.edit(9, frame(0), Prompts.from_mask(square(5, 5)))
    session.choose(9, frame(0), 3)
    session.select(2)
    session.protect_neighbours = False
    session.placement = PLACEMENT
    session.shown = frame(3)
    session.finish()
    return session


def test_all_comes_back(folder: Path) -> None:
    session = rich_session()
    save(session, folder, image_path="movie.tif")
    opened = load(folder, new_stack())
    assert state(opened) == state(session)
    assert (opened.active, opened.protect_neighbours) == (2, False)
    assert opened.models == {"pocket": ("sha256:0", "fp32")}
    assert opened.next_id() == session.next_id()
    assert opened.weakest() == session.weakest()
    assert opened.annotation(2, frame(2)).stopped == "Object 2 ends before frame 2. It vanished."
    assert opened.annotation(1, frame(1)).warning.startswith("There are two similar objects now")
    assert (opened.placement, opened.shown, opened.is_done) == (PLACEMENT, frame(3), True)
    assert len(session.pending()) == 2
    assert waiting(opened) == waiting(session)
    assert opened.objects() == session.objects()
    assert not opened.undo(), "the history begins again"
    land(opened, 1, 0, CLICK, square(2, 2))
    assert opened.labels[0, 7, 7] == 1, "what was painted by hand stays after a restart"


def test_what_waited_is_answered_after_a_restart(folder: Path) -> None:
    session = new_session()
    autosave = Autosave(session, folder)
    request = session.edit(1, frame(0), CLICK)
    autosave.save()
    (asked,) = load(folder, new_stack()).pending()
    assert asked == request
    session.fail(request)
    autosave.save()
    assert load(folder, new_stack()).pending() == (), "given up"
    session.edit(2, frame(1), CLICK)
    autosave.save()
    autosave.close()
    opened = load(folder, new_stack())
    opened.land(answer(opened.pending()[0], square(2, 2)))
    assert opened.ids_in(frame(1)) == (2,)
    assert opened.next_id() == 3


def test_sessions_of_the_second_version_open(folder: Path) -> None:
    session = rich_session()
    save(session, folder)
    damage_manifest(folder, lambda manifest: manifest.update(version=2) or manifest.pop("classes"))
    damage_manifest(folder, lambda manifest: manifest.pop("reviews"))
    opened = load(folder, new_stack())
    assert dict(opened.annotations()) == dict(session.annotations())
    assert opened.classes.defined == ()


def test_sessions_of_the_first_version_open(folder: Path) -> None:
    session = rich_session()
    for request in session.pending():
        session.fail(request)
    save(session, folder)
    damage_manifest(folder, as_version_1)
    for path in (folder / "frames").glob("*.json"):
        records = json.loads(path.read_text("utf-8"))
        kept = [r for r in records if not r.pop("stopped") and r.pop("doubt") is not None]
        path.write_text(json.dumps(kept), "utf-8")
    opened = load(folder, new_stack())
    assert opened.labels.tolist() == session.labels.tolist()
    current = {k: replace(a, warning="") for k, a in session.annotations() if not a.stopped}
    assert dict(opened.annotations()) == current
    assert (opened.pending(), opened.placement) == ((), None)
    land(opened, 1, 0, CLICK, square(1, 1))
    save(opened, folder)
    assert SessionFile(folder).manifest["version"] == 5, "saved, it is of this version"


def as_version_1(manifest: dict) -> None:
    manifest["version"] = 1
    del manifest["image"]["placement"], manifest["waiting"], manifest["shown"]
    del manifest["classes"], manifest["reviews"]


def test_what_is_written_keeps_to_the_schema(folder: Path) -> None:
    save(rich_session(), folder, image_path="movie.tif")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads((folder / "session.json").read_text("utf-8")), SCHEMA)
    annotations = list((folder / "frames").glob("*.json"))
    assert annotations
    for path in annotations:
        records = {**SCHEMA["$defs"]["annotations"], "$defs": SCHEMA["$defs"]}
        jsonschema.validate(json.loads(path.read_text("utf-8")), records)


def test_labels_are_tiffs_anyone_can_open(folder: Path) -> None:
    session = rich_session()
    save(session, folder)
    for path in (folder / "frames").glob("*.tif"):
        t = read_frame_name(path.name.partition("-")[0])[0]
        np.testing.assert_array_equal(tifffile.imread(path), session.labels[t])


def test_a_save_writes_only_what_changed(folder: Path) -> None:
    session = rich_session()
    autosave = Autosave(session, folder)
    autosave.save()
    before = set((folder / "frames").iterdir())
    assert autosave.snapshot() is None, "nothing is due"
    land(session, 4, 2, CLICK, square(5, 0))
    autosave.save()
    new = set((folder / "frames").iterdir()) - before
    assert {path.name.split("-")[0] for path in new} == {"2_y_x"}
    autosave.close()


def test_a_snapshot_is_what_it_was(folder: Path) -> None:
    """Written later, in another thread, it does not see what was done since."""
    session = rich_session()
    autosave = Autosave(session, folder)
    snapshot, then = autosave.snapshot(), state(session)
    land(session, 1, 0, CLICK, square(4, 4))
    autosave.write(snapshot)
    assert state(load(folder, new_stack())) == then
    assert autosave.is_due
    autosave.save()
    assert state(load(folder, new_stack())) == state(session)
    autosave.close()


def test_undone_work_is_saved_as_undone(folder: Path) -> None:
    session = new_session()
    autosave = Autosave(session, folder)
    land(session, 1, 0, CLICK, square(1, 1))
    autosave.save()
    session.undo()
    assert autosave.is_due
    autosave.save()
    autosave.close()
    opened = load(folder, new_stack())
    assert not opened.labels.any()
    assert opened.objects() == []
    assert not list((folder / "frames").iterdir())


def test_prompts_of_another_view_are_saved_with_the_labels_they_cross(folder: Path) -> None:
    session = new_session()
    side = (None, 3, None)
    request = session.edit(1, side, CLICK)
    mask = np.zeros((SHAPE[0], SHAPE[2]), bool)
    mask[1:3, 2:5] = True
    session.land(answer(request, mask))
    save(session, folder)
    opened = load(folder, new_stack())
    assert state(opened) == state(session)
    assert opened.labels[1:3, 3, 2:5].all()


def test_ids_are_not_given_again_after_a_restart(folder: Path) -> None:
    session = new_session()
    land(session, 5, 0, CLICK, square(1, 1))
    objects.delete(session, [5], frame(0))
    save(session, folder)
    assert load(folder, new_stack()).new_object() == 6


def test_a_changed_image_is_noticed(folder: Path) -> None:
    save(Session(new_stack(seed=1), np.zeros(SHAPE, np.uint16)), folder)
    assert load(folder, new_stack(seed=1)).notices == []
    assert "pixels differ" in load(folder, new_stack(seed=2)).notices[0]


class GoneImage:
    """An image whose file was deleted after it was opened."""

    shape, ndim, dtype = SHAPE, 3, np.dtype(np.uint8)

    def __getitem__(self, where: object) -> np.ndarray:
        raise OSError("No such file")


def test_the_work_is_saved_although_the_image_is_gone(folder: Path) -> None:
    stack = FrameStack.from_array(GoneImage(), rgb=False)
    session = Session(stack, np.zeros(SHAPE, np.uint16))
    land(session, 1, 0, CLICK, square(1, 1))
    save(session, folder)
    assert state(load(folder, stack)) == state(session)


def test_two_windows(folder: Path) -> None:
    first = Autosave(rich_session(), folder)
    first.save()
    before = (folder / "session.json").read_bytes()
    second = load(folder, new_stack())
    with pytest.raises(
        SamError,
        match=r"open elsewhere: in a window or a program on this computer, since \d\d \w+ ",
    ):
        Autosave(second, folder)
    assert (folder / "session.json").read_bytes() == before
    first.close()
    Autosave(second, folder).close()


def test_a_session_of_someone_else_is_not_overwritten(folder: Path) -> None:
    save(rich_session(), folder)
    with pytest.raises(SamError, match="holds a session already"):
        save(new_session(), folder)
    mine = load(folder, new_stack())
    theirs = load(folder, new_stack())
    land(theirs, 1, 0, CLICK, square(0, 0))
    save(theirs, folder)
    land(mine, 1, 0, CLICK, square(5, 5))
    with pytest.raises(SamError, match="changed by someone else"):
        save(mine, folder)
    assert state(load(folder, new_stack())) == state(theirs)


@dataclass(frozen=True)
class Gone:
    name: str
    vanish: Callable[[Path], object]


GONE = [
    Gone("deleted", shutil.rmtree),
    Gone("moved away", lambda folder: folder.rename(folder.with_name("elsewhere"))),
    Gone("only its heart", lambda folder: (folder / "session.json").unlink()),
]


@pytest.mark.parametrize("case", GONE, ids=lambda c: c.name)
def test_a_folder_that_vanished_is_written_anew_and_whole(case: Gone, folder: Path) -> None:
    session = rich_session()
    autosave = Autosave(session, folder)
    autosave.save()
    land(session, 4, 2, CLICK, square(5, 0))
    late = autosave.snapshot()
    case.vanish(folder)
    assert not autosave.write(late), "what changed since is not all there is"
    assert not is_session(folder)
    autosave.save()
    assert state(load(folder, new_stack())) == state(session)
    with pytest.raises(SamError, match="open elsewhere"):
        Autosave(load(folder, new_stack()), folder)
    autosave.close()


def test_a_drive_that_was_away_and_comes_back_is_gone_on_with(folder: Path, tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    session = rich_session()
    autosave = Autosave(session, session_path(drive / "movie.tif"))
    autosave.save()
    away = drive.rename(tmp_path / "away")
    land(session, 4, 2, CLICK, square(5, 0))
    with pytest.raises(SamError, match=r"cannot be saved.*Choose a folder") as refusal:
        autosave.save()
    assert "untouched" not in str(refusal.value)
    away.rename(drive)
    autosave.save()
    assert state(load(autosave.folder, new_stack())) == state(session)
    autosave.close()


def test_who_took_the_place_of_a_deleted_session_keeps_it(folder: Path) -> None:
    mine = rich_session()
    autosave = Autosave(mine, folder)
    autosave.save()
    shutil.rmtree(folder)
    theirs = Autosave(new_session(), folder)
    land(mine, 4, 2, CLICK, square(5, 0))
    with pytest.raises(SamError, match="open elsewhere"):
        autosave.save()
    theirs.save()
    autosave.close()
    assert (folder / "owner.json").exists(), "it is still theirs"
    theirs.close()
    with pytest.raises(SamError, match="changed by someone else"):
        save(mine, folder)
    assert load(folder, new_stack()).objects() == []


def test_saved_elsewhere_all_of_it_is_there(folder: Path) -> None:
    save(rich_session(), folder)
    opened = load(folder, new_stack())
    elsewhere = folder.with_name("copy.napari-sam")
    save(opened, elsewhere)
    assert state(load(elsewhere, new_stack())) == state(opened)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX")
def test_a_full_disk_leaves_what_was_saved(folder: Path) -> None:
    import resource

    session = rich_session()
    autosave = Autosave(session, folder)
    autosave.save()
    saved, files = state(session), set(folder.rglob("*"))
    land(session, 2, 1, CLICK, square(4, 4))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        with pytest.raises(SamError, match=r"cannot be saved.*has room"):
            autosave.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert set(folder.rglob("*")) == files, "no half-written file is left"
    assert state(load(folder, new_stack())) == saved
    autosave.save()
    assert state(load(folder, new_stack())) == state(session), "the next save has it all"
    autosave.close()


@dataclass(frozen=True)
class NoPlace:
    name: str
    path: Callable[[Path], Path]


def file_in_the_way(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "a.napari-sam"


def read_only(tmp_path: Path) -> Path:
    tmp_path.chmod(0o500)
    return tmp_path / "a.napari-sam"


NO_PLACES = [
    NoPlace("folder gone", lambda tmp_path: tmp_path / "gone" / "a.napari-sam"),
    NoPlace("a file in the way", file_in_the_way),
    pytest.param(
        NoPlace("read-only folder", read_only),
        marks=pytest.mark.skipif(
            not hasattr(os, "getuid") or os.getuid() == 0, reason="nothing is read-only for root"
        ),
    ),
]


@pytest.mark.parametrize("case", NO_PLACES, ids=lambda c: c.name)
def test_a_place_that_cannot_be_written_to_says_so(case: NoPlace, tmp_path: Path) -> None:
    with pytest.raises(SamError, match=r"cannot be saved in .*Choose a folder"):
        save(rich_session(), case.path(tmp_path))
    tmp_path.chmod(0o700)


def damage_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    manifest = json.loads((folder / "session.json").read_text("utf-8"))
    change(manifest)
    (folder / "session.json").write_text(json.dumps(manifest), "utf-8")


@dataclass(frozen=True)
class Broken:
    name: str
    damage: Callable[[Path], object]
    says: str


BROKEN = [
    Broken("no session", lambda f: (f / "session.json").unlink(), "There is no session"),
    Broken("half a manifest", lambda f: (f / "session.json").write_text("{"), "cannot be read"),
    Broken(
        "another JSON", lambda f: (f / "session.json").write_text("[]"), "not a session of this"
    ),
    Broken(
        "a newer version",
        lambda f: damage_manifest(f, lambda m: m.update(version=6)),
        "version 6.*Update",
    ),
    Broken(
        "a request damaged",
        lambda f: damage_manifest(f, lambda m: m.update(waiting=[{}])),
        r"json cannot be read.*backup",
    ),
    Broken(
        "a placement damaged",
        lambda f: damage_manifest(f, lambda m: m["image"].update(placement={"scale": 2})),
        r"json cannot be read.*backup",
    ),
    Broken(
        "nested without end",
        lambda f: (f / "session.json").write_text("[" * 100_000),
        r"json cannot be read.*backup",
    ),
    Broken(
        "no version",
        lambda f: damage_manifest(f, lambda m: m.pop("version")),
        "not a session of this",
    ),
    Broken(
        "an image of 8 TB a frame",
        lambda f: damage_manifest(f, lambda m: m["image"].update(shape=[2**40, 2**40, 2**40])),
        r"image.shape.*backup",
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda c: c.name)
def test_what_cannot_be_opened_says_why(case: Broken, folder: Path) -> None:
    save(rich_session(), folder)
    case.damage(folder)
    with pytest.raises(SamError, match=case.says):
        load(folder, new_stack())


def test_an_image_of_another_shape_is_refused(folder: Path) -> None:
    save(rich_session(), folder)
    other = FrameStack.from_array(np.zeros((4, 8, 10), np.uint8), rgb=False)
    with pytest.raises(SamError, match=r"shape \(4, 8, 9\), this one has \(4, 8, 10\)"):
        load(folder, other)


def test_a_folder_or_its_manifest_is_a_session(folder: Path, tmp_path: Path) -> None:
    assert not is_session(folder)
    save(new_session(), folder)
    assert is_session(folder)
    assert is_session(folder / "session.json")
    assert not is_session(tmp_path)
    assert SessionFile(folder / "session.json").shape == SHAPE


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_killed_at_any_moment_the_old_or_the_new_state_is_there(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, TESTS / "killed_saves.py", tmp_path],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"old", "new"}
    assert found == sorted(found, reverse=True), "once new, it stays so"
    assert len(found) > 8, "it was killed at many steps"


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=8)))
def test_a_region_is_read_as_it_was_written(mask: np.ndarray) -> None:
    region = Region.from_mask(mask, top=3, left=5)
    record = write_region(region)
    assert read_region(json.loads(json.dumps(record))) == region
    if record is not None:
        schema = {**SCHEMA["$defs"]["region"], "$defs": SCHEMA["$defs"]}
        jsonschema.validate(record, schema)


@pytest.mark.parametrize(
    ("index", "name"),
    [
        ((None, None), "y_x"),
        ((12, None, None), "12_y_x"),
        ((None, 3, None), "y_3_x"),
        ((0, 11, None, None), "0_11_y_x"),
    ],
)
def test_frames_have_names(index, name) -> None:
    assert write_frame(index) == name
    assert read_frame_name(name) == index


def test_an_outline_of_nothing_is_nothing(folder: Path) -> None:
    session = new_session()
    assert session.edit(1, frame(0), Prompts()) is None
    save(session, folder)
    assert SessionFile(folder).manifest["frames"] == {}
