"""`napari-sam` itself: its version, what it loads, how it says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import tifffile

from commands import NapariSam
from napari_sam.cli.printing import one_line, progress_bar


def test_another_napari_sam_is_pointed_out(
    napari_sam: NapariSam, working_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = working_folder / "site" / "napari_sam-0.4.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: napari-sam\n")
    metadata.joinpath("top_level.txt").write_text("napari_sam\n")
    monkeypatch.syspath_prepend(working_folder / "site")
    ended = napari_sam("models list")
    assert ended.code == 0
    assert "pip uninstall napari-sam napari-sam-annotator" in ended.err


def test_version(napari_sam: NapariSam) -> None:
    assert napari_sam("--version").out.strip() == version("napari-sam-annotator")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", ["--help", "segment --help", "models list"])
def test_what_needs_neither_torch_nor_qt_loads_neither(arguments: str) -> None:
    code = (
        "import sys; from napari_sam.cli import main\n"
        f"sys.argv = ['napari-sam', *{arguments.split()!r}]\n"
        "try: main()\n"
        "except SystemExit: print(*{name.partition('.')[0] for name in sys.modules})"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = ended.stdout.splitlines()[-1].split()
    assert "typer" in loaded
    assert not {"torch", "napari", "qtpy", "PyQt6", "PySide6"} & set(loaded)


def test_the_shell_completes_commands() -> None:
    asked = {"_NAPARI_SAM_COMPLETE": "complete_bash", "COMP_WORDS": "napari-sam ba"}
    ended = subprocess.run(
        [Path(sys.executable).with_name("napari-sam")],
        env=os.environ | asked | {"COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.split() == ["batch"]


def test_errors_of_the_system_name_the_file() -> None:
    assert one_line(PermissionError(13, "Permission denied", "a.tif")) == "a.tif: Permission denied"
    assert one_line(OSError("several\nlines")) == "several lines"


def test_progress_goes_to_stderr(capsys: pytest.CaptureFixture) -> None:
    with progress_bar("encoding") as progress:
        progress(1, 2)
        progress(2, 2)
    assert not capsys.readouterr().out


@pytest.mark.slow
def test_an_error_is_one_line_whatever_libraries_log(tmp_path: Path) -> None:
    """tifffile logs what it finds wrong in a page, before it raises."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((16, 16), np.uint8))
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["ImageLength"].overwrite(100_000_000)
        file.pages[0].tags["RowsPerStrip"].overwrite(1)
    command = [sys.executable, "-m", "napari_sam", "segment", "a.tif", "--point", "1,1"]
    ended = subprocess.run(
        [*command, "--out", "out.tif"], cwd=tmp_path, capture_output=True, text=True
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("napari-sam: a.tif says that a frame of it is in 100000000 pieces")
