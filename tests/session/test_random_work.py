"""Whatever is done in whatever order can be undone, done again, saved and opened, bit by bit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from annotating import SHAPE, answer, frame, new_session, new_stack, paint, state, waiting
from napari_sam.engine import Prompts, SamError
from napari_sam.session import Autosave, Propagated, Region, Session, load, objects
from napari_sam.session.label_arrays import copied
from napari_sam.stacks import link_frames

masks = arrays(bool, SHAPE[1:])
times = st.integers(0, SHAPE[0] - 1)
ids = st.integers(1, 4)
points = st.tuples(st.integers(0, SHAPE[1] - 1), st.integers(0, SHAPE[2] - 1))
scopes = st.sampled_from(["here", "from here", "everywhere"])

works = st.one_of(
    st.tuples(st.just("prompt"), ids, times, masks, points, st.sampled_from([0, 1])),
    st.tuples(st.just("unprompt"), ids, times),
    st.tuples(st.just("paint"), st.integers(0, 4), times, masks),
    st.tuples(st.just("propagate"), ids, times, masks, st.integers(1, 3)),
    st.tuples(st.just("confirm"), ids, times),
    st.tuples(st.just("ask"), ids, times, points),
    st.tuples(st.just("end"), ids, times, st.integers(1, 3)),
    st.tuples(st.just("delete"), st.lists(ids, max_size=2), times, scopes),
    st.tuples(st.just("merge"), ids, st.lists(ids, max_size=2), times, scopes),
    st.tuples(st.just("swap"), ids, ids, times),
    st.tuples(st.just("join"), ids, ids, times),
    st.tuples(st.just("split"), ids, times),
    st.tuples(st.just("divide"), ids, ids, ids, times),
    st.tuples(st.just("link")),
    st.tuples(st.just("undo")),
    st.tuples(st.just("redo")),
)


def work(session: Session, done: tuple) -> None:
    """One thing a user or a propagation may do; what makes no sense is refused."""
    match done:
        case ("prompt", object_id, t, mask, point, label):
            before = session.prompts(object_id, frame(t))
            prompts = Prompts(before.points, before.labels).with_point(point, label)
            if request := session.edit(object_id, frame(t), prompts):
                session.land(answer(request, mask))
        case ("ask", object_id, t, point):
            session.edit(object_id, frame(t), Prompts.from_points([point]))
        case ("unprompt", object_id, t):
            session.edit(object_id, frame(t), Prompts())
        case ("paint", object_id, t, mask):
            paint(session, t, mask, object_id)
        case ("propagate", object_id, t, mask, run):
            region = Region.from_mask(mask)
            session.land_propagated(
                Propagated(object_id, frame(t), region, 0.7, 0.8, 0.6, "pocket", frame(0)), run
            )
        case ("end", object_id, t, run):
            why = f"Object {object_id} ends before frame {t}. It vanished."
            nothing = Region.empty()
            session.land_propagated(
                Propagated(object_id, frame(t), nothing, 0, 0, 0, "pocket", frame(0), why), run
            )
        case ("confirm", object_id, t):
            session.confirm(object_id, frame(t))
        case ("delete" | "merge" | "swap" | "join" | "split", *given, t, scope) if isinstance(
            scope, str
        ):
            getattr(objects, done[0])(session, *given, frame(t), scope)
        case ("delete" | "merge" | "swap" | "join" | "split", *given, t):
            getattr(objects, done[0])(session, *given, frame(t))
        case ("divide", mother, one, two, t):
            objects.divide(session, mother, [one, two], frame(t))
        case ("link",):
            link_frames(session, frame(0))
        case ("undo",):
            session.undo()
        case ("redo",):
            session.redo()


def begin(labels: np.ndarray) -> Session:
    """A session over another tool's labels, in which runs 1 to 3 have begun."""
    session = new_session(labels.copy() if isinstance(labels, np.ndarray) else labels)
    for _ in range(3):
        session.new_run()
    return session


def do_all(session: Session, works: list[tuple]) -> None:
    for done in works:
        try:
            work(session, done)
        except SamError:
            continue


found = arrays(np.uint16, SHAPE, elements=st.integers(0, 3))


@given(found, st.lists(works, max_size=12))
def test_everything_can_be_undone_and_done_again(labels, done) -> None:
    session = begin(labels)
    start = state(session)
    do_all(session, done)
    while session.redo():
        pass
    end = state(session)
    for _ in range(2):
        while session.undo():
            pass
        assert state(session) == start
        while session.redo():
            pass
        assert state(session) == end


@given(found, st.lists(works.filter(lambda done: done[0] != "paint"), max_size=12))
def test_in_chunks_that_nobody_else_writes_to_all_is_the_same(labels, done) -> None:
    one, other = begin(labels), begin(copied(labels, np.uint16, most_pixels=0))
    other.writes_alone = True
    for session in (one, other):
        do_all(session, done)
    assert state(one) == state(other)


@settings(max_examples=min(40, settings().max_examples))
@given(found, st.lists(works, max_size=8), st.lists(works, max_size=4))
def test_what_is_saved_is_what_is_opened(labels, first, then) -> None:
    session = begin(labels)
    with TemporaryDirectory() as folder:
        autosave = Autosave(session, Path(folder) / "a.napari-sam")
        for part in (first, then):
            do_all(session, part)
            autosave.save()
            opened = load(autosave.folder, new_stack())
            assert state(opened) == state(session)
            assert waiting(opened) == waiting(session)
            assert (opened.active, opened.highest_id) == (session.active, session.highest_id)
            assert opened.notices == []
        autosave.close()


def tracks(presence: np.ndarray) -> np.ndarray:
    """Labels in which object i is there in the frames it is said to be."""
    labels = np.zeros(SHAPE, np.uint16)
    for i, t in np.argwhere(presence):
        labels[t, 2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = i + 1
    return labels


lineages = st.one_of(
    st.tuples(st.just("divide"), ids, ids, ids, times),
    st.tuples(st.just("link")),
    st.tuples(st.just("delete"), st.lists(ids, max_size=2), times, scopes),
    st.tuples(st.just("swap"), ids, ids, times),
    st.tuples(st.just("join"), ids, ids, times),
    st.tuples(st.just("merge"), ids, st.lists(ids, max_size=2), times, st.just("everywhere")),
)


@given(arrays(bool, (4, SHAPE[0])), st.lists(lineages, max_size=6))
def test_lineages_stay_consistent(presence, done) -> None:
    session = begin(tracks(presence))
    do_all(session, done)
    there = set(np.unique(session.labels))
    for child, parents in session.parents.items():
        assert {child, *parents} <= there
        assert child not in parents
        assert all(session.frames_of(parent)[0] < session.frames_of(child)[0] for parent in parents)
