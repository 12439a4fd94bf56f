"""Synthetic microscopy: what every kind of image must keep to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.training.pocket import synthetic
from napari_sam.training.pocket.synthetic import MIN_VISIBLE, synthesise

LAYOUTS = (synthetic.scattered, synthetic.clustered, synthetic.tissue, synthetic.rods)
APPEARANCES = (
    synthetic.fluorescence,
    synthetic.membranes,
    synthetic.phase_contrast,
    synthetic.relief,
    synthetic.stained,
    synthetic.textured,
)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_layouts_hold_objects(layout: synthetic.LayoutMaker, seed: int) -> None:
    labels = layout(np.random.default_rng(seed), 128)
    assert labels.shape == (128, 128)
    assert labels.dtype == np.int32
    assert labels.max() >= 1


@pytest.mark.parametrize("appearance", APPEARANCES, ids=lambda f: f.__name__)
def test_appearances_show_the_objects(appearance: synthetic.AppearanceMaker) -> None:
    """Rim, core and surroundings differ more in level than in the same image without objects."""
    labels = np.zeros((96, 96), np.int32)
    labels[20:50, 20:60] = 1
    labels[60:90, 10:40] = 2
    with_objects = [appearance(labels, np.random.default_rng(s)) for s in range(8)]
    nothing = [appearance(np.zeros_like(labels), np.random.default_rng(s)) for s in range(8)]
    assert all(np.isfinite(image).all() for image in (*with_objects, *nothing))
    contrast, chance = (
        np.mean([outline_contrast(image, labels) for image in images])
        for images in (with_objects, nothing)
    )
    assert contrast > 1.5 * chance


def outline_contrast(image: np.ndarray, labels: np.ndarray) -> float:
    """Range of the mean levels of rims inside and outside and of the core, in deviations."""
    inside = labels > 0
    rim = inside & ~ndimage.binary_erosion(inside, iterations=3)
    outside = ndimage.binary_dilation(inside, iterations=3) & ~inside
    core = ndimage.binary_erosion(inside, iterations=6)
    means = [np.atleast_1d(image[where].mean(0)) for where in (rim, outside, core)]
    return float(np.ptp(means, axis=0).max() / image.std())


@pytest.mark.parametrize("seed", range(6))
def test_synthesise(seed: int) -> None:
    frame = synthesise(np.random.default_rng(seed), 128)
    assert frame.image.shape == (128, 128, 3)
    assert frame.image.dtype == np.uint8
    assert frame.image.min() < 60
    assert frame.image.max() > 200
    for id_ in np.unique(frame.labels[frame.labels > 0]):
        one = frame.labels == id_
        assert one.sum() >= MIN_VISIBLE
        assert ndimage.label(one)[1] == 1


def test_a_seed_makes_the_same_image() -> None:
    first, second = (synthesise(np.random.default_rng(4), 96) for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.labels, second.labels)
