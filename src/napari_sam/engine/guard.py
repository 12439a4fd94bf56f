"""Foreign decoders: every error in them becomes one sentence, in this file only."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar, cast

from .errors import Cancelled, FrameError, SamError

LONGEST_REASON = 200  # characters of what a library says
WHOLE = (
    "Is it whole, and what its name says? Open it in the program that wrote it and save it again, "
    "as TIFF for instance."
)
DECODERS = (
    "Install more decoders with \"pip install 'napari-sam-annotator[codecs]'\", or save the image "
    "without compression, in 8, 16 or 32 bit."
)

# Computing that reading a file may take: no library has a limit of its own. Two busy cores open a
# TIFF of 100,000 pages, 60 MB of them alone, in 15 s
LEAST_S, MORE_S_PER_MB = 8.0, 1.0
FOLDER_S = 60.0
HEARD_S, TRIES = 0.5, 4  # what is to end is told so often, at such intervals, and then left alone
SLOWER_CLOCK = 6  # it counts waiting too, where the computing of a thread is not known

Result = TypeVar("Result")


@contextmanager
def decoding(what: object, remedy: str = WHOLE) -> Iterator[None]:
    """Inside, libraries read what may be damaged, of any kind or made to do harm.

    Raises
    ------
    FrameError
        In place of their errors; errors written for the user are not changed.
    """
    try:
        yield
    except (SamError, Cancelled):
        raise
    except MemoryError as error:
        raise FrameError(
            f"{what} needs more memory than there is. Free some, or give a smaller image."
        ) from error
    except (ImportError, NotImplementedError) as error:
        raise FrameError(
            f"{what} is stored in a way that cannot be read here: {reason(error)}. {DECODERS}"
        ) from error
    except Exception as error:
        raise FrameError(f"{what} could not be read: {reason(error)}. {remedy}") from error


@contextmanager
def running(what: str) -> Iterator[None]:
    """Inside, code of another package does its work.

    Raises
    ------
    SamError
        In place of its errors; errors written for the user are not changed.
    """
    try:
        yield
    except (SamError, Cancelled):
        raise
    except Exception as error:
        raise SamError(f"{what} failed: {reason(error)}. Look for it in its own manual.") from error


def in_time(path: Path, read: Callable[[], Result], *, seconds: float | None = None) -> Result:
    """What `read` returns or raises, if that takes no longer than the file is worth.

    It runs in a thread of its own. After its time that is ended at its next instruction in Python;
    code in C goes on until it returns, but is not waited for.

    Parameters
    ----------
    seconds
        Of computing; by default some, and more for a larger file.

    Raises
    ------
    FrameError
        If it takes longer.
    """
    limit = _time_for(path) if seconds is None else seconds
    reading = _Reading(read)
    reading.start()
    if not reading.ends_in(limit):
        raise FrameError(
            f"{path} could not be read: after {limit:.0f} s of computing there is no end of it. "
            f"{WHOLE}"
        )
    if reading.error is not None:
        raise reading.error
    return cast(Result, reading.result)


def reason(error: Exception) -> str:
    """The message of a library's error, as part of a sentence."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(said.split()).rstrip(".")[:LONGEST_REASON]
    if line and isinstance(error, (OSError, ValueError, ImportError, NotImplementedError)):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _time_for(path: Path) -> float:
    if path.is_dir():
        return FOLDER_S
    with suppress(OSError):
        return LEAST_S + MORE_S_PER_MB * os.path.getsize(path) / 2**20
    return LEAST_S


class _TimeUp(SystemExit):
    """Ends a thread: no ``except Exception`` of a library takes it, and nothing is printed."""


class _Reading(threading.Thread):
    """A thread that reads, and how long it has computed."""

    def __init__(self, read: Callable[[], object]) -> None:
        super().__init__(name="reading", daemon=True)
        self.result: object = None
        self.error: BaseException | None = None
        self._read, self._done = read, threading.Event()
        self._clock: Callable[[], float] = float  # nothing as long as it has not begun

    def run(self) -> None:
        self._clock = _computing()
        try:
            self.result = self._read()
        except BaseException as error:  # noqa: BLE001 raised again where it is waited for
            self.error = error
        self._done.set()

    def ends_in(self, seconds: float) -> bool:
        """Wait for its end; whether that came within so many seconds of computing."""
        left = seconds
        while not self._done.wait(left):
            with suppress(OSError):  # it has ended just now, and its clock with it
                left = seconds - self._clock()
            if left <= 0:
                self._end()
                return False
            left = max(left, HEARD_S)
        return True

    def _end(self) -> None:
        for _ in range(TRIES):
            ident = ctypes.c_ulong(self.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(_TimeUp))
            if self._done.wait(HEARD_S):
                return


def _computing() -> Callable[[], float]:
    """A clock of what this thread computes from now on, which others can read."""
    clock_of = getattr(time, "pthread_getcpuclockid", None)  # neither Windows nor macOS has it
    if clock_of is None:
        start = time.monotonic()
        return lambda: (time.monotonic() - start) / SLOWER_CLOCK
    clock = clock_of(threading.get_ident())
    return lambda: time.clock_gettime(clock)
