"""A small dose of the fuzz bed; `make fuzz` is the large one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import inputs
from bed import figures, fuzz
from kills import KINDS, kill_apart
from windows import kill_windows

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the bed reads Linux's /proc")

N_INPUTS = 260
N_KILLS, N_WINDOWS = 4, 3


@pytest.mark.slow
def test_damaged_inputs_are_read_or_refused():
    cases = [
        (kind, n) for kind, n in inputs.kinds(N_INPUTS) if kind not in ("arguments", "command")
    ]
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_while_writing_all_is_whole(tmp_path, kind):
    killed = list(kill_apart(kind, N_KILLS, 1, tmp_path))
    assert [each.problem for each in killed] == [""] * N_KILLS
    assert any(each.in_midst for each in killed)


@pytest.mark.slow
def test_killed_windows_open_again(tmp_path, qapp):
    """`qapp` brings the screen."""
    killed = list(kill_windows(N_WINDOWS, 1, tmp_path))
    assert [each.problem for each in killed] == [""] * N_WINDOWS
    assert sum(each.n_changes for each in killed) > N_WINDOWS
