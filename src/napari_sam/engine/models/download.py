"""One file over HTTP: resumed, verified, then moved into place. Until then nothing else changes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import requests

from napari_sam.engine.errors import Cancelled, ModelError

from .hashes import hash_matches

CHUNK_BYTES = 1 << 17  # small enough that Cancel answers at once on a slow line
TIMEOUT_S = (10.0, 60.0)  # to connect, between two packets
ATTEMPTS = 3  # in a row that bring nothing new

Progress = Callable[[int, int], None]  # (bytes done, bytes in all)


@dataclass(frozen=True)
class Download:
    """What is fetched, how it is known to be whole, and what helps where the network does not."""

    url: str
    target: Path
    hash: str  # "sha256:…" or "xxh128:…"
    size_bytes: int  # approximate, until the server says
    by_hand: str  # what to do without this download, shown at the end of an error

    @property
    def part(self) -> Path:
        """The temporary file beside the target; a later call goes on from its end."""
        return self.target.with_name(self.target.name + ".part")

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
        No connection, a server's refusal, a full disk, a read-only folder, a wrong hash.
    Cancelled
        `cancelled()` was true; the part stays for the next call.
    """
    try:
        job.target.parent.mkdir(parents=True, exist_ok=True)
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
    """What the operating system refused, in the user's words."""
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
            f"There are {readable_size(free)} free, {readable_size(wanted)} are needed. Free some "
            f"space, or set NAPARI_SAM_MODELS to a folder on a larger disk than that of {folder}"
        )


def readable_size(n_bytes: int) -> str:
    """A size as people read it: "375 MB", "2.6 GB"."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{max(1, round(n_bytes / 1e6))} MB"


def _complete(job: Download, progress: Progress, cancelled: Callable[[], bool]) -> None:
    """Bring the part to its full length, connecting again as long as that brings new bytes."""
    failures, furthest = 0, job.part_bytes
    while True:
        try:
            return _transfer(job, progress, cancelled)
        except requests.RequestException as error:
            failures = failures + 1 if job.part_bytes <= furthest else 1
            furthest = max(furthest, job.part_bytes)
            if failures == ATTEMPTS:
                raise _connection_error(job, error) from error


def _transfer(job: Download, progress: Progress, cancelled: Callable[[], bool]) -> None:
    """One request, from the end of the part where the server allows, else from the beginning."""
    headers = {"Accept-Encoding": "identity"}  # so that ranges count the file's own bytes
    if job.part_bytes:
        headers["Range"] = f"bytes={job.part_bytes}-"
    with requests.get(job.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # nothing follows: the part is whole, or not this file; its hash tells
        if response.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise _status_error(job, response)
        goes_on = response.status_code == HTTPStatus.PARTIAL_CONTENT
        done = job.part_bytes if goes_on else 0
        total = done + int(response.headers.get("Content-Length", job.size_bytes - done))
        with job.part.open("ab" if goes_on else "wb") as file:
            check_space(job.target.parent, total - done)
            for chunk in response.iter_content(CHUNK_BYTES):
                if cancelled():
                    raise Cancelled(f"The download of {job.target.name} was cancelled.")
                file.write(chunk)
                done += len(chunk)
                progress(done, total)


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


def _status_error(job: Download, response: requests.Response) -> ModelError:
    answer = f"{job.url} answers {response.status_code} {response.reason}."
    busy = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    if busy or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ModelError(f"{answer} Try again later, or {job.by_hand}")
    return ModelError(f"{answer} The file may have moved or be blocked: {job.by_hand}")


def _connection_error(job: Download, error: requests.RequestException) -> ModelError:
    if job.part_bytes:
        return ModelError(
            f"The download of {job.target.name} broke off after {readable_size(job.part_bytes)}. "
            f"Ask for it again and it goes on from there; if it keeps breaking, {job.by_hand}"
        )
    host = urlsplit(job.url).netloc
    return ModelError(
        f"{host} cannot be reached ({type(error).__name__}). Check the network and the proxy; "
        f"behind a firewall, {job.by_hand}"
    )
