"""Run benchmarks and write what they say into docs/benchmarks.md, each into its own section.

    python benchmarks [ROW …]          (make bench ROWS="click frames")

A section is replaced as soon as its row is through, so that a run may be stopped and taken up again
row by row.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from measuring import REPOSITORY

PAGE = REPOSITORY / "docs" / "benchmarks.md"
ROWS = {  # what each row runs
    "encoder": ("encoder.py", "vit_b"),
    "shares": ("shares.py",),
    "vit_h": ("encoder.py", "vit_h", "--variants", "bf16", "--threads", "2", "--repeats", "1"),
    "click": ("click.py",),
    "frames": ("frames.py",),
    "labels": ("labels.py",),
    "embedded": ("embedded.py",),
    "seeds": ("seeds.py",),
    "startup": ("startup.py",),
    "automatic": ("automatic.py",),
    "window": ("window.py",),
    "images": ("images.py",),
    "measure": ("measure.py",),
}
ON_REQUEST = {  # these take many minutes, or a GPU
    "batch": ("batch.py",),
    "vit_h_reference": ("encoder.py", "vit_h", "--threads", "1", "--repeats", "1"),
    "gpu": ("gpu.py",),
    "large": ("large.py",),
}


def processor() -> str:
    """The processor's name, and how many of it."""
    info = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    units = torch.cpu.get_capabilities()
    bf16 = " with bf16 units" if units.get("avx512_bf16") or units.get("amx_bf16") else ""
    return f"{named[1] if named else platform.processor()}{bf16}, {torch.get_num_threads()} threads"


def section(name: str, command: tuple[str, ...]) -> str:
    """What a row says now, and where and how that was measured."""
    script = str(REPOSITORY / "benchmarks" / command[0])
    tables = subprocess.run(
        [sys.executable, script, *command[1:]], check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    packages = ("torch", "numpy", "napari", "segment-anything")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    system = f"{platform.system()}, Python {platform.python_version()}"
    return (
        f"{tables.strip()}\n\n"
        f"`make bench ROWS={name}`, {datetime.now(UTC):%Y-%m-%d}; {processor()}; {system}, "
        f"{versions}."
    )


def replace_section(page: str, name: str, text: str) -> str:
    """The page with another text between a section's marks."""
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}{text}\n{end}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    known = ROWS | ON_REQUEST
    parser.add_argument(
        "rows", nargs="*", help=f"{', '.join(known)}; all but {', '.join(ON_REQUEST)}"
    )
    rows = parser.parse_args().rows or list(ROWS)
    if unknown := [name for name in rows if name not in known]:
        parser.error(f"there is no row {', '.join(unknown)}, only {', '.join(known)}")
    failed = []
    for name in rows:
        sys.stderr.write(f"{name} …\n")
        try:
            text = section(name, known[name])
        except subprocess.CalledProcessError as error:
            sys.stderr.write(f"{name}: {error}\n")
            failed.append(name)
            continue
        PAGE.write_text(replace_section(PAGE.read_text(), name, text))
        sys.stdout.write(f"{name}\n\n{text}\n\n")
    sys.exit(f"Not measured: {', '.join(failed)}." if failed else 0)


if __name__ == "__main__":
    main()
