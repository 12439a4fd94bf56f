"""Objects propagated through movies of discs: where to, how far, and why they end."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from movies import SIZE, Path, disc, movie, moving, predictor
from napari_sam.engine import Cancelled, EmbeddingCache, FrameStack, SamError, iou
from napari_sam.session import Propagated, Region, Session
from napari_sam.stacks import plan, propagate
from napari_sam.stacks.motion import Picture
from napari_sam.stacks.step import Rules, step
from napari_sam.stacks.track import NOT_LOST, Before, Loss, Scene, Track

WHOLE = (0, 0, SIZE, SIZE)


def session_of(stack: FrameStack, labels: np.ndarray, *frames: int) -> Session:
    """A session whose labels hold the truth of these frames only."""
    kept = np.zeros_like(labels)
    for frame in frames:
        kept[frame] = labels[frame]
    return Session(stack, kept)


def run(session: Session, ids: list[int], t: int, **options) -> list[Propagated]:
    network = predictor()
    wanted = plan(session, ids, session.stack.index(t), **options)
    return list(propagate(wanted, session.stack, network, EmbeddingCache()))


def times(results: list[Propagated]) -> list[int | None]:
    return [result.frame[0] for result in results]


@dataclass(frozen=True)
class Course:
    """What discs do, how far the first one can be propagated, and what is said then."""

    name: str
    paths: dict[int, Path]
    reached: int  # the last frame
    says: str = ""
    sure: range = field(default=range(0))  # frames in which it must be found well


COURSES = (
    Course("rests", {1: moving(30, 30, 0, 0, 6)}, 5, sure=range(1, 6)),
    Course("moves", {1: moving(12, 12, 3, 4, 8)}, 7, sure=range(1, 8)),
    Course("moves fast, a radius and more", {1: moving(10, 10, 8, 0, 6)}, 5, sure=range(1, 6)),
    Course(
        "turns back",
        {1: [*moving(30, 10, 0, 6, 5), *moving(30, 28, 0, -6, 4)]},
        8,
        sure=range(1, 9),
    ),
    Course("grows slowly", {1: [(30, 30, 5 + 0.8 * t) for t in range(6)]}, 5, sure=range(1, 6)),
    Course(
        "is more than twice as large at once",
        {1: [(32, 32, 5), *[(32, 32, 8)] * 4]},
        4,
        sure=range(1, 5),
    ),
    Course("leaves", {1: moving(32, 40, 0, 6, 8)}, 4, "left the frame"),
    Course(
        "vanishes",
        {1: [*moving(30, 30, 0, 0, 3), None, None, None, None]},
        4,
        "ends before frame 5. It vanished",
        range(1, 3),
    ),
    Course(
        "is gone for a frame",
        {1: [*moving(30, 30, 0, 0, 2), None, *moving(30, 30, 0, 0, 3)]},
        5,
        sure=range(3, 6),
    ),
    Course(
        "grows too fast",
        {1: [(32, 32, 4), (32, 32, 12), (32, 32, 12), (32, 32, 12), (32, 32, 12)]},
        2,
        "grew",
    ),
    Course(
        "shrinks",
        {1: [(32, 32, 12), *[(32, 32, 3)] * 4]},
        2,
        "shrank",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("course", COURSES, ids=lambda c: c.name)
def test_course(course: Course) -> None:
    stack, labels = movie(course.paths)
    results = run(session_of(stack, labels, 0), [1], 0)
    going = [result for result in results if not result.stopped]
    assert times(going) == list(range(1, course.reached + 1))
    assert [r.stopped != "" for r in results if r.stopped] == [True] * bool(course.says)
    assert course.says in results[-1].stopped
    for result in going:
        assert result.source == (0, None, None)
        assert 0 <= result.score <= 1
        if result.frame[0] in course.sure:
            assert iou(result.mask.within(WHOLE), labels[result.frame[0]] == 1) > 0.8


@pytest.mark.slow
def test_what_leaves_slowly_has_left_although_a_crumb_lies_there() -> None:
    """What is seen is judged by all that the cell was, not by what was left in the frame before."""
    leaving = [(32, 54 + 1.5 * t, 8) for t in range(14)]
    stack, labels = movie({1: leaving, 2: [(32, 63, 2)] * 14})
    labels = np.where(labels == 2, 0, labels)
    results = run(session_of(stack, labels, 0), [1], 0)
    assert "It left the frame" in results[-1].stopped
    last = max(t for t in range(14) if (labels[t] == 1).sum() > 0.1 * (labels[0] == 1).sum())
    assert results[-1].frame[0] == pytest.approx(last + 1, abs=1)


LOST = Loss(1.5, 1.5)  # what was found in the frames before did not lead back


@pytest.mark.parametrize(
    ("x", "lost", "usual", "ends"),
    [(32, LOST, 500, True), (32, LOST, 113, False), (32, NOT_LOST, 500, False),
     (4, LOST, 500, False)],
    ids=["lost, and another size", "lost, of its usual size", "grows", "seen in part"],
)  # fmt: skip
def test_what_does_not_lead_back_and_is_not_as_large_is_another(x, lost, usual, ends) -> None:
    """A disc of 113 pixels rests where an object was, and may be another one."""
    stack, labels = movie({1: [(32, x, 6)] * 2})
    seeing, cache = predictor(), EmbeddingCache()
    frames = [stack.index(t) for t in (0, 1)]
    embeddings = [cache.embed(seeing, stack, frame).embedding for frame in frames]
    pictures = [Picture(stack.frame(frame), (SIZE, SIZE)) for frame in frames]
    track = Track.in_time(1, Region.from_mask(labels[0] == 1), frames[0])
    track = replace(track, lost=lost, usual=usual)
    scene = Scene(frames[1], pictures[1], embeddings[1])
    ((result, goes_on),) = step([track], Before(pictures[0], embeddings[0]), scene, seeing, Rules())
    assert ("does not lead back" in result.stopped) == ends
    assert (goes_on is None) == ends


def test_a_doubtful_frame_scores_lowest() -> None:
    stack, labels = movie({1: [*moving(30, 30, 0, 0, 2), None, *moving(30, 30, 0, 0, 2)]})
    results = run(session_of(stack, labels, 0), [1], 0)
    assert min(results, key=lambda r: r.score).frame[0] == 2


@dataclass(frozen=True)
class Parted:
    """Where two daughters are at once, after a mother at (30, 30)."""

    name: str
    daughters: tuple[tuple[float, float], tuple[float, float]]
    radius: float = 5


PARTED = (
    Parted("beside her", ((30, 23), (30, 37))),
    Parted("above and below", ((22, 30), (38, 30))),
    Parted("small", ((30, 24), (30, 36)), 4),
    Parted("at an angle", ((25, 24), (35, 36))),
)


@pytest.mark.parametrize("parted", PARTED, ids=lambda p: p.name)
def test_a_division_is_the_first_thing_to_review(parted: Parted) -> None:
    """The mother's id goes on, with a low score and a sentence."""
    mother: list = [*moving(30, 30, 0, 0, 4, 8), *[None] * 4]
    ways = [((y > 30) - (y < 30), (x > 30) - (x < 30)) for y, x in parted.daughters]
    one, other = (
        [*[None] * 4, *moving(*at, *way, 4, parted.radius)]
        for at, way in zip(parted.daughters, ways, strict=True)
    )
    stack, labels = movie({1: mother, 2: one, 3: other})
    session = session_of(stack, labels, 0)
    results = run(session, [1], 0)
    number = session.new_run()
    for propagated in results:
        session.land_propagated(propagated, number)
    assert [r.warning for r in results if r.frame[0] < 4] == ["", "", ""]
    at_once = next(r for r in results if r.frame[0] == 4)
    assert "it may have divided" in at_once.warning + at_once.stopped
    assert session.weakest(1)[0][1][0] == 4
    assert at_once.score < 0.3 < min(r.score for r in results if r.frame[0] < 4)


def test_objects_never_claim_the_same_pixel() -> None:
    stack, labels = movie({1: moving(32, 18, 0, 2, 8), 2: moving(32, 46, 0, -2, 8)})
    results = run(session_of(stack, labels, 0), [1, 2], 0)
    for t in range(1, 8):
        taken = sum(r.mask.within(WHOLE).astype(int) for r in results if r.frame[0] == t)
        assert np.max(taken) <= 1


def test_two_that_become_one_are_said_to_have_merged() -> None:
    apart = {1: moving(32, 18, 0, 0, 1), 2: moving(32, 34, 0, 0, 1)}
    over = [(32, 18 + 3.2 * min(t, 5), 6) for t in range(10)]
    stack, labels = movie({1: over, 2: [apart[2][0]] * 10})
    results = run(session_of(stack, labels, 0), [1, 2], 0)
    ended = [result for result in results if result.stopped]
    assert len(ended) == 1
    assert "merged" in ended[0].stopped
    assert f"Object {ended[0].object_id} ends before frame" in ended[0].stopped


def test_objects_of_a_frame_are_decoded_together_and_encoded_once() -> None:
    paths = {i: moving(12 * i, 12, 0, 2, 4, radius=4) for i in range(1, 5)}
    stack, labels = movie(paths)
    session, seeing = session_of(stack, labels, 0), predictor()
    wanted = plan(session, [1, 2, 3, 4], stack.index(0))
    results = list(propagate(wanted, stack, seeing, EmbeddingCache()))
    assert seeing.model.network.n_encoded == 3, "the first frame needs no embedding"
    together = seeing.model.network.n_together
    ways = 3  # by their masks, by boxes, and by clicks alone
    assert sum(together) == 4 * ways * (3 + 2), "forth, and from the second step on back"
    assert max(together) > 1
    order = [(t, i) for t in range(1, 4) for i in range(1, 5)]
    assert [(r.frame[0], r.object_id) for r in results] == order, "frame by frame"


@dataclass(frozen=True)
class WayCase:
    name: str
    start: int
    options: dict
    frames: list[int]


WAYS = (
    WayCase("forward", 2, {}, [3, 4, 5, 6]),
    WayCase("backward", 2, {"direction": "backward"}, [1, 0]),
    WayCase("both", 2, {"direction": "both"}, [3, 4, 5, 6, 1, 0]),
    WayCase("both, from the first frame", 0, {"direction": "both"}, [1, 2, 3, 4, 5, 6]),
    WayCase("two frames", 2, {"n_frames": 2}, [3, 4]),
    WayCase("two frames both ways", 2, {"n_frames": 1, "direction": "both"}, [3, 1]),
    WayCase("more frames than there are", 5, {"n_frames": 99}, [6]),
)


@pytest.mark.parametrize("case", WAYS, ids=lambda c: c.name)
def test_direction(case: WayCase) -> None:
    stack, labels = movie({1: moving(30, 10, 0, 5, 7)})
    results = run(session_of(stack, labels, case.start), [1], case.start, **case.options)
    assert times(results) == case.frames
    for result in results:
        assert iou(result.mask.within(WHOLE), labels[result.frame[0]] == 1) > 0.8


@pytest.mark.parametrize(("axis", "frames"), [(None, 0), (0, 0), (1, 1)])
def test_axis(axis: int | None, frames: int) -> None:
    """Along time or along depth, the other position stays."""
    _, labels = movie({1: moving(30, 20, 0, 3, 5)})
    both = np.stack([np.roll(labels, t, axis=1) for t in range(4)], axis=1 if frames == 0 else 0)
    stack = FrameStack.from_array(np.where(both, 200, 20).astype(np.uint8), axes="TZYX")
    session, start = Session(stack, both.copy()), stack.index(1, 2)
    wanted = plan(session, [1], start, axis=axis)
    results = list(propagate(wanted, stack, predictor(), EmbeddingCache()))
    assert len(results) == stack.shape[frames] - start[frames] - 1
    for result in results:
        assert result.frame[1 - frames] == start[1 - frames]
        assert iou(result.mask.within(WHOLE), both[result.frame[0], result.frame[1]] == 1) > 0.8


def anchored(stack: FrameStack, labels: np.ndarray, *frames: int) -> Session:
    """A session in which the user painted the truth of these frames."""
    session = Session(stack, np.zeros_like(labels))
    for t in frames:
        rows, columns = np.nonzero(labels[t])
        ids = labels[t, rows, columns]
        session.labels[t, rows, columns] = ids
        indices = (np.full(rows.shape, t), rows, columns)
        session.note_stroke([(indices, np.zeros_like(ids), ids)])
    return session


@pytest.mark.parametrize(
    ("start", "direction", "frames"),
    [(0, "forward", [1, 2]), (3, "forward", [4, 5, 6]), (7, "backward", [6, 5, 4]),
     (3, "both", [4, 5, 6, 2, 1]), (7, "both", [8, 6, 5, 4])],
)  # fmt: skip
def test_a_run_ends_at_the_next_annotated_frame(start, direction, frames) -> None:
    stack, labels = movie({1: moving(30, 10, 0, 5, 9)})
    session = anchored(stack, labels, 0, 3, 7)
    assert times(run(session, [1], start, direction=direction)) == frames


@pytest.mark.parametrize("here", [0, 3, 6])
def test_between_two_annotated_frames(here: int) -> None:
    """It turns out of reach of either side in the middle: each side finds its half."""
    path = [*moving(30, 10, 0, 3, 4), *moving(46, 22, 0, 3, 3)]
    stack, labels = movie({1: path})
    results = run(anchored(stack, labels, 0, 6), [1], here, direction="between")
    going = {r.frame[0]: r for r in results if not r.stopped}
    assert sorted(going) == [1, 2, 3, 4, 5]
    for t, result in going.items():
        assert iou(result.mask.within(WHOLE), labels[t] == 1) > 0.8
    assert going[1].source == (0, None, None)
    assert going[5].source == (6, None, None)


def test_between_shares_pixels_too() -> None:
    paths = {1: moving(32, 18, 0, 2, 7), 2: moving(32, 46, 0, -2, 7)}
    stack, labels = movie(paths)
    session = anchored(stack, labels, 0, 6)
    results = run(session, [1, 2], 3, direction="between")
    for t in range(1, 6):
        taken = sum(r.mask.within(WHOLE).astype(int) for r in results if r.frame[0] == t)
        assert np.max(taken) <= 1


def test_a_run_lands_beside_neighbours_and_is_undone_at_once() -> None:
    stack, labels = movie({1: moving(30, 10, 0, 4, 6)})
    session = session_of(stack, labels, 0)
    before = session.labels.copy()
    number = session.new_run()
    for propagated in run(session, [1], 0):
        session.land_propagated(propagated, number)
    assert iou(session.labels[5] == 1, labels[5] == 1) > 0.8
    assert {frame[0] for _, frame, _ in session.weakest()} == {1, 2, 3, 4, 5}
    session.undo()
    np.testing.assert_array_equal(session.labels, before)


@dataclass(frozen=True)
class Refusal:
    name: str
    object_id: int
    start: int
    options: dict
    says: str


REFUSALS = (
    Refusal("not there", 7, 0, {}, r"Object 7 has no pixel in this frame.*Go to"),
    Refusal("no frame after", 1, 2, {}, "no frame forward"),
    Refusal("no frame before", 1, 0, {"direction": "backward"}, "no frame backward"),
    Refusal("no such axis", 1, 0, {"axis": 1}, "no frames along axis 1"),
    Refusal("annotated once", 1, 0, {"direction": "between"}, "not annotated in two frames"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusal(case: Refusal) -> None:
    stack, labels = movie({1: moving(30, 30, 0, 0, 3)})
    session = Session(stack, labels)
    with pytest.raises(SamError, match=case.says):
        plan(session, [case.object_id], stack.index(case.start), **case.options)


def test_a_single_frame_leads_nowhere() -> None:
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    session = Session(FrameStack.from_array(pixels), disc(30, 30, 5).astype(np.uint8))
    with pytest.raises(SamError, match="propagated through a stack"):
        plan(session, [1], (None, None))


def test_closing_stops_the_work() -> None:
    stack, labels = movie({1: moving(30, 10, 0, 4, 9)})
    seeing = predictor()
    wanted = plan(session_of(stack, labels, 0), [1], stack.index(0))
    results = propagate(wanted, stack, seeing, EmbeddingCache())
    assert times([next(results), next(results)]) == [1, 2]
    results.close()
    assert seeing.model.network.n_encoded == 2


def test_progress_counts_frames_and_cancels_within_one() -> None:
    stack, labels = movie({1: moving(30, 10, 0, 4, 5)})
    wanted = plan(session_of(stack, labels, 0), [1], stack.index(0))
    told: list[tuple[int, int]] = []
    list(propagate(wanted, stack, predictor(), EmbeddingCache(), lambda *now: told.append(now)))
    assert told == sorted(told)
    assert told[-1] == (400, 400)

    def stop(done: int, total: int) -> None:
        if done >= 150:
            raise Cancelled

    results = propagate(wanted, stack, predictor(), EmbeddingCache(), stop)
    assert next(results).frame[0] == 1
    with pytest.raises(Cancelled):
        next(results)


def test_a_click_waits_for_a_few_objects_not_for_all_of_a_frame() -> None:
    paths = {n: [(12 * n - 2, 8 + t, 4) for t in range(3)] for n in range(1, 6)}
    stack, labels = movie(paths)
    wanted = plan(session_of(stack, labels, 0), list(paths), stack.index(0))
    seeing, done = predictor(), []
    network = seeing.model.network
    report = lambda *_: done.append(len(network.n_together))  # noqa: E731
    list(propagate(wanted, stack, seeing, EmbeddingCache(), report))
    assert sum(network.n_together) >= 2 * 3 * len(paths)
    assert np.diff(done).max() == 1
    assert max(network.n_together) <= seeing._objects_at_once


@pytest.mark.slow
def test_memory_does_not_grow_with_the_frames() -> None:
    stack, labels = movie({1: [(30 + t % 5, 30, 6) for t in range(120)]})
    wanted = plan(session_of(stack, labels, 0), [1], stack.index(0))
    cache = EmbeddingCache(limit_bytes=10 * 12 * SIZE**2)
    tracemalloc.start()
    results = propagate(wanted, stack, predictor(), cache)
    held = {propagated.frame[0]: tracemalloc.get_traced_memory()[0] for propagated in results}
    tracemalloc.stop()
    assert len(cache) < 20
    assert held[119] - held[30] < 300_000, "some bytes a frame for its hash, and no masks"


def test_a_plan_is_independent_of_later_edits() -> None:
    stack, labels = movie({1: moving(30, 10, 0, 4, 4)})
    session = session_of(stack, labels, 0)
    wanted = plan(session, [1], stack.index(0))
    session.labels[0] = 0
    results = list(propagate(wanted, stack, predictor(), EmbeddingCache()))
    assert all(isinstance(r.mask, Region) and r.mask.area for r in results)
