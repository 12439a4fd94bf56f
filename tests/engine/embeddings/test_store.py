"""Embeddings on disk: whole or not there, whoever writes, is killed, or fills the disk."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import GzipCodec
from zarr.storage import ZipStore

from napari_sam.engine import EmbeddingStore, save_store_settings, store_settings
from napari_sam.engine.embeddings import store as store_module
from napari_sam.engine.embeddings.cache import EmbeddingKey, StoredEmbedding

KEY = EmbeddingKey("frame", "sha256:1", "fp32")
TENSORS_OF_TYPE = {
    "single": np.float32,
    "half": np.float16,
}


def new_key(n: int) -> EmbeddingKey:
    return replace(KEY, frame=f"frame {n}")


def new_stored(seed: int = 0, dtype: type = np.float32, side: int = 16) -> StoredEmbedding:
    rng = np.random.default_rng(seed)
    arrays = tuple(rng.normal(size=(1, 4, n, n)).astype(dtype) for n in (side, 8, 4))
    return StoredEmbedding(arrays, (30, 40), (96, 128), rng.integers(0, 255, (5, 7, 3), np.uint8))


def test_an_embedding_of_zeros_is_no_damage(tmp_path: Path) -> None:
    """Zarr writes no chunk of zeros: such as the picture of a black frame."""
    store = EmbeddingStore(tmp_path, tell=refuse)
    zeros = (np.zeros((1, 4, 8, 8), np.float32), np.ones((1, 4, 4, 4), np.float32))
    black = StoredEmbedding(zeros, (30, 40), (96, 128), np.zeros((5, 7, 3), np.uint8))
    assert store.put(KEY, black)
    assert_equal(store.get(KEY), black)


def assert_equal(found: StoredEmbedding | None, wanted: StoredEmbedding) -> None:
    assert found is not None
    assert (found.frame_shape, found.input_shape) == (wanted.frame_shape, wanted.input_shape)
    np.testing.assert_array_equal(found.picture, wanted.picture)
    for ours, theirs in zip(found.arrays, wanted.arrays, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def refuse(sentence: str) -> None:
    raise AssertionError(sentence)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "embeddings", tell=refuse)


@pytest.mark.parametrize("dtype", TENSORS_OF_TYPE.values(), ids=TENSORS_OF_TYPE)
def test_what_went_in_comes_out_bit_by_bit(store: EmbeddingStore, dtype: type) -> None:
    stored = new_stored(dtype=dtype)
    assert store.get(KEY) is None
    assert KEY not in store
    assert store.put(KEY, stored)
    assert KEY in store
    assert_equal(store.get(KEY), stored)
    assert_equal(EmbeddingStore(store.folder, tell=refuse).get(KEY), stored)


def test_a_file_is_zarr_and_says_what_it_is(store: EmbeddingStore) -> None:
    store.put(KEY, new_stored())
    (path,) = store.folder.iterdir()
    with ZipStore(path, mode="r") as zipped:
        group = zarr.open_group(zipped, mode="r")
        assert group["tensor0"].shape == (1, 4, 16, 16)
        assert group.attrs["model_hash"] == "sha256:1"
        assert group.attrs["frame"] == "frame"
    assert store.size(KEY) == path.stat().st_size == store.nbytes


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, frame="other"),
        replace(KEY, model_hash="sha256:2"),
        replace(KEY, precision="bf16"),
        replace(KEY, preprocessing=KEY.preprocessing + 1),
    ],
    ids=["frame", "model", "precision", "preprocessing"],
)
def test_each_part_of_the_key_counts(store: EmbeddingStore, other: EmbeddingKey) -> None:
    store.put(KEY, new_stored())
    assert store.get(other) is None


# Damage


@given(where=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255), cut=st.booleans())
def test_damage_anywhere_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, where: float, bits: int, cut: bool
) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path_factory.mktemp("damaged"), tell=said.append)
    store.put(KEY, new_stored(side=4))
    (path,) = store.folder.iterdir()
    content = bytearray(path.read_bytes())
    at = int(where * len(content))
    if cut:
        del content[at:]
    else:
        content[at] ^= bits
    path.write_bytes(content)
    assert store.get(KEY) is None
    assert files(store.folder) == set(), "removed, so that it is made again"
    assert len(said) == 1
    assert "damaged" in said[0]


def test_damage_is_said_once_and_mended(tmp_path: Path) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path, tell=said.append)
    for n in range(3):
        store.put(new_key(n), new_stored(n))
    for path in tmp_path.iterdir():
        os.truncate(path, path.stat().st_size // 2)
    assert [store.get(new_key(n)) for n in range(3)] == [None] * 3
    assert len(said) == 1
    assert store.put(KEY, new_stored())
    assert_equal(store.get(KEY), new_stored())


# Size


def test_what_was_used_longest_ago_goes_first(store: EmbeddingStore) -> None:
    for n in range(3):
        store.put(new_key(n), new_stored(n))
        (newest,) = (path for path in store.folder.iterdir() if path.stat().st_mtime > 1000)
        os.utime(newest, (n, n))  # written at second n: file times are coarse
    store.limit_bytes = store.nbytes + 100
    assert store.get(new_key(0)) is not None, "used again"
    store.put(new_key(3), new_stored(3))
    assert [n for n in range(4) if new_key(n) in store] == [0, 2, 3]
    assert store.nbytes <= store.limit_bytes
    assert len(store) == 3


def test_a_clock_set_back_changes_no_order(store: EmbeddingStore) -> None:
    """Files from the future are the first to go, once something else was used after them."""
    for n in range(3):
        store.put(new_key(n), new_stored(n))
    ahead = time.time() + 10 * 365 * 86_400
    for path in store.folder.iterdir():
        os.utime(path, (ahead, ahead))
    later = EmbeddingStore(store.folder, tell=refuse)
    assert later.get(new_key(1)) is not None
    later.limit_bytes = 3 * later.size(new_key(0)) + 500
    later.put(new_key(3), new_stored(3))
    later.put(new_key(4), new_stored(4))
    assert [n for n in range(5) if new_key(n) in later] == [1, 3, 4]


def test_one_pushed_out_while_it_is_read_is_whole(
    store: EmbeddingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may remove a file as soon as it was read."""
    store.put(KEY, new_stored())
    whole = store_module._is_whole

    def removed_meanwhile(content: bytes) -> bool:
        store.clear()
        return whole(content)

    monkeypatch.setattr(store_module, "_is_whole", removed_meanwhile)
    assert_equal(store.get(KEY), new_stored())
    assert store.get(KEY) is None


@dataclass(frozen=True)
class Foreign:
    """A file that is whole, but not written here."""

    name: str
    write: Callable[[Path], object]


def zipped(folder: Path, path: Path, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in folder.rglob("*"):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
        archive.comment = bytes(16)
    content = path.read_bytes()[:-16]
    path.write_bytes(content + hashlib.blake2b(content, digest_size=16).digest())


def group(array: np.ndarray, **options: object) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        folder = path.with_suffix(".folder")
        attributes = {"frame_shape": [1, 1], "input_shape": [1, 1]}
        zarr_format = options.pop("zarr_format", 3)
        made = zarr.open_group(folder, mode="w", attributes=attributes, zarr_format=zarr_format)
        for name in ("tensor0", "picture"):
            made.create_array(name, data=array, **options)
        zipped(folder, path)

    return write


def claims_terabytes(path: Path) -> None:
    folder = path.with_suffix(".folder")
    made = zarr.open_group(folder, mode="w", attributes={})
    for name in ("tensor0", "picture"):
        made.create_array(name, shape=(2**20, 2**20), dtype="f4", chunks=(2**20, 2**20))
    zipped(folder, path)


FOREIGN = [
    Foreign("no zip", lambda path: path.write_bytes(hashlib.blake2b(b"", digest_size=16).digest())),
    Foreign("an empty group", lambda path: zipped(path.parent / "none", path)),
    Foreign("another codec", group(np.ones(3, np.float32), compressors=GzipCodec())),
    Foreign("of the older format", group(np.ones(3, np.float32), zarr_format=2)),
    Foreign("of words", group(np.array(["a", "b"]), compressors=None)),
    Foreign("of terabytes", claims_terabytes),
]


@pytest.mark.filterwarnings("ignore::zarr.errors.UnstableSpecificationWarning")
@pytest.mark.parametrize("case", FOREIGN, ids=lambda case: case.name)
def test_what_others_wrote_is_not_decoded(case: Foreign, tmp_path: Path) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path / "embeddings", tell=said.append)
    store.folder.mkdir()
    case.write(store._path(KEY))
    assert store.get(KEY) is None
    assert len(said) == 1
    assert "damaged. It was removed" in said[0]
    assert KEY not in store


def test_what_is_larger_than_all_pushes_nothing_out(tmp_path: Path) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path, limit_bytes=20_000, tell=said.append)
    store.put(KEY, new_stored(side=4))
    assert not store.put(new_key(1), new_stored(side=200))
    assert KEY in store
    assert "too little room" in said[0]


def test_no_room_at_all_keeps_nothing_and_says_nothing(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path / "never made", limit_bytes=0, tell=refuse)
    assert not store.put(KEY, new_stored())
    assert store.get(KEY) is None
    assert not store.folder.exists()
    assert (store.nbytes, store.capacity) == (0, 0)


def test_a_nearly_full_disk_lowers_the_limit(store: EmbeddingStore, monkeypatch) -> None:
    usage = type("Usage", (), {"free": 4_000_000})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    assert store.capacity == 1_000_000
    store.put(KEY, new_stored())
    assert store.capacity == 1_000_000 + store.nbytes // 4
    usage.free = 0
    store._tell = [].append
    assert not store.put(new_key(1), new_stored(1)), "a quarter of nothing"


def test_clear(store: EmbeddingStore) -> None:
    store.put(KEY, new_stored())
    (store.folder / "notes.txt").write_text("mine")
    store.clear()
    assert (len(store), store.nbytes) == (0, 0)
    assert files(store.folder) == {"notes.txt"}, "only what is its own"
    EmbeddingStore(store.folder / "not there", tell=refuse).clear()


# What the disk refuses


@pytest.mark.largest_file(300_000)
def test_a_full_disk_is_said_once_and_leaves_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path, tell=said.append)
    large = new_stored(side=200)
    assert not store.put(KEY, large)
    assert not store.put(new_key(1), large)
    assert files(tmp_path) == set()
    assert len(said) == 1
    assert "full" in said[0]
    assert store.put(KEY, new_stored(side=4)), "as soon as there is room"


def test_a_read_only_folder_is_said_once(read_only_folder: Path) -> None:
    said: list[str] = []
    for folder in (read_only_folder, read_only_folder / "deeper"):
        store = EmbeddingStore(folder, tell=said.append)
        for n in range(3):
            assert not store.put(new_key(n), new_stored())
            assert store.get(new_key(n)) is None
        store.clear()
    assert len(said) == 2
    assert all("cannot be written to" in sentence for sentence in said)
    assert all("NAPARI_SAM_EMBEDDINGS" in sentence for sentence in said)


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path / "file", tell=said.append)
    store.folder.write_text("")
    assert not store.put(KEY, new_stored())
    assert (store.get(KEY), len(store), store.capacity > 0) == (None, 0, True)
    assert len(said) == 1


# Several processes

PRELUDE = """
import os, sys
sys.path.insert(0, os.path.dirname({tests!r}))
from pathlib import Path
from napari_sam.engine import EmbeddingStore
from test_store import KEY, new_key, new_stored, assert_equal, refuse
store = EmbeddingStore(Path({folder!r}), tell=refuse)
def say(word): print(word, flush=True)
"""


def start(folder: Path, code: str) -> subprocess.Popen[str]:
    prelude = PRELUDE.format(tests=__file__, folder=str(folder))
    return subprocess.Popen(
        [sys.executable, "-c", prelude + code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def go(process: subprocess.Popen[str], word: str = "ready") -> None:
    assert process.stdout.readline().strip() == word
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.slow
def test_two_processes_write_and_read_one_key_at_once(tmp_path: Path) -> None:
    code = """
wanted = new_stored(side=100)
say("ready"); sys.stdin.readline()
for n in range(30):
    assert store.put(KEY, wanted)
    assert_equal(store.get(KEY), wanted)
"""
    processes = [start(tmp_path, code) for _ in range(2)]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert len(files(tmp_path)) == 1
    assert_equal(EmbeddingStore(tmp_path, tell=refuse).get(KEY), new_stored(side=100))


@pytest.mark.slow
def test_two_processes_push_out_each_others_and_hold_the_limit(tmp_path: Path) -> None:
    code = """
store.put(new_key(-1), new_stored())
store.limit_bytes = 4 * store.size(new_key(-1)) + 500
say("ready"); sys.stdin.readline()
for n in range(40):
    store.put(new_key(n % 8), new_stored(n % 8))
    found = store.get(new_key(n % 5))
    if found is not None:
        assert_equal(found, new_stored(n % 5))
"""
    processes = [start(tmp_path, code) for _ in range(2)]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    store = EmbeddingStore(tmp_path, tell=refuse)
    assert 1 <= len(store) <= 5, "at most one a process more than allowed, for a moment"
    assert all(name.endswith(".zarr.zip") for name in files(tmp_path))


def killed(process: subprocess.Popen[str], word: str) -> None:
    """Kill a process as soon as it says a word."""
    assert process.stdout.readline().strip() == word
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode not in (0, 1)


@dataclass(frozen=True)
class Moment:
    """Where a writer is killed: before the function of this module is called."""

    name: str
    stop_at: str


MOMENTS = [
    Moment("nothing written", "Path.write_bytes = pause"),
    Moment(
        "half written",
        "Path.write_bytes = lambda path, content: (Path.open(path, 'wb', buffering=0)"
        ".write(content[:len(content) // 2]), pause())",
    ),
    Moment("written, not renamed", "os.replace = pause"),
]


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: m.name)
def test_killed_in_mid_write(moment: Moment, tmp_path: Path) -> None:
    code = f"""
def pause(*_, **__): say("writing"); sys.stdin.read()
store.put(new_key(1), new_stored(1))
{moment.stop_at}
store.put(KEY, new_stored())
"""
    killed(start(tmp_path, code), "writing")
    store = EmbeddingStore(tmp_path, tell=refuse)
    assert KEY not in store
    assert store.get(KEY) is None
    assert_equal(store.get(new_key(1)), new_stored(1))
    parts = {name for name in files(tmp_path) if name.endswith(".part")}
    store.put(KEY, new_stored())
    assert_equal(store.get(KEY), new_stored())
    assert parts <= files(tmp_path), "it could be another's who is still writing"
    for name in parts:
        os.utime(tmp_path / name, (0, 0))
    store.put(KEY, new_stored())
    assert not parts & files(tmp_path)
    assert len(store) == 2


@pytest.mark.slow
def test_killed_at_any_moment(tmp_path: Path) -> None:
    code = """
for n in range(1000):
    say(n)
    store.put(new_key(n), new_stored(n, side=200))
"""
    process = start(tmp_path, code)
    for n in range(5):
        assert process.stdout.readline().strip() == str(n)
    killed(process, "5")
    store = EmbeddingStore(tmp_path, tell=refuse)
    assert len(store) >= 5
    for n in range(len(store)):
        assert_equal(store.get(new_key(n)), new_stored(n, side=200))


# Settings


@pytest.fixture
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.delenv("NAPARI_SAM_EMBEDDINGS", raising=False)
    monkeypatch.delenv("NAPARI_SAM_EMBEDDINGS_GB", raising=False)
    return tmp_path


def test_settings_of_environment_preferences_and_default(settings_folder, monkeypatch) -> None:
    assert store_settings().folder == settings_folder / "embeddings"
    assert store_settings().limit_bytes == 10_000_000_000
    save_store_settings("/large/disk", 50)
    assert store_settings().folder == Path("/large/disk")
    assert store_settings().limit_bytes == 50_000_000_000
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", "~/here")
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS_GB", "0.5")
    assert store_settings().folder == Path.home() / "here"
    assert store_settings().limit_bytes == 500_000_000


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"limit_gb": "much"})])
def test_damaged_settings_are_the_default(settings_folder: Path, content: str) -> None:
    (settings_folder / "embeddings.json").write_text(content)
    assert store_settings().folder == settings_folder / "embeddings"
    assert store_settings().limit_bytes == 10_000_000_000


def test_a_limit_that_is_no_number_is_said(settings_folder, monkeypatch, caplog) -> None:
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS_GB", "10GB")
    assert store_settings().limit_bytes == 10_000_000_000
    assert "10GB" in caplog.text


def test_settings_that_cannot_be_written_are_no_error(read_only_folder, monkeypatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: read_only_folder)
    save_store_settings("", 5)
    assert files(read_only_folder) == {"hela.pth"}
