"""Kinds of files besides TIFF and Zarr, and what all kinds have in common."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_sam.engine import FrameStack
from napari_sam.engine.errors import FrameError
from napari_sam.engine.images import (
    images_in,
    open_image,
    pictures,
    read_image,
    read_labels,
    tiff,
    write_labels,
)

FRAME = np.arange(16 * 32, dtype=np.uint8).reshape(16, 32)
IDS = np.kron(np.array([[0, 1], [7, 2]], np.uint8), np.ones((8, 16), np.uint8))


# Pictures


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".BMP", ".pgm", ".tga"])
def test_pictures_of_other_kinds(tmp_path, suffix):
    Image.fromarray(FRAME).save(tmp_path / f"a{suffix}")
    data, axes = read_image(tmp_path / f"a{suffix}")
    assert data.shape[:2] == (16, 32)
    assert axes == "YXS"[: data.ndim]


def palette(path: Path, ids: Any) -> None:
    picture = Image.fromarray(ids, "L")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, *[9] * 24])
    picture.save(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
@pytest.mark.filterwarnings("ignore:'mode' parameter:DeprecationWarning")
def test_a_palette_is_colours_of_an_image_and_ids_of_labels(tmp_path, suffix):
    palette(tmp_path / f"a{suffix}", IDS)
    image, axes = read_image(tmp_path / f"a{suffix}")
    assert (image.shape, axes) == ((16, 32, 3), "YXS")
    assert image[0, -1].tolist() == [255, 0, 0]
    labels, axes = read_labels(tmp_path / f"a{suffix}")
    assert axes == "YX"
    np.testing.assert_array_equal(labels, IDS)


COLOURMAP = np.zeros((3, 256), np.uint16)
COLOURMAP[:, 1], COLOURMAP[:, 7], COLOURMAP[:, 2] = (65535, 0, 0), (0, 65535, 0), (257, 514, 771)
COLOURED = COLOURMAP.T[IDS] >> 8


@pytest.mark.parametrize("case", ["plain", "stack", "opened", "pyramid", "8 bit"])
def test_a_tiff_with_a_palette_is_colours_of_an_image_and_ids_of_labels(
    tmp_path, monkeypatch, case
):
    options = {"photometric": "palette", "colormap": COLOURMAP >> 8 * (case == "8 bit")}
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        if case == "pyramid":
            file.write(IDS, subifds=1, **options)
            file.write(IDS[::2, ::2], subfiletype=1, **options)
        else:
            file.write(np.stack([IDS] * 3) if case == "stack" else IDS, **options)
    if case == "opened":
        monkeypatch.setattr(tiff, "READ_AT_ONCE", 0)
    data, axes = read_image(path)
    finest = data[0] if case == "pyramid" else data
    lead = (3,) * (case == "stack")
    assert (finest.shape, finest.dtype, axes[-3:]) == ((*lead, 16, 32, 3), np.uint8, "YXS")
    np.testing.assert_array_equal(finest[...], np.broadcast_to(COLOURED, finest.shape))
    np.testing.assert_array_equal(finest[..., 3:5, 20, 1], finest[...][..., 3:5, 20, 1])
    stack = FrameStack.from_array(data, axes=axes)
    np.testing.assert_array_equal(stack.frame(stack.index(*[1] * len(lead))), COLOURED)
    labels, axes = read_labels(path)
    np.testing.assert_array_equal(labels[...], np.broadcast_to(IDS, labels.shape))
    assert labels.shape == (*lead, 16, 32)


def test_an_animation_that_grows_out_of_proportion_is_refused(tmp_path, monkeypatch):
    frames = [Image.new("L", (400, 300), n) for n in range(8)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read_image(tmp_path / "a.gif")[0].shape[:3] == (8, 300, 400)
    monkeypatch.setattr(pictures, "MOST_AT_ONCE", 1000)
    monkeypatch.setattr(pictures, "MOST_GAIN", 20)
    with pytest.raises(FrameError, match=r"a\.gif holds 8 frames of 400 × 300 pixels"):
        read_image(tmp_path / "a.gif")


def test_an_animation_is_a_movie(tmp_path):
    frames = [Image.fromarray(np.roll(FRAME, n, 0)) for n in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    data, axes = read_image(tmp_path / "a.gif")
    assert axes == "TYX"
    assert FrameStack.from_array(data, axes=axes).shape == (3, 16, 32)


# Arrays


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", FRAME)
    data, axes = read_image(tmp_path / "a.npy")
    assert axes is None
    np.testing.assert_array_equal(data, FRAME)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_cellpose_files_hold_masks(tmp_path, protocol):
    held = {
        "masks": IDS.astype(np.uint16),
        "outlines": IDS > 0,
        "flows": [FRAME, np.float32(2)],
        "filename": "a.tif",
        "diameter": np.float64(3),
        "ismanual": np.array([False]),
    }
    with (tmp_path / "a_seg.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(np.array(held, object), file, protocol)
    labels, _ = read_labels(tmp_path / "a_seg.npy")
    np.testing.assert_array_equal(labels[...], IDS)
    with pytest.raises(FrameError, match="give it as labels"):
        read_image(tmp_path / "a_seg.npy")


class Opens:
    """What makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


def test_a_cellpose_file_that_would_run_code(tmp_path):
    held = {"masks": IDS, "harm": Opens(tmp_path / "proof")}
    np.save(tmp_path / "a_seg.npy", np.array(held, object), allow_pickle=True)
    with pytest.raises(FrameError, match=r"a_seg\.npy could not be read: .*is not an array"):
        read_labels(tmp_path / "a_seg.npy")
    assert not (tmp_path / "proof").exists()


# Folders


def movie(folder: Path, n_frames: int = 11, suffix: str = ".tif") -> None:
    folder.mkdir()
    for n in range(n_frames):
        tifffile.imwrite(folder / f"t{n}{suffix}", FRAME + n)


@pytest.mark.parametrize("suffix", [".tif", ".TIF"])
def test_a_folder_is_a_movie_in_natural_order(tmp_path, suffix):
    movie(tmp_path / "movie", suffix=suffix)
    for stranger in ("._t0.tif", ".DS_Store", "notes.txt"):
        (tmp_path / "movie" / stranger).write_bytes(b"\0\5\x16\7")
    data, axes = read_image(tmp_path / "movie")
    stack = FrameStack.from_array(data, axes=axes)
    assert (axes, stack.shape, stack.ndim) == ("TYX", (11, 16, 32), 3)
    for n in (2, 10):
        np.testing.assert_array_equal(np.asarray(data[n]), FRAME + n)
    np.testing.assert_array_equal(data[9:, 3], np.stack([FRAME + 9, FRAME + 10])[:, 3])
    for whole in (data[...], np.asarray(data)):
        np.testing.assert_array_equal(whole, np.stack([FRAME + n for n in range(11)]))
    with pytest.raises(ValueError, match="not in memory"):
        data.__array__(copy=False)  # as np.asarray does it from NumPy 2.0 on


def test_a_frame_of_another_size_is_named(tmp_path):
    movie(tmp_path / "movie", 2)
    tifffile.imwrite(tmp_path / "movie" / "t2.tif", FRAME[:9])
    stack = FrameStack.from_array(*read_image(tmp_path / "movie")[:1])
    stack.frame(stack.index(1))
    with pytest.raises(FrameError, match=r"t2\.tif has the shape \(9, 32\)"):
        stack.frame(stack.index(2))


def test_labels_in_a_folder(tmp_path):
    (tmp_path / "labels").mkdir()
    for n in range(3):
        write_labels(tmp_path / "labels" / f"{n}.tif", IDS * (n == 1))
    labels, _ = read_labels(tmp_path / "labels")
    assert labels.shape == (3, 16, 32)
    np.testing.assert_array_equal(labels[1], IDS)


# Of all kinds


def test_series_of_a_tiff_are_named_and_chosen(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(FRAME, metadata={"axes": "YX", "Name": "overview"})
        file.write(np.stack([FRAME] * 3), metadata={"axes": "ZYX", "Name": "detail"})
    opened = open_image(tmp_path / "a.ome.tif")
    assert opened.axes == "YX"
    assert opened.others == "2 images (0: overview 16 × 32 YX, 1: detail 3 × 16 × 32 ZYX)"
    for series in ("detail", "1", 1):
        data, axes = read_image(tmp_path / "a.ome.tif", series=series)
        assert (data.shape, axes) == ((3, 16, 32), "ZYX")
    for series in ("no", "2", 2, -1):
        with pytest.raises(FrameError, match=r"no series .*0: overview"):
            read_image(tmp_path / "a.ome.tif", series=series)


def test_axes_are_told_where_a_file_is_wrong(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FRAME] * 3), photometric="minisblack")
    data, axes = read_image(tmp_path / "a.tif", axes="cyx")
    stack = FrameStack.from_array(data, axes=axes)
    assert (axes, stack.shape, stack.colour_axis) == ("CYX", (16, 32), 0)


LARGE = 60_000


def huge_zarr(path: Path) -> None:
    zarr.create_array(path, shape=(LARGE, LARGE), chunks=(512, 512), dtype="uint16")


def huge_tiff(path: Path) -> None:
    tifffile.imwrite(path, FRAME)
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageLength", "ImageWidth", "RowsPerStrip"):
            file.pages[0].tags[tag].overwrite(LARGE)


def many_chunks_zarr(path: Path) -> None:
    zarr.create_array(path, shape=(1000, 1000), chunks=(1, 1), dtype="uint8")


def many_strips_tiff(path: Path) -> None:
    tifffile.imwrite(path, FRAME)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageLength"].overwrite(3_000_000)
        file.pages[0].tags["RowsPerStrip"].overwrite(1)


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("back_to", [0, 1, 2])
def test_pages_without_an_end(tmp_path, bigtiff, byteorder, back_to):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as file:
        for _ in range(3):
            file.write(FRAME, contiguous=False)
    assert read_image(path)[0].shape == (16, 32)
    with tifffile.TiffFile(path) as file:
        places = [page.offset for page in file.pages]
        n_tags = len(file.pages[2].tags)
    after = places[2] + (8 + 20 * n_tags if bigtiff else 2 + 12 * n_tags)
    with path.open("r+b") as file:
        file.seek(after)
        file.write(struct.pack(byteorder + ("Q" if bigtiff else "I"), places[back_to]))
    with pytest.raises(FrameError, match="have no end"):
        read_image(path)


@pytest.mark.parametrize("make", [huge_zarr, huge_tiff, many_chunks_zarr, many_strips_tiff])
def test_a_file_that_promises_far_more_than_it_holds(tmp_path, make):
    path = tmp_path / f"a.{make.__name__.rpartition('_')[2].removesuffix('f')}"
    make(path)
    with pytest.raises(FrameError, match="it is damaged"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.npy", "a.bmp", "a.gif", "a.svs", "a.lsm"])
@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x93NUMPY\x01\x00", b"\xff" * 99])
def test_what_is_not_what_its_name_says(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FrameError, match=name):
        read_image(tmp_path / name)


def test_the_images_of_a_folder(tmp_path: Path) -> None:
    """In natural order; no labels, no sessions, nothing hidden, nothing that cannot be read."""
    for name in ("t10.tif", "T2.TIF", "t1.png", "a.npy", ".hidden.tif", "._t1.png", "notes.txt"):
        (tmp_path / name).touch()
    for name in ("t1.labels.tif", "t1_seg.npy"):
        (tmp_path / name).touch()
    (tmp_path / "t1.png.napari-sam").mkdir()
    zarr.create_array(tmp_path / "b.zarr", data=np.zeros((4, 5), np.uint8))
    names = [path.name for path in images_in(tmp_path)]
    assert names == ["a.npy", "b.zarr", "t1.png", "T2.TIF", "t10.tif"]
    with pytest.raises(FrameError, match=r"gone cannot be read.*Choose another one"):
        images_in(tmp_path / "gone")
