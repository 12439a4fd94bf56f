"""One file over HTTP: resumed, verified, then moved into place. Until then nothing else changes."""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests

from napari_sam.engine.errors import Cancelled, ModelError
from napari_sam.engine.writing import alone

from .hashes import hash_matches

CHUNK_BYTES = 1 << 15
TIMEOUT_S = (10.0, 60.0)  # to connect, between two packets
HEARD_S = 0.1  # after this time without a byte, Cancel is checked
ATTEMPTS = 3  # in a row that bring nothing new
SPARE_SHARE, SPARE_BYTES = 0.25, 2**20  # that a file may be larger than it is known to be

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)


@dataclass(frozen=True)
class Download:
    """A file to download: its address, size, hash, and a remedy if the network fails."""

    url: str
    target: Path
    hash: str  # "sha256:…", "xxh128:…" or "git:…"
    size_bytes: int  # approximate, until the server says
    by_hand: str  # what to do without this download, shown at the end of an error

    @property
    def part(self) -> Path:
        """The temporary file beside the target; a later call resumes at its end.

        So it has the same name each time, and one process alone writes it.
        """
        return self.target.with_name(self.target.name + ".part")

    @property
    def most_bytes(self) -> int:
        """No published file is larger: nothing beyond is written."""
        return int(self.size_bytes * (1 + SPARE_SHARE)) + SPARE_BYTES

    @property
    def part_bytes(self) -> int:
        """Bytes on disk so far."""
        return self.part.stat().st_size if self.part.exists() else 0


def download(job: Download, progress: Progress, cancelled: Callable[[], bool]) -> None:
    """Fetch `job.url` into `job.target`, going on where an earlier call stopped.

    The target is replaced only by a file with the right hash, in one step.

    Raises
    ------
    ModelError
        No connection, a server's refusal, a full disk, a read-only folder, a wrong hash, or
        another window that downloads the same file.
    Cancelled
        `cancelled()` was true; the part stays for the next call.
    """
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with alone(job.target, _is_taken(job.target)):
            resumed = job.part.exists()
            _complete(job, progress, cancelled)
            if resumed and not hash_matches(job.part, job.hash):
                # The part was the beginning of another file: once more, from the first byte
                job.part.unlink()
                _complete(job, progress, cancelled)
            _verify(job)
            os.replace(job.part, job.target)
    except OSError as error:
        if is_disk_full(error):
            job.part.unlink(missing_ok=True)
        raise disk_error(error, job.target.parent) from error


def is_disk_full(error: OSError) -> bool:
    """Whether the disk, the quota or the largest file size is used up."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_error(error: OSError, folder: Path) -> ModelError:
    """The operating system's error, in the user's words."""
    if is_disk_full(error):
        problem = "The disk of the models is full; nothing was left behind there."
    else:
        problem = f"The folder of the models cannot be written to ({error.strerror or error})."
    return ModelError(
        f"{problem} Free some space, or set NAPARI_SAM_MODELS to a folder with room that you "
        f"may write to. Now it is {folder}"
    )


def check_space(folder: Path, wanted: int) -> None:
    """Raise a ModelError where `wanted` bytes do not fit on the disk of `folder`."""
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise ModelError(
            f"{readable_size(free, below=wanted)} are free, {readable_size(wanted)} are needed. "
            "Free some space, or set NAPARI_SAM_MODELS to a folder on a larger disk than that of "
            f"{folder}"
        )


def readable_size(n_bytes: int, *, below: int | None = None) -> str:
    """A size as people read it: "375 MB", "2.6 GB".

    Parameters
    ----------
    below
        A larger size beside which it is told: "less than 375 MB" if both read the same.
    """
    if below is not None and readable_size(n_bytes) == readable_size(below):
        return f"less than {readable_size(below)}"
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(1, round(n_bytes / 1e6))} MB"


def _is_taken(target: Path) -> ModelError:
    return ModelError(
        f"{target.name} is being downloaded by another window or program. Wait until it is "
        "there, then choose the model again."
    )


@dataclass(frozen=True)
class _Answer:
    """How a server answers, before the file itself comes."""

    status: int
    reason: str
    length: int | None  # of what follows, if it says so
    range: str  # which part of the file that is, "" for all of it


class _LineError(Exception):
    """A failure of the network or the server."""


class _Line:
    """A request in its own thread, so that Cancel works while nothing arrives.

    Nothing but bytes comes out of the thread. Once it is left, it ends with the next ones.
    """

    def __init__(self, url: str, headers: dict[str, str], cancelled: Callable[[], bool]) -> None:
        self._cancelled = cancelled
        self._items: queue.Queue[_Answer | bytes | Exception | None] = queue.Queue(maxsize=16)
        self._is_left = threading.Event()
        threading.Thread(target=self._fetch, args=(url, headers), daemon=True).start()

    def leave(self) -> None:
        """Stop the request."""
        self._is_left.set()

    def answer(self) -> _Answer:
        """How the server answers."""
        item = self._next()
        assert isinstance(item, _Answer)
        return item

    def chunks(self) -> Iterator[bytes]:
        """The file, as it comes."""
        while isinstance(chunk := self._next(), bytes):
            yield chunk

    def _next(self) -> _Answer | bytes | None:
        while True:
            if self._cancelled():
                raise Cancelled("The download was cancelled.")
            with contextlib.suppress(queue.Empty):
                item = self._items.get(timeout=HEARD_S)
                if isinstance(item, Exception):
                    raise _LineError(type(item).__name__) from item
                return item

    def _put(self, item: _Answer | bytes | Exception | None) -> None:
        while not self._is_left.is_set():
            with contextlib.suppress(queue.Full):
                self._items.put(item, timeout=HEARD_S)
                return

    def _fetch(self, url: str, headers: dict[str, str]) -> None:
        try:
            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
                length = response.headers.get("Content-Length", "")
                known = int(length) if length.isdecimal() and len(length) < 20 else None
                reason = " ".join((response.reason or "").split())[:100]
                part = response.headers.get("Content-Range", "")
                self._put(_Answer(response.status_code, reason, known, part))
                for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                    self._put(chunk)
                    if self._is_left.is_set():
                        return
            self._put(None)
        except Exception as error:  # noqa: BLE001 of requests, urllib3, http, ssl, sockets, codecs
            self._put(error)


def _complete(job: Download, progress: Progress, cancelled: Callable[[], bool]) -> None:
    """Download the rest of the part, and reconnect while new bytes arrive."""
    failures, furthest = 0, job.part_bytes
    while True:
        try:
            return _transfer(job, progress, cancelled)
        except _LineError as error:
            failures = failures + 1 if job.part_bytes <= furthest else 1
            furthest = max(furthest, job.part_bytes)
            if failures == ATTEMPTS:
                raise _connection_error(job, error) from error


def _transfer(job: Download, progress: Progress, cancelled: Callable[[], bool]) -> None:
    """One request, from the end of the part where the server allows, else from the beginning."""
    headers = {"Accept-Encoding": "identity"}  # so that ranges count the file's own bytes
    if job.part_bytes:
        headers["Range"] = f"bytes={job.part_bytes}-"
    line = _Line(job.url, headers, cancelled)
    try:
        answer = line.answer()
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing follows: the part is whole, or not this file; its hash tells
        if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise _status_error(job, answer)
        goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
        if goes_on and not answer.range.startswith(f"bytes {job.part_bytes}-"):
            raise _LineError("it sends another part of the file")
        done = job.part_bytes if goes_on else 0
        total = job.size_bytes if answer.length is None else done + answer.length
        _check_size(job, total)
        check_space(job.target.parent, total - done)
        with job.part.open("ab" if goes_on else "wb") as file:
            for chunk in line.chunks():
                _check_size(job, done + len(chunk))
                file.write(chunk)
                done += len(chunk)
                progress(done, max(done, total))
    finally:
        line.leave()


def _check_size(job: Download, n_bytes: int) -> None:
    """Refuse what is far larger than the published file, before it is written."""
    if n_bytes > job.most_bytes:
        job.part.unlink(missing_ok=True)
        raise ModelError(
            f"{job.url} sends {readable_size(n_bytes)} or more, the published file has "
            f"{readable_size(job.size_bytes)}: it is another one, and nothing was kept. Try again, "
            f"or {job.by_hand}"
        )


def _verify(job: Download) -> None:
    """Delete a part that is not the published file: it must neither be used nor resumed."""
    if hash_matches(job.part, job.hash):
        return
    size = readable_size(job.part_bytes)
    job.part.unlink()
    raise ModelError(
        f"What {job.url} sent ({size}) is not the published file: its hash is not {job.hash}. It "
        f"was deleted. A firewall's login page or a broken transfer looks like this: try again, "
        f"or {job.by_hand}"
    )


def _status_error(job: Download, answer: _Answer) -> ModelError:
    said = f"{job.url} answers {answer.status} {answer.reason}".rstrip() + "."
    busy = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    if busy or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelError(f"{said} Try again later, or {job.by_hand}")
    return ModelError(f"{said} The file may have moved or be blocked: {job.by_hand}")


def _connection_error(job: Download, error: _LineError) -> ModelError:
    if job.part_bytes:
        return ModelError(
            f"The download of {job.target.name} stopped after {readable_size(job.part_bytes)}. "
            f"Start it again to resume it; if it keeps stopping, {job.by_hand}"
        )
    host = urlsplit(job.url).netloc
    return ModelError(
        f"{host} cannot be reached ({error}). Check the network and the proxy; "
        f"behind a firewall, {job.by_hand}"
    )
