"""Content hashes of weights files: computed once, then remembered by the file's size and time."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

import platformdirs
import pooch

from napari_sam.engine.errors import SamError
from napari_sam.engine.writing import write_text


def user_folder() -> Path:
    """Folder of the user's own cache for models and what is known about them."""
    return platformdirs.user_cache_path("napari-sam-annotator", appauthor=False) / "models"


def content_hash(path: Path, algorithm: str = "sha256") -> str:
    """Hash of a file's bytes as "sha256:…", "xxh128:…", or "git:…", by which git names it."""
    if algorithm == "git":
        content = path.read_bytes()
        named = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
        return f"git:{named.hexdigest()}"
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def algorithm_of(known_hash: str) -> str:
    """The algorithm, before the colon: "sha256" or "xxh128"."""
    return known_hash.partition(":")[0]


def hash_matches(path: Path, known_hash: str) -> bool:
    """Whether the file's bytes are the published ones."""
    return content_hash(path, algorithm_of(known_hash)) == known_hash.lower()


def recorded_hash(path: Path, algorithm: str = "sha256") -> str:
    """Content hash of a file, computed once and then remembered by its size and time.

    Hashing 2.4 GB at each start would take seconds; a changed file has another size or time.
    """
    known = known_hash_of(path, algorithm)
    if known is None:
        known = content_hash(path, algorithm)
        record_hash(path, known)
    return known


def known_hash_of(path: Path, algorithm: str = "sha256") -> str | None:
    """Content hash of a file, where it was computed before; nothing is read."""
    stamp = _stamps().get(_stamp_key(path, algorithm))
    if stamp is None or stamp[:2] != _size_and_time(path):
        return None
    return str(stamp[2])


def record_hash(path: Path, known_hash: str) -> None:
    """Remember the hash of a file as it is now; where that cannot be written, nothing is lost."""
    key = _stamp_key(path, algorithm_of(known_hash))
    stamps = {**_stamps(), key: [*_size_and_time(path), known_hash]}
    folder = user_folder()
    with contextlib.suppress(OSError, SamError):
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "verified.json", json.dumps(stamps, indent=1))


def _stamps() -> dict[str, list[object]]:
    """Verified files: path and algorithm → [size in bytes, time in ns, hash]."""
    try:
        stamps = json.loads((user_folder() / "verified.json").read_text())
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _stamp_key(path: Path, algorithm: str) -> str:
    return f"{algorithm} {path.resolve()}"


def _size_and_time(path: Path) -> list[object]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
