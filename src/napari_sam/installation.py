"""Other distributions that use this package's name."""

from __future__ import annotations

from importlib.metadata import packages_distributions

DISTRIBUTION = "napari-sam-annotator"


def rival_distribution() -> str | None:
    """Name of another distribution that installs the package `napari_sam` too, or None.

    PyPI's `napari-sam` does: the two overwrite each other's files.
    """
    distributions = packages_distributions().get("napari_sam", [])
    return next((name for name in distributions if name != DISTRIBUTION), None)


def rival_warning(rival: str) -> str:
    """A warning for the user, with the remedy."""
    return (
        f"{rival} is installed beside {DISTRIBUTION}, and both use the package name napari_sam: "
        f"one hides the other. To fix it: pip uninstall {rival} {DISTRIBUTION}, "
        f"then pip install {DISTRIBUTION}."
    )
