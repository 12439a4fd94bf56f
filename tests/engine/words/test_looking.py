"""Frames of stacks and of any size: every object once, the threshold without another look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import label, regionprops

from napari_sam import Cancelled, FrameStack
from napari_sam.engine import PromptSet, TextDetector, detect_by_words, load_text_detector
from napari_sam.engine.words.detector import Found
from napari_sam.engine.words.looking import suppressed, windows

PHRASES = ("nucleus", "cell")


class Bright(TextDetector):
    """Finds what is bright, as far as it is in the picture: nuclei are brighter than cells."""

    def look(
        self, picture: np.ndarray, phrases: Sequence[str], report: Callable[[], None] = int
    ) -> Found:
        report()
        regions = regionprops(label(picture[..., 0] > 90), picture[..., 0])
        boxes = np.array([each.bbox for each in regions], float).reshape(-1, 4) - 0.5
        bright = np.array([each.intensity_mean for each in regions])
        return Found(boxes, bright / 255, (bright < 200).astype(np.intp))


@pytest.fixture
def bright(detector_folders: dict[str, Path]) -> TextDetector:
    owl = load_text_detector(detector_folders["owlv2"], device="cpu")
    return Bright(**{name: getattr(owl, name) for name in TextDetector.__dataclass_fields__})


def frame(shape: tuple[int, int], boxes: Sequence[tuple[int, int, int, int]]) -> np.ndarray:
    pixels = np.zeros(shape, np.uint8)
    for n, (y0, x0, y1, x1) in enumerate(boxes):
        pixels[y0:y1, x0:x1] = 250 - n % 40
    return pixels


BOXES = {  # in a frame of 300 x 400, looked at in tiles of 96 with cores of 72
    "inside a tile": [(10, 10, 20, 25)],
    "across two cores": [(66, 30, 78, 40)],
    "across four cores": [(140, 140, 150, 150)],
    "at the corners": [(0, 0, 9, 9), (291, 391, 300, 400), (0, 390, 8, 400), (292, 0, 300, 9)],
    "larger than a tile": [(50, 50, 250, 380)],
    "one pixel": [(100, 100, 101, 101)],
    "many": [(y, x, y + 7, x + 9) for y in range(3, 290, 19) for x in range(2, 390, 23)],
}


@pytest.mark.parametrize("name", BOXES)
def test_each_object_of_a_large_frame_is_found_once_and_whole(
    name: str, bright: TextDetector
) -> None:
    stack = FrameStack.from_array(frame((300, 400), BOXES[name]), limits=(0, 255))
    found = PromptSet.of(detect_by_words(PHRASES, bright, stack))
    boxes = {each.prompts.box for each in found.objects}
    assert boxes == {tuple(side - 0.5 for side in box) for box in BOXES[name]}
    assert len(found) == len(BOXES[name])
    assert not found.left_out


def test_what_is_found_is_in_the_frames_as_the_network_sees_them(bright: TextDetector) -> None:
    stack = np.zeros((3, 60, 80), np.uint16)
    stack[1] = frame((60, 80), [(5, 5, 15, 20), (30, 40, 50, 60)]).astype(np.uint16) * 160
    seen = FrameStack.from_array(stack, axes="TYX", limits=(0, 40_000))
    found = PromptSet.of(detect_by_words(PHRASES, bright, seen))
    assert [each.at for each in found.objects] == [(1,), (1,)]
    assert set(found.classes.values()) == {"nucleus"}
    first, second = found.objects
    assert (first.score or 0) > (second.score or 1)
    assert len(found.at_least(first.score or 0)) == 1
    dark = FrameStack.from_array(stack, axes="TYX", limits=(0, 65_535))
    assert set(PromptSet.of(detect_by_words(PHRASES, bright, dark)).classes.values()) == {"cell"}
    only = PromptSet.of(detect_by_words(PHRASES, bright, seen, [seen.index(0)]))
    assert not only.objects


def test_progress_counts_looks_and_stops_them(bright: TextDetector) -> None:
    stack = FrameStack.from_array(np.zeros((2, 150, 100), np.uint8), axes="TYX", limits=(0, 255))
    heard: list[tuple[int, int]] = []
    list(detect_by_words(PHRASES, bright, stack, progress=lambda *at: heard.append(at)))
    per_frame = len(windows((150, 100), bright.input_side, 1.0))
    assert heard[0] == (0, 2 * per_frame)
    assert heard[-1] == (2 * per_frame, 2 * per_frame)

    def cancel(done: int, total: int) -> None:
        if done == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(detect_by_words(PHRASES, bright, stack, progress=cancel))


@pytest.mark.slow
def test_the_real_networks_in_tiles(detector_folders: dict[str, Path]) -> None:
    for folder in detector_folders.values():
        detector = load_text_detector(folder, device="cpu")
        pixels = np.random.default_rng(0).integers(0, 4000, (2, 130, 170), dtype=np.uint16)
        found = PromptSet.of(
            detect_by_words(PHRASES, detector, FrameStack.from_array(pixels, axes="TYX"))
        )
        assert {each.at for each in found.objects} == {(0,), (1,)}
        assert set(found.classes.values()) <= set(PHRASES)
        for each in found.objects:
            y0, x0, y1, x1 = each.prompts.box or (0, 0, 0, 0)
            assert -0.5 <= y0 < y1 <= 129.5
            assert -0.5 <= x0 < x1 <= 169.5
        again = detect_by_words(PHRASES, detector, FrameStack.from_array(pixels[:1], axes="TYX"))
        first = [each for each in found.objects if each.at == (0,)]
        assert [replace(each, object_id=0).score for each in first] == [
            getattr(each, "score", None) for each in again
        ]


SHAPES = st.tuples(st.integers(1, 700), st.integers(1, 700))


@given(shape=SHAPES, side=st.sampled_from((64, 96)), reduction=st.sampled_from((0.25, 1.0, 2.0)))
def test_windows_cover_a_frame_and_are_alike(
    shape: tuple[int, int], side: int, reduction: float
) -> None:
    (whole, full), *tiles = windows(shape, side, reduction)
    assert whole is None
    assert full == (0, 0, *shape)
    covered = np.zeros(shape, int)
    for tile, (y0, x0, y1, x1) in tiles:
        assert tile is not None
        assert 0 <= y0 <= tile.core[0] < tile.core[2] <= y1 <= shape[0]
        assert 0 <= x0 <= tile.core[1] < tile.core[3] <= x1 <= shape[1]
        covered[tile.core[0] : tile.core[2], tile.core[1] : tile.core[3]] += 1
    if tiles:
        assert (covered == 1).all()
        heights = {y1 - y0 for _, (y0, _, y1, _) in tiles}
        assert max(heights) <= max(side * reduction + 8, min(heights))


def iou(a: Any, b: Any) -> float:
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


CORNERS = arrays.arrays(np.float64, (12, 2), elements=st.integers(0, 20))
SIZES = arrays.arrays(np.float64, (12, 2), elements=st.integers(1, 20))
SCORES = arrays.arrays(np.float64, 12, elements=st.integers(1, 99), unique=True)


@given(corners=CORNERS, sizes=SIZES, scores=SCORES, threshold=st.integers(0, 99))
def test_of_boxes_that_overlap_the_surest_stays_at_any_threshold(
    corners: np.ndarray, sizes: np.ndarray, scores: np.ndarray, threshold: int
) -> None:
    boxes = np.concatenate([corners, corners + sizes], axis=-1)
    kept = suppressed(boxes, scores, 0.5)
    assert list(scores[kept]) == sorted(scores[kept], reverse=True)
    for n in range(len(boxes)):
        surer = [k for k in kept if scores[k] > scores[n]]
        assert (n in kept) == all(iou(boxes[n], boxes[k]) <= 0.5 for k in surer)
    above = np.flatnonzero(scores >= threshold)
    again = [int(above[n]) for n in suppressed(boxes[above], scores[above], 0.5)]
    assert again == [n for n in kept if scores[n] >= threshold]
