"""What objects measure, beside scikit-image's `regionprops`, and in the units of their image."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.measure import label, regionprops_table
from skimage.morphology import convex_hull_image

from napari_sam.engine import FrameStack, Labelled, Runs, SamError
from napari_sam.measurements import MeasureOptions, measure, measure_frames, measure_tracks
from napari_sam.measurements.hulls import Hulls

SAME = {
    "area_px2": "area",
    "diameter_px": "equivalent_diameter_area",
    "perimeter_px": "perimeter",
    "eccentricity": "eccentricity",
    "axis_major_px": "axis_major_length",
    "axis_minor_px": "axis_minor_length",
    "centroid_y_px": "centroid-0",
    "centroid_x_px": "centroid-1",
    "box_y0": "bbox-0",
    "box_x0": "bbox-1",
    "box_y1": "bbox-2",
    "box_x1": "bbox-3",
    "intensity_mean": "intensity_mean",
    "intensity_min": "intensity_min",
    "intensity_max": "intensity_max",
    "intensity_std": "intensity_std",
}
PROPERTIES = ("label", "orientation", *sorted({name.partition("-")[0] for name in SAME.values()}))


def blobs(seed: int, shape: tuple[int, int] = (60, 70)) -> np.ndarray:
    """Objects of all shapes, touching, in several pieces, with holes; ids not one after another."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(0, 5, (shape[0] // 5, shape[1] // 5)), np.ones((5, 5), int))
    pieces = label(coarse, connectivity=1)
    pieces[rng.random(shape) < 0.1] = 0
    return (pieces * 7 % 60_000).astype(np.uint16)


def assert_as_regionprops(labels: np.ndarray, image: np.ndarray) -> None:
    table = measure(labels, image)
    expected = regionprops_table(labels, image, properties=PROPERTIES)
    np.testing.assert_array_equal(table["object_id"], expected["label"])
    for ours, theirs in SAME.items():
        np.testing.assert_allclose(table[ours], expected[theirs], atol=1e-6, err_msg=ours)
    # Both ends of a half circle are one direction; a round object has none
    apart = np.radians(table["orientation_deg"]) - expected["orientation"]
    directed = table["orientation_deg"].notna() & (table["eccentricity"] > 1e-3)
    np.testing.assert_allclose(np.sin(apart[directed]), 0, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_as_regionprops(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 60_000, (60, 70), np.uint16)
    assert_as_regionprops(blobs(seed), image)


@settings(max_examples=40, deadline=None)
@given(
    hnp.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 3)
    )
)
def test_any_small_labels_as_regionprops(labels: np.ndarray) -> None:
    if labels.any():
        assert_as_regionprops(labels, np.arange(labels.size, dtype=float).reshape(labels.shape))


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.uint8, (8, 9), elements=st.integers(0, 2)), st.floats(0.2, 5))
def test_hulls_and_feret_by_trying_all(labels: np.ndarray, height: float) -> None:
    runs = Runs.of(labels)
    hulls = Hulls.of(runs)
    longest, shortest = hulls.feret((height, 1.0))
    for n, object_id in enumerate(runs.ids):
        mask = labels == object_id
        if np.linalg.matrix_rank(np.argwhere(mask) - np.argwhere(mask)[0]) == 2:
            inside = convex_hull_image(mask, offset_coordinates=False)
            assert hulls.n_pixels()[n] == inside.sum()
        corners = np.argwhere(mask)[:, None] + [(-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)]
        corners = corners.reshape(-1, 2) * (height, 1.0)
        apart = corners[:, None] - corners[None]
        assert longest[n] == pytest.approx(np.hypot(*np.moveaxis(apart, -1, 0)).max())
        turns = np.radians(np.arange(0, 180, 0.25))
        widths = np.ptp(corners @ np.stack([np.cos(turns), np.sin(turns)]), axis=0)
        assert shortest[n] <= widths.min() + 1e-9
        assert shortest[n] >= widths.min() - longest[n] * np.radians(0.125)  # between two turns


@dataclass(frozen=True)
class Sized:
    """What a square of 4 × 4 pixels measures."""

    name: str
    scale: tuple[float, ...] | float | None
    units: str | tuple[str, ...] | None
    columns: dict[str, float]


SIZED = (
    Sized("pixels", None, None, {"area_px2": 16, "feret_min_px": 4, "perimeter_px": 12}),
    Sized("square", 0.5, "micrometer", {"area_um2": 4, "perimeter_um": 6, "feret_min_um": 2}),
    Sized("thin pixels", (2.0, 0.5), "nm", {"area_nm2": 16, "perimeter_nm": math.nan}),
    Sized("a scale without a unit", 3.0, None, {"area_px2": 16, "centroid_y_px": 2.5}),
    Sized("other units", 1.0, "solar radius", {"area_solar_radius2": 16}),
    Sized("two units", (1.0, 1.0), ("nm", "mm"), {"area_px2": 16}),
    Sized("pixels beside units", 0.5, "µm", {"centroid_y_um": 1.25, "centroid_y_px": 2.5}),
)


@pytest.mark.parametrize("case", SIZED, ids=lambda c: c.name)
def test_columns_say_their_unit(case: Sized) -> None:
    labels = np.zeros((9, 9), np.uint8)
    labels[1:5, 2:6] = 3
    (row,) = measure(labels, scale=case.scale, units=case.units).to_dict("records")
    for name, value in case.columns.items():
        assert row[name] == pytest.approx(value, nan_ok=True)
    assert row["solidity"] == 1
    assert not row["at_border"]


def test_volumes() -> None:
    z, y, x = np.ogrid[-16:17, -16:17, -16:17]
    ball = (z**2 + y**2 + x**2 <= 15**2).astype(np.uint32) * 900_000
    table = measure(ball, ball, axes="ZYX", scale=(0.5, 0.5, 0.5), units="micrometer")
    (row,) = table.to_dict("records")
    radius = 7.5
    assert row["volume_um3"] == pytest.approx(4 / 3 * math.pi * radius**3, rel=0.01)
    assert row["surface_um2"] == pytest.approx(4 * math.pi * radius**2, rel=0.1)
    assert row["axis_major_um"] == pytest.approx(2 * radius, rel=0.02)
    assert row["centroid_z_um"] == 8
    assert (row["box_z0"], row["box_z1"]) == (1, 32)
    assert row["intensity_mean"] == 900_000
    flat = measure(ball, axes="ZYX", options=MeasureOptions(each="frame"))
    assert flat["z"].tolist() == list(range(1, 32))


def test_volumes_of_pixels_that_are_no_cubes() -> None:
    labels = np.zeros((2, 8, 10, 12), np.uint8)
    labels[1, 2:4, 3:6, 2:10] = 5
    labels[1, 5, 5, 5] = 2
    scale, units = (60, 2, 0.5, 0.5), ("second", "um", "um", "um")
    table = measure(labels, axes="TZYX", scale=scale, units=units)
    assert table["object_id"].tolist() == [2, 5]
    assert table["time_s"].tolist() == [60, 60]
    assert table["volume_um3"].tolist() == [0.5, 24]
    expected = regionprops_table(labels[1], properties=("axis_major_length",), spacing=scale[1:])
    assert table["axis_major_um"][1] == pytest.approx(expected["axis_major_length"][1], rel=1e-6)


def test_intensities_of_channels_and_background() -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[5:10, 5:10], labels[5:10, 20:25] = 1, 2
    image = np.zeros((2, 20, 30), np.float32)
    image[0] = 10 + np.arange(30) // 15  # 10 on the left, 11 on the right
    image[1, labels > 0] = 7
    image[0, labels > 0] += 5
    plain = measure(labels, image)
    assert plain["intensity_mean_c0"].tolist() == [15, 16]
    assert plain["intensity_sum_c1"].tolist() == [175, 175]
    ring = measure(labels, image, MeasureOptions(background="ring"))
    assert ring["background_c0"].tolist() == [10, 11]
    assert ring["intensity_mean_c0"].tolist() == [5, 5]
    assert ring["intensity_sum_c0"].tolist() == [125, 125]
    frame = measure(labels, image, MeasureOptions(background="frame"))
    assert frame["background_c0"].tolist() == [10.5, 10.5]
    one = measure(labels, FrameStack.from_array(image, axes="CYX", channel=1))
    assert "intensity_mean_c0" not in one
    whole = np.ones((4, 4), np.uint8)
    assert measure(whole, whole, MeasureOptions(background="ring"))["background"].isna().all()


class FrameByFrame:
    """A stack that tells when more than a frame of it is read."""

    shape, dtype, n_read = (3, 8, 9), np.dtype(np.uint16), 0

    def __getitem__(self, where: object) -> np.ndarray:
        assert isinstance(where, tuple)
        assert isinstance(where[0], int)
        self.n_read += 1
        labels = np.zeros((8, 9), np.uint16)
        labels[2:4, where[0] : where[0] + 3] = where[0] * 300
        return labels


def test_pixels_without_end_are_measured_without_a_warning() -> None:
    image = np.array([[1, 2, np.inf, 4], [np.finfo(float).max] * 4])
    table = measure(np.array([[1, 1, 2, 2], [3, 3, 3, 3]], np.uint8), image)
    assert table["intensity_mean"].tolist() == [1.5, math.inf, math.inf]
    assert table["intensity_max"].tolist() == [2, math.inf, np.finfo(float).max]


def test_a_stack_is_read_frame_by_frame() -> None:
    stack, heard = FrameByFrame(), []
    tables = measure_frames(stack, axes="TYX", progress=lambda *done: heard.append(done))
    assert len(next(tables)) == 0  # an empty frame
    assert stack.n_read == 1
    assert [table["object_id"].tolist() for table in tables] == [[300], [600]]
    assert heard == [(1, 3), (2, 3), (3, 3)]
    assert measure(stack)["axis0"].tolist() == [1, 2]


def test_empty_labels_have_the_columns_all_the_same() -> None:
    table = measure(np.zeros((5, 6), np.uint8), np.zeros((5, 6)))
    assert len(table) == 0
    assert {"area_px2", "feret_max_px", "intensity_mean"} <= set(table.columns)


def test_classes_and_facts_are_columns() -> None:
    labels = np.zeros((2, 4, 4), np.uint8)
    labels[:, :2, :2], labels[1, 3, 3] = 4, 9
    facts = {
        (4, (0, None, None)): {"score": 0.5, "model": "pocket"},
        (4, (1, None, None)): {"score": None, "model": "vit_b"},
    }
    table = measure(Labelled.of(labels, axes="TYX", classes={4: "mitosis"}, facts=facts))
    assert table["class"].tolist() == ["mitosis", "mitosis", ""]
    assert table["model"].tolist() == ["pocket", "vit_b", ""]
    assert table["score"].tolist()[:1] == [0.5]
    assert table["score"].isna().tolist() == [False, True, True]


def test_tracks() -> None:
    labels = np.zeros((4, 20, 30), np.uint16)
    for t, x in enumerate((3, 6, 10)):
        labels[t, 5:8, x : x + 3] = 2
    labels[3, 5:8, 10:13], labels[3, 5:8, 15:18] = 7, 9
    units = ("minute", "um", "um")
    table = measure(labels, axes="TYX", scale=(2, 0.5, 0.5), units=units)
    tracks = measure_tracks(table, {7: (2,), 9: (2,)}).set_index("object_id")
    mother = tracks.loc[2]
    assert mother["lifetime_min"] == 6
    assert mother["displacement_um"] == mother["path_um"] == 3.5
    assert mother["speed_mean_um_per_min"] == 3.5 / 4
    assert mother["speed_max_um_per_min"] == 1
    assert mother["straightness"] == 1
    assert (mother["daughters"], mother["generation"]) == (2, 0)
    assert (tracks.loc[9, "parents"], tracks.loc[9, "generation"]) == ("2", 1)
    assert math.isnan(tracks.loc[9, "speed_mean_um_per_min"])
    in_a_circle = measure_tracks(table, {2: (7,), 7: (2,)})
    assert in_a_circle["generation"].tolist() == [1, 1, 0]
    with pytest.raises(SamError, match="not over time"):
        measure_tracks(measure(labels[0]))


REFUSED = (
    ("the image of another shape", {"image": np.zeros((9, 9))}, "the shape"),
    ("axes of other labels", {"axes": "TYX"}, "do not fit"),
    ("axes in another order", {"axes": "XY"}, "Y and X last"),
    ("a size of nothing", {"scale": 0, "units": "um"}, "do not exist"),
    ("volumes of a frame", {"options": MeasureOptions(each="volume")}, "no volume"),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c[0])
def test_what_cannot_be_measured_says_why(case: tuple[str, dict, str]) -> None:
    with pytest.raises(SamError, match=case[2]):
        measure(np.ones((8, 8), np.uint8), **case[1])


def test_huge_ids_take_no_memory() -> None:
    labels = np.array([[0, 2**32 - 1], [5, 5]], np.uint32)
    table = measure(labels)
    assert table["object_id"].tolist() == [5, 2**32 - 1]
    assert table["area_px2"].tolist() == [2, 1]
    assert isinstance(table, pd.DataFrame)
