"""A small dose of what comes from someone else, tampered with; `make fuzz` is the large one."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import saved

from napari_sam.engine import SamError

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the inputs have links and pipes"),
    pytest.mark.filterwarnings("ignore"),  # of libraries, about what is damaged
]
N_INPUTS = {"session": 60, "checkpoint": 40, "download": 40, "embedding": 60}


@pytest.mark.parametrize("kind", saved.MAKERS)
def test_what_was_tampered_with_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    outcomes: dict[bool, str] = {}
    for number in range(N_INPUTS[kind]):
        folder = tmp_path / str(number)
        folder.mkdir()
        given = saved.MAKERS[kind](folder, random.Random(f"1 {kind} {number}"))
        try:
            saved.READERS[kind](given)
            outcomes[True] = ""
        except SamError as error:
            outcomes[False] = said = str(error)
            assert said.strip(), number
            assert "\n" not in said, number
    assert outcomes.keys() == {True, False}, "some are harmless, some are not"
