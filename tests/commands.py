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


def assert_refused(case: Refusal, napari_sam: NapariSam, folder: Path) -> None:
    """It fails with one clear line, prints nothing else, changes no file and makes none."""
    case.before(folder)
    before = contents(folder)
    ended = napari_sam(case.command)
    said = " ".join(ended.err.split())
    if ended.code == 2:  # what the parser of the command line refuses
        assert "Error: " in said
    else:
        assert ended.code == 1
        assert ended.err.startswith("napari-sam: ")
        assert ended.err.count("\n") == 1
    assert case.says in said
    assert not ended.out
    after = contents(folder)
    assert {path.parts[0] for path in set(after) ^ set(before)} <= {"cache", "models"}
    assert {path: after[path] for path in before} == before


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file of a folder, and what is in it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder): path.read_bytes() for path in files}
