"""Labels of other tools refined: what is replaced, what stays and why, one step of undo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage import data

from commands import NapariSam
from napari_sam import FrameStack, Predictor, Prompts, SamError, Session, load_model
from napari_sam.engine import prompts_of_labels
from napari_sam.headless import refine, segment, session_to_refine
from napari_sam.session import read_frame, unconfirmed_in
from napari_sam.stacks import RefineRules
from napari_sam.stacks.refining import as_asked

COINS = ((54, 45), (57, 100), (51, 156))
BACKGROUND = (200, 20)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(load_model("pocket", device="cpu"))


def given_labels() -> np.ndarray:
    """Squares on three coins, which are too small, and one on the background."""
    labels = np.zeros(data.coins().shape, np.uint16)
    for object_id, (y, x) in enumerate((*COINS, BACKGROUND), start=1):
        labels[y - 12 : y + 12, x - 12 : x + 12] = 10 * object_id
    return labels


def session_of(labels: np.ndarray) -> Session:
    pixels = np.broadcast_to(data.coins(), labels.shape)
    return Session(FrameStack.from_array(pixels), labels.copy())


@pytest.mark.slow
def test_objects_are_replaced_where_the_answer_agrees(predictor: Predictor) -> None:
    before = given_labels()
    session = session_of(before)
    results = {each.object_id: each for each in refine(session, predictor)}
    assert list(results) == [10, 20, 30, 40]
    assert [i for i, each in results.items() if each.kept] == [40]
    for object_id in (10, 20, 30):
        assert (session.labels == object_id).sum() > 1.05 * (before == object_id).sum()
    np.testing.assert_array_equal(session.labels == 40, before == 40)
    assert results[40].kept.startswith("The model is not sure of its answer: its score is 0.")
    frame = session.stack.index()
    assert [each[:2] for each in session.weakest()] == [(40, frame)], "it is listed for review"
    assert session.annotation(40, frame).warning == results[40].kept
    assert not unconfirmed_in(session, frame), "nothing found later takes its place"
    assert session.last_step.startswith("refinement of objects 10, 20, 30 and 40")
    session.undo()
    np.testing.assert_array_equal(session.labels, before)
    assert session.weakest() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (RefineRules(min_iou=0.99), "is another object: their IoU is"),
        (RefineRules(min_score=1.0), "is not sure of its answer"),
    ],
)
def test_nothing_is_replaced_that_does_not_agree(
    rules: RefineRules, why: str, predictor: Predictor
) -> None:
    session = session_of(given_labels())
    results = list(refine(session, predictor, rules))
    assert all(why in each.kept for each in results)
    np.testing.assert_array_equal(session.labels, given_labels())
    assert len(session.weakest()) == 4


@pytest.mark.slow
def test_what_the_user_annotated_and_other_frames_stay(predictor: Predictor) -> None:
    labels = np.stack([given_labels()] * 3)
    session = session_of(labels)
    first, second = (session.stack.index(n) for n in (0, 1))
    list(segment(session, {(10, first): Prompts.from_box((34, 22, 74, 67))}, predictor))
    mine = read_frame(session.labels, first) == 10
    results = list(refine(session, predictor, frames=[first, second]))
    assert (10, first) not in {each.answer.request.key for each in results}
    np.testing.assert_array_equal(read_frame(session.labels, first) == 10, mine)
    np.testing.assert_array_equal(session.labels[2], labels[2])


@pytest.mark.slow
def test_where_nothing_is_to_be_seen_everything_stays(predictor: Predictor) -> None:
    labels = np.stack([given_labels()[:96, :64]] * 2)
    pixels = np.stack([np.full((96, 64), 7, np.uint8), data.coins()[:96, :64]])
    session = Session(FrameStack.from_array(pixels, axes="TYX"), labels.copy())
    rules = RefineRules(min_iou=0, min_score=0)
    blank, seen = refine(session, predictor, rules)
    assert (blank.answer.request.frame[0], seen.kept) == (0, "")
    assert blank.reason == "there is nothing to see in its frame"
    np.testing.assert_array_equal(session.labels[0], labels[0])
    assert (session.labels[1] != labels[1]).any()


def test_stopped_between_two_objects_the_rest_stays(predictor: Predictor) -> None:
    session = session_of(given_labels())
    steps = refine(session, predictor)
    assert next(steps).object_id == 10
    steps.close()
    later = given_labels() > 10
    np.testing.assert_array_equal(session.labels[later], given_labels()[later])


def test_labels_of_one_frame_say_which_it_is() -> None:
    labels = given_labels()
    stack = session_of(np.broadcast_to(labels, (3, *labels.shape))).stack
    frames = list(stack.indices())
    with pytest.raises(SamError, match=r"of one frame, and 3 frames .* as in --frames 3"):
        session_to_refine(stack, labels, frames)
    found = session_to_refine(stack, labels, frames[1:2])
    assert [int(found.labels[t].max()) for t in range(3)] == [0, 40, 0]


def test_a_loosened_mask_is_larger_by_its_share() -> None:
    (disc,) = prompts_of_labels(
        (np.hypot(*np.mgrid[-30:31, -30:31]) <= 20).astype(np.uint8),
        FrameStack.from_array(np.zeros((61, 61), np.uint8)),
    ).objects
    grown = as_asked(disc, 0.1).mask
    assert grown is not None
    assert np.sqrt(grown.sum() / np.pi) == pytest.approx(24, abs=0.5)
    assert as_asked(disc, 0.1).prompts == Prompts.from_points([(30, 30)])
    assert as_asked(disc, 0).mask is disc.mask


def test_rules_that_cannot_be() -> None:
    with pytest.raises(SamError, match="min_iou is 2"):
        RefineRules(min_iou=2)


@pytest.mark.slow
def test_the_command(napari_sam: NapariSam, working_folder: Path) -> None:
    tifffile.imwrite("coins.tif", data.coins())
    tifffile.imwrite("given.tif", given_labels())
    command = "refine coins.tif --labels given.tif --out out.tif"
    ended = napari_sam(f"{command} --review review.csv")
    assert ended.code == 0
    assert "3 of 4 objects refined\n1 kept: the model is not sure of its answer" in ended.out
    header, first, *others = working_folder.joinpath("review.csv").read_text().splitlines()
    assert header.startswith("object_id,frame,refined,iou,score,")
    assert first.startswith("40,,no,")
    assert len(others) == 3
    labels = tifffile.imread("out.tif")
    assert set(np.unique(labels)) == {0, 10, 20, 30, 40}
    ended = napari_sam(f"{command} --min-score 1 --json")
    assert ended.json["refined"] == 0
    np.testing.assert_array_equal(tifffile.imread("out.tif"), given_labels())
    ended = napari_sam("refine coins.tif --labels given.tif --out given.tif")
    assert ended.code == 1
    assert "an input of this command" in ended.err
    tifffile.imwrite("small.tif", given_labels()[:50])
    ended = napari_sam("refine coins.tif --labels small.tif --out out.tif")
    assert "Labels of shape (50, 384) are not those of an image" in ended.err
