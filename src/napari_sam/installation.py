"""Other distributions that use this package's name."""

from __future__ import annotations

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
