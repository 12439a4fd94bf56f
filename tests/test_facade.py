"""`import napari_sam`: light, complete, and honest about what shares its name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_sam
from napari_sam.installation import qt_warning, rival_distribution, rival_warning

HEAVY = ("torch", "numpy", "napari", "qtpy", "PyQt6", "PySide6", "skimage", "pandas")


def modules_after(statement: str) -> set[str]:
    """Top-level modules a fresh interpreter has loaded after the statement."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", f"{statement}\n{report}"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def test_importing_loads_neither_torch_nor_qt() -> None:
    assert modules_after("import napari_sam").isdisjoint(HEAVY)


def test_prompts_and_frames_need_no_torch() -> None:
    loaded = modules_after("from napari_sam import Prompts, FrameStack, SamError, read_image")
    assert loaded.isdisjoint({"torch", "napari", "qtpy"})


@pytest.mark.parametrize("name", napari_sam.__all__)
def test_every_name_of_the_facade_is_there(name: str) -> None:
    assert getattr(napari_sam, name) is not None
    assert name in dir(napari_sam)


def test_no_name_of_a_package_is_that_of_a_module_in_it() -> None:
    """Once the module is imported it would hide what has its name (lazy-loader before 0.6)."""
    for stub in Path(napari_sam.__file__).parent.rglob("__init__.pyi"):
        text = stub.read_text("utf-8")
        names = set(re.findall(r"^from \.\w.* as (\w+)$", text, re.MULTILINE))
        assert names.isdisjoint(path.stem for path in stub.parent.iterdir()), stub


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="segment_everything"):
        _ = napari_sam.segment_everything


LISTED = {"top_level.txt": "napari_sam\n", "RECORD": "a.py,,\nnapari_sam/__init__.py,,\n"}


def install(folder: Path, distribution: str, listed: str = "RECORD") -> None:
    """What pip leaves behind for a distribution with a package named napari_sam."""
    metadata = folder / f"{distribution.replace('-', '_')}-0.4.dist-info"
    metadata.mkdir(parents=True)
    metadata.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.4\n"
    )
    metadata.joinpath(listed).write_text(LISTED[listed])


def test_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(tmp_path, "napari-sam-annotator")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert rival_distribution() is None


@pytest.mark.parametrize("listed", LISTED)
def test_beside_the_other_napari_sam(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listed: str
) -> None:
    install(tmp_path, "napari-sam-annotator")
    install(tmp_path, "napari-sam", listed)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    rival = rival_distribution()
    assert rival == "napari-sam"
    assert "pip uninstall napari-sam napari-sam-annotator" in rival_warning(rival)


@pytest.mark.parametrize(
    ("pyside", "python", "warns"),
    [
        ("6.12.0", (3, 11), True),
        ("6.12.0", (3, 12), False),
        ("6.11.3", (3, 11), False),
        ("", (3, 11), False),  # PyQt
    ],
)
def test_a_pyside_that_crashes_is_told_with_the_remedy(
    pyside: str, python: tuple[int, int], warns: bool
) -> None:
    assert ("pip install 'pyside6<6.12'" in (qt_warning(pyside, python) or "")) == warns
