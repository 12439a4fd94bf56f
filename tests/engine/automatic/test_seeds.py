"""One click an object: seeds from maps made by hand, and discs found by the embedded model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam.engine import (
    AutomaticOptions,
    Embedding,
    FoundObject,
    FrameStack,
    Predictor,
    Prompts,
    SeedRules,
    box_outline,
    decide,
    find_objects,
    find_seeds,
    iou,
    load_model,
)
from napari_sam.engine.automatic.looking import Looking

CENTRES = [(y, x) for y in (40, 100, 160) for x in (40, 100, 160, 220)]
RADIUS = 14
SHAPE = (200, 260)


@pytest.fixture(scope="module")
def pocket() -> Predictor:
    return Predictor(load_model("pocket", device="cpu", precision="fp32"))


def discs() -> NDArray[np.uint8]:
    """Twelve bright discs, a little blurred by their noise."""
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.random.default_rng(0).normal(30, 4, SHAPE)
    for y, x in CENTRES:
        image[(ys - y) ** 2 + (xs - x) ** 2 < RADIUS**2] += 120
    return np.clip(image, 0, 255).astype(np.uint8)


def found_in(
    predictor: Predictor, image: NDArray[np.uint8], options: AutomaticOptions | None = None
) -> list[FoundObject]:
    stack = FrameStack.from_array(image)
    return list(find_objects(predictor, stack, stack.index(), options))


def test_every_disc_is_found_once(pocket: Predictor) -> None:
    standing = [each for each in found_in(pocket, discs()) if not each.dropped]
    assert len(standing) == len(CENTRES)
    for y, x in CENTRES:
        (inside,) = [
            each for each in standing if np.hypot(each.point[0] - y, each.point[1] - x) < 9
        ]
        assert inside.area == pytest.approx(np.pi * RADIUS**2, rel=0.15)
        assert inside.score > SeedRules().min_score
        assert inside.intensity is not None
        assert 0.8 < inside.intensity <= 1, "discs are white in the frame as it is shown"
        assert inside.method == "seeds"


@pytest.mark.slow
def test_progress_ends_at_all(pocket: Predictor) -> None:
    told = []
    stack = FrameStack.from_array(discs())
    list(find_objects(pocket, stack, stack.index(), progress=lambda *step: told.append(step)))
    assert told == sorted(told)
    assert told[-1] == (100, 100)


def test_only_within(pocket: Predictor) -> None:
    """The discs of the first column and row; a seed outside costs no decode."""
    options = AutomaticOptions(within=box_outline((0, 0, 70, 70)))
    standing = [each for each in found_in(pocket, discs(), options) if not each.dropped]
    assert [tuple(np.round(each.point, -1)) for each in standing] == [(40, 40)]


def test_nothing_in_an_empty_frame(pocket: Predictor) -> None:
    assert [
        each for each in found_in(pocket, np.full(SHAPE, 90, np.uint8)) if not each.dropped
    ] == []


@pytest.mark.slow
def test_what_is_found_well_is_decoded_once(pocket: Predictor) -> None:
    """With nothing sure enough, every seed of a disc is decoded, for the same objects."""
    rules = SeedRules(sure=1.0)
    every = found_in(pocket, discs(), replace(AutomaticOptions(), seeds=rules))
    few = found_in(pocket, discs())
    assert len(few) < len(every)
    assert len(few) <= 3 * 2 * len(CENTRES)  # three candidates each
    assert sum(not each.dropped for each in every) == len(CENTRES)


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 1, 2])
def test_masks_lie_where_the_predictor_has_them(pocket: Predictor, level: int) -> None:
    """In a frame whose sides are scaled alike to no whole number, at every level."""
    embedding = pocket.encode(discs())
    point = (160.0, 220.0)
    looking = Looking(pocket.model.network, pocket.model.device, embedding)  # type: ignore[arg-type]
    ((*candidates,),) = looking.click([point], level, 0.0)
    shown = pocket.predict(embedding, Prompts.from_points([point])).mask()
    best = 0.0
    for each in candidates:
        mask = np.zeros(SHAPE, bool)
        mask[each.where] = each.mask
        best = max(best, iou(mask, shown))
    assert best > 0.9


def test_specks_are_noise_unless_asked_for() -> None:
    """Of 4 x 4 and of 3 x 5 pixels; a largest area below the default counts more than that."""
    speck, cell = (
        FoundObject.unseen((2, 2), "seeds", score=0.9, stability=0.9).with_mask(
            np.ones(shape, bool), 0, left
        )
        for left, shape in ((0, (3, 5)), (10, (4, 4)))
    )

    def reasons(**options: int) -> list[str | None]:
        decided = decide([speck, cell], AutomaticOptions(**options), (20, 20))
        return [each.dropped for each in decided]

    assert reasons() == ["too small", None]
    assert reasons(min_area=1) == [None, None]
    assert reasons(max_area=15) == [None, "too large"]


def test_seeds_are_peaks_of_the_depth() -> None:
    """At stride 4 of a level that is shrunk by 2, in a frame of half the input's size."""
    maps = torch.zeros(1, 3, 8, 8)
    maps[0, 0] = 1
    maps[0, 2, 2:5, 2:5] = 0.5
    maps[0, 2, 3, 3] = 0.9
    maps[0, 2, 6:8, 6:8] = 0.2
    embedding = Embedding((), (32, 32), (64, 64), "")
    (seed,) = find_seeds([maps], [2], embedding, 0.3)
    assert seed.point == (13.5, 13.5)  # pixel 3 of 8 px of the input, 4 of the frame
    assert seed.depth == pytest.approx((8 * 0.5 + 0.9) / 9)
    assert len(find_seeds([maps], [2], embedding, 0.05)) == 2


def test_a_peak_on_the_edge_of_the_frame_is_outside() -> None:
    """The centre of the second row lies 6 pixels down, where a frame of 6 rows ends."""
    maps = torch.zeros(1, 3, 4, 8)
    maps[0, 0] = 1
    maps[0, 2, 1, 1] = maps[0, 2, 0, 6] = 1
    embedding = Embedding((), (6, 32), (6, 32), "")
    for seed in find_seeds([maps], [1], embedding, 0.1):
        y, x = seed.pixel
        assert 0 <= y < 6
        assert 0 <= x < 32
    assert find_seeds([maps], [1], embedding, 0.1)
