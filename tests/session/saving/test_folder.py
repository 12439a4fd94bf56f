"""A session's folder from someone else: nothing outside it is read, written or deleted."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from annotating import CLICK, land, new_session, new_stack, square, state
from napari_sam.engine import SamError
from napari_sam.session import Autosave, load, save, session_path
from napari_sam.session.saving import autosave as autosave_module
from napari_sam.session.saving.folder import HAS_DESCRIPTORS, SessionFolder

WAYS = [
    pytest.param(True, marks=pytest.mark.skipif(not HAS_DESCRIPTORS, reason="not here"), id="fd"),
    pytest.param(False, id="paths"),
]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="making links asks for a right there")


@pytest.fixture(params=WAYS)
def by_descriptor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """How the folder is reached, in all that is saved in this test."""

    def folder(path: Path) -> SessionFolder:
        return SessionFolder(path, by_descriptor=request.param)

    monkeypatch.setattr(autosave_module, "SessionFolder", folder)
    return request.param


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What belongs to the user and not to the session."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("0_y_x-1.tif", "0_y_x-9-01234567.tif", "letter.txt", "lock", "session.json"):
        (folder / name).write_text("precious")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session of two frames."""
    session = new_session()
    for t in (0, 1):
        land(session, 1, t, CLICK, square(1, 1))
    save(session, path := session_path(tmp_path / "movie.tif"))
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def frames_elsewhere(folder: Path, outside: Path) -> None:
    for path in (folder / "frames").iterdir():
        shutil.move(path, outside)
    (folder / "frames").rmdir()
    (folder / "frames").symlink_to(outside)


def link_at(name: str) -> Callable[[Path, Path], None]:
    def make(folder: Path, outside: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(outside / "letter.txt")

    return make


def hard_link_as_lock(folder: Path, outside: Path) -> None:
    (folder / "lock").unlink()
    os.link(outside / "letter.txt", folder / "lock")


def folder_elsewhere(folder: Path, outside: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(outside)


def frame_file_elsewhere(folder: Path, outside: Path) -> None:
    path = next((folder / "frames").glob("*.tif"))
    shutil.copy(path, outside / "letter.txt")
    path.unlink()
    path.symlink_to(outside / "letter.txt")


def other_files_named(folder: Path, outside: Path) -> None:
    manifest = json.loads((folder / "session.json").read_text())
    manifest["replaced"] = ["../mine/letter.txt", "frames/../../mine/letter.txt"]
    (folder / "session.json").write_text(json.dumps(manifest))


@dataclass(frozen=True)
class Hostile:
    name: str
    prepare: Callable[[Path, Path], None]
    is_saved: bool = False


HOSTILE = [
    Hostile("the frames are a link", frames_elsewhere),
    Hostile("the folder is a link", folder_elsewhere),
    Hostile("a frame's labels are a link", frame_file_elsewhere, is_saved=True),
    Hostile("session.json is a link", link_at("session.json")),
    Hostile("owner.json is a link", link_at("owner.json"), is_saved=True),
    Hostile("the lock is a link", link_at("lock")),
    Hostile("the lock is a hard link", hard_link_as_lock),
    Hostile("an old temporary name is a link", link_at(".session.json.part"), is_saved=True),
    Hostile("the next frame's old name is a link", link_at("frames/2_y_x-2.tif"), is_saved=True),
    Hostile("it names other files", other_files_named),
]


@pytest.mark.usefixtures("by_descriptor")
@pytest.mark.parametrize("case", HOSTILE, ids=lambda c: c.name)
def test_nothing_outside_is_touched(case: Hostile, folder: Path, outside: Path) -> None:
    case.prepare(folder, outside)
    before = contents(outside)
    try:
        session = load(folder, new_stack())
        land(session, 2, 2, CLICK, square(4, 4))
        land(session, 1, 0, CLICK.with_point((1, 1)), square(0, 0))
        save(session, folder)
        saved = True
    except SamError:
        saved = False
    assert contents(outside) == before
    assert saved == case.is_saved
    if saved:
        assert state(load(folder, new_stack())) == state(session)


@pytest.mark.usefixtures("by_descriptor")
@pytest.mark.parametrize("case", HOSTILE, ids=lambda c: c.name)
def test_nothing_outside_is_touched_that_is_put_there_while_saving(
    case: Hostile, folder: Path, outside: Path
) -> None:
    session = load(folder, new_stack())
    autosave = Autosave(session, folder)
    case.prepare(folder, outside)
    before = contents(outside)
    land(session, 2, 2, CLICK, square(4, 4))
    land(session, 1, 0, CLICK.with_point((1, 1)), square(0, 0))
    try:
        autosave.save()
    except SamError:
        pass
    else:
        assert state(load(folder, new_stack())) == state(session)
    finally:
        autosave.close()
    assert contents(outside) == before


@pytest.mark.usefixtures("by_descriptor")
def test_nothing_is_saved_through_a_link(tmp_path: Path) -> None:
    """An archive may bring an image and, beside it, a link where its session would be."""
    (tmp_path / "mine").mkdir()
    link = session_path(tmp_path / "other.tif")
    link.symlink_to(tmp_path / "mine")
    with pytest.raises(SamError, match="the folder was replaced by a link"):
        save(new_session(), link)
    assert not list((tmp_path / "mine").iterdir())


@pytest.mark.usefixtures("by_descriptor")
def test_only_what_the_session_names_is_removed(folder: Path) -> None:
    theirs = {"frames/0_y_x-1.tif", "frames/IMG_0001.tif", "frames/notes.json", "letter.txt"}
    for name in theirs:
        (folder / name).write_text("precious")
    session = load(folder, new_stack())
    before = session.saved.files[0, None, None].labels[None]
    land(session, 1, 0, CLICK.with_point((1, 1)), square(0, 0))
    save(session, folder)
    assert not (folder / before).exists()
    assert {name for name in theirs if (folder / name).exists()} == theirs


@pytest.mark.usefixtures("by_descriptor")
def test_what_a_killed_save_left_behind_is_removed_by_the_next(folder: Path) -> None:
    left = ["frames/3_y_x-2-0123abcd.tif", "frames/3_y_x-2-0123abcd.json"]
    left += [".napari-sam-0123456789abcdef.part"]
    for name in left:
        (folder / name).write_text("half")
    session = load(folder, new_stack())
    land(session, 2, 2, CLICK, square(4, 4))
    save(session, folder)
    assert not [name for name in left if (folder / name).exists()]


@pytest.mark.parametrize("by", WAYS)
def test_names_lead_nowhere_else(by: bool, folder: Path, outside: Path) -> None:
    files = SessionFolder(folder, by_descriptor=by)
    for name in ("../mine/letter.txt", "frames/../../mine/letter.txt", "", "frames/", "frames/.."):
        with pytest.raises(OSError, match="not a name of a session file"):
            files.read(name, 100)
    with pytest.raises(OSError, match="larger than"):
        files.read("session.json", 10)
    os.mkfifo(folder / "frames" / "0_y_x-1.json")
    with pytest.raises(OSError, match="not a regular file"):
        files.read("frames/0_y_x-1.json", 100)
    assert files.holds("session.json")
    assert not files.holds("frames")
