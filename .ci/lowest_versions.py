"""The lowest version of each direct dependency that pyproject.toml allows, as constraints for pip.

PyTorch keeps the version of constraints.txt: on PyPI its older builds for Linux are those for CUDA.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOUND = re.compile(r"([A-Za-z0-9-]+)>=([0-9.]+)")

project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
bounds = [BOUND.match(text) for text in project["dependencies"]]
torch = re.search(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
lines = [f"{b[1]}=={b[2]}" for b in bounds if b and b[1] != "torch"] + [torch[0]]
sys.stdout.write("\n".join(lines) + "\n")
