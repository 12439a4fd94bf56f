"""`make fuzz`: a large dose; faults are printed and their inputs kept."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import inputs
from bed import figures, fuzz


def main() -> None:
    """Try many inputs; the exit code is 1 if one of them ended as none should."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="folder for faults")
    arguments = parser.parse_args()
    results = []
    for result in fuzz(inputs.kinds(arguments.inputs), arguments.seed, arguments.workers):
        results.append(result)
        if result.is_fault:
            name = f"{result.kind}-{arguments.seed}-{result.number}"
            inputs.make(result.kind, result.number, arguments.seed, arguments.keep / name)
            sys.stdout.write(f"{name}: {result.outcome}, {result.said.strip()[-600:]}\n")
        elif len(results) % 1000 == 0:
            sys.stdout.write(f"{len(results)} of {arguments.inputs}\n")
        sys.stdout.flush()
    sys.stdout.write(figures(results) + "\n")
    sys.exit(any(result.is_fault for result in results))


if __name__ == "__main__":
    main()
