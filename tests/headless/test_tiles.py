"""Labels of images of any size, written to disk tile by tile: whole, once, and taken up again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import movies
from napari_sam.engine import (
    AutomaticOptions,
    FrameStack,
    GridRules,
    SamError,
    alone,
    find_objects,
    read_labels,
    read_scales,
    to_labels,
    write_labels,
)
from napari_sam.headless.automatic import Progress
from napari_sam.headless.tiles import Source, Written, find_to_disk

GRID = AutomaticOptions(method="grid", grid=GridRules(points_per_side=10), cell_size=40)
SHAPE = (100, 150)


def source() -> Source:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    truth = ((rows % 20 - 10) ** 2 + (columns % 20 - 10) ** 2 <= 25).astype(np.uint8)
    truth[80:84, 5:145] = 1  # longer than a tile
    pixels = np.where(truth > 0, 200, 20).astype(np.uint8)
    stack = FrameStack.from_array(np.stack([pixels, pixels]), axes="TYX", limits=(0, 255))
    return Source(stack, "discs", "TYX", (2.0, 0.5, 0.5), ("second", "micrometer", "micrometer"))


def written(out: Path, options: AutomaticOptions = GRID, **more: object) -> Written:
    given = source()
    frames = [given.stack.index(1)]
    return find_to_disk(given, movies.predictor(), out, options, frames, **more)


def stop_half_way(done: int, total: int) -> None:
    if done >= total // 2:
        raise InterruptedError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes that nothing stops."""
    out = tmp_path_factory.mktemp("whole") / "labels.ome.zarr"
    written(out)
    return out


@pytest.fixture(scope="module")
def nearly_done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiles of a run that was stopped before its last one."""

    def stop(done: int, total: int) -> None:
        if done >= total - 1:
            raise InterruptedError

    folder = tmp_path_factory.mktemp("nearly done")
    with pytest.raises(InterruptedError):
        written(folder / "labels.ome.zarr", tiles=folder / "tiles", progress=stop)
    return folder / "tiles"


@pytest.mark.slow
def test_what_is_written_is_what_is_found_in_memory(tmp_path: Path) -> None:
    out = tmp_path / "labels.ome.zarr"
    result = written(out)
    labels, axes = read_labels(out)
    stack = source().stack
    expected = to_labels(
        find_objects(movies.predictor(), stack, stack.index(1), GRID), stack.frame_shape
    )
    assert (axes, labels.shape) == ("TYX", (2, *SHAPE))
    assert not labels[0].any()
    np.testing.assert_array_equal(labels[1] > 0, expected > 0)
    pairs = set(zip(labels[1][expected > 0].tolist(), expected[expected > 0].tolist(), strict=True))
    assert len(pairs) == result.n_objects == len(np.unique(expected)) - 1 > 20
    assert sum(result.areas) >= np.count_nonzero(expected)
    assert len(result.scores) == result.n_objects
    assert read_scales(out)["Y"] == (0.5, "micrometer")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(whole: Path, tmp_path: Path) -> None:
    stopped = tmp_path / "stopped.ome.zarr"
    with pytest.raises(InterruptedError):
        written(stopped, progress=stop_half_way)
    assert not stopped.exists()
    result = written(stopped)
    assert result.n_tiles // 3 <= result.n_kept < result.n_tiles
    np.testing.assert_array_equal(read_labels(whole)[0][1], read_labels(stopped)[0][1])


@pytest.mark.slow
@pytest.mark.parametrize("damaged", ["frame-1.1.npz", "frame-1.json", "about.json"])
@pytest.mark.parametrize("content", [b"", b"[1]", b"PK\x03\x04"])
def test_what_a_disk_damaged_is_searched_again(
    damaged: str, content: bytes, whole: Path, nearly_done: Path, tmp_path: Path
) -> None:
    out, tiles = tmp_path / "labels.ome.zarr", tmp_path / "tiles"
    shutil.copytree(nearly_done, tiles)
    assert (tiles / damaged).is_file()
    (tiles / damaged).write_bytes(content)
    result, expected = written(out, tiles=tiles), read_labels(whole)[0][1]
    assert result.n_objects == len(np.unique(expected)) - 1
    np.testing.assert_array_equal(read_labels(out)[0][1], expected)
    assert (result.n_kept > 0) == (damaged == "frame-1.1.npz"), "only this tile"


@pytest.mark.slow
def test_other_options_begin_anew(tmp_path: Path) -> None:
    out = tmp_path / "labels.ome.zarr"
    with pytest.raises(InterruptedError):
        written(out, progress=stop_half_way)
    assert written(out, replace(GRID, min_area=30)).n_kept == 0


@pytest.mark.slow
def test_another_image_of_the_same_file_begins_anew(tmp_path: Path) -> None:
    out, path = tmp_path / "labels.ome.zarr", tmp_path / "two.tif"
    stack = source().stack
    write_labels(path, np.zeros((2, *SHAPE), np.uint8))

    def run(series: str, progress: Progress | None = None) -> Written:
        given = Source.of_file(path, stack, "TYX", series)
        frames = [stack.index(1)]
        return find_to_disk(given, movies.predictor(), out, GRID, frames, progress=progress)

    for series in ("0", "1"):
        with pytest.raises(InterruptedError):
            run(series, stop_half_way)
    assert run("0").n_kept == 0


def test_two_processes_do_not_write_one_result(tmp_path: Path) -> None:
    out = tmp_path / "labels.ome.zarr"
    tiles = out.with_name(f"{out.name}.tiles")
    with alone(tiles, SamError("")), pytest.raises(SamError, match="Another process is writing"):
        written(out)
    part = out.with_name(".part")  # of a batch, which says itself which image it is
    with alone(tiles, SamError("")), pytest.raises(SamError, match="objects of this image"):
        written(part, tiles=tiles)


@pytest.mark.slow
def test_levels_are_there_for_napari(tmp_path: Path) -> None:
    out = tmp_path / "labels.ome.zarr"
    rng = np.random.default_rng(0)
    pixels = np.full((64, 1400), 20, np.uint8)
    pixels[:, ::40] = rng.integers(150, 200)
    stack = FrameStack.from_array(pixels, limits=(0, 255))
    few = replace(GRID, grid=GridRules(points_per_side=2))
    find_to_disk(Source(stack, "wide"), movies.predictor(), out, few)
    group = zarr.open_group(out, mode="r")
    shapes = [
        group[each["path"]].shape for each in group.attrs["ome"]["multiscales"][0]["datasets"]
    ]
    assert shapes == [(64, 1400), (32, 700), (16, 350), (8, 175)]
    np.testing.assert_array_equal(group["1"][...], group["0"][::2, ::2])
