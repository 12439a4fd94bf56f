"""All objects of images and stacks: what lands, how it is linked, and how it is taken back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import movies
from movies import disc, movie, moving
from napari_sam.engine import (
    AutomaticOptions,
    EmbeddingCache,
    FrameStack,
    GridRules,
    Prompts,
    SamError,
    iou,
)
from napari_sam.headless.automatic import (
    Placed,
    as_small_as_fits,
    find_everything,
    link_everything,
    nothing_found,
    why_dropped,
)
from napari_sam.headless.image import new_session
from napari_sam.session import Session

GRID = AutomaticOptions(method="grid", grid=GridRules(points_per_side=16))
COURSES = {1: moving(16, 10, 0, 4, 4), 2: moving(48, 50, 0, -4, 4)}


def everything(session: Session, options: AutomaticOptions = GRID, **more: object) -> list[Placed]:
    return list(find_everything(session, movies.predictor(), options, **more))


@pytest.mark.slow
def test_every_object_of_every_frame_lands() -> None:
    stack, truth = movie(COURSES)
    session = new_session(stack)
    done: list[tuple[int, int]] = []
    placed = everything(session, progress=lambda *so_far: done.append(so_far))
    assert done[-1] == (400, 400)
    assert done == sorted(done)
    landed = [each for each in placed if each.object_id]
    assert [each.object_id for each in landed] == list(range(1, 9))
    for each in landed:
        (t,) = (at for at in each.frame if at is not None)
        mine = session.labels[t] == each.object_id
        assert max(iou(mine, truth[t] == i) for i in (1, 2)) == 1
        assert each.region.area == mine.sum()
        stands = session.annotation(each.object_id, each.frame)
        assert (stands.iou_prediction, stands.model) == (pytest.approx(0.9), "threshold")
    assert set(why_dropped(placed)) == {"duplicate", "low score"}


def test_one_undo_takes_all_of_it_back() -> None:
    session = new_session(movie(COURSES)[0])
    everything(session)
    after = session.labels.copy()
    assert session.last_step == "automatic segmentation of 8 objects over 4 frames"
    assert session.undo()
    assert not session.labels.any()
    assert session.redo()
    np.testing.assert_array_equal(session.labels, after)


def test_what_is_done_stays_when_it_is_stopped() -> None:
    session = new_session(movie(COURSES)[0])
    steps = find_everything(session, movies.predictor(), GRID)
    next(steps)
    steps.close()
    assert session.labels[0].any()
    assert not session.labels[1:].any()


def test_a_found_object_is_corrected_by_a_click() -> None:
    stack, truth = movie(COURSES)
    session = new_session(stack)
    everything(session)
    frame = stack.index(0)
    session.annotate(
        1, frame, Prompts.from_points([(48, 50)]), movies.predictor(), EmbeddingCache()
    )
    assert ((session.labels[0] == 1) >= (truth[0] == 1)).all()


def test_what_is_annotated_stays() -> None:
    stack, truth = movie(COURSES)
    session = new_session(stack)
    session.labels[0][truth[0] == 1] = 40
    session.note_ids(40)
    placed = everything(session, frames=[stack.index(0)])
    np.testing.assert_array_equal(session.labels[0] == 40, truth[0] == 1)
    assert [each.object_id for each in placed if each.object_id] == [41]
    assert why_dropped(placed)["annotated already"]


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "rules"), [("TYX", "time"), ("ZYX", "depth")])
def test_linked_objects_have_one_id(axes: str, rules: str) -> None:
    """Over time discs may move by most of their diameter, through depth by less than half."""
    step = 4 if rules == "time" else 1
    courses = {1: moving(16, 10, 0, step, 4), 2: moving(48, 50, 0, -step, 4)}
    stack, truth = movie(courses)
    session = new_session(replace(stack, letters=axes))
    placed = link_everything(session, everything(session))
    assert len(np.unique(session.labels[session.labels > 0])) == 2
    assert movies.same_tracks(session.labels, truth)
    for each in placed:
        if each.object_id:
            y0, x0, y1, x1 = each.region.window
            (t,) = (at for at in each.frame if at is not None)
            seen = session.labels[t, y0:y1, x0:x1][each.region.pixels]
            assert (seen == each.object_id).all()


@pytest.mark.slow
def test_a_volume_over_time_is_joined_and_tracked() -> None:
    _, first = movie({1: moving(16, 10, 0, 1, 3), 2: moving(48, 50, 0, -1, 3)})
    truth = np.stack([first, np.roll(first, 2, axis=-1)])  # (T, Z, Y, X)
    pixels = np.where(truth > 0, 200, 20).astype(np.uint8)
    stack = FrameStack.from_array(pixels, axes="TZYX", limits=(0, 255))
    session = new_session(stack)
    link_everything(session, everything(session))
    assert movies.same_tracks(session.labels, truth)


def test_a_frame_without_anything_has_no_object() -> None:
    pixels = np.full((2, 64, 64), 20, np.uint8)
    pixels[1][disc(30, 30, 8)] = 200
    stack = FrameStack.from_array(pixels, limits=(0, 255))
    session = new_session(stack)
    placed = everything(session)
    assert {each.frame for each in placed} == {stack.index(1)}
    assert session.labels[1].any()
    assert not session.labels[0].any()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (replace(GRID, min_area=5000), "too small. Try a smaller --min-area."),
        (replace(GRID, min_score=0.95), "low score. Try a lower --min-score."),
        (replace(GRID, grid=GridRules(1)), "low score. Try a lower --min-score."),
    ],
)
def test_that_nothing_was_found_is_said_with_what_to_do(
    options: AutomaticOptions, says: str
) -> None:
    session = new_session(movie(COURSES)[0])
    placed = everything(session, options, frames=[session.stack.index(0)])
    assert nothing_found(placed).endswith(says)
    assert not session.labels.any()


def test_seeds_of_a_model_that_maps_nothing_are_refused_before_anything_is_encoded() -> None:
    predictor = movies.predictor()
    steps = find_everything(
        new_session(movie(COURSES)[0]), predictor, replace(GRID, method="seeds")
    )
    with pytest.raises(SamError, match=r"threshold maps no objects.*Choose the method grid"):
        next(steps)
    assert predictor.model.network.n_encoded == 0


def test_more_objects_than_labels_can_number_are_refused_and_nothing_changes() -> None:
    stack, _ = movie(COURSES)
    session = Session(stack, np.zeros(stack.shape, np.uint8))
    session.note_ids(254)
    with pytest.raises(SamError, match=r"2 objects were found.*number 256.*up to 255.*of 32 bit"):
        everything(session, frames=[stack.index(0)])
    assert not session.labels.any()
    assert not session.last_step


@pytest.mark.parametrize(
    ("highest", "dtype"), [(9, np.uint16), (65535, np.uint16), (65536, np.uint32)]
)
def test_labels_are_written_as_small_as_fits(highest: int, dtype: type) -> None:
    labels = np.array([[0, highest]], np.uint32)
    assert as_small_as_fits(labels).dtype == dtype
    np.testing.assert_array_equal(as_small_as_fits(labels), labels)
