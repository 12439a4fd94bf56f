"""Content hashes, and when a file is read for them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine.models.hashes import content_hash, hash_matches, known_hash_of, recorded_hash


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@given(content=st.binary(max_size=300), other=st.binary(max_size=300))
def test_a_hash_belongs_to_one_content(
    content: bytes, other: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(content)
    known = {algorithm: content_hash(path, algorithm) for algorithm in ("sha256", "xxh128")}
    assert known["sha256"] == f"sha256:{hashlib.sha256(content).hexdigest()}"
    path.write_bytes(other)
    for known_hash in known.values():
        assert hash_matches(path, known_hash) == (content == other)


def test_xxh128_is_the_published_kind(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert content_hash(tmp_path / "empty", "xxh128") == "xxh128:99aa06d3014798d86001c324468d497f"


def test_a_file_is_hashed_once_until_it_changes(user_folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", b"first")
    os.utime(path, (1000, 1000))
    first = recorded_hash(path)
    path.write_bytes(b"other")
    os.utime(path, (1000, 1000))
    assert recorded_hash(path) == first  # same size and time: not read again
    os.utime(path, (1001, 1001))
    assert recorded_hash(path) == content_hash(path) != first


@pytest.mark.parametrize("stamps", ["", "{", "[]", "[1, 2]"])
def test_a_broken_record_costs_a_hash_and_no_more(
    stamps: str, user_folder: Path, tmp_path: Path
) -> None:
    write(user_folder / "verified.json", stamps.encode())
    path = write(tmp_path / "weights.pth", b"weights")
    assert recorded_hash(path) == recorded_hash(path) == content_hash(path)


def test_only_what_was_computed_is_known(user_folder: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", b"weights")
    assert known_hash_of(path) is None
    assert known_hash_of(path, "xxh128") is None
    assert recorded_hash(path) == known_hash_of(path)
    assert known_hash_of(path, "xxh128") is None


def test_a_home_that_cannot_be_written_costs_a_hash_and_no_more(
    user_folder: Path, tmp_path: Path
) -> None:
    write(user_folder, b"not a folder")
    path = write(tmp_path / "weights.pth", b"weights")
    assert recorded_hash(path) == recorded_hash(path) == content_hash(path)
