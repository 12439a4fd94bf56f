"""What every benchmark shares: times, memory, a process of its own for each implementation."""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

PATIENCE_S = 600  # on a busy computer
REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests"))  # what ours is compared with lies there


def seconds(action: Callable[[], Any], repeats: int) -> float:
    """Median time of an action, after a first time that does not count."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return median(times[1:])


def resident() -> float:
    """Resident memory of this process now, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


def trim_memory() -> None:
    """Give back what is free, so that what is resident is what is held."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def peak_memory() -> float:
    """Peak resident memory of this process since the last reset, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def reset_peak_memory() -> None:
    """Let the peak be what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def screen() -> Sequence[str]:
    """What opens a screen for the command after it, on Linux where there is none."""
    if sys.platform == "linux" and not os.environ.get("DISPLAY") and shutil.which("xvfb-run"):
        return ("xvfb-run", "-a", "-s", "-screen 0 1600x1000x24")
    return ()


@contextmanager
def own_folders() -> Iterator[dict[str, str]]:
    """An environment in which napari and the plugin keep what they keep in empty folders."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"NAPARI_CONFIG": "", "NAPARI_SAM_EMBEDDINGS": f"{folder}/embeddings"}
        own |= {"XDG_DATA_HOME": f"{folder}/data", "XDG_CACHE_HOME": f"{folder}/cache"}
        yield os.environ | own


def on_screen(script: str, *arguments: str) -> dict[str, float]:
    """What a benchmark with a window says by `leave`, run in a process of its own."""
    command = [*screen(), sys.executable, script, *arguments]
    with own_folders() as environment:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def leave(said: dict[str, float]) -> None:
    """Say it to the process that waits, and end: closing the window is no part of it."""
    sys.stdout.write(f"\n{json.dumps(said)}\n")
    sys.stdout.flush()
    os._exit(0)


def turn(seconds: float) -> None:
    """Let Qt do its work for a while, in a loop: only there it deletes what was closed."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait(until: Callable[[], Any]) -> None:
    """Let Qt do its work until something is so."""
    end = time.perf_counter() + PATIENCE_S
    while not until():
        turn(0.005)
        if time.perf_counter() > end:
            raise TimeoutError(f"the window was waited for in vain, {PATIENCE_S} s")


def elsewhere(script: str, *arguments: str) -> Any:
    """What a benchmark says when it is run in a process of its own with `--save FILE`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.pickle"
        command = [sys.executable, script, *arguments, "--save", str(path)]
        subprocess.run(command, check=True)
        return pickle.loads(path.read_bytes())


def save(path: str, result: Any) -> None:
    """Hand a result over to the process that waits for it."""
    Path(path).write_bytes(pickle.dumps(result))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
