"""What comes from someone else: sessions, checkpoints, downloads and embeddings, tampered with.

A maker writes an input into an empty folder; its reader does with it what the program does, and
raises anything but a SamError where a promise is broken.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import tifffile
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from annotating import CLICK, frame, land, new_session, new_stack, paint, square, state
from checkpoints import small_state
from file_server import FileServer, serving
from napari_sam.engine import EmbeddingStore, Prompts, SamError
from napari_sam.engine.embeddings.cache import EmbeddingKey, StoredEmbedding
from napari_sam.engine.models.checkpoint import read_network
from napari_sam.engine.models.download import Download, download
from napari_sam.session import load, save
from tampering import damaged, tampered, tampered_json

os.environ["NO_PROXY"] = "127.0.0.1"
CONTENT = np.random.default_rng(0).bytes(50_000)
HASH = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
KEY = EmbeddingKey("frame", "sha256:1", "fp32")


@functools.cache
def a_session() -> dict[str, bytes]:
    """The files of a session in which there is something of everything."""
    session = new_session()
    for t in (0, 1, 2):
        land(session, t + 1, t, CLICK.with_box((1, 1, 5.5, 4)), square(t, t, side=3))
    land(session, 4, 0, Prompts.from_mask(square(5, 5)), square(5, 5))
    paint(session, 1, square(6, 6), 7)
    session.parents = {7: (1,)}
    session.edit(9, frame(3), Prompts.from_mask(square(2, 2)))
    with_folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"fuzz-{os.getpid()}.napari-sam"
    try:
        save(session, with_folder, image_path="movie.tif")
        text = (with_folder / "session.json").read_text()
        named = sorted(set(re.findall(r"frames/[^\"]*", text)))
        files = {name: (with_folder / name).read_bytes() for name in named}
    finally:
        shutil.rmtree(with_folder)
    # The same in every process: neither random names nor the time of day
    fixed = {
        name: f"{name.partition('-')[0]}-1-{n:08x}{Path(name).suffix}"
        for n, name in enumerate(named)
    }
    for name, new in fixed.items():
        text = text.replace(name, new)
    text = re.sub(r'("(?:revision|program)": )"[^"]*"', r'\1"0"', text)
    text = re.sub(r'"saved": "[^"]*"', '"saved": "2026-01-01T00:00:00+00:00"', text)
    return {fixed[name]: files[name] for name in named} | {"session.json": text.encode()}


def session(folder: Path, chance: random.Random) -> Path:
    """A session of which one to three files are changed, lost, exchanged, or links elsewhere."""
    path, outside = folder / "movie.tif.napari-sam", folder / "mine"
    (path / "frames").mkdir(parents=True)
    outside.mkdir()
    for name, content in a_session().items():
        (path / name).write_bytes(content)
        (outside / Path(name).name).write_bytes(b"precious")
    for _ in range(chance.choice((1, 1, 2, 3))):
        names = sorted(name for name in a_session() if (path / name).is_file())
        if names:
            _tamper(path, chance.choice([*names, "session.json"]), outside, chance)
    return path


def _tamper(path: Path, name: str, outside: Path, chance: random.Random) -> None:
    file, other = path / name, path / chance.choice(sorted(a_session()))
    for each in (file, other):
        if not each.is_file() or os.path.realpath(each) != str(each.absolute()):
            return
    if max(file.stat().st_size, other.stat().st_size) > 10**6:
        return
    match chance.randrange(12):
        case 0:
            file.unlink()
        case 1:
            file.unlink()
            file.symlink_to(chance.choice((outside / file.name, outside, other, Path("/dev/zero"))))
        case 2:
            file.unlink()
            chance.choice((Path.mkdir, os.mkfifo))(file)
        case 3 if (path / "frames").is_dir() and not (path / "frames").is_symlink():
            shutil.rmtree(path / "frames")
            (path / "frames").symlink_to(outside)
        case 4:
            file.write_bytes(other.read_bytes())
        case 5:
            os.truncate(file, chance.choice((0, 1, 3 * 10**8)))
        case 6 if name.endswith(".tif"):
            shape = chance.choice(((8, 9), (9, 8), (1, 1), (8, 9, 3), (2, 8, 9), (5000, 5000)))
            pixels = np.zeros(shape, chance.choice(("u1", "u2", "u4", "i8", "f4", ">u2", "c8")))
            tifffile.imwrite(file, pixels, compression=chance.choice((None, "zlib")))
        case _ if name.endswith(".json"):
            file.write_bytes(tampered_json(file.read_bytes(), chance))
        case _:
            file.write_bytes(damaged(file.read_bytes(), chance))


def _contents(folder: Path) -> dict[str, bytes | None]:
    """What is in a folder; of what is no file, that it is there."""
    files = {each.name: each for each in folder.iterdir()}
    return {name: each.read_bytes() if each.is_file() else None for name, each in files.items()}


def open_session(path: Path) -> None:
    """Open, work on it, save, open again; nothing outside changes, nothing saved is lost."""
    before = _contents(path.parent / "mine")
    try:
        opened = load(path, new_stack())
        land(opened, 11, 3, CLICK, square(0, 0))
        land(opened, 1, 0, CLICK.with_point((4, 4)), square(4, 4))
        save(opened, path)
        again = load(path, new_stack())
        if again.is_of_image == opened.is_of_image and state(again) != state(opened):
            raise AssertionError("what was saved is not what was read")
    finally:
        if _contents(path.parent / "mine") != before:
            raise AssertionError("something outside the session was changed")


@functools.cache
def a_state() -> dict[str, torch.Tensor]:
    """Weights of a small network."""
    return small_state()


def checkpoint(folder: Path, chance: random.Random) -> Path:
    """A checkpoint, damaged as a file, or with other tensors in it."""
    path = folder / chance.choice(("weights.pth", "weights.safetensors"))
    weights = dict(a_state())
    if chance.random() < 0.5:
        for _ in range(chance.choice((1, 1, 3))):
            key = chance.choice(sorted(weights))
            _exchange(weights, key, chance)
        try:
            _write(weights, path)
        except (RuntimeError, ValueError):  # safetensors take no expanded or sparse ones
            path = folder / "weights.pth"
            _write(weights, path)
        return path
    _write(weights, path)
    path.write_bytes(_damaged_archive(path.read_bytes(), chance))
    return path


def _write(weights: dict[str, Any], path: Path) -> None:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(weights, path)
    else:
        torch.save(weights, path)


def _exchange(weights: dict[str, Any], key: str, chance: random.Random) -> None:
    tensor = weights[key]
    match chance.randrange(9):
        case 0:
            del weights[key]
        case 1:
            weights[key + ".more"] = tensor
        case 2:
            changed = tensor.clone()
            number = chance.choice((float("nan"), float("inf"), -float("inf"), 1e38))
            changed.view(-1)[chance.randrange(changed.numel())] = number
            weights[key] = changed
        case 3:
            shape = [chance.choice((0, 1, n, n + 1, 2 * n, 500)) for n in tensor.shape]
            weights[key] = torch.zeros(shape)
        case 4:
            shape = [chance.choice((n, n, 10**5)) for n in tensor.shape]
            weights[key] = torch.zeros(1).expand(shape)
        case 5:
            kinds = (torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.complex64)
            weights[key] = tensor.to(chance.choice(kinds))
        case 6:
            weights[key] = tensor.to_sparse()
        case 7:
            weights[key] = chance.choice((None, 7, "words", [tensor], {"a": tensor}, bytearray(9)))
        case _:
            weights[key] = torch.empty_like(tensor, device="meta")


def _damaged_archive(content: bytes, chance: random.Random) -> bytes:
    """Anywhere, or in the list of tensors, which is short."""
    if content[:2] != b"PK" or chance.random() < 0.4:
        length = int.from_bytes(content[:8], "little") if content[:2] != b"PK" else 4000
        head = content[: length + 8]
        return damaged(head, chance) + content[length + 8 :]
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as read, zipfile.ZipFile(file, "w") as written:
        for entry in read.infolist():
            kept = read.read(entry)
            changed = damaged(kept, chance) if entry.filename.endswith("data.pkl") else kept
            written.writestr(zipfile.ZipInfo(entry.filename), changed)
    return file.getvalue()


def load_checkpoint(path: Path) -> None:
    """The network of a checkpoint; its numbers are numbers."""
    network = read_network(path)
    if not all(torch.isfinite(tensor).all() for tensor in network.state_dict().values()):
        raise AssertionError("weights that are no numbers")


HEADERS = (
    b"Content-Length: 50000",
    b"Content-Length: 5",
    b"Content-Length: -1",
    b"Content-Length: 99999999999999999999999",
    b"Content-Length: 3, 4",
    b"Content-Encoding: gzip",
    b"Content-Encoding: deflate",
    b"Transfer-Encoding: chunked",
    b"Content-Range: bytes 0-9/3",
    b"Location: http://127.0.0.1:1/",
    b"Location: file:///etc/passwd",
    b"Location: //",
    b"Location: http://[::",
    b"Location: {url}",
    b"Connection: close",
    b"Set-Cookie: " + b"a" * 70_000,
    b"X\x00: \xff",
    b": nothing",
)


def response(folder: Path, chance: random.Random) -> Path:
    """What a server sends: a status, headers and a body, of which little is right."""
    status = chance.choice((*[200] * 9, 206, 302, 308, 100, 204, 304, 416, 500, 999, 0))
    headers = chance.sample(HEADERS, chance.choice((0, 0, 1, 1, 2, 3)))
    body = chance.choice(
        (*[CONTENT] * 4, CONTENT[:100], CONTENT + b"more", b"", gzip.compress(CONTENT))
    )
    sent = b"\r\n".join([b"HTTP/1.1 %d Fine" % status, *headers, b"", body])
    path = folder / "response"
    head, rest = sent[: -len(body) or None], body
    path.write_bytes((damaged(head, chance) if chance.random() < 0.5 else head) + rest)
    return path


def fetch(path: Path) -> None:
    """Download it: the right file, or a sentence and none."""
    target = path.parent / "models" / "weights.pth"
    with serving(FileServer(b"", raw=path.read_bytes())) as server:
        job = Download(server.url, target, HASH, len(CONTENT), "download it in a browser.")
        try:
            download(job, lambda done, total: None, lambda: False)
        except SamError:
            if target.exists():
                raise AssertionError("a file in place that was refused") from None
            raise
        finally:
            names = {each.name for each in target.parent.iterdir()}
            if not names <= {"weights.pth", "weights.pth.part"} or job.part_bytes > job.most_bytes:
                raise AssertionError(f"left behind: {names}, {job.part_bytes} bytes")
    if target.read_bytes() != CONTENT:
        raise AssertionError("another file was taken for the right one")


@functools.cache
def a_stored() -> StoredEmbedding:
    """A small embedding."""
    rng = np.random.default_rng(0)
    arrays = tuple(rng.normal(size=(1, 4, n, n)).astype(np.float32) for n in (16, 8))
    return StoredEmbedding(arrays, (30, 40), (96, 128), rng.integers(0, 255, (5, 7, 3), np.uint8))


def embedding(folder: Path, chance: random.Random) -> Path:
    """An embedding on disk, changed by someone who knows its digest."""
    store = EmbeddingStore(folder)
    store.put(KEY, a_stored())
    (path,) = folder.glob("*.zip")
    file = io.BytesIO()
    with zipfile.ZipFile(path) as read, zipfile.ZipFile(file, "w") as written:
        victim = chance.choice([entry.filename for entry in read.infolist()])
        for entry in read.infolist():
            content = read.read(entry)
            if entry.filename == victim and victim.endswith(".json") and chance.random() < 0.7:
                content = json.dumps(tampered(json.loads(content), chance)).encode()
            elif entry.filename == victim:
                content = damaged(content, chance)
            written.writestr(zipfile.ZipInfo(entry.filename), content)
        written.comment = bytes(16)
    content = file.getvalue()[:-16]
    if chance.random() < 0.3:
        content = damaged(content, chance)
    path.write_bytes(content + hashlib.blake2b(content, digest_size=16).digest())
    return folder


def read_embedding(path: Path) -> None:
    """An embedding, or none and a sentence."""
    said: list[str] = []
    if EmbeddingStore(path, tell=said.append).get(KEY) is None:
        raise SamError(" ".join(said))


MAKERS: dict[str, Callable[[Path, random.Random], Path]] = {
    "session": session,
    "checkpoint": checkpoint,
    "download": response,
    "embedding": embedding,
}
READERS: dict[str, Callable[[Path], None]] = {
    "session": open_session,
    "checkpoint": load_checkpoint,
    "download": fetch,
    "embedding": read_embedding,
}
