"""Images of a batch on the workers of dask.distributed: the only file that knows it.

Tasks carry paths, results are written by the workers, and what comes back are a few numbers. A few
tasks a worker are on their way at any time, however many images there are. The tiles of a huge
image are searched by all workers; then one of them joins what they have found.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import Any, cast

from dask.system import CPU_COUNT
from distributed import (
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    WorkerPlugin,
    as_completed,
    get_worker,
)
from distributed.system import MEMORY_LIMIT

from napari_sam.engine import SamError, find_weights

from .huge import Huge
from .images import ImageTask
from .recipe import Recipe
from .results import Outcome, digest_of
from .working import Worker

TILES = 8  # of a huge image that a worker searches at a time
PER_THREAD = 2  # tasks on their way: one in work, one that waits for it to be through
TRIES = 3  # of an image whose worker was lost
MOST_SENT = 20  # how often it is sent again if other images of that worker may be the reason
PATIENCE_S = 20  # for a scheduler to answer
PLUGIN = "napari-sam-batch"
TRIED = ".tries"  # folder in that of the results: which image is in work


@dataclass(frozen=True)
class Part:
    """What one worker does at a time: an image, or some tiles of a huge one."""

    image: ImageTask
    huge: Huge | None = None  # its tiles, once they are chosen
    which: range | None = None  # these of them; by default what is left to do

    @property
    def name(self) -> str:
        """A short name that no other part has."""
        which = None if self.which is None else self.which.start
        return digest_of([self.image.image, self.image.series, self.huge is not None, which])

    def done_by(self, worker: Worker) -> Outcome | Huge:
        """Do it; of a huge image that was not begun yet only choose the tiles."""
        if self.huge is None:
            return worker.begin(self.image)
        if self.which is None:
            return worker.work(self.image)
        return worker.search(self.image, self.huge, self.which)

    def tiles(self, huge: Huge) -> list[Part]:
        """The parts of a huge image whose tiles were chosen."""
        starts = range(0, huge.n_tiles, TILES)
        return [Part(self.image, huge, range(n, min(n + TILES, huge.n_tiles))) for n in starts]


class OnWorker(WorkerPlugin):
    """The model of a recipe in the process of a worker: loaded once, used by one thread a time."""

    def __init__(self, recipe: Recipe, run: str) -> None:
        self.name = f"{PLUGIN}-{run}"
        self._recipe, self._run = recipe, run
        self._worker: Worker | None = None

    def setup(self, worker: Any) -> None:
        """In the worker's process."""
        self._lock = Lock()

    def work(self, part: Part) -> Outcome | Huge:
        """Do it, unless too many workers were lost over it.

        Raises
        ------
        SamError
            If the model cannot be loaded here.
        """
        with self._lock:
            worker = self._worker = self._worker or Worker(self._recipe)
            folder = Path(self._recipe.out) / TRIED / self._run
            folder.mkdir(parents=True, exist_ok=True)
            name = part.name
            before = len(list(folder.glob(f"{name}.*")))
            if before >= TRIES:
                return Outcome(part.image.title, "failed", reason=_lost(before))
            folder.joinpath(f"{name}.{before}").touch()
            outcome = part.done_by(worker)
            for mark in folder.glob(f"{name}.*"):
                mark.unlink()
            return outcome


def run_on_cluster(
    recipe: Recipe,
    tasks: Sequence[ImageTask],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Iterator[Outcome]:
    """Work through images on workers; an outcome an image, in no order.

    Parameters
    ----------
    workers
        So many processes on this computer, if no scheduler is given.
    scheduler
        An address, or the file in which a scheduler wrote it.
    tell
        Told where the dashboard is, and that there is no worker yet.

    Raises
    ------
    SamError
        If there is no such scheduler, it is lost, or its workers have another version or model.
    """
    run = token_hex(8)
    with _connected(workers, scheduler) as client:
        if client.dashboard_link:
            tell(f"Progress in a browser: {client.dashboard_link}")
        if not client.nthreads():
            tell("The scheduler has no worker yet. Waiting for the first one.")
            client.wait_for_workers(1)
        _check_workers(client, recipe)
        plugin = OnWorker(recipe, run)
        client.register_plugin(plugin)
        try:
            yield from _outcomes(client, plugin.name, tasks)
        except CancelledError as error:
            raise SamError(
                "The scheduler was lost. What is finished stays: run the same command again."
            ) from error
        finally:
            shutil.rmtree(Path(recipe.out) / TRIED / run, ignore_errors=True)


def _outcomes(client: Client, plugin: str, tasks: Sequence[ImageTask]) -> Iterator[Outcome]:
    """Send a few parts a worker, and the next ones as these are through."""
    waiting, flying = map(Part, tasks), as_completed()
    sent: dict[str, tuple[Part, int]] = {}
    tiles: deque[Part] = deque()  # of huge images in work; they come before other images
    left: Counter[ImageTask] = Counter()  # parts of these that are not through

    def send(part: Part, times: int) -> None:
        key = f"{plugin}-{part.name}-{times}"
        sent[key] = part, times
        flying.add(client.submit(_work, part, plugin, key=key, pure=False))

    def fill() -> None:
        room = PER_THREAD * max(1, sum(client.nthreads().values())) - len(sent)
        for _ in range(room):
            part = tiles.popleft() if tiles else next(waiting, None)
            if part is not None:
                send(part, 1)

    fill()
    for future in flying:
        part, times = sent.pop(future.key)
        outcome = _outcome(future, part, times)
        if outcome is None:
            send(part, times + 1)
        elif isinstance(outcome, Huge):
            parts = part.tiles(outcome)
            tiles += parts
            left[part.image] = len(parts)
        elif part.which is None:
            yield outcome
        else:
            left[part.image] -= 1
            if not left[part.image]:
                tiles.appendleft(Part(part.image, part.huge))
        fill()


def _outcome(future: Future[Outcome | Huge], part: Part, times: int) -> Outcome | Huge | None:
    """What became of a part; ``None`` if its worker was lost, so that it is to be sent again."""
    try:
        return future.result()
    except KilledWorker:
        if times < MOST_SENT:
            return None
        return Outcome(part.image.title, "failed", reason=_lost(times))


def _work(part: Part, plugin: str) -> Outcome | Huge:
    """In a worker."""
    there = cast(OnWorker, get_worker().plugins[plugin])
    return there.work(part)


def _lost(times: int) -> str:
    return (
        f"Its worker was lost {times} times, as when memory runs out. Give a part of the image, or "
        "workers with more memory."
    )


@contextmanager
def _connected(workers: int | None, scheduler: str | None) -> Iterator[Client]:
    """A client of a scheduler, or of processes on this computer that end with it."""
    if scheduler is None:
        n = workers or CPU_COUNT
        threads = os.environ.get("OMP_NUM_THREADS", str(max(1, CPU_COUNT // n)))
        try:
            cluster = LocalCluster(
                n_workers=n,
                threads_per_worker=1,
                memory_limit=MEMORY_LIMIT // n,
                dashboard_address=":0",
                silence_logs=logging.ERROR,
                scheduler_kwargs={"allowed_failures": MOST_SENT},
                env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
            )
        except (RuntimeError, OSError) as error:
            reason = str(error).rstrip(".")
            raise SamError(
                f"The worker processes could not be started: {reason}. In a script, "
                'put what starts the batch below a line `if __name__ == "__main__":`.'
            ) from error
        with cluster, Client(cluster) as client:
            yield client
        return
    where = {"scheduler_file" if Path(scheduler).is_file() else "address": scheduler}
    try:
        client = Client(**where, timeout=PATIENCE_S)
    except (OSError, ValueError) as error:
        raise SamError(
            f"There is no scheduler at {scheduler}. Start one with `dask scheduler`, and give the "
            "address that it prints."
        ) from error
    with client:
        yield client


def _check_workers(client: Client, recipe: Recipe) -> None:
    """Refuse workers on which the results would be others.

    Raises
    ------
    SamError
        If they have another version of this package, or not this model.
    """
    _, _, wanted = find_weights(recipe.model.model)
    here = version("napari-sam-annotator")
    try:
        found: dict[str, tuple[str, str]] = client.run(_about, recipe.model.model)
    except (ImportError, AttributeError) as error:
        raise SamError(
            f"A worker cannot import this package ({error}). Start the workers in an environment "
            f"with napari-sam-annotator[cluster] {here}."
        ) from error
    for worker, (there, model) in found.items():
        if there != here:
            raise SamError(
                f"The worker {worker} has napari-sam {there}, this computer {here}. Install the "
                "same version on both."
            )
        if model != wanted:
            raise SamError(
                f"The worker {worker} lacks the model {recipe.model.model} of this computer: "
                f"{model}. Let NAPARI_SAM_MODELS be one folder that both reach."
            )


def _about(model: str) -> tuple[str, str]:
    """In a worker: its version of this package, and the hash of a model or why it is not there."""
    try:
        found = find_weights(model)[2]
    except SamError as error:
        found = str(error)
    return version("napari-sam-annotator"), found
