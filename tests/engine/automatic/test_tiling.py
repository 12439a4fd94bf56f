"""Objects of frames larger than the network's input: the same ones whatever the grid of tiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

import movies
from napari_sam.engine import (
    AutomaticOptions,
    EmbeddingCache,
    FoundObject,
    FramePart,
    FrameStack,
    GridRules,
    Predictor,
    Tiling,
    decide,
    find_objects,
    load_model,
    propose,
    to_labels,
)
from napari_sam.engine.automatic import finding
from napari_sam.engine.automatic.proposing import propose_at_once
from napari_sam.engine.automatic.tiling import choose_tiling, find_cell_size

GRID = AutomaticOptions(method="grid", grid=GridRules(points_per_side=10), cell_size=40)
SHAPE = (150, 200)


def discs(places: list[tuple[int, int]], radius: int = 5) -> np.ndarray:
    """Labels of discs that do not touch: those nearer to an earlier one are left out."""
    labels = np.zeros(SHAPE, np.uint8)
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    kept: list[tuple[int, int]] = []
    for y, x in places:
        if all(np.hypot(y - other[0], x - other[1]) > 2 * radius + 3 for other in kept):
            kept.append((y, x))
            labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = len(kept)
    return labels


def seen(labels: np.ndarray) -> FrameStack:
    return FrameStack.from_array(np.where(labels > 0, 200, 20).astype(np.uint8), limits=(0, 255))


def found_in(stack: FrameStack, options: AutomaticOptions = GRID) -> list[FoundObject]:
    frame = next(stack.indices())
    return list(find_objects(movies.predictor(), stack, frame, options))


def same_objects(labels: np.ndarray, other: np.ndarray, least: float = 1.0) -> float:
    """The share of objects that another labelling has, with that IoU at least."""
    ids = np.unique(labels[labels > 0])
    n = 0
    for each in ids:
        mask = labels == each
        there, counts = np.unique(other[mask], return_counts=True)
        shared = dict(zip(there.tolist(), counts.tolist(), strict=True))
        shared.pop(0, None)
        n += any(k >= least * (mask | (other == i)).sum() for i, k in shared.items())
    return n / max(1, len(ids))


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "parts"), [(0, 6), (1, 5), (2, 4), (3, 3)])
def test_any_grid_of_tiles_finds_every_object_once_and_whole(
    monkeypatch: pytest.MonkeyPatch, seed: int, parts: int
) -> None:
    truth = discs(np.random.default_rng(seed).integers(0, SHAPE, (60, 2)).tolist())
    tiling = Tiling.of(SHAPE, 1.0, movies.SIZE, parts)
    monkeypatch.setattr(finding, "choose_tiling", lambda *_: tiling)
    found = found_in(seen(truth))
    labels = to_labels(found, SHAPE)
    np.testing.assert_array_equal(labels > 0, truth > 0)
    assert same_objects(truth, labels) == 1
    assert labels.max() == truth.max() > 20
    assert all(each.tile is not None for each in found)


@pytest.mark.slow
def test_an_object_that_no_tile_shows_whole_is_joined_of_its_pieces() -> None:
    truth = np.zeros(SHAPE, np.uint8)
    truth[70:76, 10:190] = 1  # longer than two tiles
    truth[20:130, 100:104] = 1
    truth[100:106, 20:30] = 2
    options = replace(GRID, grid=GridRules(points_per_side=16))  # so many that all is clicked
    found = [each for each in found_in(seen(truth), options) if each.dropped is None]
    np.testing.assert_array_equal(to_labels(found, SHAPE) > 0, truth > 0)
    assert sorted(each.area for each in found) == [60, int((truth == 1).sum())]


@pytest.mark.slow
def test_a_part_of_the_frame_has_the_objects_that_all_of_it_has() -> None:
    truth = discs([(y, x) for y in range(5, 150, 17) for x in range(8, 200, 19)])
    stack = seen(truth)
    outline = ((20, 30), (20, 120), (90, 120), (90, 30))
    part = to_labels(found_in(stack, replace(GRID, within=outline)), SHAPE)
    whole = to_labels(found_in(stack), SHAPE)
    assert 15 < part.max() < whole.max()
    assert same_objects(part, whole) == 1


@pytest.mark.slow
def test_filters_and_what_is_annotated_count_as_in_a_small_frame() -> None:
    truth = discs([(4, 50), (60, 47), (60, 100), (110, 150)])
    stack, frame = seen(truth), (None, None)
    found = list(propose(movies.predictor(), stack, frame, GRID))

    def standing(options: AutomaticOptions, annotated: np.ndarray | None = None) -> int:
        decided = decide(found, options, SHAPE, annotated)
        assert len(decided) == len(found)
        return sum(each.dropped is None for each in decided)

    assert standing(GRID) == 4
    assert standing(replace(GRID, border=False)) == 3
    assert standing(replace(GRID, min_area=100)) == 0
    assert standing(GRID, np.where(truth == 2, 7, 0)) == 3
    dropped = {each.dropped for each in decide(found, GRID, SHAPE)}
    assert "in another tile" in dropped


def test_progress_is_told_and_stops_the_work() -> None:
    truth = discs([(y, x) for y in range(5, 150, 30) for x in range(8, 200, 30)])
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        list(find_objects(movies.predictor(), seen(truth), (None, None), GRID, progress=progress))
    assert told == sorted(told)
    assert told[-1] == (5, 20)


def test_frames_up_to_the_input_and_large_cells_are_one_piece() -> None:
    small = FrameStack.from_array(np.zeros((64, 64), np.uint8))
    large = FrameStack.from_array(np.zeros(SHAPE, np.uint8))
    given = (movies.predictor(), (None, None), EmbeddingCache())

    def tiles(stack: FrameStack, options: AutomaticOptions) -> int:
        predictor, frame, cache = given
        return len(choose_tiling(predictor, stack, frame, options, cache) or ())

    assert tiles(small, replace(GRID, cell_size=10)) == 0
    assert tiles(large, GRID) == 20
    assert tiles(large, replace(GRID, cell_size=200)) == 0
    assert tiles(large, replace(GRID, grid=GridRules(crop_n_layers=1))) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("radius", "places"), [(5, 16), (12, 30)])
def test_a_first_look_tells_the_size_of_cells(radius: int, places: int) -> None:
    spots = [(y, x) for y in range(15, 150, places) for x in range(15, 200, places)]
    stack = seen(discs(spots, radius))
    options = replace(GRID, cell_size=None)
    size = find_cell_size(movies.predictor(), stack, (None, None), options, EmbeddingCache())
    assert size == pytest.approx(2 * radius + 0.5, abs=1)


@pytest.mark.slow
def test_nothing_to_see_has_no_size() -> None:
    stack = seen(np.zeros(SHAPE, np.uint8))
    options = replace(GRID, cell_size=None)
    cache = EmbeddingCache()
    assert find_cell_size(movies.predictor(), stack, (None, None), options, cache) is None


@pytest.mark.slow
def test_the_embedded_model_finds_in_tiles_what_it_finds_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(3)
    pixels = np.full((512, 512), 20.0)
    rows, columns = np.mgrid[:512, :512]
    for y in range(30, 512, 42):
        for x in range(30, 512, 42):
            dy, dx = rows - y - rng.uniform(-7, 7), columns - x - rng.uniform(-7, 7)
            inside = (dy / rng.uniform(9, 14)) ** 2 + (dx / rng.uniform(9, 14)) ** 2 <= 1
            pixels[inside] = rng.uniform(80, 200)
    pixels = ndimage.gaussian_filter(pixels, 1.5) + rng.normal(0, 5, pixels.shape)
    stack = FrameStack.from_array(np.clip(pixels, 0, 255).astype(np.uint8), limits=(0, 255))
    frame, shape = (None, None), (512, 512)
    predictor, options = Predictor(load_model("pocket", device="cpu")), AutomaticOptions()
    whole = FramePart.of(stack, frame, (0, 0, *shape), 1.0)
    at_once = list(propose_at_once(predictor, whole, frame, options, EmbeddingCache()))
    expected = to_labels(decide(at_once, options, shape), shape)
    tiling = Tiling(shape, 1.0, core=256, halo=128)
    monkeypatch.setattr(finding, "choose_tiling", lambda *_: tiling)
    labels = to_labels(list(find_objects(predictor, stack, frame, options)), shape)
    assert expected.max() > 100
    assert same_objects(expected, labels, 0.95) >= 0.99
    assert same_objects(labels, expected, 0.95) >= 0.99
