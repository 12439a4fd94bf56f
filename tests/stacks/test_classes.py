"""Proposed classes of a stack: what is seen once is kept, and what changed is seen again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bright import Bright
from napari_sam.engine import EmbeddingCache, FrameStack, LoadedModel, Predictor, SamError
from napari_sam.session import Region, Session, objects
from napari_sam.session.classes import add_class, give_class, take_proposals
from napari_sam.stacks import Classified, ObjectFeatures, propose_in

SIDE = 64


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(LoadedModel(Bright(), "bright", "sha256:0", torch.device("cpu"), "fp32"))


@pytest.fixture
def session() -> Session:
    """Two frames; squares of 4 and of 8 pixels, those bright, in 16 places; 1 and 2 are known."""
    rng = np.random.default_rng(0)
    image = rng.normal(40, 5, (2, SIDE, SIDE))
    labels = np.zeros(image.shape, np.uint16)
    for n in range(16):
        side, (y, x) = 4 + 4 * (n % 2), (16 * (n // 4) + 4, 16 * (n % 4) + 4)
        labels[:, y : y + side, x : x + side] = n + 1
        image[:, y : y + side, x : x + side] += 60 * (n % 2)
    session = Session(FrameStack.from_array(image.astype(np.uint8), rgb=False), labels)
    for object_id, name in ((1, "small"), (2, "large")):
        add_class(session, name)
        give_class(session, [object_id], name)
    return session


def test_alike_objects_get_the_class_of_the_examples(session, predictor) -> None:
    proposed = propose_in(session, predictor)
    assert {i: name for i, (name, _) in proposed.items()} == {
        i: "large" if i % 2 == 0 else "small" for i in range(1, 17)
    }
    assert proposed[1] == ("small", 1.0)
    assert all(0.5 < probability < 1 for i, (_, probability) in proposed.items() if i > 2)
    assert take_proposals(session, proposed) == 14


def test_a_correction_encodes_nothing_and_only_what_changed_is_seen_again(
    session, predictor
) -> None:
    features, cache = ObjectFeatures(), EmbeddingCache()
    network = predictor.model.network
    told: list[tuple[int, int]] = []
    first = features.propose(
        Classified.of(session), predictor, cache, lambda *step: told.append(step)
    )
    assert network.n_encoded == 2
    assert told[-1] == (200, 200)
    cache.clear()
    give_class(session, [3], "large")
    again = features.propose(Classified.of(session), predictor, cache)
    assert network.n_encoded == 2, "what was seen is kept, though embeddings are not"
    assert again[3] == ("large", 1.0)
    assert again[5][1] < first[5][1], "3 looked like 5"
    objects.cut(
        session,
        4,
        (1, None, None),
        Region.from_mask(session.labels[1] == 4).common(
            Region.from_mask(np.indices((SIDE, SIDE))[0] < 8)
        ),
    )
    third = features.propose(Classified.of(session), predictor, cache)
    assert network.n_encoded == 3, "one frame has changed"
    assert 17 in third


@pytest.mark.parametrize(("names", "says"), [([], "No object"), (["small"], "Only “small”")])
def test_too_few_examples_are_told(session, predictor, names, says) -> None:
    give_class(session, [1, 2], None)
    for name in names:
        give_class(session, [1], name)
    with pytest.raises(SamError, match=says):
        propose_in(session, predictor)
