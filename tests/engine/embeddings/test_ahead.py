"""Which frames come next, and all frames one after the other, stopped and gone on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_sam.engine import (
    Cancelled,
    Crop,
    EmbeddingCache,
    EmbeddingStore,
    FrameIndex,
    FrameStack,
    LoadedModel,
    Pace,
    Predictor,
    embed_all,
    prefetch_order,
    time_left,
)
from napari_sam.model import Sam
from oracles import SMALL


def new_stack(*leading: int, seed: int = 0) -> FrameStack:
    pixels = np.random.default_rng(seed).integers(0, 255, (*leading, 20, 30)).astype(np.uint8)
    return FrameStack.from_array(pixels, rgb=False)


MOVIE, VOLUMES = new_stack(10), new_stack(4, 10)


@dataclass(frozen=True)
class Travel:
    """Where the user is and was, and the positions that come next."""

    name: str
    shown: tuple[int | None, ...]
    previous: tuple[int | None, ...] | None
    next: list[tuple[int | None, ...]]
    stack: FrameStack = MOVIE
    reach: int = 3


def t(*positions: int) -> list[FrameIndex]:
    return [(position, None, None) for position in positions]


TRAVELS = [
    Travel("just opened", (5, None, None), None, t(6, 4, 7, 3, 8, 2)),
    Travel("opened at the first", (0, None, None), None, t(1, 2, 3)),
    Travel("forwards", (5, None, None), (4, None, None), t(6, 7, 8, 4)),
    Travel("backwards", (5, None, None), (6, None, None), t(4, 3, 2, 6)),
    Travel("a leap backwards", (5, None, None), (9, None, None), t(4, 3, 2, 6)),
    Travel("not moved", (5, None, None), (5, None, None), t(6, 4, 7, 3, 8, 2)),
    Travel("at the end", (9, None, None), (8, None, None), t(8)),
    Travel("one before the end", (8, None, None), (7, None, None), t(9, 7)),
    Travel("a short reach", (5, None, None), (4, None, None), t(6, 4), reach=1),
    Travel("no reach", (5, None, None), (4, None, None), [], reach=0),
    Travel("one picture", (None, None), None, [], new_stack()),
    Travel("a stack of one", (0, None, None), None, [], new_stack(1)),
    Travel(
        "through z",
        (1, 5, None, None),
        (1, 4, None, None),
        [(1, z, None, None) for z in (6, 7, 8, 4)],
        VOLUMES,
    ),
    Travel(
        "through time at one z",
        (1, 5, None, None),
        (0, 5, None, None),
        [(t, 5, None, None) for t in (2, 3, 0)],
        VOLUMES,
    ),
    Travel(
        "to elsewhere, upwards in z",
        (2, 5, None, None),
        (1, 7, None, None),
        [(2, z, None, None) for z in (4, 3, 2, 6)],
        VOLUMES,
    ),
    Travel(
        "opened in volumes: through z",
        (0, 5, None, None),
        None,
        [(0, z, None, None) for z in (6, 4)],
        VOLUMES,
        reach=1,
    ),
    Travel(
        "time of a single z",
        (1, 0, None, None),
        None,
        [(t, 0, None, None) for t in (2, 0, 3)],
        new_stack(4, 1),
    ),
    Travel(
        "seen from the side", (None, 10, None), None, [(None, y, None) for y in (11, 9)], reach=1
    ),
    Travel(
        "turned to the side",
        (None, 10, None),
        (5, None, None),
        [(None, y, None) for y in (11, 9)],
        reach=1,
    ),
]


@pytest.mark.parametrize("case", TRAVELS, ids=lambda c: c.name)
def test_prefetch_order(case: Travel) -> None:
    assert prefetch_order(case.shown, case.previous, case.stack, case.reach) == case.next


positions = st.tuples(st.integers(0, 3), st.integers(0, 9), st.none(), st.none())


@given(shown=positions, previous=st.none() | positions, reach=st.integers(0, 12))
def test_what_comes_next_is_other_frames_of_the_stack(shown, previous, reach: int) -> None:
    order = prefetch_order(shown, previous, VOLUMES, reach)
    assert len(set(order)) == len(order) <= 2 * reach
    assert shown not in order
    assert set(order) <= set(VOLUMES.indices())


# All frames


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.manual_seed(0)
    device = torch.device("cpu")
    return Predictor(LoadedModel(Sam(SMALL).eval(), "small", "sha256:1", device, "fp32"))


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path)


def test_all_frames_are_on_disk_and_memory_stays_flat(predictor, store) -> None:
    cache, stack = EmbeddingCache(store=store), new_stack(2, 2)
    results = list(embed_all(cache, predictor, stack))
    assert [result.index for result in results] == list(stack.indices())
    assert all(result.encoded and result.nbytes for result in results)
    assert sum(result.nbytes for result in results) == store.nbytes
    assert (len(store), len(cache)) == (4, 0)


def test_stopped_within_a_block_and_gone_on_with(predictor, store) -> None:
    stack = new_stack(4)
    blocks = []

    def stop_in_the_third_frame(done: int, total: int) -> None:
        blocks.append((done, total))
        if len(blocks) == 2 * total + 1:
            raise Cancelled

    done = []
    with pytest.raises(Cancelled):
        done.extend(
            embed_all(EmbeddingCache(store=store), predictor, stack, None, stop_in_the_third_frame)
        )
    assert blocks[-1][0] == 1, "one block of the third frame"
    assert len(store) == 2
    results = list(embed_all(EmbeddingCache(store=store), predictor, new_stack(4)))
    assert [result.encoded for result in results] == [False, False, True, True]
    assert all(result.nbytes for result in results)


def test_only_the_frames_asked_for(predictor, store) -> None:
    stack = new_stack(5)
    indices = [(3, None, None), (1, None, None)]
    results = list(embed_all(EmbeddingCache(store=store), predictor, stack, indices))
    assert [result.index for result in results] == indices
    assert len(store) == 2


def test_the_same_crop_of_all_frames(predictor, store) -> None:
    stack, crop = new_stack(2), Crop(4, 5, 14, 15)
    assert all(each.encoded for each in embed_all(EmbeddingCache(store=store), predictor, stack))
    cache = EmbeddingCache(store=store)
    assert [each.encoded for each in embed_all(cache, predictor, stack, crop=crop)] == [True] * 2
    assert [each.encoded for each in embed_all(cache, predictor, stack, crop=crop)] == [False] * 2
    assert len(store) == 4
    assert cache.embed(predictor, stack, (1, None, None), crop=crop).embedding.frame_shape == (
        10,
        10,
    )


def test_without_a_store_memory_is_what_there_is(predictor) -> None:
    cache = EmbeddingCache()
    results = list(embed_all(cache, predictor, new_stack(2)))
    assert [(result.encoded, result.nbytes) for result in results] == [(True, 0)] * 2
    assert len(cache) == 2


@pytest.mark.parametrize(
    ("seconds", "done", "total", "text"),
    [
        (10, 0, 5, ""),
        (10, 5, 5, ""),
        (10, 1, 4, "about 30 s"),
        (0.1, 1, 2, "about 1 s"),
        (60, 1, 11, "about 10 min"),
        (100, 1, 2, "about 100 s"),
        (3600, 10, 40, "about 3 h"),
    ],
)
def test_time_left(seconds: float, done: int, total: int, text: str) -> None:
    assert time_left(seconds, done, total) == text


def test_the_time_left_is_by_what_was_done_lately() -> None:
    seconds = iter([0, 10, 20, 60, 100, 1000])
    pace = Pace(lambda: next(seconds))
    said = [pace.time_left(done, 110) for done in (50, 100, 101, 102, 103)]
    assert said == ["about 12 s", "about 2 s", "about 6 min", "about 5 min", "about 105 min"]
