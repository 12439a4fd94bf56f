"""Other distributions that use this package's name, and a Qt that crashes."""

from __future__ import annotations

import sys
from importlib.metadata import Distribution, distributions

DISTRIBUTION = "napari-sam-annotator"
PACKAGE = "napari_sam"


def rival_distribution() -> str | None:
    """Name of another distribution that installs the package `napari_sam` too, or None.

    PyPI's `napari-sam` does: the two overwrite each other's files.
    """
    names = (each.metadata["Name"] for each in distributions() if _installs(each))
    return next((name for name in names if name != DISTRIBUTION), None)


def _installs(distribution: Distribution) -> bool:
    """Whether a distribution lists the package; only searched as text, for there are many files."""
    named = distribution.read_text("top_level.txt") or ""
    return PACKAGE in named.split() or f"\n{PACKAGE}/" in f"\n{distribution.read_text('RECORD')}"


def rival_warning(rival: str) -> str:
    """A warning for the user, with the remedy."""
    return (
        f"{rival} is installed beside {DISTRIBUTION}, and both use the package name {PACKAGE}: "
        f"one hides the other. To fix it: pip uninstall {rival} {DISTRIBUTION}, "
        f"then pip install {DISTRIBUTION}."
    )


def qt_warning(pyside: str, python: tuple[int, ...] = sys.version_info[:2]) -> str | None:
    """A warning if this version of PySide6 crashes on this Python, with the remedy; or None.

    PySide6 6.12 releases None once too often with each call of Qt. Before Python 3.12, which never
    frees None, the process aborts after some minutes: "deallocating None". 6.11 does not.
    """
    if python >= (3, 12) or not pyside.startswith("6.12."):
        return None
    return (
        f"PySide6 {pyside} crashes on Python {'.'.join(map(str, python))} after some minutes. "
        "Save your work, and install another: pip install 'pyside6<6.12'."
    )
