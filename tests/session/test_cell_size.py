"""The size of cells: as the user says, or learned from what was segmented before."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.engine import EmbeddingCache, FrameStack, LoadedModel, Predictor, Prompts
from napari_sam.session import Session
from painter import SIZE, Painter

FRAME = (None, None)
PLACES = ((4, 4), (4, 14), (4, 24), (14, 4), (14, 14))


class Undecided(Painter):
    """Of its candidates around a click the first covers 7 x 7 pixels, the second 11 x 11; the
    first is a little better."""

    def decode(self, features, prompts):
        logits, _ = super().decode(features, prompts)
        return logits, torch.tensor([[0.5, 0.82, 0.8, 0.5]])


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(LoadedModel(Undecided(1), "painter", "0", torch.device("cpu"), "fp32"))


def new_session() -> Session:
    stack = FrameStack.from_array(np.zeros((SIZE, SIZE), np.uint8))
    session = Session(stack, np.zeros((SIZE, SIZE), np.uint16), protect_neighbours=False)
    session.learns_diameter = True
    return session


def click(session: Session, predictor: Predictor, object_id: int, place: tuple[int, int]) -> int:
    """Segment an object with one click, and tell its area."""
    session.annotate(object_id, FRAME, Prompts.from_points([place]), predictor, EmbeddingCache())
    return session.annotation(object_id, FRAME).footprint.landed.area


def test_the_size_given_decides_between_candidates(predictor: Predictor) -> None:
    session = new_session()
    assert click(session, predictor, 1, (14, 14)) == 7 * 7
    session.cell_diameter = 12.0
    assert click(session, predictor, 2, (14, 15)) == 11 * 11


def test_the_size_is_learned_from_three_objects(predictor: Predictor) -> None:
    session = new_session()
    for object_id, place in enumerate(PLACES[:2], 1):
        click(session, predictor, object_id, place)
    assert session.usual_diameter is None
    click(session, predictor, 3, PLACES[2])
    assert session.usual_diameter == pytest.approx(2 * np.sqrt(49 / np.pi), rel=0.05)


def test_headless_sessions_do_not_learn(predictor: Predictor) -> None:
    """A table of prompts gives the same masks in whatever order it is worked off."""
    session = new_session()
    session.learns_diameter = False
    for object_id, place in enumerate(PLACES, 1):
        click(session, predictor, object_id, place)
    assert session.expected_diameter is None


def test_later_clicks_refine_what_the_first_one_found(predictor: Predictor) -> None:
    """The size an object was begun with stays with it, whatever is learned meanwhile."""
    session = new_session()
    session.cell_diameter = 12.0
    click(session, predictor, 1, (14, 14))
    session.cell_diameter = None
    more = Prompts.from_points([(14, 14), (16, 14)])
    request = session.edit(1, FRAME, more)
    assert request is not None
    assert request.diameter == 12.0


def test_an_object_does_not_expect_its_own_size(predictor: Predictor) -> None:
    """Drawn again, an object is decoded as if it had not been there."""
    session = new_session()
    for object_id, place in enumerate(PLACES[:3], 1):
        click(session, predictor, object_id, place)
    session.edit(3, FRAME, Prompts())
    request = session.edit(3, FRAME, Prompts.from_points([(20, 20)]))
    assert request is not None
    assert request.diameter is None
