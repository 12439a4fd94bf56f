"""Surfaces of objects in volumes, a file each, in the units of the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from napari_sam.engine import FrameError, Labelled, colour_of

from .surfaces import surfaces


def write(objects: Labelled, path: Path, kind: str = "stl") -> None:
    """By marching cubes. Places are x, y, z; the corner of the image is 0, 0, 0."""
    if not objects.has_depth:
        raise FrameError(
            f"Labels with the axes {objects.axes} have no volume, and so no surface. Name the axes "
            "of a volume ZYX."
        )
    spacing = np.array(objects.scale[-3:])
    for positions in objects.positions(3):
        at = "".join(f"_{n:04d}" for n in positions)
        for object_id, corners, faces in surfaces(objects.at(positions)):
            colour = np.append(np.rint(colour_of(object_id)), 255).astype(np.uint8)
            mesh = trimesh.Trimesh(
                ((corners + 0.5) * spacing)[:, ::-1],
                faces,
                face_colors=np.tile(colour, (len(faces), 1)),
                process=False,
            )
            mesh.export(path / f"object_{object_id:05d}{at}.{kind}", file_type=kind)
