"""Objects as pictures and surfaces."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import trimesh
from PIL import Image

from labelled_cases import RING
from napari_sam.engine import FrameStack, Labelled, SamError
from napari_sam.formats import export

STACK = FrameStack.from_array((np.stack([RING, RING]) * 40).astype(np.uint8), limits=(0, 255))
OBJECTS = Labelled.of(np.stack([RING, RING * 0]), axes="TYX", scale=0.5, units="micrometer")


def test_cutouts(tmp_path: Path) -> None:
    export(OBJECTS, tmp_path / "cut", "cutouts", image=STACK)
    names = sorted(file.name for file in (tmp_path / "cut").iterdir())
    assert names == [f"object_{n:05d}_t0000_z0000.png" for n in range(1, 7)]
    with Image.open(tmp_path / "cut" / names[0]) as picture:
        pixels = np.asarray(picture)
    np.testing.assert_array_equal(pixels[..., 3] > 0, RING[1:6, 1:6] == 1)
    assert set(pixels[pixels[..., 3] > 0, 0]) == {40}


def test_outlines_on_the_image(tmp_path: Path) -> None:
    export(OBJECTS, tmp_path / "svg", "overlay", image=STACK)
    root = ElementTree.parse(tmp_path / "svg" / "frame_0000.svg").getroot()
    svg = "{http://www.w3.org/2000/svg}"
    paths = {each.get("id"): each.get("d") for each in root.iter(f"{svg}path")}
    assert sorted(paths) == [f"object-{n}" for n in range(1, 7)]
    assert paths["object-1"].count("Z") == 2  # with its hole
    assert root.find(f"{svg}text").text == "1 µm"
    assert float(root.find(f"{svg}rect").get("width")) == 2
    assert (tmp_path / "svg" / "frame_0001.svg").is_file()


@pytest.mark.parametrize("kind", ["stl", "obj", "ply"])
def test_surfaces(kind: str, tmp_path: Path) -> None:
    labels = np.zeros((12, 14, 16), np.uint16)
    labels[2:8, 3:11, 4:14] = 5
    labels[10, 12, 1] = 9
    objects = Labelled.of(labels, axes="ZYX", scale=(2, 0.5, 0.5), units="um")
    export(objects, tmp_path / "surfaces", f"meshes-{kind}")
    mesh = trimesh.load(tmp_path / "surfaces" / f"object_00005.{kind}", force="mesh")
    mesh.merge_vertices()
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(6 * 8 * 10 * 2 * 0.25, rel=0.1)
    np.testing.assert_allclose(mesh.bounds, [[2, 1.5, 4], [7, 5.5, 16]], atol=1e-5)
    assert (tmp_path / "surfaces" / f"object_00009.{kind}").is_file()


def test_what_they_need(tmp_path: Path) -> None:
    with pytest.raises(SamError, match="--image"):
        export(OBJECTS, tmp_path / "a", "cutouts")
    with pytest.raises(SamError, match="no volume"):
        export(OBJECTS, tmp_path / "a", "meshes-stl")
    assert list(tmp_path.iterdir()) == []
