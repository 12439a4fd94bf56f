"""`napari-sam` in the process of a test: how a command ended, and what it must refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


NapariSam = Callable[[str], Ended]  # the command line without its first word


@dataclass(frozen=True)
class Refusal:
    """A command that must fail with one clear line."""

    name: str
    command: str
    says: str
    before: Callable[[Path], None] = lambda folder: None  # makes the folder what it refuses
