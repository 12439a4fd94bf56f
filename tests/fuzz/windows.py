"""`kill -9` to a real window at random moments: it opens again, at most 2 s of work are lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import tifffile
from skimage import data

from napari_sam.engine import FrameStack
from napari_sam.session import is_session, load, session_path
from window_at_work import fingerprint

WINDOW = Path(__file__).with_name("window.py")
AT_WORK_S = 9.0  # it is killed within so long after it has opened
OPENS_IN_S = 300.0  # on a busy computer
MOST_LOST_S = 2.0


@dataclass(frozen=True)
class KilledWindow:
    """What is there after a window was killed."""

    number: int
    n_changes: int
    n_saves: int
    lost_s: float  # from the first change that is not there to the end
    problem: str


def kill_windows(runs: int, seed: int, folder: Path) -> Iterator[KilledWindow]:
    """Windows on one image, each opened where the one before was killed."""
    path = folder / "cells.tif"
    coins = data.coins()[40:136, 40:136]
    tifffile.imwrite(
        path,
        [coins, coins, coins[::-1], coins.T],
        photometric="minisblack",
        metadata={"axes": "TYX"},
    )
    chance = random.Random(f"{seed} windows")
    expected = ""
    for number in range(runs):
        said, killed_at = kill_window(path, chance, folder)
        result, expected = judge(number, path, said, killed_at, expected)
        yield result


def kill_window(
    path: Path, chance: random.Random, folder: Path
) -> tuple[list[tuple[str, str, float]], float]:
    """What a window said until it was killed, and when that was."""
    environment = {
        **os.environ,
        "NAPARI_CONFIG": "",
        "NAPARI_SAM_EMBEDDINGS": str(folder / "embeddings"),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    command = [sys.executable, str(WINDOW), str(path), str(chance.randrange(10**6))]
    lines: list[str] = []
    has_opened = threading.Event()

    def listen() -> None:
        for line in process.stdout:
            lines.append(line)
            if line.startswith("opened"):
                has_opened.set()
        has_opened.set()

    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        listener = threading.Thread(target=listen)
        listener.start()
        has_opened.wait(OPENS_IN_S)
        time.sleep(chance.uniform(0.2, AT_WORK_S))
        killed_at = time.monotonic()
        process.send_signal(signal.SIGKILL)
        listener.join()
    words = ("read", "opened", "change", "saving")  # napari says more
    whole = (line.split() for line in lines if line.endswith("\n") and line.startswith(words))
    return [(word, what, float(at)) for word, what, at in whole], killed_at


def judge(
    number: int, path: Path, said: list[tuple[str, str, float]], killed_at: float, expected: str
) -> tuple[KilledWindow, str]:
    """Read what is on disk and compare it with what the window said."""
    read, opened = ([what for word, what, _ in said if word == w] for w in ("read", "opened"))
    saving = {what: at for word, what, at in said if word == "saving"}
    changes = [at for word, _, at in said if word == "change"]
    problem, lost, found = "", 0.0, expected
    try:
        if not opened:
            raise AssertionError("the window did not open")
        if expected and read != [expected]:
            raise AssertionError(f"it read {read}, {expected} was there")
        if is_session(session_path(path)):
            session = load(session_path(path), FrameStack.from_array(tifffile.imread(path)))
            found = fingerprint(session)
            if session.notices or not session.is_of_image:
                raise AssertionError(session.notices)
            if found not in (*saving, *read, opened[0]):
                raise AssertionError(f"{found} is there, which never stood")
        since = saving.get(found, 0.0)
        lost = max((killed_at - at for at in changes if at > since), default=0.0)
        if lost > MOST_LOST_S:
            raise AssertionError(f"{lost:.2f} s of work are lost")
    except Exception as error:  # noqa: BLE001 it is what is looked for
        problem = f"{type(error).__name__}: {error}"
    return KilledWindow(number, len(changes), len(saving), lost, problem), found


def main() -> None:
    runs, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    for result in kill_windows(runs, seed, folder):
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
