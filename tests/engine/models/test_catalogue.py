"""Where models lie, which of them are whole, and how they get there."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from file_server import FileServer, serving
from napari_sam.engine import Cancelled, ModelError
from napari_sam.engine.models import catalogue
from napari_sam.engine.models.catalogue import (
    CATALOGUE,
    ModelEntry,
    check,
    fetch,
    find_model,
    known_models,
    model_folders,
    model_state,
    whole_file,
    writable_folder,
)
from napari_sam.engine.models.download import CHUNK_BYTES

CONTENT = b"weights" * CHUNK_BYTES
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
ENTRY = ModelEntry(
    name="vit_x",
    config="vit_b",
    suits="Tests.",
    size_bytes=len(CONTENT),
    licence="MIT",
    file_name="sam_vit_x.pth",
    hash=SHA256,
    url="http://127.0.0.1/",
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, user_folder: Path) -> Iterator[FileServer]:
    """A server with the weights of `vit_x`, which is in the catalogue."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(FileServer(CONTENT)) as server:
        entry = replace(ENTRY, url=server.url)
        monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE, entry))
        yield server


def put(path: Path, content: bytes = CONTENT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry.name)
def test_every_entry_says_what_one_needs_to_choose(entry: ModelEntry) -> None:
    assert entry.suits.endswith(".")
    assert entry.size_bytes > 1_000_000
    assert entry.licence in ("Apache-2.0", "CC-BY-4.0", "BSD-3-Clause")
    assert re.fullmatch(r"(pocket|vit_[tblh])", entry.config)
    assert entry.name.startswith(entry.config)
    if entry.name != "pocket":
        assert entry.url is not None
        assert entry.url.startswith("https://")
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|xxh128:[0-9a-f]{32}", entry.hash or "")


@pytest.mark.parametrize("field", ["name", "file_name", "hash", "url"])
def test_no_two_entries_share(field: str) -> None:
    values = [getattr(entry, field) for entry in CATALOGUE]
    assert len(set(values)) == len(values)


def test_the_embedded_model_is_a_file_of_the_package() -> None:
    pocket = find_model("pocket")
    places = [path for _, path in catalogue._places(pocket)]
    assert [path.parts[-3:] for path in places] == [("napari_sam", "weights", "pocket.safetensors")]


@dataclass(frozen=True)
class Place:
    name: str
    path: str
    state: str
    variable: str = ""


PLACES = [
    Place("the user's folder", "cache/models/sam_vit_x.pth", "here"),
    Place("a shared folder", "lab/sam_vit_x.pth", "here", "NAPARI_SAM_MODELS=lab"),
    Place(
        "napari-segment-anything",
        "home/.cache/napari-segment-anything/sam_vit_x.pth",
        "elsewhere",
    ),
    Place("micro-sam", "home/.cache/micro_sam/models/vit_x", "elsewhere"),
    Place("micro-sam, moved", "big/models/vit_x", "elsewhere", "MICROSAM_CACHEDIR=big"),
    Place("torch hub", "home/.cache/torch/hub/checkpoints/sam_vit_x.pth", "elsewhere"),
    Place(
        "torch hub, moved", "torch/hub/checkpoints/sam_vit_x.pth", "elsewhere", "TORCH_HOME=torch"
    ),
]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_weights_are_found_and_used_where_they_are(
    place: Place, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, _, folder = place.variable.partition("=")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / folder))
    entry = find_model("vit_x")
    assert model_state(entry) == "to fetch"
    path = put(tmp_path / place.path)
    assert model_state(entry) == place.state
    assert fetch("vit_x") == whole_file(entry) == path
    assert server.asked == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_damaged_file_is_passed_over_and_kept(
    place: Place, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable, _, folder = place.variable.partition("=")
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / folder))
    path = put(tmp_path / place.path, CONTENT[:-1])
    with pytest.raises(ModelError, match=r"is damaged.*napari-sam models get vit_x"):
        whole_file(find_model("vit_x"))
    assert model_state(find_model("vit_x")) == "to fetch"
    fetched = fetch("vit_x")
    assert fetched.read_bytes() == CONTENT
    assert fetched == path or path.read_bytes() == CONTENT[:-1]


def test_fetch_brings_it_once(server: FileServer, user_folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = fetch("vit_x", progress=lambda done, total: steps.append((done, total)))
    assert path == user_folder / "sam_vit_x.pth"
    assert path.read_bytes() == CONTENT
    assert steps[-1] == (len(CONTENT), len(CONTENT))
    assert fetch("vit_x") == path
    assert server.asked == [None]
    assert model_state(find_model("vit_x")) == "here"


def test_fetch_can_be_cancelled(server: FileServer) -> None:
    with pytest.raises(Cancelled):
        fetch("vit_x", cancelled=lambda: True)
    assert model_state(find_model("vit_x")) == "to fetch"


def test_a_failed_download_says_how_to_do_without(server: FileServer) -> None:
    server.status = 403
    with pytest.raises(
        ModelError, match=r"in a browser and run: napari-sam models add PATH --name vit_x"
    ):
        fetch("vit_x")


@pytest.mark.parametrize("name", ["vit_y", "", "pocket.safetensors"])
def test_an_unknown_name_lists_the_known(name: str, user_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no model .*pocket, .*vit_h; or give a file"):
        fetch(name)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_a_shared_folder_without_permission_is_read_and_the_user_folder_written(
    server: FileServer, read_only_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(read_only_folder))
    with tempfile.TemporaryDirectory() as own:
        monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: Path(own))
        assert model_folders() == (read_only_folder, Path(own) / "models")
        assert writable_folder() == Path(own) / "models"
        assert fetch("vit_x") == Path(own) / "models" / "sam_vit_x.pth"
        assert whole_file(find_model("hela")) == read_only_folder / "hela.pth"


def test_nowhere_to_write(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(user_folder, b"not a folder")
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(user_folder / "inside a file"))
    with pytest.raises(ModelError, match=r"cannot be written to.*set NAPARI_SAM_MODELS"):
        writable_folder()


def test_own_models_are_the_other_files_of_the_folders(
    user_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "lab"))
    put(tmp_path / "lab" / "yeast.safetensors", b"the lab's")
    put(user_folder / "yeast.safetensors", b"mine, hidden by the lab's")
    put(user_folder / "hela.pth")
    for other in ("sam_vit_b_01ec64.pth", "vit_b.pth", "sam_vit_b_01ec64.pth.part", "notes.txt"):
        put(user_folder / other)
    own = known_models()[len(CATALOGUE) :]
    assert [entry.name for entry in own] == ["hela", "yeast"]
    assert [model_state(entry) for entry in own] == ["here", "here"]
    assert whole_file(find_model("yeast")).read_bytes() == b"the lab's"


def test_check_reads_every_file_again(
    server: FileServer, user_folder: Path, tmp_path: Path
) -> None:
    path, own = fetch("vit_x"), put(user_folder / "hela.pth", b"mine")
    elsewhere = put(tmp_path / "home" / ".cache" / "micro_sam" / "models" / "vit_x")
    assert {(result.path, result.whole) for result in check()} >= {
        (path, True),
        (elsewhere, True),
        (own, True),
    }
    for rotten in (path, own):  # bits flip without a trace in size or time
        times = (rotten.stat().st_atime_ns, rotten.stat().st_mtime_ns)
        content = rotten.read_bytes()
        rotten.write_bytes(b"X" + content[1:])
        os.utime(rotten, ns=times)
    assert {(result.name, result.path): result.whole for result in check()} == {
        **{(r.name, r.path): r.whole for r in check() if r.name == "pocket"},
        ("vit_x", path): False,
        ("vit_x", elsewhere): True,
        ("hela", own): False,
    }
    assert whole_file(find_model("vit_x")) == elsewhere
