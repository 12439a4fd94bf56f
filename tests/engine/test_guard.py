"""The guard around foreign decoders: how long they may take."""

from __future__ import annotations

import struct
import sys
import threading
import time
from hashlib import pbkdf2_hmac
from pathlib import Path

import pytest
import tifffile

from napari_sam.engine import guard
from napari_sam.engine.errors import FrameError
from napari_sam.engine.guard import in_time
from napari_sam.engine.images import read_image

SOON = 0.2
PATH = Path("a.tif")

# A thread may be ended while it opens or closes a file, which is closed with the last name for it;
# Python then says so
ended_anywhere = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def many_pages(tmp_path: Path) -> Path:
    """A TIFF of 300,000 pages that hold nothing, each at its own place: 5 MB."""
    size, n_pages = 2 + 12 + 4, 300_000
    pages = [
        struct.pack("<HHHIII", 1, 256, 4, 1, 8, 8 + size * (n + 1)) for n in range(n_pages - 1)
    ]
    last = struct.pack("<HHHIII", 1, 256, 4, 1, 8, 0)
    path = tmp_path / "many.tif"
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 8) + b"".join([*pages, last]))
    return path


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "reading"]


def join_reading() -> None:
    for thread in reading_threads():
        thread.join(60)


def spin() -> None:
    while True:
        pass


def spin_deaf() -> None:
    """As a library does that takes any exception for an error of the file."""
    while True:
        try:
            spin()
        except Exception:  # noqa: BLE001
            continue


@pytest.mark.parametrize("read", [spin, spin_deaf])
def test_what_never_ends_is_given_up_and_ended(read) -> None:
    with pytest.raises(FrameError, match=r"a\.tif could not be read: after 0 s .* no end of it"):
        in_time(PATH, read, seconds=SOON)
    join_reading()
    assert not reading_threads()


@pytest.mark.slow
def test_code_in_c_is_not_waited_for() -> None:
    """One call of 10 s or more; the thread goes on with it, and ends then."""
    started = time.thread_time()
    with pytest.raises(FrameError, match="no end of it"):
        in_time(PATH, lambda: pbkdf2_hmac("sha256", b"", b"", 2 * 10**7), seconds=SOON)
    assert time.thread_time() - started < 1
    assert reading_threads()


@ended_anywhere
def test_a_library_that_takes_too_long_is_given_up(many_pages: Path) -> None:
    def read() -> None:
        with tifffile.TiffFile(many_pages) as file:
            len(file.pages)

    in_time(many_pages, read)
    with pytest.raises(FrameError, match="no end of it"):
        in_time(many_pages, read, seconds=0)
    join_reading()


@ended_anywhere
def test_images_are_read_in_time(many_pages: Path, monkeypatch) -> None:
    monkeypatch.setattr(guard, "LEAST_S", 0)
    monkeypatch.setattr(guard, "MORE_S_PER_MB", 0)
    with pytest.raises(FrameError, match=r"many\.tif could not be read: .* no end of it"):
        read_image(many_pages)
    join_reading()


@pytest.mark.skipif(sys.platform != "linux", reason="the computing of a thread is not known")
def test_waiting_is_no_computing() -> None:
    """A slow drive is waited for."""
    assert in_time(PATH, lambda: threading.Event().wait(3 * SOON), seconds=SOON) is False


def test_what_is_raised_comes_out() -> None:
    with pytest.raises(ZeroDivisionError):
        in_time(PATH, lambda: 1 / 0)


@pytest.mark.slow
def test_the_end_of_the_time_and_of_the_work_at_one_moment() -> None:
    outcomes = set()
    for _ in range(20):
        try:
            outcomes.add(in_time(PATH, lambda: sum(range(3000)), seconds=1e-4))
        except FrameError:
            outcomes.add("late")
    assert outcomes <= {"late", sum(range(3000))}
    join_reading()


@pytest.mark.parametrize(("megabytes", "seconds"), [(0, 8), (2, 10)])
def test_larger_files_have_more_time(tmp_path: Path, megabytes: int, seconds: float) -> None:
    (tmp_path / "a.tif").write_bytes(bytes(2**20 * megabytes))
    assert guard._time_for(tmp_path / "a.tif") == seconds
    assert guard._time_for(tmp_path) == guard.FOLDER_S
