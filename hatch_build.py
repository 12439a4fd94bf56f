"""Puts the one manifest, napari.yaml at the root, where npe2 looks for it: beside __init__.py."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManifestHook(BuildHookInterface[Any]):
    """A wheel gets the manifest as a file, an editable install a link or, failing that, a copy."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        manifest = Path(self.root, "napari.yaml")
        if version == "editable":
            link_or_copy(manifest, Path(self.root, "src", "napari_sam", "napari.yaml"))
        else:
            build_data["force_include"][str(manifest)] = "napari_sam/napari.yaml"


def link_or_copy(manifest: Path, inside: Path) -> None:
    """Make `inside` a relative symbolic link to `manifest`; a copy where links are not allowed."""
    inside.unlink(missing_ok=True)
    try:
        inside.symlink_to(os.path.relpath(manifest, inside.parent))
    except OSError:  # Windows without developer mode
        shutil.copyfile(manifest, inside)
