"""Synthetic microscopy: what every kind of image must keep to."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_sam.training.pocket.synthetic import appearances, layouts, synthesise
from napari_sam.training.pocket.synthetic.layouts import MIN_VISIBLE, nuclei_in

LAYOUTS = dict.fromkeys(layouts.LAYOUTS)
APPEARANCES = dict.fromkeys(appearances.APPEARANCES)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("seed", range(3))
def test_layouts_hold_objects(layout: layouts.LayoutMaker, seed: int) -> None:
    labels = layout(np.random.default_rng(seed), 128)
    assert labels.shape == (128, 128)
    assert labels.dtype == np.int32
    assert labels.max() >= 1


@pytest.mark.slow
@pytest.mark.parametrize("appearance", APPEARANCES, ids=lambda f: f.__name__)
def test_appearances_show_the_objects(appearance: appearances.AppearanceMaker) -> None:
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


def test_rods_of_a_chain_follow_each_other() -> None:
    """Most cells have a neighbour within a radius or two of their ends."""
    labels = layouts.rod_chains(np.random.default_rng(3), 256)
    ids = [id_ for id_ in np.unique(labels)[1:] if (labels == id_).sum() > MIN_VISIBLE]
    near = 0
    for id_ in ids:
        around = ndimage.binary_dilation(labels == id_, iterations=12)
        near += len(np.unique(labels[around])) > 2
    assert near >= 0.8 * len(ids) > 4


def test_every_nucleus_is_inside_its_cell() -> None:
    cells = layouts.visible_pieces(layouts.scattered(np.random.default_rng(2), 192))
    nuclei = nuclei_in(cells, np.random.default_rng(0))
    assert set(np.unique(nuclei)) == set(np.unique(cells))
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    ratio = np.bincount(nuclei.ravel())[1:].sum() / np.bincount(cells.ravel())[1:].sum()
    assert 0.05 < ratio < 0.6
