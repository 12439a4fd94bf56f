"""Embeddings on disk, found by what they were made from, shared by all windows and batch jobs.

One embedding is one file: a zipped Zarr group, written under another name and then renamed. So it
is complete or absent, even if several processes write it or a writer is killed; and
removing it is one step too. Tensors are stored as they are, compressed without loss.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import secrets
import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
import zarr
from zarr.codecs import BloscCodec
from zarr.core.buffer.cpu import Buffer
from zarr.storage import MemoryStore

from napari_sam.engine.images.codecs import blosc_lengths
from napari_sam.engine.models.download import is_disk_full

from .keys import EmbeddingKey, StoredEmbedding

FOLDER_VARIABLE = "NAPARI_SAM_EMBEDDINGS"
LIMIT_VARIABLE = "NAPARI_SAM_EMBEDDINGS_GB"
DEFAULT_LIMIT = 10 * 10**9  # bytes: 2500 frames of the large networks, 600 of pocket
SHARE_OF_DISK = (
    0.25  # of the disk that would be free without these files: an upper bound besides the limit
)
LEFT_BEHIND_S = 3600  # a part not modified for this time belongs to a killed writer
DIGEST_BYTES = 16
LARGEST_BYTES = 2**30  # of a file, and of what is in it: 200 times those of the large networks
CODECS = {"bytes", "blosc"}  # what is written here; others could run code from the file's author
ENTRY, PART = ".zarr.zip", ".part"
COMPRESSOR = BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle")  # half of it is zeros in bf16
MEMORY_ONLY = (
    "embeddings are kept in memory only, and made again next time. Free some space, or set "
    f"{FOLDER_VARIABLE} to a folder with room that you may write to."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoreSettings:
    """Where embeddings are kept and how many bytes: one for the window and the command line."""

    folder: Path
    limit_bytes: int = DEFAULT_LIMIT


class EmbeddingStore:
    """A folder of embeddings that grows to a limit; what was used longest ago goes first.

    Safe with several processes at once. Nothing that is wrong with the disk is an error: then
    there is no embedding here, and the first time it is said why.

    Parameters
    ----------
    folder
        Made with the first embedding.
    limit_bytes
        What all files may take together; 0 keeps nothing. A nearly full disk lowers it.
    tell
        Given a sentence for the user, each kind once; in the thread that uses the store.
    """

    def __init__(
        self,
        folder: Path,
        limit_bytes: int = DEFAULT_LIMIT,
        tell: Callable[[str], None] = log.warning,
    ) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._tell = tell
        self._told: set[str] = set()
        self._latest = 0  # time of the embedding used last, in ns

    def __len__(self) -> int:
        return sum(1 for _ in self._entries())

    def __contains__(self, key: EmbeddingKey) -> bool:
        return self.size(key) > 0

    def size(self, key: EmbeddingKey) -> int:
        """Bytes that the embedding of a key takes on disk; 0 if it is not there."""
        try:
            return self._path(key).stat().st_size
        except OSError:
            return 0

    @property
    def nbytes(self) -> int:
        """Bytes that all embeddings take on disk."""
        return sum(status.st_size for _, status in self._entries())

    @property
    def capacity(self) -> int:
        """Bytes they may take now: the limit, or their share of a disk that is nearly full."""
        return self._capacity(self.nbytes)

    def get(self, key: EmbeddingKey) -> StoredEmbedding | None:
        """The embedding of a key, or None; one that was damaged is removed."""
        path = self._path(key)
        try:
            content = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._say(
                f"Embeddings in {self.folder} cannot be read ({error.strerror or error}) and are "
                f"made again. Check the folder, or set {FOLDER_VARIABLE} to another one."
            )
            return None
        if stored := _unpack(content):
            self._mark_used(path)
            return stored
        self._say(
            f"An embedding in {self.folder} was damaged. It was removed and is made again; if that "
            "happens often, check the disk."
        )
        _remove(path)
        return None

    def put(self, key: EmbeddingKey, stored: StoredEmbedding) -> bool:
        """Keep an embedding, in place of those used longest ago; whether that could be done."""
        if not self.limit_bytes:
            return False
        content = _pack(key, stored)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self._make_room(len(content)):
                self._say(f"There is too little room in {self.folder}: {MEMORY_ONLY}")
                return False
            _write(self._path(key), content)
            self._mark_used(self._path(key))
        except OSError as error:
            if key not in self:  # it is where another process reads it just now, under Windows
                self._say(self._explain(error))
        return key in self

    def clear(self) -> None:
        """Remove every embedding."""
        self._remove_left_behind()
        for path, _ in self._entries():
            _remove(path)

    def _path(self, key: EmbeddingKey) -> Path:
        name = hashlib.blake2b(repr(key).encode(), digest_size=DIGEST_BYTES).hexdigest()
        return self.folder / f"{name}{ENTRY}"

    def _mark_used(self, path: Path) -> None:
        """The last to go: later than all others, even if the clock was set back meanwhile."""
        if not self._latest:
            self._latest = max((each.st_mtime_ns for _, each in self._entries()), default=0)
        self._latest = max(time.time_ns(), self._latest + 1)
        with contextlib.suppress(OSError):
            os.utime(path, ns=(self._latest, self._latest))

    def _entries(self, suffix: str = ENTRY) -> Iterator[tuple[Path, os.stat_result]]:
        """Files with their size and time; those that others remove meanwhile are left out."""
        with contextlib.suppress(OSError), os.scandir(self.folder) as files:
            for file in files:
                if file.name.endswith(suffix):
                    with contextlib.suppress(FileNotFoundError):
                        yield Path(file.path), file.stat()

    def _capacity(self, taken: int) -> int:
        folders = (self.folder, *self.folder.absolute().parents)
        free = shutil.disk_usage(next(filter(os.path.exists, folders))).free
        return min(self.limit_bytes, int(SHARE_OF_DISK * (free + taken)))

    def _make_room(self, wanted: int) -> bool:
        """Remove what was used longest ago until so many bytes fit; False if they never will."""
        self._remove_left_behind()
        entries = sorted(self._entries(), key=lambda entry: entry[1].st_mtime_ns)
        taken = sum(status.st_size for _, status in entries)
        self._latest = max((self._latest, *(status.st_mtime_ns for _, status in entries)))
        capacity = self._capacity(taken)
        if wanted > capacity:
            return False
        for path, status in entries:
            if taken + wanted <= capacity:
                break
            _remove(path)
            taken -= status.st_size
        return True

    def _remove_left_behind(self) -> None:
        for path, status in self._entries(PART):
            if abs(time.time() - status.st_mtime) > LEFT_BEHIND_S:
                _remove(path)

    def _explain(self, error: OSError) -> str:
        if is_disk_full(error):
            problem = f"The disk of {self.folder} is full"
        else:
            problem = f"{self.folder} cannot be written to ({error.strerror or error})"
        return f"{problem}: {MEMORY_ONLY}"

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._tell(sentence)


def store_settings() -> StoreSettings:
    """Folder and limit: of the environment, else of napari's preferences, else of the default."""
    saved = _saved()
    default = platformdirs.user_cache_path("napari-sam-annotator", appauthor=False) / "embeddings"
    folder = os.environ.get(FOLDER_VARIABLE) or saved.get("folder") or default
    limit_gb = os.environ.get(LIMIT_VARIABLE) or saved.get("limit_gb", DEFAULT_LIMIT / 1e9)
    try:
        limit_bytes = max(0, int(float(limit_gb) * 1e9))
    except (TypeError, ValueError, OverflowError):
        log.warning("%s=%s is not a number of gigabytes: 10 are used.", LIMIT_VARIABLE, limit_gb)
        limit_bytes = DEFAULT_LIMIT
    return StoreSettings(Path(str(folder)).expanduser(), limit_bytes)


def save_store_settings(folder: str, limit_gb: float) -> None:
    """Let the command line know the preferences of the window; an empty folder is the default."""
    settings = {"folder": folder, "limit_gb": limit_gb}
    if settings == _saved():
        return
    with contextlib.suppress(OSError):
        _settings_file().parent.mkdir(parents=True, exist_ok=True)
        _write(_settings_file(), json.dumps(settings).encode())


def _settings_file() -> Path:
    folder = platformdirs.user_cache_path("napari-sam-annotator", appauthor=False)
    return folder / "embeddings.json"


def _saved() -> dict[str, Any]:
    try:
        saved = json.loads(_settings_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return saved if isinstance(saved, dict) else {}


def _pack(key: EmbeddingKey, stored: StoredEmbedding) -> bytes:
    """A zip of a Zarr group; its comment, the last bytes, is the digest of all before it."""
    chunks: dict[str, Any] = {}
    attributes = {
        **asdict(key),
        "frame_shape": stored.frame_shape,
        "input_shape": stored.input_shape,
    }
    group = zarr.open_group(MemoryStore(chunks), mode="w", attributes=attributes)
    named: dict[str, Any] = {f"tensor{n}": array for n, array in enumerate(stored.arrays)}
    for name, array in {**named, "picture": stored.picture}.items():
        group.create_array(name, data=array, chunks=array.shape, compressors=COMPRESSOR)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, chunk in chunks.items():
            archive.writestr(name, chunk.to_bytes())
        archive.comment = bytes(DIGEST_BYTES)
    content = packed.getvalue()[:-DIGEST_BYTES]
    return content + _digest(content)


def _read(path: Path) -> bytes | None:
    """The content of a file; ``None`` if its size cannot be an embedding's."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES:
        return None
    return path.read_bytes()


def _unpack(content: bytes | None) -> StoredEmbedding | None:
    """Unpack the bytes of :func:`_pack`, read into memory; ``None`` if they are not intact."""
    if content is None or not _is_whole(content):
        return None
    try:
        return _unpack_whole(content)
    except Exception:  # noqa: BLE001 of zipfile, Zarr or its codecs: it was not written here
        return None


def _unpack_whole(content: bytes) -> StoredEmbedding:
    """Unpack the bytes of :func:`_pack`.

    Raises
    ------
    Exception
        Of any kind, if something else wrote it.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("it is compressed twice")
        if sum(entry.file_size for entry in entries) > len(content):
            raise ValueError("it holds more than it is long")
        chunks: dict[str, Any] = {
            each.filename: Buffer.from_bytes(archive.read(each)) for each in entries
        }
    group: Any = zarr.open_group(MemoryStore(chunks, read_only=True), mode="r")
    arrays = {name: group[name] for name in group.array_keys()}
    for name, array in arrays.items():
        _check(array, [chunk for key, chunk in chunks.items() if key.startswith(f"{name}/c")])
    if sum(array.nbytes for array in arrays.values()) > LARGEST_BYTES:
        raise ValueError("its tensors are larger than any network's")
    n_tensors = sum(1 for name in arrays if name.startswith("tensor"))
    return StoredEmbedding(
        arrays=tuple(arrays[f"tensor{n}"][...] for n in range(n_tensors)),
        frame_shape=_pair(group.attrs["frame_shape"]),
        input_shape=_pair(group.attrs["input_shape"]),
        picture=arrays["picture"][...],
    )


def _check(array: Any, chunks: Sequence[Any]) -> None:
    """Refuse an array that is not as it is written here, before anything of it is decoded."""
    metadata = array.metadata.to_dict()
    codecs = {codec["name"] for codec in metadata["codecs"]}
    if metadata["zarr_format"] != 3 or codecs != CODECS or array.dtype.kind not in "fu":
        raise ValueError(f"it is stored by {codecs} as {array.dtype}")
    if not chunks:
        return  # all of it is zero: Zarr writes nothing
    (chunk,) = chunks
    lengths = blosc_lengths(chunk.to_bytes())
    if array.chunks != array.shape or lengths != (array.nbytes, len(chunk)):
        raise ValueError("its only chunk is not what its array is")  # Blosc reads beyond its end


def _pair(numbers: Any) -> tuple[int, int]:
    height, width = map(int, numbers)
    return height, width


def _is_whole(content: bytes) -> bool:
    view = memoryview(content)
    return _digest(view[:-DIGEST_BYTES]) == view[-DIGEST_BYTES:]


def _digest(content: bytes | memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def _write(path: Path, content: bytes) -> None:
    """All of a file in one step, or nothing of it."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    except OSError:
        _remove(part)
        raise


def _remove(path: Path) -> None:
    """Remove a file; where that cannot be, as on Windows while another reads it, later."""
    with contextlib.suppress(OSError):
        path.unlink()
