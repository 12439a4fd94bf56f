"""Objects as pictures and surfaces."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from labelled_cases import RING
from napari_sam.engine import FrameStack, Labelled, SamError, colour_of
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


def test_outlines_in_pixels(tmp_path: Path) -> None:
    export(OBJECTS, tmp_path / "png", "overlay-png", image=STACK)
    names = sorted(file.name for file in (tmp_path / "png").iterdir())
    assert names == ["frame_0000.png", "frame_0001.png"]
    with Image.open(tmp_path / "png" / "frame_0000.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    n = len(pixels) // len(RING)  # each pixel is n × n
    assert pixels.shape == (n * RING.shape[0], n * RING.shape[1], 3)
    assert max(pixels.shape) >= 1000
    middle = pixels[n // 2 :: n, n // 2 :: n, 0]
    np.testing.assert_array_equal(middle[:9], (RING * 40)[:9], "the image is seen between lines")
    corner = pixels[n : n + 2, 2 * n]  # on the upper side of the ring
    np.testing.assert_array_equal(corner[0], np.round(colour_of(1)))
    white = (pixels == 255).all(-1)
    assert white[-3 * n :].any(axis=0).sum() == pytest.approx(2 * n, abs=n), "a bar of 1 µm"


def test_an_animation_goes_through_the_frames(tmp_path: Path) -> None:
    path = tmp_path / "movie.gif"
    export(OBJECTS, path, image=STACK)
    with Image.open(path) as movie:
        assert (movie.format, movie.n_frames, movie.info["duration"]) == ("GIF", 2, 200)
        assert max(movie.size) == 800
        first = np.asarray(movie.convert("RGB"))
        movie.seek(1)
        assert (np.asarray(movie.convert("RGB")) != first).any(), "the second frame has no objects"
    export(Labelled.of(RING), tmp_path / "one.gif", image=FrameStack.from_array(RING))
    with Image.open(tmp_path / "one.gif") as movie:
        assert movie.n_frames == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio's pipes
def test_a_video_goes_through_the_frames(tmp_path: Path) -> None:
    imageio = pytest.importorskip("imageio.v3")
    pytest.importorskip("imageio_ffmpeg")
    image = np.zeros((3, 135, 260, 3), np.uint8)  # 1080 × 561 pixels of the video, which needs 562
    image[1] = 200, 40, 90
    labels = np.zeros(image.shape[:3], np.uint16)
    labels[2, 40:90, 60:200] = 7
    path = tmp_path / "movie.mp4"
    export(Labelled.of(labels, axes="TYX"), path, image=FrameStack.from_array(image, rgb=True))
    stream = imageio.immeta(path, plugin="FFMPEG")
    assert (stream["codec"], stream["pix_fmt"][:7], stream["fps"]) == ("h264", "yuv420p", 5)
    frames = imageio.imread(path, plugin="FFMPEG").astype(int)
    assert frames.shape == (3, 562, 1080, 3)
    np.testing.assert_allclose(
        frames[1, :560], np.broadcast_to(image[1, 0, 0], (560, 1080, 3)), atol=4
    )
    below = frames[2, 370:380, 300:700].mean(axis=1)  # the lower side of object 7, at row 373.8
    # The colours of H.264 are half as sharp as its brightness, and a line is two pixels wide
    np.testing.assert_allclose(below[below.sum(axis=1).argmax()], colour_of(7), atol=45)
    np.testing.assert_allclose(frames[2, 200:300, 300:700], 0, atol=3)


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    export(Labelled.of(RING), tmp_path / "one.mp4", image=FrameStack.from_array(RING))
    assert ffmpeg.count_frames_and_secs(tmp_path / "one.mp4")[0] == 1


@pytest.mark.largest_file(2_000)
def test_a_video_on_a_full_disk(tmp_path: Path) -> None:
    pytest.importorskip("imageio_ffmpeg")
    with pytest.raises(SamError, match=r"movie\.mp4 could not be written: the encoder stopped"):
        export(OBJECTS, tmp_path / "movie.mp4", image=STACK)
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(SamError, match=r"pip install 'napari-sam-annotator\[video\]'"):
        export(OBJECTS, tmp_path / "movie.mp4", image=STACK)


@pytest.mark.parametrize("kind", ["stl", "obj", "ply"])
def test_surfaces(kind: str, tmp_path: Path) -> None:
    import trimesh

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
