"""Classes of a session: made, changed, given to objects by the user, or proposed.

Each is one step of undo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_sam.engine import SamError

from .annotation import names_of
from .history import Change
from .object_class import CLASS_KEYS, COLOURS, Classes, GivenClass, ObjectClass
from .session import Session

SURE = 0.8  # probability from which on nobody needs to look at a proposal


def add_class(
    session: Session,
    name: str,
    *,
    colour: str | None = None,
    key: int | None = None,
    parent: str = "",
) -> ObjectClass:
    """Make a class.

    Parameters
    ----------
    name
        Up to 60 characters.
    colour
        ``#rrggbb``; by default one that no other class has.
    key
        1 to 9; by default the first that is free.
    parent
        The class that it is a kind of, if any.

    Raises
    ------
    SamError
        If there is such a class or key already, or a name, colour, key or parent cannot be one.
    """
    after = with_class(session.classes, name.strip(), colour=colour, key=key, parent=parent)
    made = after.defined[-1]
    _make(session, after, f"new class “{made.name}”")
    return made


def with_class(
    classes: Classes,
    name: str,
    *,
    colour: str | None = None,
    key: int | None = None,
    parent: str = "",
) -> Classes:
    """The same with one class more, as :func:`add_class` makes it."""
    colours, keys = ({getattr(c, at) for c in classes.defined} for at in ("colour", "key"))
    n = len(classes.defined)
    free = next((each for each in COLOURS if each not in colours), COLOURS[n % len(COLOURS)])
    key = next((each for each in CLASS_KEYS if each not in keys), None) if key is None else key
    made = ObjectClass(name, colour or free, key, parent)
    return replace(classes, defined=(*classes.defined, made))


def change_class(session: Session, name: str, /, **changes: Any) -> ObjectClass:
    """Change the name, colour, key or parent of a class; its objects keep it.

    Parameters
    ----------
    changes
        Of ``name``, ``colour``, ``key`` and ``parent`` what is to be another one.

    Raises
    ------
    SamError
        As :func:`add_class` does, or if there is no such class.
    """
    classes = session.classes
    before = classes.named(name)
    if "name" in changes:
        changes["name"] = changes["name"].strip()
    after = replace(before, **changes)
    if after == before:
        return before
    defined = tuple(
        after
        if each is before
        else replace(each, parent=after.name)
        if each.parent == name
        else each
        for each in classes.defined
    )
    given = classes.given
    if after.name != name:
        given = {i: replace(g, name=after.name) if g.name == name else g for i, g in given.items()}
    _make(session, Classes(defined, given), f"change of class “{name}”")
    return after


def remove_class(session: Session, name: str) -> None:
    """Take a class away: its objects have none then, and kinds of it are kinds of its parent.

    Raises
    ------
    SamError
        If there is no such class.
    """
    classes = session.classes
    gone = classes.named(name)
    defined = tuple(
        replace(each, parent=gone.parent) if each.parent == name else each
        for each in classes.defined
        if each is not gone
    )
    given = {i: each for i, each in classes.given.items() if each.name != name}
    _make(session, Classes(defined, given), f"removal of class “{name}”")


def give_class(
    session: Session, object_ids: Sequence[int], name: str | None, run: int | None = None
) -> None:
    """Give objects a class, in all their frames, because the user says so.

    Parameters
    ----------
    name
        ``None`` takes their class away.
    run
        A number from :meth:`Session.new_run`, for more to be one step with it.

    Raises
    ------
    SamError
        If there is no such class.
    """
    given = None if name is None else GivenClass(session.classes.named(name).name)
    after = session.classes.with_given(dict.fromkeys(object_ids, given))
    if after.given != session.classes.given:
        _make(session, after, f"class of {names_of(sorted(object_ids))}", run)


def give_named_classes(
    session: Session, names: Mapping[int, str], run: int | None = None, action: str = "class"
) -> int:
    """Give objects the classes that another program has them in, making those that are not there.

    Names that cannot be those of a class, and more classes than there can be, are left out.

    Parameters
    ----------
    names
        By object.
    run
        As in :func:`give_class`. If it was undone, nothing is given.
    action
        What the step of undo is called.

    Returns
    -------
    How many objects have theirs now.
    """
    classes = session.classes
    unknown: set[str] = set()
    known = {each.name.casefold(): each.name for each in classes.defined}
    given: dict[int, GivenClass] = {}
    for object_id, wanted in names.items():
        name = " ".join(wanted.split())
        if name.casefold() not in known and name not in unknown:
            try:
                classes = with_class(classes, name)
                known[name.casefold()] = name
            except SamError:
                unknown.add(name)
        if name not in unknown:
            given[object_id] = GivenClass(known[name.casefold()])
    if given and (run is None or session.accepts(run)):
        _make(session, classes.with_given({**given}), action, run)
    return len(given)


def take_proposals(
    session: Session, proposed: Mapping[int, tuple[str, float]], run: int | None = None
) -> int:
    """Let proposed classes stand for the objects whose class the user has not said.

    Parameters
    ----------
    proposed
        By object: its class and the probability, from 0 to 1. Of others no proposal stays.
    run
        As in :func:`give_class`. If it was undone, nothing is taken.

    Returns
    -------
    How many objects have a proposed class now.
    """
    classes = session.classes
    there = {each.name for each in classes.defined}
    own = {i: each for i, each in classes.given.items() if each.is_own}
    others = {
        i: GivenClass(name, round(probability, 4))
        for i, (name, probability) in proposed.items()
        if i not in own and name in there
    }
    after = replace(classes, given={**own, **others})
    if after.given != classes.given and (run is None or session.accepts(run)):
        _make(session, after, "proposal of classes", run)
    return len(others)


def confirm_class(session: Session, object_id: int, run: int | None = None) -> bool:
    """Make a proposed class what the user says. ``False`` if none is proposed."""
    given = session.classes.of(object_id)
    if given is None or given.is_own:
        return False
    give_class(session, [object_id], given.name, run)
    return True


def unsure_classes(session: Session, n: int | None = None) -> list[tuple[int, GivenClass]]:
    """Objects of which a class was proposed that is not sure, the least probable first."""
    proposed = [
        (each.probability, object_id, each)
        for object_id, each in session.classes.given.items()
        if each.probability is not None and each.probability < SURE
    ]
    proposed.sort(key=lambda entry: entry[:2])
    return [(object_id, each) for _, object_id, each in proposed[:n]]


def _make(session: Session, after: Classes, action: str, run: int | None = None) -> None:
    before = session.classes
    session.add(Change((), {}, {}, action=action, classes_before=before, classes_after=after), run)
