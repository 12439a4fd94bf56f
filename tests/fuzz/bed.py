"""The fuzz bed: damaged inputs in processes of their own, which may fail, hang or grow alone."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST_S = 10.0  # of computing, or of waiting for anything but a processor or a disk
LOOKS_EVERY_S = 0.5
MOST_MB = 2048
TICKS_IN_S = os.sysconf("SC_CLK_TCK")
IMPORTS_IN_S = 120  # for the first input of a kind, before which the program is imported

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Result:
    """How one input ended."""

    kind: str
    number: int
    outcome: str  # read, refused; unclean, hang, died
    said: str
    seconds: float
    megabytes: float

    @property
    def is_fault(self) -> bool:
        """Whether the program must not do that."""
        return self.outcome not in ("read", "refused") or self.megabytes > MOST_MB


class Worker:
    """One process; started again when it hangs or dies."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.process: subprocess.Popen[str] | None = None
        self.known: set[str] = set()  # kinds whose code is imported

    def try_input(self, kind: str, number: int) -> Result:
        """Have one input read."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        limit = LONGEST_S if kind in self.known else IMPORTS_IN_S
        start, worked, waited = time.monotonic(), cpu_seconds(process.pid), 0.0
        process.stdin.write(json.dumps([kind, number]) + "\n")
        process.stdin.flush()
        answered: list[object] = []
        while not answered and max(cpu_seconds(process.pid) - worked, waited) < limit:
            answered, _, _ = select.select([process.stdout], [], [], LOOKS_EVERY_S)
            waited += 0.0 if is_at_work(process.pid) else LOOKS_EVERY_S
        line = process.stdout.readline() if answered else ""
        seconds = min(time.monotonic() - start, cpu_seconds(process.pid) - worked)
        if line:
            self.known.add(kind)
            return Result(kind, number, *_answer(line, seconds))
        self.close()
        outcome = "died" if answered else "hang"
        return Result(kind, number, outcome, f"exit code {process.returncode}", seconds, 0.0)

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None

    def _running(self) -> subprocess.Popen[str]:
        if self.process is None or self.process.poll() is not None:
            self.known.clear()
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER), str(self.seed)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                # Threads that wait for each other on a busy computer would count as computing
                env={"OMP_NUM_THREADS": "1", **os.environ},
            )
        return self.process


def _family(pid: int) -> list[int]:
    """A process and those it has started (man 5 proc); a list of all processes would be slow."""
    family = [pid]
    for each in family:
        for path in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                family += map(int, path.read_text().split())
    return family


def cpu_seconds(pid: int) -> float:
    """What a process and its children computed: on a busy computer less than the clock says."""
    ticks = 0
    for each in _family(pid):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, _stat(Path(f"/proc/{each}/stat"))[11:15]))
    return ticks / TICKS_IN_S


def is_at_work(pid: int) -> bool:
    """Whether a thread of them computes, or would if it had a processor or a disk."""
    for each in _family(pid):
        for path in Path(f"/proc/{each}/task").glob("*/stat"):
            with contextlib.suppress(OSError):
                if _stat(path)[0] in "RD":
                    return True
    return False


def _stat(path: Path) -> list[str]:
    """What is said of a process or a thread, from its state on."""
    return path.read_text().rpartition(")")[2].split()


def _answer(line: str, seconds: float) -> tuple[str, str, float, float]:
    outcome, said, megabytes = json.loads(line)
    return outcome, said, seconds, megabytes


def fuzz(cases: Iterable[tuple[str, int]], seed: int, n_workers: int = 1) -> Iterator[Result]:
    """Try every input; results as they come."""
    pending = deque(cases)
    done: queue.SimpleQueue[Result | None] = queue.SimpleQueue()

    def take() -> tuple[str, int] | None:
        with contextlib.suppress(IndexError):
            return pending.popleft()
        return None

    def work() -> None:
        worker = Worker(seed)
        try:
            while (case := take()) is not None:
                done.put(worker.try_input(*case))
        finally:
            worker.close()
            done.put(None)

    threads = [threading.Thread(target=work) for _ in range(n_workers)]
    for thread in threads:
        thread.start()
    try:
        for _ in threads:
            while (result := done.get()) is not None:
                yield result
    finally:
        pending.clear()
        for thread in threads:
            thread.join()


def figures(results: Iterable[Result]) -> str:
    """A table: inputs of each kind and how they ended, the longest and the largest of all."""
    counts: dict[str, Counter[str]] = {}
    longest = largest = 0.0
    for result in results:
        large = result.megabytes > MOST_MB
        counts.setdefault(result.kind, Counter())["memory" if large else result.outcome] += 1
        longest, largest = max(longest, result.seconds), max(largest, result.megabytes)
    outcomes = ("read", "refused", "unclean", "hang", "died", "memory")
    lines = ["kind         inputs " + " ".join(f"{name:>8}" for name in outcomes)]
    for kind, counted in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        numbers = " ".join(f"{counted[name]:>8}" for name in outcomes)
        lines.append(f"{kind:<12} {counted.total():>6} {numbers}")
    lines.append(f"longest {longest:.1f} s of computing, largest {largest:.0f} MB")
    return "\n".join(lines)
