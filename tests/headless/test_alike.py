"""More like these in stacks: where examples come from, what lands, and how it is taken back."""

from __future__ import annotations

import numpy as np
import pytest

import movies
from movies import movie, moving
from napari_sam.engine import AlikeOptions, FrameStack, GridRules, SamError, iou
from napari_sam.headless import example_session, examples_in, more_like_these, new_session
from napari_sam.session import Session

GRID = AlikeOptions(method="grid", grid=GridRules(points_per_side=16))
COURSES = {1: moving(16, 10, 0, 4, 4), 2: moving(48, 50, 0, -4, 4)}


@pytest.fixture
def session() -> Session:
    """Two discs in each of four frames; the first of frame 0 is segmented, as number 7."""
    stack, truth = movie(COURSES)
    return example_session(stack, np.where(truth[0] == 1, 7, 0))


@pytest.mark.slow
@pytest.mark.parametrize(("options", "least"), [(GRID, 7), (AlikeOptions(), 5)])
def test_what_is_alike_lands_in_all_frames(
    session: Session, options: AlikeOptions, least: int
) -> None:
    _, truth = movie(COURSES)
    predictor = movies.predictor()
    example = session.labels[0] == 7
    done: list[tuple[int, int]] = []
    found = more_like_these(
        *(session, predictor, examples_in(session, predictor), options),
        progress=lambda *so_far: done.append(so_far),
    )
    landed = [each for each in found if each.object_id]
    assert done[-1] == (400, 400)
    np.testing.assert_array_equal(session.labels[0] == 7, example)
    assert 7 >= len(landed) >= least, "this network has no features that tell places apart"
    for each in landed:
        (t,) = (at for at in each.frame if at is not None)
        mine = session.labels[t] == each.object_id
        assert max(iou(mine, truth[t] == i) for i in (1, 2)) == 1
        score = session.annotation(each.object_id, each.frame).score
        assert score == each.found.likeness, "the least alike is reviewed first"
    assert session.undo()
    assert set(np.unique(session.labels)) == {0, 7}


def test_other_images_have_the_examples_of_the_first(session: Session) -> None:
    predictor = movies.predictor()
    examples = examples_in(session, predictor, [7])
    other = new_session(movie({1: moving(30, 30, 0, 2, 2)})[0])
    placed = list(more_like_these(other, predictor, examples, GRID))
    assert sum(bool(each.object_id) for each in placed) == 2


def test_labels_of_one_frame_or_of_all() -> None:
    stack, truth = movie(COURSES)
    assert example_session(stack, truth[2], stack.index(2)).ids_in(stack.index(2)) == (1, 2)
    assert example_session(stack, truth).ids_in(stack.index(3)) == (1, 2)
    with pytest.raises(SamError, match="of this image, of all its frames"):
        example_session(stack, truth[:2])
    with pytest.raises(SamError, match="Give those of one frame"):
        example_session(stack, truth[0, :5])


def test_what_is_no_example_is_refused(session: Session) -> None:
    predictor = movies.predictor()
    with pytest.raises(SamError, match="example 9 has no pixel"):
        examples_in(session, predictor, [7, 9])
    with pytest.raises(SamError, match="There is no example"):
        examples_in(new_session(session.stack), predictor)
    blank = FrameStack.from_array(np.zeros((8, 8), np.uint8), rgb=False)
    with pytest.raises(SamError, match="nothing to see where the examples are"):
        examples_in(example_session(blank, np.eye(8, dtype=np.uint8)), predictor)


def test_nothing_is_looked_for_in_a_blank_frame(session: Session) -> None:
    predictor = movies.predictor()
    examples = examples_in(session, predictor)
    blank = new_session(FrameStack.from_array(np.zeros((64, 64), np.uint8), rgb=False))
    assert not list(more_like_these(blank, predictor, examples, GRID))
