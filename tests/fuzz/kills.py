"""`kill -9` at random moments of what saves and writes: nothing is half, nothing saved is lost.

A process of its own, which forks: `python kills.py KIND RUNS SEED FOLDER` prints a line of JSON
for each writer that was killed.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from annotating import CLICK, land, new_session, new_stack, square
from napari_sam.engine import EmbeddingStore, read_labels, write_labels, write_table
from napari_sam.engine.embeddings.keys import EmbeddingKey, StoredEmbedding
from napari_sam.session import Autosave, load, save

AT_WORK_S = 0.2  # a writer is killed within so long after it has written something
FRAMES, KEYS = 4, 3
BLOCKS = np.kron(np.arange(1024).reshape(1, 32, 32), np.ones((3, 16, 16))).astype(np.uint16)


@dataclass(frozen=True)
class Killed:
    """What is there after a writer was killed."""

    kind: str
    number: int
    in_midst: bool  # of writing
    problem: str  # "" if all is as it must be


class Sessions:
    """A mask more, or another one, saved by what saves in the window."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "a.napari-sam"

    def work(self, after: int) -> Callable[[int], None]:
        """What saves a piece of work, in a process that lives until it is killed."""
        if not self.path.exists():
            save(new_session(), self.path)
        session = load(self.path, new_stack())
        autosave = Autosave(session, self.path)

        def write(n: int) -> None:
            object_id, prompts = n % 4 + 1, CLICK.with_point((n % 7, n % 5 + 0.5))
            land(session, object_id, n % FRAMES, prompts, square(2 * (n % 4), n % 8))
            session.parents = {n: (1,)}  # which says how far it came
            autosave.save()

        return write

    def newest(self) -> int:
        """The number of the newest work that is there, after everything was read."""
        session = load(self.path, new_stack())
        if session.notices:
            raise AssertionError(session.notices)
        return max(session.parents, default=0)

    def strangers(self) -> set[str]:
        """Files that should not be there."""
        session = load(self.path, new_stack())
        named = set().union(*(files.named for files in session.saved.files.values()))
        there = {f"frames/{path.name}" for path in (self.path / "frames").iterdir()}
        top = {path.name for path in self.path.iterdir()}
        return there - named | top - {"frames", "session.json", "owner.json", "lock"}


class Outputs:
    """One file that is written again and again."""

    name = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: Path, n: int) -> None:
        raise NotImplementedError

    def get(self, path: Path) -> int:
        raise NotImplementedError

    def work(self, after: int) -> Callable[[int], None]:
        return lambda n: self.put(self.folder / self.name.format(n), n)

    def newest(self) -> int:
        paths = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        return max(map(self.get, paths), default=0)

    def strangers(self) -> set[str]:
        return {path.name for path in self.folder.iterdir() if path.name.startswith(".")}


class LabelsAsTiff(Outputs):
    name = "labels.tif"

    def put(self, path: Path, n: int) -> None:
        write_labels(path, BLOCKS + np.uint16(n), axes="ZYX")

    def get(self, path: Path) -> int:
        ids = read_labels(path)[0][:]
        np.testing.assert_array_equal(ids - ids.min(), BLOCKS)
        return int(ids.min())


class LabelsAsZarr(LabelsAsTiff):
    name = "labels{}.zarr"  # a folder of that name would not be replaced

    def newest(self) -> int:
        newest = super().newest()
        for path in self.folder.glob(self.name.format("*")):  # all are read; they need not be again
            if path.name != self.name.format(newest):
                shutil.rmtree(path)
        return newest

    def strangers(self) -> set[str]:
        return set()  # each has a name of its own, which no later run writes


class Tables(Outputs):
    name = "scores.csv"

    def put(self, path: Path, n: int) -> None:
        write_table(path, ("n",), [(n,)] * 20_000)

    def get(self, path: Path) -> int:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        (n,) = {int(cell) for row in rows for cell in row}
        assert (header, len(rows)) == (["n"], 20_000)
        return n


class Embeddings:
    """The newest of a few embeddings; one that is damaged would be told, and is a fault."""

    def __init__(self, folder: Path) -> None:
        self.told: list[str] = []
        self.store = EmbeddingStore(folder, tell=self.told.append)
        self.folder = folder

    def work(self, after: int) -> Callable[[int], None]:
        noise = np.random.default_rng(0).normal(size=(1, 64, 64, 64)).astype(np.float32)
        picture = np.zeros((9, 9, 3), np.uint8)

        def write(n: int) -> None:
            noise[0, 0, 0, 0] = n
            stored = StoredEmbedding((noise,), (30, 40), (96, 128), picture)
            if not self.store.put(self._key(n), stored):
                raise AssertionError(self.told)

        return write

    def _key(self, n: int) -> EmbeddingKey:
        return EmbeddingKey(f"frame {n % KEYS}", "sha256:1", "fp32")

    def newest(self) -> int:
        found = [self.store.get(self._key(n)) for n in range(KEYS)]
        if self.told:
            raise AssertionError(self.told)
        return max((int(each.arrays[0][0, 0, 0, 0]) for each in found if each), default=0)

    def strangers(self) -> set[str]:
        return set()  # what a killed writer left goes after an hour


KINDS = {
    "session": Sessions,
    "labels.tif": LabelsAsTiff,
    "labels.zarr": LabelsAsZarr,
    "table": Tables,
    "embedding": Embeddings,
}


def write_until_killed(job: object, pipe: int, after: int) -> NoReturn:
    """In a process of its own: say what is being written, write it, say that it is written."""
    try:
        write = job.work(after)  # type: ignore[attr-defined]
        n = after
        while True:
            n += 1
            os.write(pipe, f"begun {n}\n".encode())
            write(n)
            os.write(pipe, f"done {n}\n".encode())
    finally:
        os._exit(1)


def kill_one(kind: str, number: int, folder: Path, chance: random.Random) -> Killed:
    """Kill a writer that goes on where the one before was killed."""
    job = KINDS[kind](folder)
    before = job.newest() if number else 0
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        write_until_killed(job, writing, before)
    os.close(writing)
    with os.fdopen(reading) as said:
        lines = [said.readline(), said.readline()]
        time.sleep(chance.uniform(0, AT_WORK_S))
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        lines += said.readlines()
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return Killed(kind, number, False, "the writer ended by itself")
    reached = {"begun": before, "done": before}
    reached |= {line.split()[0]: int(line.split()[1]) for line in lines if line.endswith("\n")}
    return Killed(kind, number, reached["begun"] > reached["done"], _problem(kind, folder, reached))


def _problem(kind: str, folder: Path, reached: dict[str, int]) -> str:
    """What is wrong with what is there, or with going on from it."""
    try:
        job = KINDS[kind](folder)
        found = job.newest()
        if not reached["done"] <= found <= reached["begun"]:
            return f"{found} is there, {reached['done']} was saved, {reached['begun']} begun"
        child = os.fork()
        if not child:
            code = 1
            with contextlib.suppress(BaseException):
                KINDS[kind](folder).work(found)(found + 1)
                code = 0
            os._exit(code)
        if os.waitpid(child, 0)[1]:
            return "it cannot be gone on from"
        if job.newest() != found + 1:
            return f"what was written afterwards is not there: {job.newest()}"
        if left := job.strangers():
            return f"left behind: {left}"
    except Exception as error:  # noqa: BLE001 it is what is looked for
        return f"{type(error).__name__}: {error}"
    return ""


def kill_apart(kind: str, runs: int, seed: int, folder: Path) -> Iterator[Killed]:
    """Kill writers of a kind, from a process that may fork."""
    command = [sys.executable, __file__, kind, str(runs), str(seed), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Killed(**json.loads(line))


def main(kind: str, runs: int, seed: int, folder: Path) -> None:
    chance = random.Random(f"{seed} {kind}")
    for number in range(runs):
        killed = kill_one(kind, number, folder, chance)
        sys.stdout.write(json.dumps(asdict(killed)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
