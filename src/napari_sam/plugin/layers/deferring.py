"""How the layers put off what napari does not allow in the middle of its own event."""

from collections.abc import Callable
from typing import TypeAlias

Defer: TypeAlias = Callable[[Callable[[], None]], None]
"""Runs a function a moment later, and once if it is asked several times."""


def at_once(function: Callable[[], None]) -> None:
    """Put off nothing."""
    function()
