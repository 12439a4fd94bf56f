"""Where detectors lie, and how they get there: asked first, verified, resumed; a local hub."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from file_server import FolderServer, serving_folder
from napari_sam import Cancelled, ModelError
from napari_sam.engine import (
    DETECTORS,
    ask_hub,
    detector_folder,
    detector_state,
    fetch_detector,
    find_detector,
    known_detectors,
    load_text_detector,
)

NAME, REVISION = "lab/owl", "abc123"


@pytest.fixture
def hub(
    detector_folders: dict[str, Path],
    tmp_path: Path,
    user_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FolderServer]:
    """A hub on this machine that has one detector, and files that nobody needs."""
    root = tmp_path / "hub"
    files = shutil.copytree(detector_folders["owlv2"], root / NAME / "resolve" / REVISION)
    (files / "pytorch_model.bin").write_bytes(b"code")
    publish(root)
    with serving_folder(FolderServer(root)) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr(
            "huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache_of_hub")
        )
        yield server


def publish(root: Path) -> None:
    """Write what the hub says of its files, as its interface has it."""
    siblings = []
    for path in sorted((root / NAME / "resolve" / REVISION).iterdir()):
        content = path.read_bytes()
        named = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        about = {"rfilename": path.name, "size": len(content), "blobId": named}
        if path.suffix in (".safetensors", ".bin"):
            sha256 = hashlib.sha256(content).hexdigest()
            about["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 1}
        siblings.append(about)
    answer = {"id": NAME, "sha": REVISION, "siblings": siblings, "tags": []}
    answer["cardData"] = {"license": "mit"}
    api = root / "api" / "models" / NAME
    api.parent.mkdir(parents=True, exist_ok=True)
    api.write_text(json.dumps(answer))


def test_size_and_licence_are_known_before_anything_is_downloaded(hub: FolderServer) -> None:
    offer = ask_hub(NAME)
    assert offer.entry.licence == "mit"
    files = hub.folder / NAME / "resolve" / REVISION
    sizes = {path.name: path.stat().st_size for path in files.iterdir()}
    assert {file.name: file.size_bytes for file in offer.files} == {
        name: size for name, size in sizes.items() if not name.endswith(".bin")
    }
    assert offer.entry.size_bytes == sum(file.size_bytes for file in offer.files)
    assert [path for path in hub.asked if "resolve" in path] == []


def test_a_detector_is_fetched_once_and_works_offline(
    hub: FolderServer, user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match="napari-sam detectors get lab/owl"):
        detector_folder(NAME)
    heard: list[tuple[int, int]] = []
    offer = ask_hub(NAME)
    folder = fetch_detector(offer, progress=lambda *at: heard.append(at))
    assert folder == user_folder / "detectors" / NAME == detector_folder(NAME)
    assert heard[-1] == (offer.entry.size_bytes, offer.entry.size_bytes)
    assert heard == sorted(heard)
    assert [entry.name for entry in known_detectors()] == [*(e.name for e in DETECTORS), NAME]
    assert detector_state(find_detector(NAME)) == "here"
    n_asked = len(hub.asked)
    fetch_detector(offer)
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(user_folder))
    assert load_text_detector(NAME, device="cpu").name == NAME
    assert len(hub.asked) == n_asked


def test_a_download_that_was_stopped_is_not_taken_for_a_detector(hub: FolderServer) -> None:
    offer = ask_hub(NAME)
    with pytest.raises(Cancelled):
        fetch_detector(offer, cancelled=lambda: len(hub.asked) > 3)
    assert detector_state(find_detector(NAME)) == "to fetch"
    fetch_detector(offer)
    assert detector_state(find_detector(NAME)) == "here"


@pytest.mark.parametrize("name", ["model.safetensors", "vocab.json"])
def test_what_is_not_the_published_file_is_not_kept(name: str, hub: FolderServer) -> None:
    offer = ask_hub(NAME)
    served = hub.folder / NAME / "resolve" / REVISION / name
    served.write_bytes(served.read_bytes()[::-1])
    with pytest.raises(ModelError, match="is not the published file"):
        fetch_detector(offer)
    assert detector_state(find_detector(NAME)) == "to fetch"


def test_weights_that_may_hold_code_are_refused(hub: FolderServer) -> None:
    (hub.folder / NAME / "resolve" / REVISION / "model.safetensors").unlink()
    publish(hub.folder)
    with pytest.raises(ModelError, match="with weights as safetensors"):
        ask_hub(NAME)


@pytest.mark.parametrize("name", ["lab/other", "owlv2-base"])
def test_a_hub_that_does_not_have_it(name: str, hub: FolderServer) -> None:
    with pytest.raises(ModelError, match=r"cannot be asked \(.*\)\. Check the name"):
        ask_hub(name)


@pytest.mark.parametrize("name", ["owl v2", "../up", "a/b/c", ""])
def test_names_that_are_none(name: str, user_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"Choose one of: owlv2-base, grounding-dino-tiny"):
        find_detector(name)


def test_the_catalogue_says_size_and_licence(user_folder: Path) -> None:
    assert {(e.name, e.size, e.licence) for e in DETECTORS} == {
        ("owlv2-base", "620 MB", "Apache-2.0"),
        ("grounding-dino-tiny", "690 MB", "Apache-2.0"),
    }
    message = r"owlv2-base is not on this computer yet. Fetch it \(620 MB; licence: Apache-2.0\)"
    with pytest.raises(ModelError, match=message):
        detector_folder("google/owlv2-base-patch16-ensemble")


def test_what_other_programs_have_downloaded_is_found(
    hub: FolderServer, tmp_path: Path, detector_folders: dict[str, Path]
) -> None:
    repository = tmp_path / "cache_of_hub" / "models--lab--owl"
    kept = shutil.copytree(detector_folders["owlv2"], repository / "snapshots" / REVISION)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    assert detector_state(find_detector(NAME)) == "elsewhere"
    assert detector_folder(NAME) == kept


def test_without_the_extra_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, user_folder: Path
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'napari-sam-annotator\[text\]'"):
        ask_hub("owlv2-base")
    assert detector_state(find_detector("owlv2-base")) == "to fetch"
