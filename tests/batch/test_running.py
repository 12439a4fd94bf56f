"""A batch in one process: finished images are skipped, broken ones are said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from PIL import Image

from batch_cases import QUICK, batch_folder, results_in, write_images, write_recipe_file
from file_server import FolderServer, serving_folder
from napari_sam.batch import ImageTask, Recipe, check_recipe, huge, read_recipe, run_batch
from napari_sam.batch.results import Outcome
from napari_sam.batch.working import Worker
from napari_sam.engine import Prompts, SamError, alone, read_labels, write_labels, write_prompts
from napari_sam.headless import tiles
from small_runs import disks


def statuses(recipe: Recipe) -> dict[str, str]:
    """What became of each image, by its name."""
    return {Path(each.image).stem: each.status for each in run_batch(recipe)}


def test_finished_images_are_skipped_by_content(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 3)
    assert set(statuses(recipe).values()) == {"done"}
    before = results_in(tmp_path / "results")
    assert set(statuses(recipe).values()) == {"skipped"}
    assert results_in(tmp_path / "results") == before
    changed = tmp_path / "images" / "cells_01.tif"
    tifffile.imwrite(changed, 255 - tifffile.imread(changed))
    assert statuses(recipe) == {"cells_00": "skipped", "cells_01": "done", "cells_02": "skipped"}
    other = read_recipe(write_recipe_file(tmp_path, automatic=QUICK | {"border": False}))
    assert set(statuses(other).values()) == {"done"}


def test_what_is_written(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 1, write=["tiff", "overlay", "geojson"])
    (outcome,) = run_batch(recipe)
    names = {path.name for path in Path(outcome.folder).iterdir()}
    kinds = ("labels.tif", "overlay", "geojson.geojson", "measurements.csv")
    assert names == {*(f"cells_00-{kind}" for kind in kinds), "preview.png", "record.json"}
    labels = tifffile.imread(Path(outcome.folder) / "cells_00-labels.tif")
    table = pd.read_csv(Path(outcome.folder) / "cells_00-measurements.csv")
    assert set(np.unique(labels[labels > 0])) == set(table["object_id"])
    assert outcome.n_objects == len(table) > 0
    assert outcome.median_area == np.median(table["area_px2"])


def test_a_broken_image_is_said_and_the_others_are_done(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 2)
    tmp_path.joinpath("images", "broken.tif").touch()
    by_name = {Path(each.image).name: each for each in run_batch(recipe)}
    assert {name: each.status for name, each in by_name.items()} == {
        "broken.tif": "failed",
        "cells_00.tif": "done",
        "cells_01.tif": "done",
    }
    assert "not a TIFF file" in by_name["broken.tif"].reason


def write_zarr(path: Path, pixels: np.ndarray) -> None:
    """An OME-Zarr image of two levels."""
    group = zarr.create_group(path, overwrite=True)
    for n in (0, 1):
        group.create_array(str(n), data=pixels[:: 2**n, :: 2**n], chunks=(16, 16))
    axes = [{"name": each, "type": "space"} for each in "yx"]
    levels = [{"path": str(n)} for n in (0, 1)]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": levels}]}


@pytest.mark.slow
def test_an_image_at_an_address_is_skipped_until_it_changes(tmp_path: Path) -> None:
    pixels = disks(0, 2).image[..., 0]
    write_zarr(tmp_path / "image.zarr", pixels)
    with serving_folder(FolderServer(tmp_path)) as server:
        recipe = batch_folder(tmp_path, 0, images=f"{server.url}/image.zarr")
        (outcome,) = run_batch(recipe)
        assert (outcome.status, outcome.reason) == ("done", "")
        assert outcome.image == f"{server.url}/image.zarr"
        before = len(server.asked)
        assert list(statuses(recipe).values()) == ["skipped"]
        assert not [path for path in server.asked[before:] if "/0/c/" in path], "all of it read"
        write_zarr(tmp_path / "image.zarr", 255 - pixels)
        assert list(statuses(recipe).values()) == ["done"]
    (gone,) = run_batch(recipe, [ImageTask(f"{server.url}/image.zarr")])
    assert gone.status == "failed"
    assert "Check the address" in gone.reason


def test_labels_that_are_missing_are_said_and_the_others_are_done(tmp_path: Path) -> None:
    labels = {"labels": "{folder}/{stem}-given.png"}
    recipe = batch_folder(tmp_path, 2, automatic=None, refine=labels)
    given = np.zeros(tifffile.imread(tmp_path / "images" / "cells_00.tif").shape, np.uint8)
    Image.fromarray(given).save(tmp_path / "images" / "cells_00-given.png")
    done, failed = run_batch(recipe)
    assert (done.status, failed.status) == ("done", "failed")
    assert failed.reason == (
        f"{tmp_path / 'images' / 'cells_01-given.png'} cannot be read: No such file or directory. "
        "Is it there, and may you read it?"
    )


def test_two_images_of_one_name_have_results_of_their_own(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 1, images="images/**/*.tif")
    (path,) = write_images(tmp_path / "images" / "more", 1)
    tifffile.imwrite(path, 255 - tifffile.imread(path))
    assert len({each.folder for each in run_batch(recipe)}) == 2
    assert {each.status for each in run_batch(recipe)} == {"skipped"}


def test_two_images_of_one_content_have_one_result(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 1, images="images/**/*.tif")
    write_images(tmp_path / "images" / "more", 1)
    assert [each.status for each in run_batch(recipe)] == ["done", "skipped"]


def test_a_damaged_record_is_said(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 1)
    (done,) = run_batch(recipe)
    Path(done.folder, "record.json").write_text("{")
    (again,) = run_batch(recipe)
    assert again.status == "failed"
    assert "record.json is damaged. Remove the folder" in again.reason


def movie(folder: Path) -> None:
    """A small movie of a disk that moves, and its labels in the first frame."""
    rows, columns = np.mgrid[:64, :64]
    disks = [np.hypot(rows - 30, columns - 20 - 4 * t) < 9 for t in range(3)]
    frames = np.where(np.stack(disks), 200, 40).astype(np.uint8)
    tifffile.imwrite(folder / "images" / "movie.tif", frames, imagej=True, metadata={"axes": "TYX"})
    write_labels(folder / "images" / "movie-first.tiff", disks[0].astype(np.uint8))
    write_prompts(
        folder / "images" / "movie.csv", {(1, (0,)): Prompts.from_points([(30, 20)])}, ("t",)
    )
    box = [[10, 20], [31, 20], [31, 41], [10, 41], [10, 20]]
    elsewhere = [[x + 200, y] for x, y in box]
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        for ring in (box, elsewhere)
    ]
    collection = {"type": "FeatureCollection", "features": features}
    (folder / "images" / "movie.geojson").write_text(json.dumps(collection))
    write_labels(folder / "images" / "movie-other.tiff", np.stack(disks).astype(np.uint8))
    write_labels(folder / "labels.tif", disks[0].astype(np.uint8))
    tifffile.imwrite(folder / "example.tif", frames[0])


JOBS: list[dict[str, Any]] = [
    {"automatic": QUICK, "link": True},
    {"prompts": {"table": "{folder}/{stem}.csv"}},
    {"prompts": {"table": "{folder}/{stem}.geojson"}},
    {"propagate": {"labels": "{folder}/{stem}-first.tiff"}},
    {"refine": {"labels": "{folder}/{stem}-other.tiff", "options": {"min_iou": 0, "min_score": 0}}},
    {
        "alike": {
            "image": "example.tif",
            "labels": "labels.tif",
            "options": {"method": "grid", "points_per_side": 2, "min_likeness": 0.0},
        }
    },
]


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: next(iter(job)))
def test_every_job(job: dict[str, Any], tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 0, **({"automatic": None, "images": "images/movie.tif"} | job))
    movie(tmp_path)
    recipe = read_recipe(tmp_path / "recipe.yaml")
    (outcome,) = run_batch(recipe)
    assert outcome.status == "done", outcome.reason
    labels = tifffile.imread(Path(outcome.folder) / "movie-labels.tif")
    assert labels.shape == (3, 64, 64)
    assert len(np.unique(labels[labels > 0])) == outcome.n_objects


def test_prompts_that_do_not_fit_are_named_and_the_others_are_used(tmp_path: Path) -> None:
    table = {"table": "{folder}/{stem}.geojson"}
    batch_folder(tmp_path, 0, automatic=None, images="images/movie.tif", prompts=table)
    movie(tmp_path)
    (outcome,) = run_batch(read_recipe(tmp_path / "recipe.yaml"))
    assert (outcome.status, outcome.n_objects) == ("done", 1)
    assert any("movie.geojson" in said and "outside" in said for said in outcome.notices)


def test_labels_of_another_tool_are_refined_and_what_is_kept_is_counted(tmp_path: Path) -> None:
    own = {"labels": "{folder}/{stem}-other.tiff", "options": {"min_score": 1.0}}
    batch_folder(tmp_path, 0, automatic=None, images="images/movie.tif", refine=own)
    movie(tmp_path)
    (outcome,) = run_batch(read_recipe(tmp_path / "recipe.yaml"))
    kept = tifffile.imread(Path(outcome.folder) / "movie-labels.tif")
    np.testing.assert_array_equal(kept, tifffile.imread(tmp_path / "images/movie-other.tiff"))
    assert any(said.startswith("3 of 3 objects kept: ") for said in outcome.notices)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"model": {"model": "unknown_model"}}, "unknown_model"),
        ({"model": {"model": "gone.pth"}}, r"There is no file gone\.pth"),
        ({"images": "none/*.tif"}, "There is no image"),
        (
            {"automatic": None, "alike": {"image": "e.tif", "labels": "l.tif"}},
            r"alike\.image: there is no file .*e\.tif",
        ),
        ({"out": "recipe.yaml"}, r"out: .*recipe\.yaml is a file"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(
    more: dict[str, Any], says: str, tmp_path: Path
) -> None:
    recipe = batch_folder(tmp_path, 1, **more)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SamError, match=says):
        check_recipe(recipe)
    assert sorted(tmp_path.rglob("*")) == before


KILLED = """
import os, signal, sys
from napari_sam.batch import read_recipe, run_batch
for outcome in run_batch(read_recipe(sys.argv[1])):
    if outcome.status == "done":
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_killed_it_goes_on_where_it_was(tmp_path: Path) -> None:
    recipe = batch_folder(tmp_path, 3)
    ran = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "recipe.yaml")], check=False)
    assert ran.returncode == -signal.SIGKILL
    assert [each.status for each in run_batch(recipe)] == ["skipped", "done", "done"]
    whole = results_in(tmp_path / "results")
    tmp_path.joinpath("again").mkdir()
    list(run_batch(recipe.model_copy(update={"out": str(tmp_path / "again" / "results")})))
    assert results_in(tmp_path / "again" / "results") == whole


def large_folder(folder: Path) -> Recipe:
    """A recipe for one image of six tiles."""
    recipe = batch_folder(
        folder, 1, automatic=QUICK | {"cell_size": 40}, write=["ome-zarr", "tiff"]
    )
    (path,) = folder.joinpath("images").iterdir()
    tifffile.imwrite(path, np.tile(tifffile.imread(path), (3, 4)))
    return recipe


@pytest.mark.slow
def test_the_labels_of_a_huge_image_are_written_tile_by_tile(tmp_path: Path, monkeypatch) -> None:
    recipe = large_folder(tmp_path)
    (in_memory,) = run_batch(recipe)
    monkeypatch.setattr(huge, "HUGE", 1000)
    on_disk = recipe.model_copy(update={"out": str(tmp_path / "huge")})
    (outcome,) = run_batch(on_disk)
    assert (outcome.status, outcome.reason) == ("done", "")
    assert outcome.n_objects == in_memory.n_objects
    assert outcome.mean_score == pytest.approx(in_memory.mean_score, abs=1e-3)
    assert "written as OME-Zarr; tiff, measurements would need" in outcome.notices[-1]
    folder = Path(outcome.folder)
    names = {path.name for path in folder.iterdir()}
    assert names == {"cells_00-ome-zarr.ome.zarr", "preview.png", "record.json"}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "no tiles are left"
    labels = read_labels(folder / "cells_00-ome-zarr.ome.zarr")[0][...]
    expected = tifffile.imread(Path(in_memory.folder) / "cells_00-labels.tif")
    np.testing.assert_array_equal(labels > 0, expected > 0)
    assert [each.status for each in run_batch(on_disk)] == ["skipped"]


@pytest.mark.slow
def test_several_workers_search_the_tiles_of_a_huge_image(tmp_path: Path, monkeypatch) -> None:
    recipe = large_folder(tmp_path)
    monkeypatch.setattr(huge, "HUGE", 1000)
    (alone,) = run_batch(recipe.model_copy(update={"out": str(tmp_path / "alone")}))
    (task,) = check_recipe(recipe)
    one, other = Worker(recipe), Worker(recipe)
    begun = one.begin(task)
    assert isinstance(begun, huge.Huge)
    half = begun.n_tiles // 2
    assert other.search(task, begun, range(half, begun.n_tiles)).status == "done"
    assert one.search(task, begun, range(half)).status == "done"
    assert len([*Path(begun.tiles).glob("*.npz")]) == begun.n_tiles > 2
    monkeypatch.setattr(tiles, "propose_at_once", None)  # nothing is searched again
    joined = other.work(task)
    assert joined.status == "done", joined.reason
    written = results_in(tmp_path / "results")
    assert written == results_in(tmp_path / "alone")
    assert any(name.endswith("zarr.json") for name in written)
    assert (joined.n_objects, joined.mean_score) == (alone.n_objects, alone.mean_score)
    assert not Path(begun.tiles).exists()
    assert one.begin(task) == replace(joined, status="skipped")
    assert one.search(task, begun, range(half)).status == "failed", "another one was faster"


def test_two_batches_do_not_join_one_huge_image_at_a_time(tmp_path: Path, monkeypatch) -> None:
    recipe = large_folder(tmp_path)
    monkeypatch.setattr(huge, "HUGE", 1000)
    (task,) = check_recipe(recipe)
    worker = Worker(recipe)
    begun = worker.begin(task)
    assert isinstance(begun, huge.Huge)
    with alone(Path(begun.tiles), SamError("free")):
        for refused in (Worker(recipe).begin(task), Worker(recipe).work(task)):
            assert isinstance(refused, Outcome)
            assert refused.status == "failed"
            assert refused.reason.startswith("Another process is looking for the objects of this")
    assert worker.work(task).status == "done"


KILLED_WITHIN = """
import os, signal, sys
from napari_sam.batch import huge, read_recipe, run_batch
from napari_sam.headless import tiles

def save_and_die(path, decided):
    save(path, decided)
    if path.name.endswith(".2.npz"):
        os.kill(os.getpid(), signal.SIGKILL)

save, tiles._save, huge.HUGE = tiles._save, save_and_die, 1000
list(run_batch(read_recipe(sys.argv[1])))
"""


@pytest.mark.slow
def test_killed_within_a_huge_image_it_goes_on_there(tmp_path: Path, monkeypatch) -> None:
    recipe = large_folder(tmp_path)
    command = [sys.executable, "-c", KILLED_WITHIN, str(tmp_path / "recipe.yaml")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert len(kept) == 3
    monkeypatch.setattr(huge, "HUGE", 1000)
    looked_at: list[str] = []
    save = tiles._save
    monkeypatch.setattr(
        tiles, "_save", lambda path, decided: (looked_at.append(path.name), save(path, decided))
    )
    assert [each.status for each in run_batch(recipe)] == ["done"]
    assert looked_at
    assert not {path.name for path in kept} & {*looked_at}
    assert not [*tmp_path.rglob("*.npz"), *tmp_path.rglob("*.part")]
