"""Surfaces of objects in volumes, a file each, in the units of the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from skimage.measure import marching_cubes

from napari_sam.engine import FrameError, Labelled, colour_of
from napari_sam.engine.masks import windows_of


def write(objects: Labelled, path: Path, kind: str = "stl") -> None:
    """By marching cubes. Places are x, y, z; the corner of the image is 0, 0, 0."""
    if not objects.has_depth:
        raise FrameError(
            f"Labels with the axes {objects.axes} have no volume, and so no surface. Name the axes "
            "of a volume ZYX."
        )
    spacing = objects.scale[-3:]
    for positions in objects.positions(3):
        pixels = objects.at(positions)
        at = "".join(f"_{n:04d}" for n in positions)
        for object_id, crop in windows_of(pixels).items():
            solid = np.pad(pixels[crop] == object_id, 1)
            corners, faces, *_ = marching_cubes(solid, 0.5, spacing=spacing)
            origin = [(side.start - 0.5) * size for side, size in zip(crop, spacing, strict=True)]
            colour = np.append(np.rint(colour_of(object_id)), 255).astype(np.uint8)
            mesh = trimesh.Trimesh(
                (corners + origin)[:, ::-1],
                faces,
                face_colors=np.tile(colour, (len(faces), 1)),
                process=False,
            )
            mesh.export(path / f"object_{object_id:05d}{at}.{kind}", file_type=kind)
