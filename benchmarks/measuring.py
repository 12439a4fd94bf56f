"""What every benchmark shares: times, memory, a process of its own for each implementation."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

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


def peak_memory() -> float:
    """Peak resident memory of this process since the last reset, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def reset_peak_memory() -> None:
    """Let the peak be what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


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
