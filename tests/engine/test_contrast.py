"""Pixels of any type to 8 bit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam.engine.contrast import area_mean, frame_limits, robust_limits, stretch, to_rgb

NUMBERS = st.sampled_from(
    ["uint8", "int8", "uint16", "int16", ">u2", ">i2", "uint32", "int64", "float32", "float64"]
)
IMAGES = NUMBERS.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
)


@given(IMAGES)
def test_limits_lie_within_the_values(image):
    low, high = robust_limits(image)
    finite = image[np.isfinite(image)]
    if finite.size:
        assert finite.min() <= low <= high <= finite.max()


@given(IMAGES, st.data())
def test_stretching_never_swaps_two_pixels(image, data):
    low, high = sorted(
        data.draw(st.tuples(*[st.floats(-1e30, 1e30), st.floats(-1e30, 1e30)]), label="limits")
    )
    stretched = stretch(image, low, high)
    assert stretched.dtype == np.uint8
    order = np.argsort(image[~np.isnan(image)], kind="stable")
    assert (np.diff(stretched[~np.isnan(image)][order].astype(int)) >= 0).all()
    assert not stretched[np.isnan(image)].any()


@given(IMAGES)
def test_the_table_of_small_integers_says_what_floats_say(image):
    low, high = robust_limits(image)
    wide = image.astype(np.float64)
    assert np.array_equal(stretch(image, low, high), stretch(wide, low, high))


LIMIT_CASES = {
    "a ramp": (np.arange(10000.0), (10, 9989)),
    "hot pixels": (np.r_[np.arange(10000), [65535] * 5].astype(np.uint16), (11, 9993)),
    "dead and hot": (np.r_[-9e9, np.arange(2000.0), 9e9], (2, 1997)),
    "NaN and infinity": (np.r_[np.nan, np.arange(2000.0), np.inf, -np.inf], (2, 1997)),
    "negative": (np.arange(-2000, 0, dtype=np.int16), (-1998, -3)),
    "constant": (np.full(50, 7, np.uint8), (7, 7)),
    "one pixel": (np.full(1, 7, np.uint8), (7, 7)),
    "two pixels": (np.array([1, 5]), (1, 5)),
    "almost constant": (np.r_[np.zeros(5000), 3.0], (0, 3)),
    "nothing finite": (np.full(9, np.nan), (0, 0)),
    "boolean": (np.array([False, False]), (0, 1)),
}


@pytest.mark.parametrize("name", LIMIT_CASES)
def test_limits(name):
    values, expected = LIMIT_CASES[name]
    assert robust_limits(values) == expected


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
def test_a_hot_pixel_does_not_darken_the_frame(dtype):
    cells = np.random.default_rng(0).integers(10, 120, (300, 400)).astype(dtype)
    calm = to_rgb(cells[..., None], frame_limits(cells[..., None], rgb=False))
    cells[::100, ::100] = np.iinfo(dtype).max if dtype != "float32" else 1e30
    hot = to_rgb(cells[..., None], frame_limits(cells[..., None], rgb=False))
    assert calm.mean() == pytest.approx(127.5, abs=3)
    assert hot.mean() == pytest.approx(calm.mean(), abs=3)


@pytest.mark.parametrize("value", [0, 7, -3.0, np.nan, np.inf, 1e300])
def test_a_constant_frame_is_black(value):
    pixels = np.full((5, 6, 1), value)
    assert not to_rgb(pixels, frame_limits(pixels, rgb=False))[..., 0].any() or value == np.inf


def test_values_far_from_zero_keep_their_contrast():
    pixels = (4_000_000_000 + np.arange(256, dtype=np.uint32)).reshape(16, 16)
    assert np.array_equal(stretch(pixels, 4e9, 4e9 + 255), np.arange(256).reshape(16, 16))


def test_nan_is_black_and_infinity_white():
    pixels = np.array([[np.nan, -np.inf, np.inf, 0.5]])
    assert stretch(pixels, 0, 1).tolist() == [[0, 0, 255, 128]]


def test_a_boolean_frame_is_black_and_white():
    pixels = np.array([[True, False]])[..., None]
    assert to_rgb(pixels, frame_limits(pixels, rgb=False))[0, :, 0].tolist() == [255, 0]


@given(hnp.arrays("uint16", st.tuples(*[st.integers(1, 40)] * 2, st.just(1))), st.integers(2, 5))
def test_means_cover_the_whole_field(pixels, factor):
    mean = area_mean(pixels, factor)
    assert mean.dtype == pixels.dtype
    assert mean.shape == (*(max(1, n // factor) for n in pixels.shape[:2]), 1)
    assert pixels.min() <= mean.min()
    assert mean.max() <= pixels.max()


def test_a_mean_is_the_mean_of_its_pixels():
    pixels = np.random.default_rng(0).normal(size=(12, 20, 2))
    expected = pixels.reshape(3, 4, 5, 4, 2).mean(axis=(1, 3))
    assert np.allclose(area_mean(pixels, 4), expected)


@pytest.mark.parametrize("size", [40, 41, 42, 43])
def test_a_mean_stays_in_its_place(size):
    pixels = np.broadcast_to(np.arange(size, dtype=float)[:, None, None], (size, size, 1))
    mean = area_mean(pixels, 4)[:, 0, 0]
    pitch = size / len(mean)
    centres = (np.arange(len(mean)) + 0.5) * pitch - 0.5
    assert np.abs(mean - centres).max() <= 0.5


@pytest.mark.parametrize("shape", [(1, 4000, 1), (4000, 1, 1), (3, 4000, 1)])
def test_a_side_shorter_than_the_factor_becomes_one_pixel_of_its_mean(shape):
    pixels = np.random.default_rng(0).normal(size=shape)
    mean = area_mean(pixels, 100)
    assert mean.size == 40
    expected = pixels.reshape(shape[0], -1, 100 if shape[1] > 1 else 1).mean(axis=(0, 2))
    if shape[1] == 1:
        expected = pixels.reshape(-1, 100).mean(axis=1)
    assert np.allclose(mean.ravel(), expected)


@pytest.mark.parametrize("shape", [(1, 1_000_000, 1), (1_000_000, 1, 1)])
def test_a_thin_image_takes_memory_with_its_length(shape):
    pixels = np.zeros(shape, np.uint16)
    tracemalloc.start()
    area_mean(pixels, 488)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 * pixels.nbytes
