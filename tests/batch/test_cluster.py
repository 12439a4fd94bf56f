"""Batches on real worker processes of a real scheduler, some of which are killed or held."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from distributed import Client, LocalCluster
from PIL import Image

from batch_cases import QUICK, batch_folder, results_in
from napari_sam.batch import Cluster, Recipe, cluster, huge, run_batch
from napari_sam.engine import SamError
from sooner_huge import LargeIsHuge

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 240
N = 8


def start(n_workers: int, memory_limit: str) -> LocalCluster:
    return LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        memory_limit=memory_limit,
        dashboard_address=":0",
        silence_logs=50,
        scheduler_kwargs={"allowed_failures": 20},
        env={"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(scope="module")
def two_workers() -> Iterator[LocalCluster]:
    with start(2, "4GB") as running:
        yield running


def pids(running: LocalCluster) -> list[int]:
    """The processes of the workers."""
    with Client(running) as client:
        return list(client.run(os.getpid).values())


def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition, not for a time."""
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "waited in vain"
        threading.Event().wait(0.01)


def n_finished(folder: Path) -> int:
    return len(list(folder.glob("*/*/record.json")))


def one_by_one(recipe: Recipe, folder: Path) -> dict[str, bytes]:
    """What one process after the other makes of the same images, in a folder of its own."""
    list(run_batch(recipe.model_copy(update={"out": str(folder)})))
    return results_in(folder)


def assert_each_once(recipe: Recipe, images: list[str]) -> None:
    """Every image has come out once, and has one folder of results."""
    there = map(str, Path(recipe.images[0]).parent.iterdir())
    assert Counter(images) == Counter(there)
    assert n_finished(Path(recipe.out)) == len(images)


def test_a_worker_is_killed(two_workers: LocalCluster, tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, N)
    victim = pids(two_workers)[0]
    outcomes = run_batch(recipe, on=Cluster(scheduler=two_workers.scheduler_address))
    first = next(outcomes)
    os.kill(victim, signal.SIGKILL)
    rest = list(outcomes)
    assert not [each.reason for each in (first, *rest) if each.status == "failed"]
    assert_each_once(recipe, [each.image for each in (first, *rest)])
    assert results_in(tmp_path / "results") == one_by_one(recipe, tmp_path / "alone")
    again = run_batch(recipe, on=Cluster(scheduler=two_workers.scheduler_address))
    assert {each.status for each in again} == {"skipped"}


def test_a_worker_is_slow(two_workers: LocalCluster, tmp_path: Path) -> None:
    """One is held while the other goes on; what the first had is done when it is let go."""
    recipe = batch_folder(tmp_path, N)
    with Client(two_workers) as client:
        client.wait_for_workers(2)
    slow = pids(two_workers)[0]
    images: list[str] = []
    on = Cluster(scheduler=two_workers.scheduler_address)
    run = threading.Thread(target=lambda: images.extend(e.image for e in run_batch(recipe, on=on)))
    run.start()
    until(lambda: n_finished(tmp_path / "results") >= 1)
    os.kill(slow, signal.SIGSTOP)
    try:
        held = n_finished(tmp_path / "results")
        until(lambda: n_finished(tmp_path / "results") > held or not run.is_alive())
    finally:
        os.kill(slow, signal.SIGCONT)
    run.join(PATIENCE_S)
    assert_each_once(recipe, images)


def test_a_worker_is_killed_while_both_search_the_tiles_of_a_huge_image(
    two_workers: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = batch_folder(tmp_path, 3, automatic=QUICK | {"cell_size": 40}, write=["ome-zarr"])
    path = sorted(tmp_path.joinpath("images").iterdir())[1]
    tifffile.imwrite(path, np.tile(tifffile.imread(path), (4, 6)))

    monkeypatch.setattr(cluster, "TILES", 1)
    victim = pids(two_workers)[1]
    images: list[str] = []
    on = Cluster(scheduler=two_workers.scheduler_address)
    run = threading.Thread(
        target=lambda: images.extend(each.image for each in run_batch(recipe, on=on))
    )
    with Client(two_workers) as client:
        client.register_plugin(LargeIsHuge())
        run.start()
        until(lambda: len([*tmp_path.rglob("*.npz")]) >= 3 or not run.is_alive())
        os.kill(victim, signal.SIGKILL)
        run.join(PATIENCE_S)
        client.unregister_worker_plugin(LargeIsHuge.name)
    assert_each_once(recipe, images)
    monkeypatch.setattr(huge, "HUGE", LargeIsHuge.pixels)
    assert results_in(tmp_path / "results") == one_by_one(recipe, tmp_path / "alone")
    assert len([*tmp_path.rglob("*.ome.zarr")]) == 2, "the huge one, here and there"


def test_the_client_is_killed_and_called_again(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, N)
    command = [sys.executable, "-m", "napari_sam", "batch", "recipe.yaml", "--workers", "1"]
    client = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    until(lambda: n_finished(tmp_path / "results") >= 1)
    client.kill()
    client.wait()
    outcomes = list(run_batch(recipe))
    statuses = Counter(each.status for each in outcomes)
    assert statuses["skipped"] >= 1
    assert statuses["failed"] == 0
    assert_each_once(recipe, [each.image for each in outcomes])
    assert results_in(tmp_path / "results") == one_by_one(recipe, tmp_path / "alone")


def test_an_image_that_takes_all_memory_is_left_out_after_three_tries(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 2, images="images/*")
    huge = tmp_path / "images" / "huge.png"  # a picture is decoded as a whole
    Image.new("RGB", (13000, 13000)).save(huge, compress_level=1)
    with start(1, "900MB") as running:
        outcomes = list(run_batch(recipe, on=Cluster(scheduler=running.scheduler_address)))
    by_name = {Path(each.image).name: each for each in outcomes}
    assert by_name.pop("huge.png").reason.startswith("Its worker was lost 3 times")
    assert {each.status for each in by_name.values()} == {"done"}
    assert len(outcomes) == 3
    assert not any((tmp_path / "results").glob("huge/*"))


def test_there_is_no_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PATIENCE_S", 0.5)
    recipe = batch_folder(tmp_path, 1)
    with pytest.raises(SamError, match="There is no scheduler at tcp"):
        list(run_batch(recipe, on=Cluster(scheduler="tcp://127.0.0.1:9")))


SCRIPT = """
from napari_sam.batch import Cluster, read_recipe, run_batch
list(run_batch(read_recipe("recipe.yaml"), on=Cluster(workers=1)))
"""


def test_a_script_that_its_workers_would_start_again(tmp_path: Path) -> None:
    batch_folder(tmp_path, 1)
    tmp_path.joinpath("script.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, text=True, capture_output=True, check=False
    )
    assert ran.returncode == 1
    assert 'put what starts the batch below a line `if __name__ == "__main__":`' in ran.stderr
    assert n_finished(tmp_path / "results") == 0


SRUN = '#!/bin/sh\nexec "$@"\n'  # one task here


def test_the_script_for_slurm_runs(tmp_path: Path) -> None:
    """That of the documentation, with a program in place of srun that starts one task."""
    recipe = batch_folder(tmp_path, 2)
    page = REPOSITORY.joinpath("docs", "cluster.md").read_text("utf-8")
    (script,) = re.findall(r"^```bash\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    tmp_path.joinpath("script.sh").write_text(script)
    tmp_path.joinpath("srun").write_text(SRUN)
    tmp_path.joinpath("srun").chmod(0o755)
    path = f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "script.sh"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        text=True,
        capture_output=True,
        check=False,
    )
    assert "2 done, 0 done before, 0 left out" in ran.stdout, ran.stderr
    assert n_finished(Path(recipe.out)) == 2
