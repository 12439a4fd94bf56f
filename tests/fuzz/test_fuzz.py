"""A small dose of the fuzz bed; `make fuzz` is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import inputs
from bed import figures, fuzz

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bed reads Linux's /proc")

N_INPUTS = 260


def test_damaged_inputs_are_read_or_refused():
    cases = [(kind, n) for kind, n in inputs.kinds(N_INPUTS) if kind != "arguments"]
    results = list(fuzz(cases, seed=1))
    faults = [f"{r.kind} {r.number}: {r.outcome} {r.said}" for r in results if r.is_fault]
    assert not faults, "\n".join(faults) + "\n" + figures(results)
    assert {result.outcome for result in results} == {"read", "refused"}


@pytest.mark.parametrize("kind", inputs.MAKERS)
def test_an_input_is_the_same_whenever_it_is_made(tmp_path, kind):
    def contents(n: int) -> object:
        given = inputs.make(kind, n, 3, tmp_path / "a")
        files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
        return given, [path.read_bytes() for path in files]

    assert contents(5) == contents(5)
    assert any(contents(n) != contents(5) for n in range(5))
