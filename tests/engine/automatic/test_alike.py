"""More like these: what looks alike, what is decided of it, where else it is looked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.engine import (
    AlikeOptions,
    Compared,
    EmbeddingCache,
    Examples,
    FoundObject,
    FrameStack,
    Predictor,
    SamError,
    decide_alike,
    find_alike,
    load_model,
    looks_of,
    propose_alike,
    read_examples,
    to_labels,
)
from napari_sam.engine.automatic.likeness import likeness, squared_distances
from napari_sam.engine.automatic.places import Places

SHAPE = (96, 96)
ROUND = ((16, 16), (16, 48), (16, 80), (48, 16), (48, 80), (80, 16), (80, 48), (80, 80))
EXAMPLES = ROUND[:3]


def picture() -> np.ndarray:
    """Eight bright discs, and a large one in the middle."""
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    image = np.random.default_rng(0).normal(40, 4, SHAPE)
    for y, x in ROUND:
        image[(ys - y) ** 2 + (xs - x) ** 2 <= 7**2] += 130
    image[(ys - 48) ** 2 + (xs - 48) ** 2 <= 15**2] += 130
    return np.clip(image, 0, 255).astype(np.uint8)


def labelled(centres: tuple[tuple[int, int], ...]) -> np.ndarray:
    ys, xs = np.mgrid[: SHAPE[0], : SHAPE[1]]
    labels = np.zeros(SHAPE, np.uint32)
    for n, (y, x) in enumerate(centres, 1):
        labels[(ys - y) ** 2 + (xs - x) ** 2 <= 7**2] = 1000 * n
    return labels


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    torch.set_num_threads(1)
    return Predictor(load_model("pocket", device="cpu"))


@pytest.fixture(scope="module")
def cache() -> EmbeddingCache:
    return EmbeddingCache()


@pytest.fixture(scope="module")
def stack() -> FrameStack:
    return FrameStack.from_array(picture(), rgb=False)


@pytest.fixture(scope="module")
def given() -> np.ndarray:
    return labelled(EXAMPLES)


@pytest.fixture(scope="module")
def examples(
    predictor: Predictor, stack: FrameStack, given: np.ndarray, cache: EmbeddingCache
) -> Examples:
    return read_examples(predictor, stack, stack.index(), given, cache=cache)


@pytest.mark.slow
def test_the_other_discs_are_found_and_the_large_one_is_not(
    predictor: Predictor,
    stack: FrameStack,
    given: np.ndarray,
    examples: Examples,
    cache: EmbeddingCache,
) -> None:
    found = list(
        find_alike(*(predictor, stack, stack.index(), examples), annotated=given, cache=cache)
    )
    labels = to_labels(found, SHAPE)
    assert all(labels[at] for at in ROUND[3:])
    assert not labels[48, 48]
    assert not labels[given > 0].any(), "the examples stay as they are"
    assert "unlike the examples" in {each.dropped for each in found}
    assert all(each.likeness is not None for each in found)


def test_a_counter_example_takes_its_like_along(
    predictor: Predictor,
    stack: FrameStack,
    given: np.ndarray,
    examples: Examples,
    cache: EmbeddingCache,
) -> None:
    proposals = propose_alike(
        *(predictor, stack, stack.index(), examples), annotated=given, cache=cache
    )
    low = AlikeOptions(min_likeness=0.05)
    found = decide_alike(proposals, examples, low, SHAPE, given)
    standing = [n for n, each in enumerate(found) if each.dropped is None]
    assert len(standing) >= 5
    (removed,) = standing[:1]
    against = examples.but_not(proposals.looks[[removed]])
    again = decide_alike(proposals, against, low, SHAPE, given)
    assert again[removed].dropped == "unlike the examples"
    both = [(a.likeness, b.likeness) for a, b in zip(found, again, strict=True)]
    assert all(after <= before for before, after in both)
    nothing = decide_alike(proposals, examples, replace(low, min_likeness=1.0), SHAPE, given)
    assert all(each.dropped for each in nothing)


def test_without_a_map_of_objects_places_alone_are_clicked(
    predictor: Predictor,
    stack: FrameStack,
    given: np.ndarray,
    examples: Examples,
    cache: EmbeddingCache,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(predictor.model.network, "maps", None)
    found = list(
        find_alike(*(predictor, stack, stack.index(), examples), annotated=given, cache=cache)
    )
    assert {each.method for each in found} == {"grid"}
    labels = to_labels(found, SHAPE)
    assert sum(bool(labels[at]) for at in ROUND[3:]) >= 4


def test_places_lie_apart_and_away_from_what_is_there(
    predictor: Predictor, stack: FrameStack, examples: Examples, cache: EmbeddingCache
) -> None:
    embedding = cache.embed(predictor, stack, stack.index()).embedding
    covered = np.zeros(SHAPE, bool)
    covered[:48] = True
    points = np.array(Places(embedding, examples, covered).take(5))
    assert len(points)
    assert (points[:, 0] > 48 + examples.diameter / 2 - 1).all()
    apart = np.sqrt(squared_distances(points, points) + np.eye(len(points)) * 1e6)
    assert apart.min() > examples.diameter / 2
    assert not Places(embedding, examples, np.ones(SHAPE, bool)).take(5)


def test_likeness_by_hand() -> None:
    looks = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], np.float32)
    examples = Examples(looks[:1], looks[:1], 10.0, looks[:0])
    scores = np.array([0.8, 0.8, 0.8])
    np.testing.assert_allclose(
        likeness(looks, scores, examples), 0.8 * np.exp([0, -0.5, -2]), rtol=1e-5
    )
    near = looks[2:] - [0.2, 0]
    against = likeness(np.concatenate([looks, near]), np.full(4, 0.8), examples.but_not(looks[2:]))
    np.testing.assert_allclose(against[:2], 0.8 * np.exp([0, -0.5]), rtol=1e-5)
    assert against[2] == 0, "it is the counter-example"
    assert against[3] == pytest.approx(0.8 * np.exp(-1.62) * (1 - np.exp(-0.4)), rel=1e-4)


def test_examples_of_several_frames_are_joined() -> None:
    one = np.zeros((1, 3), np.float32)
    parts = [Examples(one, one, d, one[:0]) for d in (4.0, 8.0, 30.0)]
    joined = Examples.joined(parts)
    assert joined.looks.shape == (3, 3)
    assert joined.diameter == 8
    assert parts[0].reach > 0, "of a single example nothing is known"


def test_an_object_without_a_mask_is_like_nothing() -> None:
    unseen = FoundObject.unseen((3, 3), "seeds", score=0.9)
    one = np.zeros((1, 2), np.float32)
    proposals = Compared((unseen,), one[:0])
    (found,) = decide_alike(proposals, Examples(one, one, 9.0, one[:0]), AlikeOptions(), SHAPE)
    assert found.dropped


def test_looks_of_no_object(predictor: Predictor, stack: FrameStack, cache: EmbeddingCache) -> None:
    embedding = cache.embed(predictor, stack, stack.index()).embedding
    assert looks_of(embedding, []).shape[0] == 0


@pytest.mark.parametrize(
    ("labels", "ids", "said"),
    [
        (np.zeros(SHAPE, int), None, "There is no example"),
        (np.zeros((5, 5), int), None, "have 5 × 5 pixels, the frame 96 × 96"),
        (labelled(EXAMPLES), [7], "example 7 has no pixel"),
    ],
)
def test_what_is_no_example_is_refused(
    predictor: Predictor, stack: FrameStack, labels: np.ndarray, ids: list[int] | None, said: str
) -> None:
    with pytest.raises(SamError, match=said):
        read_examples(predictor, stack, stack.index(), labels, ids)


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(SamError, match="min_likeness is 2"):
        AlikeOptions(min_likeness=2)
