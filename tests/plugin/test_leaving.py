"""However napari is left while threads compute, its process ends with 0 and says nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from leaving import WAYS

SCRIPT = Path(__file__).resolve().parents[1] / "leaving.py"


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_process_ends_well(way, qapp, tmp_path, monkeypatch) -> None:
    """`qapp` brings the screen."""
    for name in ("NAPARI_SAM_EMBEDDINGS", "XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    ended = subprocess.run(
        [sys.executable, SCRIPT, way], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
