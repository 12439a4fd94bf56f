"""Objects propagated through frames larger than the network's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

import movies
from movies import Path, moving
from napari_sam.engine import Crop, EmbeddingCache, FrameStack, iou
from napari_sam.headless.stacks import annotated_session
from napari_sam.session import Propagated, Region, Session
from napari_sam.stacks import plan, propagate
from napari_sam.stacks.motion import Picture
from napari_sam.stacks.step import Rules, step
from napari_sam.stacks.track import Before, Scene, Track
from napari_sam.stacks.views import choose_views

SIDE, INPUT = 3072, 256  # of frames; of the network's input, to which a frame is shrunk 12 times
RADIUS = 12
FIRST = (0, None, None)


def cells(paths: Mapping[int, Path], axes: str = "TYX") -> tuple[FrameStack, np.ndarray]:
    """Bright cells in large dark frames, and their labels."""
    n_frames = len(next(iter(paths.values())))
    labels = np.zeros((n_frames, SIDE, SIDE), np.uint8)
    reach = np.arange(-2 * RADIUS, 2 * RADIUS + 1)
    for object_id, path in paths.items():
        for t, place in enumerate(path):
            assert place is not None
            y, x, radius = (round(each) for each in place)
            rows, columns = reach[:, None] + y, reach[None] + x
            inside = (reach[:, None] ** 2 + reach[None] ** 2 <= radius**2) & (rows >= 0)
            where = np.nonzero(inside & (rows < SIDE) & (columns >= 0) & (columns < SIDE))
            labels[t, rows[where[0], 0], columns[0, where[1]]] = object_id
    pixels = np.full_like(labels, 20)
    pixels[labels > 0] = 200
    return FrameStack.from_array(pixels, axes=axes, limits=(0, 255)), labels


def run(stack: FrameStack, labels: np.ndarray, *known: int, **options) -> list[Propagated]:
    """All objects propagated from the first frame; the truth of others is known, too."""
    kept = np.zeros_like(labels)
    kept[[0, *known]] = labels[[0, *known]]
    session = annotated_session(stack, kept)
    steps = plan(session, session.ids_in(FIRST), FIRST, **options)
    return list(propagate(steps, stack, movies.predictor(INPUT), EmbeddingCache()))


def fit(result: Propagated, labels: np.ndarray) -> float:
    """IoU with the truth."""
    whole = (0, 0, SIDE, SIDE)
    return iou(result.mask.within(whole), labels[result.frame[0]] == result.object_id)


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "speed"), [("TYX", 13), ("ZYX", 0)])
def test_a_small_cell_is_followed_through_large_frames(axes: str, speed: int) -> None:
    """It moves by more than its radius from frame to frame, out of the crop that it begins in."""
    stack, labels = cells({3: moving(1590, 1500, speed, 0, 10, RADIUS)}, axes)
    results = run(stack, labels)
    assert [(r.frame[0], r.stopped) for r in results] == [(t, "") for t in range(1, 10)]
    assert min(fit(result, labels) for result in results) > 0.8


def test_in_the_whole_frame_made_smaller_it_is_lost() -> None:
    stack, labels = cells({3: moving(1590, 1500, 13, 0, 2, RADIUS)})
    seeing, cache = movies.predictor(INPUT), EmbeddingCache()
    frames = [stack.index(t) for t in (0, 1)]
    first, second = (cache.embed(seeing, stack, frame) for frame in frames)
    pictures = [Picture(each.picture, (SIDE, SIDE)) for each in (first, second)]
    track = Track.in_time(3, Region.from_mask(labels[0] == 3), frames[0])
    before, scene = Before(pictures[0]), Scene(frames[1], pictures[1], second.embedding)
    ((result, _),) = step([track], before, scene, seeing, Rules())
    assert fit(result, labels) < 0.7


@pytest.mark.slow
def test_a_cell_at_the_border_leaves_there_and_not_at_a_crop() -> None:
    stack, labels = cells({1: moving(40, 2900, -10, 0, 8, RADIUS)})
    results = run(stack, labels)
    assert "It left the frame" in results[-1].stopped
    assert all(fit(each, labels) > 0.7 for each in results if not each.stopped)


@pytest.mark.slow
def test_neighbours_in_different_crops_share_no_pixel() -> None:
    """A large cell is looked for in a larger crop than the small one beside it."""
    paths = {1: moving(1000, 1000, 1, 1, 4, 24), 2: moving(1000, 1038, 1, 1, 4, RADIUS)}
    stack, labels = cells(paths)
    results = run(stack, labels)
    assert len(results) == 6
    for t in (1, 2, 3):
        one, other = (each.mask for each in results if each.frame[0] == t)
        assert not one.common(other)
    assert min(fit(result, labels) for result in results) > 0.7


def test_frames_between_are_filled_from_both_sides() -> None:
    stack, labels = cells({1: moving(2900, 900, 9, 9, 5, RADIUS)})
    results = run(stack, labels, 4, direction="between")
    assert {result.frame[0] for result in results} == {1, 2, 3}
    assert min(fit(result, labels) for result in results) > 0.8


def track(object_id: int, y: int, x: int, side: int) -> Track:
    return Track.in_time(object_id, Region(y, x, np.ones((side, side), bool)), FIRST)


def test_objects_near_each_other_share_a_view_until_they_leave_it() -> None:
    tracks = [track(1, 5000, 5000, 20), track(2, 5080, 5040, 30), track(3, 9000, 200, 30)]
    near, far = choose_views(tracks, (20_000, 20_000))
    assert [each.object_id for each in near.tracks] == [1, 2]
    assert near.crop is not None
    assert near.crop.long_side == 512
    assert [each.object_id for each in far.tracks] == [3]
    moved = [replace(each, region=each.region.moved(20, 0)) for each in tracks]
    kept, _ = choose_views(moved, (20_000, 20_000), [near.crop, far.crop])
    assert kept.crop == near.crop
    away = [replace(each, region=each.region.moved(900, 0)) for each in tracks[:1]]
    (left,) = choose_views(away, (20_000, 20_000), [near.crop])
    assert left.crop != near.crop


def test_a_view_knows_neighbours_that_are_looked_for_elsewhere() -> None:
    tracks = [track(1, 5000, 5000, 20), track(2, 5000, 5024, 200), track(3, 5200, 9000, 20)]
    small, large, alone = choose_views(tracks, (20_000, 20_000))
    assert [each.object_id for each in small.neighbours] == [2]
    assert [each.object_id for each in large.neighbours] == [1]
    assert not alone.neighbours
    assert small.crop is not None
    for each in small.inside:
        assert min(each.region.window) >= 0
        assert max(each.region.window) <= small.crop.long_side


@pytest.mark.parametrize(
    ("shape", "side"), [((1024, 1024), 20), ((4000, 4000), 1500)], ids=["small", "all of it"]
)
def test_the_whole_frame_is_looked_at(shape, side) -> None:
    (view,) = choose_views([track(1, 100, 100, side), track(2, 900, 900, side)], shape)
    assert view.crop is None
    assert view.inside[0].region == track(1, 100, 100, side).region


def test_only_crops_are_read() -> None:
    stack, labels = cells({1: moving(1500, 2000, 5, 5, 4, RADIUS)})
    cache = EmbeddingCache()
    session = Session(stack, labels)
    steps = plan(session, [1], FIRST)
    list(propagate(steps, stack, movies.predictor(INPUT), cache))
    places = cache._hashes[stack]
    assert {type(place.crop) for place in places} == {Crop}
