"""How long it takes until there is something to see.

python benchmarks/startup.py [--repeats N]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from functools import partial

from measuring import markdown, seconds

PROGRAMS = {
    "`napari-sam --help`": (
        "import sys; sys.argv[1:] = ['--help']; from napari_sam.cli import main; main()"
    ),
    "`import napari`'s viewer model, for comparison": "import napari.components",
    "the same and the dock widget's module": "import napari.components, napari_sam.plugin.widget",
    "`import torch`, which the plugin does in the background": "import torch",
}


def run(program: str) -> None:
    """A Python process from its start to its end."""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    rows = [
        (name, f"{seconds(partial(run, program), given.repeats):.2f} s")
        for name, program in PROGRAMS.items()
    ]
    sys.stdout.write(markdown(("a new process", "time"), rows))


if __name__ == "__main__":
    main()
