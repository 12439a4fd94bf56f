"""`make fuzz`: a large dose; faults are printed, and inputs that lead to one are kept."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import inputs
from bed import figures, fuzz
from kills import KINDS, kill_apart
from windows import kill_windows


def main() -> None:
    """Try many inputs and kills; the exit code is 1 if one of them ended as none should."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=100, help="of each kind of writer")
    parser.add_argument("--windows", type=int, default=30, help="that are killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="folder for faults")
    arguments = parser.parse_args()
    is_good = try_inputs(arguments)
    is_good &= kill_writers(arguments.kills, arguments.seed)
    with screen():
        is_good &= close_windows(arguments.windows, arguments.seed)
    sys.exit(not is_good)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def try_inputs(arguments: argparse.Namespace) -> bool:
    """Damaged inputs of every kind; whether all ended well."""
    results = []
    try:
        for result in fuzz(inputs.kinds(arguments.inputs), arguments.seed, arguments.workers):
            results.append(result)
            if result.is_fault:
                name = f"{result.kind}-{arguments.seed}-{result.number}"
                inputs.make(result.kind, result.number, arguments.seed, arguments.keep / name)
                say(f"{name}: {result.outcome}, {result.said.strip()[-600:]}")
            elif len(results) % 1000 == 0:
                say(f"{len(results)} of {arguments.inputs}")
    finally:  # a run that is stopped says how far it came
        say(figures(results))
    return not any(result.is_fault for result in results)


def kill_writers(runs: int, seed: int) -> bool:
    """Writers that are killed; whether all left what they should."""
    is_good = True
    for kind in KINDS if runs else ():
        with tempfile.TemporaryDirectory() as folder:
            killed = list(kill_apart(kind, runs, seed, Path(folder)))
        for each in killed:
            if each.problem:
                say(f"{kind}-{seed}-{each.number}: {each.problem}")
        faults = sum(bool(each.problem) for each in killed)
        midst = sum(each.in_midst for each in killed)
        say(f"{kind}: {len(killed)} killed, {midst} of them while writing, {faults} faults")
        is_good &= not faults and len(killed) == runs
    return is_good


def close_windows(runs: int, seed: int) -> bool:
    """Windows that are killed; whether all opened again with what was saved."""
    with tempfile.TemporaryDirectory() as folder:
        killed = list(kill_windows(runs, seed, Path(folder)))
    for each in killed:
        if each.problem:
            say(f"window-{seed}-{each.number}: {each.problem}")
    faults = sum(bool(each.problem) for each in killed)
    changes, lost = (
        sum(each.n_changes for each in killed),
        max((k.lost_s for k in killed), default=0.0),
    )
    say(f"{len(killed)} windows killed after {changes} changes, {faults} faults, {lost:.2f} s lost")
    return not faults


@contextlib.contextmanager
def screen() -> Iterator[None]:
    """A screen for windows, if there is none."""
    if os.environ.get("DISPLAY"):
        yield
        return
    from pyvirtualdisplay.display import Display

    with Display(size=(1600, 1000), color_depth=24):
        yield


if __name__ == "__main__":
    main()
