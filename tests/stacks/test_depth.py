"""Objects propagated along depth, in volumes of discs: where they end, and what is not theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from movies import SIZE, disc, predictor
from napari_sam.engine import EmbeddingCache, FrameStack, iou
from napari_sam.session import Propagated, Region, Session
from napari_sam.stacks import Direction, Through, named_through, plan, propagate
from napari_sam.stacks.appearance import END_RULES, UNCHANGED, Appearance
from napari_sam.stacks.motion import Picture, drift

DARK, BRIGHT = 20, 200
WHOLE = (0, 0, SIZE, SIZE)

Slice = tuple[float, float, float, float]  # y, x, radius, brightness


def volume(slices: list[list[Slice]], noise: float = 4) -> np.ndarray:
    """Discs over a dark, slightly noisy ground, (Z, S, S), with dim stripes that stay."""
    random = np.random.default_rng(0)
    pixels = np.full((len(slices), SIZE, SIZE), DARK, np.float64)
    pixels[:, :6], pixels[:, :, :4], pixels[:, -6:] = 90, 60, 80
    for plane, discs in zip(pixels, slices, strict=True):
        for y, x, radius, brightness in discs:
            plane[disc(y, x, radius)] = brightness
    return np.clip(pixels + random.normal(0, noise, pixels.shape), 0, 255).astype(np.uint8)


def ball(z: int, n: int, radius: float, y: float = 32, x: float = 32) -> list[list[Slice]]:
    """The sections of a ball with its centre in slice z."""
    radii = [np.sqrt(max(radius**2 - (k - z) ** 2, 0)) for k in range(n)]
    return [[(y, x, r, BRIGHT)] if r > 1 else [] for r in radii]


def run(
    pixels: np.ndarray,
    z: int,
    seed: np.ndarray,
    through: Through | None = None,
    axes: str | None = "ZYX",
    direction: Direction = "both",
) -> list[Propagated]:
    """What becomes of an object seeded in one slice."""
    stack = FrameStack.from_array(pixels, axes=axes, limits=(0, 255))
    labels = np.zeros(pixels.shape, np.uint8)
    labels[z][seed] = 1
    session = Session(stack, labels)
    wanted = plan(session, [1], stack.index(z), direction=direction, through=through)
    return list(propagate(wanted, stack, predictor(), EmbeddingCache()))


def kept(results: list[Propagated]) -> list[int]:
    """The slices that an object was propagated to."""
    return sorted(result.frame[0] or 0 for result in results if not result.stopped)


@dataclass(frozen=True)
class Case:
    name: str
    slices: list[list[Slice]]
    seed: int  # a slice
    first: int  # the object's own
    last: int
    says: str = ""


def _with_another_below() -> list[list[Slice]]:
    """A ball, and right below it a larger, dimmer one under the same place."""
    column = ball(8, 24, 6)
    for z in range(15, 24):
        column[z] = [(34, 36, 14, 130)]
    return column


def _beside(another: list[list[Slice]], slices: list[list[Slice]]) -> list[list[Slice]]:
    return [one + other for one, other in zip(slices, another, strict=True)]


CASES = (
    Case("a ball", ball(10, 21, 7), 10, 4, 16, "ends before frame"),
    Case("a ball, from off its middle", ball(10, 21, 7), 8, 4, 16, "ends before frame"),
    Case("a column to either end", [[(32, 32, 7, BRIGHT)]] * 12, 6, 0, 11),
    Case("another one below", _with_another_below(), 8, 3, 13, "ends before frame 14"),
    Case(
        "a neighbour that comes nearer is not gone over to",
        _beside([[(32, 48 - z * 0.6, 6, BRIGHT)] for z in range(21)], ball(8, 21, 5, x=20)),
        8,
        4,
        12,
        "ends before frame",
    ),
    Case(
        "one that leads over to another one beside it",
        [[(32, 26 + max(z - 4, 0) * 2.5, 6, BRIGHT)] for z in range(12)],
        0,
        0,
        6,
        "ends before frame",
    ),
    Case(
        "what fades away",
        [[(32, 32, 7, BRIGHT - 18 * abs(z - 8))] for z in range(17)],
        8,
        3,
        13,
        "ends before frame",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_an_object_ends_where_it_ends(case: Case) -> None:
    """Within a slice at either end; nothing is missing in between."""
    y, x, radius, _ = case.slices[case.seed][0]
    results = run(volume(case.slices), case.seed, disc(y, x, radius))
    slices = sorted([*kept(results), case.seed])
    assert slices == list(range(slices[0], slices[-1] + 1))
    assert abs(slices[0] - case.first) <= 1
    assert abs(slices[-1] - case.last) <= 1
    stops = [result.stopped for result in results if result.stopped]
    assert len(stops) == (case.first > 0) + (case.last < len(case.slices) - 1)
    assert case.says in "".join(stops)


@pytest.mark.parametrize("corrected", [11, 12])
def test_a_corrected_end_does_not_change_what_the_object_looks_like(corrected: int) -> None:
    """It fades away from slice 8 on, and ends where it would without the correction."""
    slices = [[(32, 32, 7, BRIGHT - 18 * abs(z - 8))] for z in range(17)]
    stack = FrameStack.from_array(volume(slices), axes="ZYX", limits=(0, 255))
    labels = np.zeros(stack.shape, np.uint8)
    labels[8][disc(32, 32, 7)] = 1
    session, ends = Session(stack, labels), []
    for start in (8, corrected):
        wanted = plan(session, [1], stack.index(start), direction="forward")
        results = list(propagate(wanted, stack, predictor(), EmbeddingCache()))
        for propagated in results:
            session.land_propagated(propagated, 1)
        ends.append(kept(results)[-1])
        session.confirm(1, stack.index(corrected))
    assert ends[1] == ends[0]


def test_sections_shrink_with_the_object() -> None:
    slices = ball(10, 21, 7)
    results = run(volume(slices), 10, disc(*slices[10][0][:3]))
    for result in results:
        if not result.stopped and abs((result.frame[0] or 0) - 10) < 5:
            true = disc(*slices[result.frame[0] or 0][0][:3])
            assert iou(result.mask.within(WHOLE), true) > 0.75


def test_slices_that_are_not_aligned() -> None:
    """All of a slice drifts, and the object with it."""
    pixels = volume([EVERYWHERE] * 6)
    drifted = np.stack([np.roll(plane, 3 * z, axis=1) for z, plane in enumerate(pixels)])
    results = run(drifted, 0, disc(16, 20, 5), direction="forward")
    assert kept(results) == [1, 2, 3, 4, 5]
    for result in results:
        true = np.roll(disc(16, 20, 5), 3 * (result.frame[0] or 0), axis=1)
        assert iou(result.mask.within(WHOLE), true) > 0.8


EVERYWHERE = [(16, 20, 5, BRIGHT), (20, 46, 6, 150), (44, 18, 7, 120), (46, 48, 4, BRIGHT)]


@pytest.mark.parametrize("shift", [(0, 0), (0, 4), (-5, 2)])
def test_drift_of_a_whole_frame(shift: tuple[int, int]) -> None:
    pixels = volume([EVERYWHERE])[0]
    moved = np.roll(pixels, shift, axis=(0, 1))
    before, after = (Picture(np.stack([p] * 3, axis=2), (SIZE, SIZE)) for p in (pixels, moved))
    assert drift(before, after) == pytest.approx(shift)


def test_pictures_of_one_frame_may_differ_in_size() -> None:
    """The first slice is looked at as it is, the others as the network sees them."""
    pixels = np.stack([volume([EVERYWHERE])[0]] * 3, axis=2)
    small, large = (
        Picture(pixels, (SIZE, SIZE)),
        Picture(pixels.repeat(4, 0).repeat(4, 1), (SIZE, SIZE)),
    )
    assert drift(small, large) == drift(large, small) == (0, 0)


def test_nothing_drifts_where_an_object_moves_alone() -> None:
    """Most of the frame stays where it is."""
    before, after = (
        Picture(
            np.stack([volume([[(20, x, 4, 80), (44, 44, 12, BRIGHT)]])[0]] * 3, axis=2), (SIZE,) * 2
        )
        for x in (20, 24)
    )
    assert drift(before, after) == (0.0, 0.0)


def test_in_time_the_same_object_is_followed() -> None:
    """What moves faster than it is wide ends along depth, and goes on in time."""
    slices = [[(32, 10 + 6.0 * z, 5, BRIGHT)] for z in range(8)]
    seed = disc(*slices[0][0][:3])
    assert len(kept(run(volume(slices), 0, seed, axes="TYX", direction="forward"))) == 7
    assert len(kept(run(volume(slices), 0, seed, axes="ZYX", direction="forward"))) < 4


@pytest.mark.parametrize(
    ("axes", "through", "ends"),
    [("ZYX", None, True), ("TYX", None, False), (None, None, False),
     (None, "depth", True), ("TYX", "depth", True), ("ZYX", "time", False)],
)  # fmt: skip
def test_what_an_axis_is_comes_from_its_letter_or_is_told(axes, through, ends) -> None:
    slices = [[(32, 10 + 6.0 * z, 5, BRIGHT)] for z in range(6)]
    results = run(volume(slices), 0, disc(32, 10, 5), through, axes, "forward")
    assert any(result.stopped for result in results) == ends


@pytest.mark.parametrize(
    ("axes", "named"), [("TZYX", ["time", "depth"]), ("QZYX", [None, "depth"]), (None, [None] * 2)]
)
def test_named_through(axes: str | None, named: list[Through | None]) -> None:
    stack = FrameStack.from_array(np.zeros((2, 3, 8, 8)), axes=axes)
    assert [named_through(stack, axis) for axis in (0, 1)] == named


def test_a_doubtful_end_names_both_slices() -> None:
    """It is offered, not hidden: where it ends for sure, and where it may have ended already."""
    slices = [[(18 + 2.5 * z, 32, 6, BRIGHT)] for z in range(12)]
    results = run(volume(slices), 0, disc(18, 32, 6), direction="forward")
    stopped = results[-1].stopped
    assert ", perhaps before " in stopped
    last = int(stopped.split("before frame ")[1].split(",")[0])
    perhaps = int(stopped.split("perhaps before ")[1].split(" ")[0])
    assert 0 < perhaps < last
    assert kept(results)[-1] == last - 1
    scores = [result.score for result in results if not result.stopped]
    assert scores[-1] < scores[0]


def appearance_in(inside: float, rim: float, outside: float) -> Appearance:
    """Of a disc with a rim of its own brightness around it."""
    pixels = volume([[(32, 32, 40, outside), (32, 32, 13, rim), (32, 32, 9, inside)]])[0]
    picture = Picture(np.stack([pixels] * 3, axis=2), (SIZE, SIZE))
    return Appearance.of(Region.from_mask(disc(32, 32, 9)), picture)


@pytest.mark.parametrize(
    ("name", "brightness", "weight"),
    [("bright", (200, 50, 50), 1), ("dark", (50, 200, 200), 1),
     ("as its surroundings", (90, 90, 90), 0), ("in a bright border", (50, 200, 50), 0),
     ("in a dark border", (90, 20, 90), 0)],
)  # fmt: skip
def test_brightness_counts_where_it_tells_an_object(name, brightness, weight) -> None:
    assert appearance_in(*brightness).weight == weight


@pytest.mark.parametrize("x", [6, 32])
def test_beyond_the_border_is_nothing(x: float) -> None:
    """An object at the border is told from its surroundings as well as another one."""
    bright = disc(32, x, 9)
    pixels = np.where(bright, 200, 50).astype(np.uint8)
    noisy = (pixels + np.random.default_rng(0).integers(0, 20, pixels.shape)).astype(np.uint8)
    picture = Picture(np.stack([noisy] * 3, axis=2), (SIZE, SIZE))
    assert Appearance.of(Region.from_mask(bright), picture).separation > 4


def test_limits_of_a_slice_do_not_change_what_it_shows() -> None:
    """Each slice is stretched by itself before the network sees it; brightness is not."""
    shown = np.full((8, 8, 3), 100, np.uint8)
    for limits in (((0.0, 255.0),), ((1000.0, 3000.0),)):
        low, high = limits[0]
        value = Picture(shown, (8, 8), limits).brightness((2, 2, 6, 6), 1.0)
        assert value == pytest.approx(low + (high - low) * 100 / 255, rel=1e-5)


def test_sections_of_another_brightness_end_nothing_that_fills_space() -> None:
    """The same section shown by limits that are all 50 higher: unlike before only in its units."""
    pixels = volume([[(32, 32, 13, 200), (32, 32, 9, 60)]])[0]
    shown = np.stack([pixels] * 3, axis=2)
    here, there = (Picture(shown, (SIZE, SIZE), ((0 + up, 255.0 + up),)) for up in (0, 50))
    region = Region.from_mask(disc(32, 32, 9))
    appearance = Appearance.of(region, here)
    assert appearance.weight == 0
    assert appearance.fading(region, there) == pytest.approx(0, abs=1e-3)
    bright = Region.from_mask(disc(32, 32, 13))  # the border counts as the object: that is bright
    assert Appearance.of(bright, here).fading(bright, there) > 0.2


def test_change_is_never_taken_back() -> None:
    change = UNCHANGED.after(END_RULES, overlap=0.2, fading=1.5, at_home=0.5)
    later = change
    for _ in range(20):
        later = later.after(END_RULES, overlap=1.0, fading=0.0)
    assert later.total(END_RULES) == change.total(END_RULES) > 1
    assert UNCHANGED.total(END_RULES) == 0


def test_what_is_in_doubt_for_long_is_over() -> None:
    """However slowly it changes, it continues for no more than half as many slices again."""
    sure = UNCHANGED
    for _ in range(4):
        sure = sure.after(END_RULES, overlap=1.0, fading=0.0)
    change, n = sure, 0
    while not change.is_over(END_RULES):
        change, n = change.after(END_RULES, overlap=1.0, fading=1.4), n + 1
    assert END_RULES.sure < change.total(END_RULES) < 1
    assert n == sure.n_sure // 2 + 1 == 3
