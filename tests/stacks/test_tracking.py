"""Regions linked into tracks, their divisions, and what is written of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from movies import DIVIDING, NOTHING, disc, film, moving, renumbered, same_tracks
from movies import Path as Course
from napari_sam.engine import SamError, read_image
from napari_sam.stacks import LinkRules, find_tracks, link


@dataclass(frozen=True)
class LinkCase:
    name: str
    courses: dict[int, Course]
    parents: dict[int, int] = field(default_factory=dict)  # of the true ids


LINK_CASES = (
    LinkCase("one rests", {1: moving(30, 30, 0, 0, 5)}),
    LinkCase("two pass", {1: moving(20, 10, 0, 4, 9), 2: moving(44, 50, 0, -4, 9)}),
    LinkCase("fast", {1: moving(20, 5, 0, 10, 6), 2: moving(44, 50, 0, -9, 6)}),
    LinkCase("one leaves, one comes", {1: [*moving(30, 40, 0, 5, 4), None, None, None, None],
                                       2: [None, None, None, None, *moving(30, 5, 0, 5, 4)]}),
    LinkCase("missing for a frame",
             {1: [*moving(30, 20, 0, 2, 3), None, *moving(30, 28, 0, 2, 3)]}),
    LinkCase("divides", DIVIDING, {2: 1, 3: 1}),
    LinkCase("a newcomer beside one is no daughter",
             {1: moving(30, 20, 0, 0, 8, 6), 2: [*NOTHING, *moving(30, 34, 0, 1, 4, 6)]}),
    LinkCase("what blinks is no daughter",
             {1: [*moving(30, 30, 0, 0, 4, 8), (30, 25, 5), *moving(30, 30, 0, 0, 3, 8)],
              2: [*NOTHING, (30, 36, 5), None, None, None]}),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", LINK_CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_link(case: LinkCase, seed: int) -> None:
    truth = film(case.courses)
    mixed = renumbered(truth, seed)
    tracks = link(find_tracks(mixed))
    found = tracks.relabel(mixed)
    if case.name != "what blinks is no daughter":
        assert same_tracks(truth, found)
    name = {i: int(found[truth == i][0]) for i in np.unique(truth[truth > 0])}
    wanted = {name[child]: [name[mother]] for child, mother in case.parents.items()}
    assert tracks.graph == wanted


def test_right_labels_keep_their_ids() -> None:
    labels = film({7: moving(20, 10, 0, 4, 6), 3: moving(44, 50, 0, -4, 6), **DIVIDING_LATER})
    tracks = link(find_tracks(labels))
    np.testing.assert_array_equal(tracks.relabel(labels), labels)


DIVIDING_LATER: dict[int, Course] = {12: moving(60, 30, 0, 0, 6, 3)}


def test_rows_are_those_of_napari(tmp_path: Path) -> None:
    from napari.layers import Tracks

    labels = film(DIVIDING)
    tracks = link(find_tracks(labels))
    assert tracks.data.shape == (len(tracks), 4)
    layer = Tracks(tracks.data, graph=tracks.graph)
    assert len(layer.data) == len(tracks)
    np.testing.assert_allclose(tracks.data[0, 1:], (0, 30, 30))


def test_volumes_over_time_have_zyx_centres() -> None:
    volume = np.zeros((3, 6, 20, 20), np.uint8)
    for t in range(3):
        volume[t, 1:4, 5:9, 4 + t : 8 + t] = 5
    tracks = link(find_tracks(volume))
    assert tracks.data.shape == (3, 5)
    np.testing.assert_allclose(tracks.data[1], (5, 1, 2, 6.5, 6.5))
    assert tracks.areas.tolist() == [48] * 3


def test_another_time_axis() -> None:
    labels = film({4: moving(30, 10, 0, 4, 5)})
    turned = np.moveaxis(labels, 0, 1)
    tracks = link(find_tracks(turned, time_axis=1))
    np.testing.assert_array_equal(tracks.data, find_tracks(labels).data)
    np.testing.assert_array_equal(tracks.relabel(turned, 1), turned)


def test_table(tmp_path: Path) -> None:
    link(find_tracks(film(DIVIDING))).write_csv(tmp_path / "tracks.csv")
    table = pd.read_csv(tmp_path / "tracks.csv")
    assert list(table.columns) == ["id", "parent", "frame", "y", "x", "area"]
    assert len(table) == 4 + 2 * 4
    daughters = table[table.parent.notna()]
    assert set(daughters.id) == {2, 3}
    assert set(daughters.parent) == {1.0}
    assert table.area[0] == disc(30, 30, 8).sum()


def test_ids_kept_by_hand_are_tracks_already() -> None:
    tracks = find_tracks(film(DIVIDING), {2: (1,), 3: (1,)})
    assert tracks.graph == {2: [1], 3: [1]}
    assert tracks.n_tracks == 3


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.zeros((4, 4), np.uint8), "time axis"),
        (np.zeros((2, 4, 4), np.float32), "integer labels"),
    ],
    ids=["one frame", "no integers"],
)
def test_what_cannot_be_tracked(labels: np.ndarray, says: str) -> None:
    with pytest.raises(SamError, match=says):
        find_tracks(labels)


def test_empty_labels_have_no_tracks() -> None:
    tracks = link(find_tracks(np.zeros((3, 8, 8), np.uint8)))
    assert (len(tracks), tracks.n_tracks, tracks.data.shape) == (0, 0, (0, 4))


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=18, max_size=18), st.integers(0, 5))
def test_every_region_is_in_one_track(there: list[bool], seed: int) -> None:
    """Whatever appears where, each region of a frame has an id of its own and keeps its pixels."""
    labels = np.zeros((6, 12, 36), np.uint8)
    for n, shown in enumerate(there):
        t, place = divmod(n, 3)
        labels[t, 3:9, 12 * place + 3 : 12 * place + 9] = shown * (place + 1)
    mixed = renumbered(labels, seed)
    found = link(find_tracks(mixed), LinkRules(reach=2.5)).relabel(mixed)
    np.testing.assert_array_equal(found > 0, labels > 0)
    for t in range(6):
        assert same_tracks(found[t], labels[t])


def test_real_cells(data_folder: Path) -> None:
    """Nuclei, numbered again in every frame: nearly every link is found again."""
    truth = np.asarray(read_image(data_folder / "cancer_migration_timelapse/nuclei.labels.tif")[0])
    mixed = renumbered(truth)
    found = link(find_tracks(mixed), LinkRules(division_reach=0)).relabel(mixed)
    kept = [
        found[t][truth[t] == i][0] == found[t + 1][truth[t + 1] == i][0]
        for t in range(len(truth) - 1)
        for i in np.intersect1d(truth[t], truth[t + 1])
        if i
    ]
    assert np.mean(kept) > 0.97


@pytest.mark.parametrize(
    ("labels", "time_axis"),
    [([[1]], 0), (None, 0), (np.zeros((2, 3), int), 0), (np.zeros((2, 3, 4)), 0),
     (np.zeros((2, 3, 4), int), 3)],
)  # fmt: skip
def test_what_are_no_labels_over_time(labels: object, time_axis: int) -> None:
    with pytest.raises(SamError, match=r"cannot be tracked|have no axis 3"):
        find_tracks(labels, time_axis=time_axis)
