"""A session in a ZIP file: what is in it comes back, and nothing else is written."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from annotating import CLICK, land, new_session, new_stack, square, state
from napari_sam.engine import SamError
from napari_sam.plugin.contributions import session_reader
from napari_sam.session import load, save, session_path, unpack


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """movie.tif.napari-sam.zip, as the page for browsers and most programs pack a folder."""
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    land(session, 2, 1, CLICK, square(4, 4))
    save(session, session_path(tmp_path / "there" / "movie.tif"), image_path="movie.tif")
    folder = session_path(tmp_path / "there" / "movie.tif")
    name = shutil.make_archive(str(tmp_path / folder.name), "zip", folder.parent, folder.name)
    return Path(name)


@pytest.fixture(autouse=True)
def there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()


def test_all_comes_back(archive: Path, tmp_path: Path) -> None:
    folder = unpack(archive)
    assert folder == session_path(tmp_path / "movie.tif")
    saved = load(session_path(tmp_path / "there" / "movie.tif"), new_stack())
    assert state(load(folder, new_stack())) == state(saved)
    with pytest.raises(SamError, match=r"a session in .* already\. Move it away"):
        unpack(archive)
    assert state(load(folder, new_stack())) == state(saved)


def test_without_its_folder(archive: Path, tmp_path: Path) -> None:
    folder = session_path(tmp_path / "there" / "movie.tif")
    bare = shutil.make_archive(str(tmp_path / "bare.napari-sam"), "zip", folder)
    assert (unpack(bare) / "session.json").is_file()


@pytest.mark.filterwarnings("ignore:.*The objects are shown without it")
def test_dropped_into_napari(archive: Path, tmp_path: Path) -> None:
    reader = session_reader(str(archive))
    assert reader is not None
    ((labels, _, kind),) = reader(str(archive))
    assert kind == "labels"
    assert labels.any()
    assert session_path(tmp_path / "movie.tif").is_dir()


@dataclass(frozen=True)
class Damage:
    name: str
    spoil: Callable[[Path], object]
    message: str


def add(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(name, content)

    return spoil


def alone(name: str, content: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        path.unlink()
        add(name, content)(path)

    return spoil


DAMAGE = [
    Damage("no ZIP", lambda path: path.write_bytes(b"none"), "damaged or not a ZIP file"),
    Damage("cut off", lambda path: path.write_bytes(path.read_bytes()[:-30]), "damaged or not"),
    Damage("no session", alone("a.txt", b"a"), "holds no session"),
    Damage("a broken session", alone("session.json", b"{}"), "is not a session of this program"),
    Damage("a bomb", add("frames/5_y_x-1.json", bytes(2**30)), "more than a session"),
    Damage("gone", Path.unlink, "cannot be unpacked: No such file"),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", DAMAGE, ids=lambda c: c.name)
def test_damage_is_one_sentence_and_leaves_nothing(case: Damage, archive: Path) -> None:
    case.spoil(archive)
    with pytest.raises(SamError, match=case.message):
        unpack(archive)
    assert not archive.with_suffix("").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "frames/../../evil", "frames/a.py"])
def test_nothing_else_is_written(name: str, archive: Path, tmp_path: Path) -> None:
    add(name, b"evil")(archive)
    add(f"movie.tif.napari-sam/{name}", b"evil")(archive)
    folder = unpack(archive)
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    assert {each.partition("-")[0] for each in written} == {
        "session.json",
        "frames",
        "frames/0_y_x",
        "frames/1_y_x",
    }
    assert not list(tmp_path.rglob("evil*"))
