"""Operations on whole objects, as tables: a stack is drawn with one row a frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from annotating import answer, state
from napari_sam.engine import FrameStack, Prompts, SamError
from napari_sam.session import Region, Session, objects


def drawn(text: str) -> np.ndarray:
    """A stack of frames one pixel high: digits are ids, a dot is background."""
    rows = [[0 if c == "." else int(c) for c in row] for row in text.split()]
    return np.array(rows, np.uint16)[:, None, :]


def session_of(text: str, parents: dict[int, tuple[int, ...]] | None = None) -> Session:
    labels = drawn(text)
    session = Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8), rgb=False), labels)
    session.parents = parents or {}
    return session


def at(t: int):
    return (t, None, None)


@dataclass(frozen=True)
class Case:
    name: str
    before: str
    act: Callable[[Session], object]
    after: str
    parents: dict[int, tuple[int, ...]] = field(default_factory=dict)
    parents_after: dict[int, tuple[int, ...]] = field(default_factory=dict)


LINEAGE = {2: (1,), 3: (1,)}

CASES = [
    Case("delete here", "12 12 12", lambda s: objects.delete(s, [1], at(1)), "12 .2 12"),
    Case(
        "delete from here",
        "12 12 12",
        lambda s: objects.delete(s, [1], at(1), "from here"),
        "12 .2 .2",
    ),
    Case(
        "delete before here",
        "12 12 12",
        lambda s: objects.delete(s, [1], at(1), "before here"),
        ".2 12 12",
    ),
    Case(
        "delete after here",
        "12 12 12",
        lambda s: objects.delete(s, [1], at(1), "after here"),
        "12 12 .2",
    ),
    Case(
        "merge before here",
        "12 12 12",
        lambda s: objects.merge(s, 2, [1], at(2), "before here"),
        "22 22 12",
    ),
    Case(
        "trim to a first frame",
        "12 12 12",
        lambda s: objects.trim(s, [1], at(1), "first"),
        ".2 12 12",
    ),
    Case(
        "trim to a last frame",
        "123 123 123",
        lambda s: objects.trim(s, [1, 3], at(0), "last"),
        "123 .2. .2.",
    ),
    Case(
        "trimmed to her last frame a mother stays one",
        "1.. 1.. .23",
        lambda s: objects.trim(s, [1], at(0), "last"),
        "1.. ... .23",
        LINEAGE,
        LINEAGE,
    ),
    Case(
        "delete everywhere",
        "12 12 12",
        lambda s: objects.delete(s, [2], at(1), "everywhere"),
        "1. 1. 1.",
    ),
    Case(
        "delete several",
        "123 123 123",
        lambda s: objects.delete(s, [3, 1], at(1), "from here"),
        "123 .2. .2.",
    ),
    Case(
        "a deleted mother is nobody's mother",
        "1.. .23 .23",
        lambda s: objects.delete(s, [1], at(0)),
        "... .23 .23",
        LINEAGE,
    ),
    Case(
        "a mother deleted in one frame stays one",
        "1.. 1.. .23",
        lambda s: objects.delete(s, [1], at(1)),
        "1.. ... .23",
        LINEAGE,
        LINEAGE,
    ),
    Case(
        "a deleted daughter has no mother",
        "1.. .23 .23",
        lambda s: objects.delete(s, [2], at(1), "from here"),
        "1.. ..3 ..3",
        LINEAGE,
        {3: (1,)},
    ),
    Case("merge here", "12 12 12", lambda s: objects.merge(s, 1, [2], at(1)), "12 11 12"),
    Case(
        "merge from here",
        "12 12 12",
        lambda s: objects.merge(s, 2, [1], at(1), "from here"),
        "12 22 22",
    ),
    Case(
        "merge several",
        "123 .23 123",
        lambda s: objects.merge(s, 2, [1, 3], at(1), "everywhere"),
        "222 .22 222",
    ),
    Case(
        "merged with her daughters a mother has none",
        "1.. .23 .23",
        lambda s: objects.merge(s, 1, [2, 3], at(1), "from here"),
        "1.. .11 .11",
        LINEAGE,
    ),
    Case("swap", "12 12 12", lambda s: objects.swap(s, 1, 2, at(1)), "12 21 21"),
    Case(
        "swapped mothers: the daughters are the other's",
        "1.4. 1.4. .234",
        lambda s: objects.swap(s, 1, 4, at(1)),
        "1.4. 4.1. .231",
        LINEAGE,
        {2: (4,), 3: (4,)},
    ),
    Case(
        "a daughter swapped from her start takes her mother along",
        "1..4 .234 .234",
        lambda s: objects.swap(s, 2, 4, at(1)),
        "1..4 .432 .432",
        LINEAGE,
        {3: (1,)},  # 4 was there before, so it cannot be born here; 2 begins where 4 went on
    ),
    Case(
        "a daughter swapped later stays a daughter",
        "1..4 .234 .234",
        lambda s: objects.swap(s, 2, 4, at(2)),
        "1..4 .234 .432",
        LINEAGE,
        LINEAGE,
    ),
    Case(
        "join a broken track", "1. 1. .2 .2", lambda s: objects.join(s, 1, 2, at(2)), "1. 1. .1 .1"
    ),
    Case(
        "join undoes a division",
        "1.. .23 .23",
        lambda s: objects.join(s, 1, 2, at(1)),
        "1.. .13 .13",
        LINEAGE,
        {3: (1,)},
    ),
    Case(
        "joined, a mother keeps her daughters under the new id",
        "4... 1... .23.",
        lambda s: objects.join(s, 4, 1, at(1)),
        "4... 4... .23.",
        LINEAGE,
        {2: (4,), 3: (4,)},
    ),
    Case("split", "1.11.1", lambda s: objects.split(s, 1, at(0)), "2.11.3"),
    Case(
        "cut",
        "1111",
        lambda s: objects.cut(s, 1, at(0), Region.from_mask(drawn("..11")[0] > 0)),
        "1122",
    ),
    Case(
        "divide",
        "1.. .23 .23",
        lambda s: objects.divide(s, 1, (2, 3), at(1)),
        "1.. .23 .23",
        {},
        LINEAGE,
    ),
    Case(
        "a daughter that had the mother's id gets a new one",
        "1.. 1.2 1.2",
        lambda s: objects.divide(s, 1, (1, 2), at(1)),
        "1.. 3.2 3.2",
        {},
        {3: (1,), 2: (1,)},
    ),
    Case(
        "a daughter that was there before gets a new id",
        "1.2 .32 .32",
        lambda s: objects.divide(s, 1, (3, 2), at(1)),
        "1.2 .34 .34",
        {},
        {3: (1,), 4: (1,)},
    ),
    Case("unlink", "1.. .23", lambda s: objects.unlink(s, 2), "1.. .23", LINEAGE, {3: (1,)}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_operation(case: Case) -> None:
    session = session_of(case.before, case.parents)
    start = state(session)
    case.act(session)
    np.testing.assert_array_equal(session.labels, drawn(case.after))
    assert session.parents == case.parents_after
    end = state(session)
    assert session.undo()
    assert not session.undo(), "it is one step"
    assert state(session) == start
    assert session.redo()
    assert state(session) == end


@dataclass(frozen=True)
class Refusal:
    name: str
    before: str
    act: Callable[[Session], object]
    says: str


REFUSALS = [
    Refusal("one twice", "12", lambda s: objects.merge(s, 1, [1], at(0)), "given twice"),
    Refusal(
        "one of many twice", "123", lambda s: objects.merge(s, 1, [2, 2], at(0)), "2 was given"
    ),
    Refusal("background", "12", lambda s: objects.delete(s, [0], at(0)), "0 is not an object id"),
    Refusal("in one piece", "11", lambda s: objects.split(s, 1, at(0)), "one piece"),
    Refusal(
        "cut beside it",
        "11.",
        lambda s: objects.cut(s, 1, at(0), Region.from_mask(drawn("..1")[0] > 0)),
        "Nothing of object 1",
    ),
    Refusal(
        "cut all",
        "11.",
        lambda s: objects.cut(s, 1, at(0), Region.from_mask(drawn("11.")[0] > 0)),
        "All of object 1",
    ),
    Refusal(
        "daughters elsewhere", "1. .2", lambda s: objects.divide(s, 1, (2, 5), at(1)), "5 is not in"
    ),
    Refusal("one daughter", "1. .2", lambda s: objects.divide(s, 1, (2,), at(1)), "two daughters"),
    Refusal(
        "one daughter twice",
        "1. .2",
        lambda s: objects.divide(s, 1, (2, 2), at(1)),
        "two daughters",
    ),
    Refusal(
        "no mother before",
        "..2 123",
        lambda s: objects.divide(s, 1, (2, 3), at(1)),
        "not there before",
    ),
    Refusal(
        "the mother continues",
        "1.. 123",
        lambda s: objects.divide(s, 1, (2, 3), at(1)),
        "continues",
    ),
    Refusal(
        "trimmed where it is not",
        "12 1. 12",
        lambda s: objects.trim(s, [1, 2], at(1), "first"),
        "Object 2 is not in this frame, so it cannot be its first",
    ),
    Refusal(
        "along the frame",
        "12",
        lambda s: objects.delete(s, [1], at(0), "from here", axis=1),
        "Axis 1 spans the frame",
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refused(case: Refusal) -> None:
    session = session_of(case.before)
    with pytest.raises(SamError, match=case.says):
        case.act(session)
    np.testing.assert_array_equal(session.labels, drawn(case.before))
    assert not session.undo()


CHANGING = {
    "deleted here": lambda s: objects.delete(s, [2], at(1)),
    "deleted onwards": lambda s: objects.delete(s, [2], at(0), "from here"),
    "deleted everywhere": lambda s: objects.delete(s, [2], at(0), "everywhere"),
    "merged": lambda s: objects.merge(s, 1, [2], at(1)),
    "swapped": lambda s: objects.swap(s, 1, 2, at(1)),
    "joined": lambda s: objects.join(s, 1, 2, at(1)),
    "a daughter": lambda s: objects.divide(s, 4, (2, 3), at(1)),
    "its own daughter": lambda s: objects.divide(s, 2, (2, 3), at(1)),
}


THERE, NEW = "24.. 23.1 2...", "24.. .3.1 ...."  # in the second frame


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *((name, THERE) for name in CHANGING),
        *((name, NEW) for name in CHANGING if "daughter" not in name),
    ],
)
def test_what_is_decoded_meanwhile_does_not_land_under_the_old_id(name: str, text: str) -> None:
    session = session_of(text)
    request = session.edit(2, at(1), Prompts.from_points([(0, 2)]))
    elsewhere = session.edit(1, at(2), Prompts.from_points([(0, 3)]))
    CHANGING[name](session)
    assert request not in session.pending()
    after = session.labels.copy()
    assert session.land(answer(request, np.array([[0, 0, 1, 0]], bool))) is None
    np.testing.assert_array_equal(session.labels, after)
    assert session.prompts(2, at(1)) == Prompts()
    assert session.next_id() > 4, "not given again"
    if name != "swapped":
        session.land(answer(elsewhere, np.array([[0, 0, 0, 1]], bool)))
        assert session.labels[2, 0, 3] == 1


def test_new_ids_are_never_old_ones() -> None:
    session = session_of("1.1 9.9")
    assert objects.split(session, 1, at(0)) == (10,)
    session.undo()
    assert objects.split(session, 1, at(0)) == (11,)


def test_ids_that_do_not_fit_are_refused() -> None:
    labels = np.full((2, 3), 255, np.uint8)
    labels[:, 1] = 0
    session = Session(FrameStack.from_array(np.zeros((2, 3), np.uint8)), labels)
    with pytest.raises(SamError, match=r"256 is not an object id.*255 or less"):
        objects.split(session, 255, (None, None))


def test_whoever_owns_the_labels_widens_them() -> None:
    """As napari's layer is, whose array is exchanged for one of a wider type."""
    labels = np.full((2, 3), 255, np.uint8)
    labels[:, 1] = 0
    session = Session(FrameStack.from_array(np.zeros((2, 3), np.uint8)), labels)

    def widen(object_id: int) -> None:
        if object_id > np.iinfo(session.labels.dtype).max:
            session.labels = session.labels.astype(np.uint16)
            session.write = session.labels.__setitem__

    session.widen = widen
    assert objects.split(session, 255, (None, None)) == (256,)
    assert sorted(np.unique(session.labels)) == [0, 255, 256]


def test_undoing_a_deletion_selects_what_is_back() -> None:
    session = session_of("12. 12. 12.")
    session.select(2)
    objects.delete(session, [1, 2], at(1), "everywhere")
    session.select(3)
    session.undo()
    assert session.active == 1
    session.redo()
    assert not session.labels.any()


def test_annotations_go_with_their_object() -> None:
    session = session_of("12. 12. 12.")
    session.edit(1, at(2), Prompts())
    places = (np.array([2]), np.array([0]), np.array([2]))
    session.labels[places] = 1
    session.note_stroke([(places, 0, 1)])
    objects.swap(session, 1, 2, at(1))
    assert session.anchors(1) == set()
    assert session.anchors(2) == {at(2)}
    assert session.annotation(2, at(2)).footprint.painted.area == 1


@pytest.mark.parametrize(
    ("axis", "left"), [(None, [(0, 0), (0, 1), (0, 2)]), (1, [(0, 0), (0, 1), (0, 2), (1, 0)])]
)
def test_onwards_goes_along_one_axis(axis, left) -> None:
    """Along t all of z is meant; along z only the time shown."""
    labels = np.ones((2, 3, 2, 2), np.uint8)
    session = Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8), rgb=False), labels)
    objects.delete(session, [1], (1, 1, None, None), "from here", axis)
    remain = [(t, z) for t, z in np.ndindex(2, 3) if labels[t, z].any()]
    assert remain == left


def test_trimming_along_depth_leaves_other_times_alone() -> None:
    labels = np.ones((2, 4, 2, 2), np.uint8)
    session = Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8), rgb=False), labels)
    objects.trim(session, [1], (1, 1, None, None), "first", 1)
    objects.trim(session, [1], (1, 2, None, None), "last", 1)
    assert [bool(labels[1, z].any()) for z in range(4)] == [False, True, True, False]
    assert labels[0].all()
    session.undo()
    assert labels[1, 1:].all(), "one step of undo each"


def test_there_is_nothing_before_the_first_frame() -> None:
    session = session_of("1.. .23 .23", LINEAGE)
    objects.delete(session, [1], at(0), "before here")
    objects.trim(session, [2], at(2), "last")
    assert session.parents == LINEAGE
    assert not session.undo()


def test_a_scope_follows_the_view() -> None:
    """In a view from the side a frame is a section, and onwards goes through the sections."""
    labels = np.ones((3, 4, 5), np.uint8)
    session = Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8), rgb=False), labels)
    objects.delete(session, [1], (None, 2, None), "from here")
    assert labels[:, :2].all()
    assert not labels[:, 2:].any()
    session.undo()
    assert labels.all()
