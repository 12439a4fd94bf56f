"""Configs of jobs, and any values that their options can have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from napari_sam.engine import Axis, OptionField, about, check_options, options_of


@dataclass(frozen=True)
class AllKinds:
    """One option of each kind."""

    share: float = field(default=0.5, metadata=about("Share", "A part.", least=0, most=1))
    count: int = field(default=3, metadata=about("Count", "So many.", least=1, metavar="N"))
    most: int | None = field(default=None, metadata=about("Most", "At most.", least=1))
    is_on: bool = field(default=False, metadata=about("On", "Whether it is."))
    name: str = field(default="a", metadata=about("Name", "What it is called."))
    axis: Axis = field(default=Axis(0), metadata=about("Axis", "Along which.", least=0))

    def __post_init__(self) -> None:
        check_options(self)


def values_of(option: OptionField) -> st.SearchStrategy[Any]:
    """All that an option can be."""
    said = option.option
    if said.choices is not None:
        values = st.sampled_from(list(said.choices))
    elif option.kind is int:
        values = st.integers(int(said.least or 0), int(said.most or 10**6))
    else:
        values = {
            float: st.floats(said.least or 0, said.most or 1e6),
            bool: st.booleans(),
            str: st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        }[option.kind]
    if option.is_many:
        values = st.lists(values, min_size=1, max_size=3).map(tuple)
    return st.none() | values if option.is_optional else values


def any_of(config: type) -> st.SearchStrategy[Any]:
    """Any config of a job."""
    options = {name: values_of(option) for name, option in options_of(config).items()}
    return st.builds(config, **options)
