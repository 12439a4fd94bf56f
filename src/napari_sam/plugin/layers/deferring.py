"""Defers changes of layers that napari does not allow during its own events."""

from collections.abc import Callable
from typing import TypeAlias

Defer: TypeAlias = Callable[[Callable[[], None]], None]
"""Runs a function a moment later, and once if it is asked several times."""


def at_once(function: Callable[[], None]) -> None:
    """Put off nothing."""
    function()
