"""The unit tests of the page's TypeScript, run by Node's own test runner."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from napari_sam.session.saving.schema import FORMAT, VERSION

WEB = Path(__file__).resolve().parents[2] / "web"


@pytest.mark.skipif(shutil.which("node") is None, reason="the page needs Node.js")
@pytest.mark.skipif(not (WEB / "node_modules").is_dir(), reason="the page is not built: make web")
def test_units_of_the_page() -> None:
    ended = subprocess.run(
        ["node", "test.mjs"], cwd=WEB, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_page_writes_sessions_of_this_version() -> None:
    source = (WEB / "src" / "saving" / "session_file.ts").read_text()
    assert f'["{FORMAT}", {VERSION}, "session.json"]' in source
