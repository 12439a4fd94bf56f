"""Files over HTTP, from servers and disks as they are."""

from __future__ import annotations

import gc
import gzip
import hashlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from file_server import FileServer, serving
from napari_sam.engine import Cancelled, ModelError
from napari_sam.engine.models.download import CHUNK_BYTES, Download, download, readable_size

CONTENT = np.random.default_rng(0).bytes(5 * CHUNK_BYTES + 7)
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
BY_HAND = "download it in a browser."
TWO_CHUNKS = 2 * CHUNK_BYTES


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def job(url: str, folder: Path, size_bytes: int = len(CONTENT)) -> Download:
    return Download(url, folder / "weights.pth", SHA256, size_bytes, BY_HAND)


def fetch(wanted: Download, cancelled: Callable[[], bool] = lambda: False) -> list[tuple[int, int]]:
    steps: list[tuple[int, int]] = []
    download(wanted, lambda done, total: steps.append((done, total)), cancelled)
    return steps


@dataclass(frozen=True)
class Success:
    name: str
    server: dict[str, object] = field(default_factory=dict)
    part: bytes | None = None  # left by an earlier call
    asked: tuple[str | None, ...] = (None,)  # Range of each request


SUCCESSES = [
    Success("plain"),
    Success("server without ranges", {"ranges": False}),
    Success("no Content-Length", {"length": -1}),
    Success(
        "dropped twice, resumed",
        {"drops": (TWO_CHUNKS, CHUNK_BYTES)},
        asked=(None, f"bytes={TWO_CHUNKS}-", f"bytes={3 * CHUNK_BYTES}-"),
    ),
    Success(
        "dropped, begun again without ranges",
        {"drops": (TWO_CHUNKS,), "ranges": False},
        asked=(None, f"bytes={TWO_CHUNKS}-"),
    ),
    Success("resumed after a restart", part=CONTENT[:1000], asked=("bytes=1000-",)),
    Success("whole part, never moved", part=CONTENT, asked=(f"bytes={len(CONTENT)}-",)),
    Success("part of another file", part=b"other", asked=("bytes=5-", None)),
    Success(
        "part longer than the file",
        part=CONTENT + b"more",
        asked=(f"bytes={len(CONTENT) + 4}-", None),
    ),
]


@pytest.mark.parametrize("case", SUCCESSES, ids=lambda case: case.name)
def test_the_whole_file_arrives(case: Success, tmp_path: Path) -> None:
    with serving(FileServer(CONTENT, **case.server)) as server:
        wanted = job(server.url, tmp_path / "models")
        if case.part is not None:
            wanted.part.parent.mkdir()
            wanted.part.write_bytes(case.part)
        steps = fetch(wanted)
    assert wanted.target.read_bytes() == CONTENT
    assert not wanted.part.exists()
    assert tuple(server.asked) == case.asked
    assert {total for _, total in steps} <= {len(CONTENT)}
    assert not steps or steps[-1] == (len(CONTENT), len(CONTENT))


@dataclass(frozen=True)
class Failure:
    name: str
    message: str
    server: dict[str, object] = field(default_factory=dict)
    content: bytes = CONTENT
    size_bytes: int = len(CONTENT)
    part_bytes: int = 0  # kept for the next call


OK = b"HTTP/1.1 200 OK\r\n"
REACH = r"127\.0\.0\.1:\d+ cannot be reached \(\w+\)"
MALFORMED = [
    ("nothing", REACH, b""),
    ("no HTTP", REACH, b"SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ("a status of words", REACH, b"HTTP/1.1 OK\r\n\r\n"),
    ("a length of words", "not the published", OK + b"Content-Length: much\r\n\r\nabc"),
    ("a length below 0", "not the published", OK + b"Content-Length: -5\r\n\r\nabc"),
    ("two lengths", REACH, OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
    ("a header without end", REACH, OK + b"X: " + b"x" * 200_000 + b"\r\n\r\n"),
    ("headers without end", REACH, OK + b"X: x\r\n" * 20_000 + b"\r\n"),
    ("chunks of no size", REACH, OK + b"Transfer-Encoding: chunked\r\n\r\nmuch\r\nabc"),
    ("a part nobody requested", "sends another part", b"HTTP/1.1 206 Partial Content\r\n\r\nabc"),
    ("redirected to itself", REACH, b"HTTP/1.1 302 Found\r\nLocation: {url}\r\n\r\n"),
    ("redirected to a file", REACH, b"HTTP/1.1 302 Found\r\nLocation: file:///etc/x\r\n\r\n"),
    ("redirected nowhere", REACH, b"HTTP/1.1 302 Found\r\nLocation: http://[\r\n\r\n"),
    ("redirected to bytes", REACH, b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n"),
]

FAILURES = [
    Failure("not found", r"answers 404 Not Found.*moved.*browser", {"status": 404}),
    Failure("forbidden", r"answers 403 Forbidden.*browser", {"status": 403}),
    Failure("too many requests", r"answers 429 .*Try again later.*browser", {"status": 429}),
    Failure("server error", r"answers 500 .*Try again later.*browser", {"status": 500}),
    Failure("another file", r"not the published file.*deleted.*browser", content=b"<html>Log in"),
    Failure("cut off, length unknown", r"not the published", {"length": -1, "drops": (9_000,)}),
    Failure(
        "no end of drops",
        r"stopped after 1 MB.*to resume it",
        {"drops": (TWO_CHUNKS, 0, 0, 0)},
        part_bytes=TWO_CHUNKS,
    ),
    Failure("nothing ever comes", r"cannot be reached.*firewall.*browser", {"drops": (0, 0, 0)}),
    Failure(
        "larger than the disk", r"GB are free.*NAPARI_SAM_MODELS", {"length": -1}, size_bytes=10**17
    ),
    Failure(
        "a length beyond belief", r"sends 100000000\.0 GB or more.*another", {"length": 10**17}
    ),
    Failure("an endless stream", r"or more, the published", {"length": -1, "endless": True}),
    Failure(
        "a bomb in gzip",
        r"not the published file.*deleted",
        {"headers": (("Content-Encoding", "gzip"),)},
        content=gzip.compress(bytes(10**8)),
    ),
    *(
        Failure(f"malformed: {name}", rf"{says}.*browser", {"raw": raw})
        for name, says, raw in MALFORMED
    ),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # urllib3 left them
@pytest.mark.parametrize("before", [None, b"the previous model"], ids=["first time", "replaces"])
@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.name)
def test_a_failure_is_explained_and_changes_nothing(
    case: Failure, before: bytes | None, tmp_path: Path
) -> None:
    with serving(FileServer(case.content, **case.server)) as server:
        wanted = job(server.url, tmp_path, case.size_bytes)
        if before is not None:
            wanted.target.write_bytes(before)
        with pytest.raises(ModelError) as failure:
            fetch(wanted)
    said = str(failure.value)
    del failure
    gc.collect()
    assert re.search(case.message, said)
    assert "\n" not in said
    assert wanted.part_bytes == case.part_bytes
    assert wanted.target.exists() == (before is not None)
    assert before is None or wanted.target.read_bytes() == before


def test_no_server_at_all(tmp_path: Path) -> None:
    with serving(FileServer(CONTENT)) as server:
        pass  # its port is closed again
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:\d+ cannot be reached.*browser"):
        fetch(job(server.url, tmp_path))


def test_cancel_keeps_the_part_and_the_next_call_goes_on(tmp_path: Path) -> None:
    steps: list[int] = []
    with serving(FileServer(CONTENT)) as server:
        wanted = job(server.url, tmp_path)
        with pytest.raises(Cancelled):
            download(wanted, lambda done, total: steps.append(done), lambda: len(steps) == 2)
        assert not wanted.target.exists()
        assert wanted.part.read_bytes() == CONTENT[:TWO_CHUNKS]
        steps_left = fetch(wanted)
    assert server.asked == [None, f"bytes={TWO_CHUNKS}-"]
    assert steps_left[0] == (3 * CHUNK_BYTES, len(CONTENT))
    assert wanted.target.read_bytes() == CONTENT


@pytest.mark.parametrize("sent", [0, 1, 10])
def test_cancel_is_heard_while_nothing_comes(sent: int, tmp_path: Path) -> None:
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 3

    with serving(FileServer(CONTENT, holds=sent)) as server:
        with pytest.raises(Cancelled):
            fetch(job(server.url, tmp_path), cancelled)
        assert not server.released.is_set(), "the server still keeps it waiting"


def test_one_download_of_a_file_at_a_time(tmp_path: Path) -> None:
    """The second says so and disturbs nothing; the first goes on and brings the file."""
    with serving(FileServer(CONTENT)) as server:
        wanted = job(server.url, tmp_path)
        refused: list[str] = []

        def progress(done: int, total: int) -> None:
            with pytest.raises(ModelError) as refusal:
                fetch(wanted)
            refused.append(str(refusal.value))

        download(wanted, progress, lambda: False)
    assert server.asked == [None]
    assert {text.partition(".pth ")[2] for text in refused} == {
        "is being downloaded by another window or program. Wait until it is there, then choose the "
        "model again."
    }
    assert [path.name for path in tmp_path.iterdir()] == ["weights.pth"]
    assert wanted.target.read_bytes() == CONTENT


@pytest.mark.largest_file(100_000)
def test_a_disk_that_fills_up_is_not_left_full(tmp_path: Path) -> None:
    with serving(FileServer(CONTENT)) as server:
        wanted = job(server.url, tmp_path)
        with pytest.raises(ModelError, match=r"disk of .* is full.*NAPARI_SAM_MODELS"):
            fetch(wanted)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with (
        serving(FileServer(CONTENT)) as server,
        pytest.raises(ModelError, match=r"models cannot be written to.*NAPARI_SAM_MODELS"),
    ):
        fetch(job(server.url, tmp_path / "models"))
    assert server.asked == []


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_a_read_only_folder(read_only_folder: Path) -> None:
    with (
        serving(FileServer(CONTENT)) as server,
        pytest.raises(ModelError, match=r"cannot be written to \(Permission denied\)"),
    ):
        fetch(job(server.url, read_only_folder))
    assert os.listdir(read_only_folder) == ["hela.pth"]


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "1 MB"), (40_728_226, "41 MB"), (2_564_550_879, "2.6 GB")]
)
def test_sizes_as_people_read_them(n_bytes: int, text: str) -> None:
    assert readable_size(n_bytes) == text


@pytest.mark.parametrize(("n_bytes", "text"), [(900_000, "less than 1 MB"), (3 * 10**6, "3 MB")])
def test_a_size_is_told_apart_from_a_larger_one(n_bytes: int, text: str) -> None:
    assert readable_size(n_bytes, below=1_100_000) == text
