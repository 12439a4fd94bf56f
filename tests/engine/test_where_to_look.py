"""Which part of a large frame is looked at for a prompt, and at what size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from napari_sam.engine import (
    Crop,
    PromptError,
    Prompts,
    crop_on_screen,
    crops_beside,
    crops_to_look_at,
)

FRAME = (20_000, 30_000)
CLICK = Prompts.from_points([(9_000, 12_000)])


@dataclass(frozen=True)
class Case:
    """What is known of an object, and the sides of the crops looked at."""

    name: str
    sides: tuple[int, ...]
    prompts: Prompts = CLICK
    known: dict = field(default_factory=dict)
    frame_shape: tuple[int, int] = FRAME


CASES = (
    Case("a frame that fits", (), Prompts.from_points([(3, 4)]), {}, (1024, 700)),
    Case("a click: several sizes", (1024, 4096, 16_384)),
    Case("a click on cells of 30 pixels", (512,), known={"diameter": 30.0}),
    Case("a click on cells of 3 pixels", (256,), known={"diameter": 3.0}),
    Case("a click on cells of 400 pixels", (8192,), known={"diameter": 400.0}),
    Case("a box says how large it is", (2048,), Prompts.from_box((9e3, 9e3, 9.1e3, 9.05e3))),
    Case(
        "and knows it better",
        (2048,),
        Prompts.from_box((9e3, 9e3, 9.1e3, 9.05e3)),
        {"diameter": 30.0},
    ),
    Case("zoomed in", (512, 2048, 8192), known={"seen": (8900, 11_900, 9100, 12_200)}),
    Case("zoomed out", (4096, 16_384, 30_000), known={"seen": (0.0, 0.0, 2e4, 3e4)}),
    Case("clicks far apart", (2048,), CLICK.with_point((9_900, 12_900)), {"diameter": 30.0}),
    Case("an object too large", (30_000,), Prompts.from_box((0, 0, 19_999, 29_999))),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_where_to_look(case: Case) -> None:
    crops = crops_to_look_at(case.prompts, case.frame_shape, **case.known)
    assert tuple(crop.long_side for crop in crops) == case.sides
    for crop in crops:
        for y, x in case.prompts.points:
            assert crop.top <= y < crop.bottom
            assert crop.left <= x < crop.right


@pytest.mark.parametrize("diameter", [math.inf, math.nan, 0.0, -3.0])
@pytest.mark.parametrize("frame_shape", [FRAME, (100, 100)])
def test_a_diameter_that_no_cell_has(diameter: float, frame_shape: tuple[int, int]) -> None:
    with pytest.raises(PromptError, match=f"No cell has a diameter of {diameter:g} pixels"):
        crops_to_look_at(CLICK, frame_shape, diameter)


def test_a_click_on_screen_is_looked_at_in_what_is_on_screen() -> None:
    seen = (8_000.0, 11_000.0, 8_900.0, 11_900.0)
    on_screen = crop_on_screen(seen, FRAME)
    for y, x in ((8_300, 11_200), (8_700, 11_700)):
        assert crops_to_look_at(Prompts.from_points([(y, x)]), FRAME, seen=seen)[0] == on_screen
    assert crops_to_look_at(CLICK, FRAME, seen=seen)[0] != on_screen, "too near its border"
    assert crop_on_screen(seen, (1000, 1024)) is None


def test_a_correction_stays_in_the_crop_until_it_leaves_it() -> None:
    earlier = Crop(8_192, 11_264, 9_216, 12_288)
    more = CLICK.with_point((8_700, 11_700), label=0)
    assert crops_to_look_at(more, FRAME, diameter=3000.0, earlier=earlier) == (earlier,)
    far = CLICK.with_point((12_700, 11_700))
    assert crops_to_look_at(far, FRAME, earlier=earlier) != (earlier,)


def test_prompts_in_a_crop() -> None:
    mask = np.zeros((2000, 3000), bool)
    mask[600:650, 800:900] = True
    prompts = Prompts(((610.5, 820.0),), (0,), (599.5, 799.5, 649.5, 899.5), mask)
    within = prompts.within(Crop(500, 700, 1500, 1700))
    assert within.points == ((110.5, 120.0),)
    assert within.labels == (0,)
    assert within.box == (99.5, 99.5, 149.5, 199.5)
    np.testing.assert_array_equal(np.argwhere(within.mask)[[0, -1]], [(100, 100), (149, 199)])


SCREEN = (9_000.0, 12_000.0, 9_700.0, 13_100.0)


@pytest.mark.parametrize(
    ("screen", "diameter", "n"),
    [
        (SCREEN, 60.0, 6),
        (SCREEN, 30.0, 12),
        (SCREEN, 12.0, 0),
        ((9_000.0, 12_000.0, 9_100.0, 12_100.0), 30.0, 0),
    ],
    ids=["crops of 1024", "crops of 512", "crops of 256: a wide screen", "all in the middle"],
)
def test_what_clicks_near_the_middle_of_the_screen_need_is_embedded_ahead(
    screen: tuple[float, float, float, float], diameter: float, n: int
) -> None:
    crops = crops_beside(screen, FRAME, diameter)
    assert len(crops) == n
    ready = {crop_on_screen(screen, FRAME, diameter), *crops}
    y, x = (screen[0] + screen[2]) / 2, (screen[1] + screen[3]) / 2
    for far in (0, -250, 250):
        click = Prompts.from_points([(y + far, x + far / 2)])
        (needed,) = crops_to_look_at(click, FRAME, diameter, screen)
        assert needed in ready or not n
    distances = [math.dist((y, x), (each.top + 255.5, each.left + 255.5)) for each in crops]
    assert n != 12 or distances == sorted(distances)
