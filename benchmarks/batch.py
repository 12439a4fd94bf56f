"""Images a minute in a batch, beside a plain loop, and the memory of the client.

    python benchmarks/batch.py [--images N] [--many M]

N images of 256 x 256 with the embedded model: a loop in one process that finds all objects and
writes labels, a batch in one process, and batches with 1 and 2 worker processes. Workers are
started before the clock. Then M tiny images, of which all but the first are finished already, since
they are copies of it: what is measured is the memory of the client, which sends and counts them.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tifffile
from distributed import LocalCluster
from skimage import data

from measuring import markdown, peak_memory, reset_peak_memory, resident
from napari_sam import FrameStack, Predictor, load_model, write_labels
from napari_sam.batch import Cluster, Recipe, parse_recipe, run_batch
from napari_sam.headless import find_everything, new_session

SIDE, TINY = 256, 64


def write_images(folder: Path, n: int) -> None:
    """Parts of the coins, no two alike."""
    folder.mkdir()
    coins = data.coins()
    for at in range(n):
        y, x = divmod(3 * at, coins.shape[1] - SIDE)
        part = coins[y : y + SIDE, x : x + SIDE]
        tifffile.imwrite(folder / f"coins_{at:04d}.tif", part)


def recipe_of(folder: Path, out: str) -> Recipe:
    record = {"images": "images/**/*.tif", "automatic": {}, "out": out}
    return parse_recipe(record).within(folder)


def plain_loop(folder: Path) -> None:
    """What a script of ten lines does."""
    predictor = Predictor(load_model("pocket"))
    (folder / "plain").mkdir()
    for path in sorted((folder / "images").iterdir()):
        session = new_session(FrameStack.from_array(tifffile.imread(path)), highest_id=2**16)
        list(find_everything(session, predictor))
        write_labels(folder / "plain" / path.name, session.labels)


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def on_workers(folder: Path, n_workers: int) -> float:
    with LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as running:
        recipe = recipe_of(folder, f"workers_{n_workers}")
        on = Cluster(scheduler=running.scheduler_address)
        first = next(outcomes := run_batch(recipe, on=on))  # the model is loaded
        assert first.status == "done", first.reason
        return timed(lambda: list(outcomes))


def many(folder: Path, n: int) -> tuple[float, float]:
    """Growth of the client's resident and peak memory in MB, between the first and the last."""
    for at in range(n):
        place = folder / "images" / f"{at:06d}"
        place.mkdir(parents=True)
        tifffile.imwrite(place / "tiny.tif", data.coins()[:TINY, :TINY])
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as running:
        on = Cluster(scheduler=running.scheduler_address)
        outcomes = run_batch(recipe_of(folder, "results"), on=on)
        kept = [next(outcomes)]
        before = resident()
        reset_peak_memory()
        kept += outcomes
        assert {each.status for each in kept} == {"done", "skipped"}
        return resident() - before, peak_memory() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--many", type=int, default=10_000)
    given = parser.parse_args()
    n = given.images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", n)
        plain = timed(lambda: plain_loop(folder)) / n
        serial = timed(lambda: list(run_batch(recipe_of(folder, "serial")))) / n
        again = timed(lambda: list(run_batch(recipe_of(folder, "serial")))) / n
        one, two = (on_workers(folder, workers) / (n - 1) for workers in (1, 2))
        shutil.rmtree(folder / "images")
        grown, peak = many(folder, given.many)
    rows = [
        (name, f"{60 / seconds:.0f}", f"{1000 * (seconds - plain):+.0f} ms")
        for name, seconds in (
            ("a plain loop", plain),
            ("a batch, one process", serial),
            ("1 worker", one),
            ("2 workers", two),
            ("all are finished already", again),
        )
    ]
    header = (f"{n} images of {SIDE}², embedded model", "images a minute", "against the loop")
    sys.stdout.write(markdown(header, rows) + "\n")
    sys.stdout.write(
        f"Memory of the client over {given.many:,} tiny images: {grown:+.0f} MB, at most "
        f"{peak:+.0f} MB.\n"
    )


if __name__ == "__main__":
    main()
