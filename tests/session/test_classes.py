"""Classes of objects: names as users type them, one step of undo each, through every operation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from annotating import CLICK, land, new_session, new_stack, square
from napari_sam.engine import FrameStack, SamError
from napari_sam.session import GivenClass, Session, load, objects, save
from napari_sam.session.classes import (
    add_class,
    change_class,
    confirm_class,
    give_class,
    remove_class,
    take_proposals,
    unsure_classes,
)
from napari_sam.stacks import link_frames


def session_of(text: str) -> Session:
    """A stack of frames one pixel high: digits are ids, a dot is background."""
    rows = [[0 if c == "." else int(c) for c in row] for row in text.split()]
    labels = np.array(rows, np.uint16)[:, None, :]
    session = Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8), rgb=False), labels)
    for name in ("a", "b"):
        add_class(session, name)
    return session


def given(session: Session) -> dict[int, str]:
    return {i: each.name for i, each in sorted(session.classes.given.items())}


def at(t: int):
    return (t, None, None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "needs a name"),
        ("  ", "needs a name"),
        ("x" * 61, "up to 60"),
        ("two\nlines", "in one line"),
        ("A", "already"),  # letters differ by their case only
        (" a ", "already"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_a_sentence(name: str, says: str) -> None:
    session = session_of("1")
    with pytest.raises(SamError, match=says):
        add_class(session, name)
    with pytest.raises(SamError, match=says):
        change_class(session, "b", name=name)
    assert [each.name for each in session.classes.defined] == ["a", "b"]


def test_keys_and_colours_are_given_while_there_are_some() -> None:
    session = session_of("1")
    for n in range(10):
        add_class(session, f"further {n}")
    keys = [each.key for each in session.classes.defined]
    assert keys == [*range(1, 10), None, None, None]
    assert len({each.colour for each in session.classes.defined[:9]}) == 9
    with pytest.raises(SamError, match="The key 2 would be that of “a” and of “b”"):
        change_class(session, "a", key=2)
    with pytest.raises(SamError, match="would be a kind of itself"):
        change_class(session, change_class(session, "a", parent="b").parent, parent="a")
    for n in range(188):
        add_class(session, f"more {n}")
    with pytest.raises(SamError, match="There can be 200"):
        add_class(session, "one more")


def test_each_change_is_one_step_of_undo_and_says_what_it_was() -> None:
    session = session_of("123")
    told = []
    session.classes_changed.connect(lambda: told.append(given(session)))
    give_class(session, [1, 2], "a")
    assert session.last_step == "class of objects 1 and 2"
    add_class(session, "c", parent="a")
    change_class(session, "a", name="A", colour="#123456")
    assert given(session) == {1: "A", 2: "A"}
    assert session.classes.named("c").parent == "A"
    remove_class(session, "A")
    assert given(session) == {}
    assert session.classes.named("c").parent == ""
    for expected in ({1: "A", 2: "A"}, {1: "a", 2: "a"}, {1: "a", 2: "a"}, {}):
        session.undo()
        assert given(session) == expected
    session.redo()
    assert given(session) == {1: "a", 2: "a"}
    assert len(told) == 9
    before = session.n_changes
    give_class(session, [1], "a")  # as it is
    assert session.n_changes == before


def test_what_the_user_said_stands_before_what_is_proposed() -> None:
    session = session_of("12345")
    give_class(session, [1], "a")
    run = session.new_run()
    proposed = {1: ("b", 0.9), 2: ("b", 0.8), 3: ("a", 0.6), 4: ("gone", 0.9)}
    assert take_proposals(session, proposed, run) == 2
    assert given(session) == {1: "a", 2: "b", 3: "a"}
    assert [i for i, _ in unsure_classes(session)] == [3], "0.8 is sure"
    assert confirm_class(session, 3)
    assert not confirm_class(session, 3)
    assert session.classes.of(3) == GivenClass("a")
    assert session.classes.counts() == {"a": (2, 0), "b": (0, 1)}
    take_proposals(session, {2: ("a", 0.7)})
    assert session.classes.of(2) == GivenClass("a", 0.7)
    for _ in range(3):
        session.undo()
    assert given(session) == {1: "a"}
    assert take_proposals(session, proposed, run) == 2, "but the run was undone"
    assert given(session) == {1: "a"}


OPERATIONS = [
    ("deleted everywhere", lambda s: objects.delete(s, [1], at(0), "everywhere"), {2: "b"}),
    ("deleted in one frame", lambda s: objects.delete(s, [1], at(0)), {1: "a", 2: "b"}),
    ("merged", lambda s: objects.merge(s, 3, [1], at(0), "everywhere"), {1: "a", 2: "b", 3: "a"}),
    ("merged with a proposal", lambda s: objects.merge(s, 2, [1], at(0)), {1: "a", 2: "a"}),
    ("swapped", lambda s: objects.swap(s, 1, 2, at(1)), {1: "a", 2: "b"}),
    ("split", lambda s: objects.split(s, 1, at(0)), {1: "a", 2: "b", 4: "a"}),
]


@pytest.mark.parametrize(("name", "act", "after"), OPERATIONS, ids=[each[0] for each in OPERATIONS])
def test_operations_on_objects_take_their_class_along(name, act, after) -> None:
    session = session_of("1.123 1..23")
    give_class(session, [1], "a")
    take_proposals(session, {2: ("b", 0.5)})
    act(session)
    assert given(session) == after
    session.undo()
    assert given(session) == {1: "a", 2: "b"}


def test_a_track_has_the_class_of_its_objects_the_users_first() -> None:
    session = session_of("11... 22... 33...")
    take_proposals(session, {2: ("b", 0.9)})
    give_class(session, [3], "a")
    link_frames(session, at(0))
    assert session.ids_in(at(2)) == (1,)
    assert session.classes.of(1) == GivenClass("a")


def test_classes_are_saved_and_come_back(tmp_path: Path) -> None:
    session = new_session()
    land(session, 1, 0, CLICK, square(1, 1))
    add_class(session, "cell", colour="#aabbcc", key=7)
    add_class(session, "mitotic, late", parent="cell")
    give_class(session, [1], "mitotic, late")
    take_proposals(session, {2: ("cell", 0.6789)})
    save(session, tmp_path / "s.napari-sam")
    opened = load(tmp_path / "s.napari-sam", new_stack())
    assert opened.classes.defined == session.classes.defined
    assert opened.classes.given == session.classes.given
