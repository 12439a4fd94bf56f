"""What a class is, and which object has which."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from napari_sam.engine import SamError

LONGEST_NAME = 60
MOST_CLASSES = 200
CLASS_KEYS = range(1, 10)
COLOURS = (  # Okabe and Ito, told apart by everyone; then more
    "#e69f00",
    "#56b4e9",
    "#009e73",
    "#f0e442",
    "#0072b2",
    "#d55e00",
    "#cc79a7",
    "#b15928",
    "#6a3d9a",
)


@dataclass(frozen=True)
class ObjectClass:
    """A class of objects.

    Attributes
    ----------
    colour
        ``#rrggbb``.
    key
        1 to 9: with Ctrl it gives an object this class. ``None``: no key does.
    parent
        The name of the class that this one is a kind of; "" if of none.

    Raises
    ------
    SamError
        If the name, the colour or the key cannot be one.
    """

    name: str
    colour: str
    key: int | None = None
    parent: str = ""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise SamError("A class needs a name. Type one, such as “mitotic”.")
        if len(self.name) > LONGEST_NAME or not self.name.isprintable():
            raise SamError(
                f"“{self.name[:20]}…” is not the name of a class. Use up to {LONGEST_NAME} "
                "characters in one line."
            )
        if not re.fullmatch("#[0-9a-f]{6}", self.colour):
            raise SamError(f"{self.colour!r} is not a colour. Write it as #rrggbb: #ff8800.")
        if self.key is not None and self.key not in CLASS_KEYS:
            raise SamError(f"{self.key} is not the key of a class. Give one from 1 to 9, or none.")


@dataclass(frozen=True)
class GivenClass:
    """The class of an object."""

    name: str
    probability: float | None = None  # 0 to 1 where it was proposed; None: the user said so

    @property
    def is_own(self) -> bool:
        """Whether the user said so."""
        return self.probability is None

    @property
    def text(self) -> str:
        """As a list shows it: "mitotic 0.93"."""
        return self.name if self.probability is None else f"{self.name} {self.probability:.2f}"


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes that there are, and the objects that have one. It is immutable.

    Attributes
    ----------
    given
        The class of each object, by its id, in all its frames.

    Raises
    ------
    SamError
        If two classes have one name or key, a parent is not there or its own child, or there are
        too many.
    """

    defined: tuple[ObjectClass, ...] = ()
    given: Mapping[int, GivenClass] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.defined) > MOST_CLASSES:
            raise SamError(f"There can be {MOST_CLASSES} classes. Remove some that are not needed.")
        names: dict[str, str] = {}
        keys: dict[int, str] = {}
        for each in self.defined:
            if (name := each.name.casefold()) in names:
                raise SamError(f"There is a class “{names[name]}” already. Choose another name.")
            if each.key in keys:
                raise SamError(
                    f"The key {each.key} would be that of “{keys[each.key]}” and of “{each.name}”. "
                    "Choose another one, or none."
                )
            names[name] = each.name
            if each.key is not None:
                keys[each.key] = each.name
        for each in self.defined:
            self._check_parents(each)

    def _check_parents(self, child: ObjectClass) -> None:
        above, parents = {child.name}, {each.name: each.parent for each in self.defined}
        parent = child.parent
        while parent:
            if parent not in parents:
                raise SamError(
                    f"There is no class “{parent}” for “{child.name}” to be a kind of. Make it "
                    "first."
                )
            if parent in above:
                raise SamError(
                    f"“{child.name}” would be a kind of itself. Choose another parent, or none."
                )
            above.add(parent)
            parent = parents[parent]

    def named(self, name: str) -> ObjectClass:
        """The class of a name.

        Raises
        ------
        SamError
            If there is none.
        """
        for each in self.defined:
            if each.name == name:
                return each
        there = ", ".join(each.name for each in self.defined)
        raise SamError(
            f"There is no class “{name}”. "
            + (f"There are: {there}." if there else "Make it first: there is none yet.")
        )

    def of(self, object_id: int) -> GivenClass | None:
        """The class of an object."""
        return self.given.get(object_id)

    @property
    def has_proposals(self) -> bool:
        """Whether a class is proposed for any object."""
        return any(not each.is_own for each in self.given.values())

    def with_given(self, given: Mapping[int, GivenClass | None]) -> Classes:
        """The same with other classes for some objects; ``None``: none."""
        both = {**self.given, **given}
        return replace(self, given={i: each for i, each in both.items() if each is not None})

    def counts(self) -> dict[str, tuple[int, int]]:
        """By class, how many objects the user gave it to, and for how many it is proposed."""
        counts = {each.name: [0, 0] for each in self.defined}
        for given in self.given.values():
            counts[given.name][not given.is_own] += 1
        return {name: (own, proposed) for name, (own, proposed) in counts.items()}

    def renumbered(self, ids: Mapping[int, int], gone: Iterable[int] = ()) -> Classes:
        """The same once objects have other ids.

        An object that joins another one keeps that one's class; what the user said stands before
        what was proposed. ``gone`` are those that are in no frame any more.
        """
        given: dict[int, GivenClass | None] = dict.fromkeys(gone)
        for old, new in ids.items():
            its, other = self.given.get(old), given.get(new, self.given.get(new))
            if new and new not in ids and its and (other is None or its.is_own > other.is_own):
                given[new] = its
        return self.with_given(given) if given else self
