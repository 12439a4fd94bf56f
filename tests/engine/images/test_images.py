"""Image files in, label files out."""

from __future__ import annotations

import gc
import os
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image, ImageSequence

from napari_sam.engine.errors import FrameError, SamError
from napari_sam.engine.frames import FrameStack
from napari_sam.engine.images import (
    as_ids,
    read_image,
    read_labels,
    read_scales,
    tiff,
    write_labels,
)

STACK = np.arange(5 * 16 * 32, dtype=np.uint16).reshape(5, 16, 32)
RGB = np.arange(16 * 32 * 3, dtype=np.uint8).reshape(16, 32, 3)
RGBA = np.concatenate([RGB, RGB[..., :1]], axis=-1)

TIFF_CASES = {
    "plain": (STACK[0], {}, "YX"),
    "stack": (STACK, {}, "QYX"),
    "compressed": (STACK, {"compression": "zlib", "predictor": True}, "QYX"),
    "named axes": (STACK, {"metadata": {"axes": "TYX"}}, "TYX"),
    "ImageJ": (STACK, {"imagej": True, "metadata": {"axes": "ZYX"}}, "ZYX"),
    "ImageJ channels": (
        STACK[:4].reshape(2, 2, 16, 32),
        {"imagej": True, "metadata": {"axes": "ZCYX"}},
        "ZCYX",
    ),
    "OME": (
        STACK[:4].reshape(2, 2, 16, 32),
        {"ome": True, "metadata": {"axes": "TCYX"}},
        "TCYX",
    ),
    "RGB": (RGB, {"photometric": "rgb"}, "YXS"),
    "planar RGB": (
        np.moveaxis(RGB, -1, 0),
        {"photometric": "rgb", "planarconfig": "separate"},
        "SYX",
    ),
    "big endian floats": (STACK.astype(">f4"), {"byteorder": ">"}, "QYX"),
    "tiled": (STACK, {"tile": (16, 16)}, "QYX"),
}


@pytest.mark.parametrize("name", TIFF_CASES)
@pytest.mark.parametrize("at_once", [True, False], ids=["read", "opened"])
def test_tiff(tmp_path, monkeypatch, name, at_once):
    pixels, options, axes = TIFF_CASES[name]
    tifffile.imwrite(tmp_path / "image.tif", pixels, **options)
    if not at_once:
        monkeypatch.setattr(tiff, "READ_AT_ONCE", 0)
    data, found = read_image(tmp_path / "image.tif")
    assert isinstance(data, np.ndarray if at_once else zarr.Array)
    assert found == axes
    assert np.array_equal(np.asarray(data[...]), pixels)
    stack = FrameStack.from_array(data, axes=found)
    assert stack.frame_shape == (16, 32)
    stack.frame(stack.index(*[1] * (stack.ndim - 2)))


def test_a_large_tiff_is_not_read_and_its_file_let_go(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "image.tif", STACK, compression="zlib")
    with tifffile.TiffFile(tmp_path / "image.tif") as file:
        offset, size = (file.pages[3].dataoffsets[0], file.pages[3].databytecounts[0])
    with (tmp_path / "image.tif").open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * size)
    monkeypatch.setattr(tiff, "READ_AT_ONCE", 0)
    stack = FrameStack.from_array(read_image(tmp_path / "image.tif")[0])
    assert stack.frame(stack.index(2)).any()
    with pytest.raises(FrameError, match="could not be read"):
        stack.frame(stack.index(3))
    del stack
    gc.collect()  # an unclosed file would be an error here


def test_each_image_of_a_file_has_pixels_of_its_own_size(tmp_path):
    with tifffile.TiffWriter(path := tmp_path / "two.ome.tif") as file:
        for name, size in (("wide", 0.5), ("close", 0.1)):
            about = {"axes": "YX", "Name": name, "PhysicalSizeX": size, "PhysicalSizeY": size}
            file.write(STACK[0], metadata=about)
    sizes = [read_scales(path, series)["X"] for series in (None, 0, 1, "1", "wide", "close")]
    assert sizes == [(size, "µm") for size in (0.5, 0.5, 0.1, 0.1, 0.5, 0.1)]


def test_a_tiff_with_several_resolutions(tmp_path):
    with tifffile.TiffWriter(tmp_path / "image.ome.tif") as file:
        file.write(STACK, subifds=2, metadata={"axes": "ZYX"}, tile=(16, 16))
        file.write(STACK[:, ::2, ::2], subfiletype=1, tile=(16, 16))
        file.write(STACK[:, ::4, ::4], subfiletype=1, tile=(16, 16))
    levels, axes = read_image(tmp_path / "image.ome.tif")
    assert axes == "ZYX"
    assert [level.shape for level in levels] == [(5, 16, 32), (5, 8, 16), (5, 4, 8)]
    stack = FrameStack.from_array(levels, axes=axes)
    assert stack.frame(stack.index(4), long_side=16).shape == (8, 16, 3)


PICTURE_CASES = {
    "grey.png": (RGB[..., 0], "YX"),
    "grey16.png": (STACK[0], "YX"),
    "black and white.png": (RGB[..., 0] > 99, "YX"),
    "rgb.png": (RGB, "YXS"),
    "rgba.PNG": (RGBA, "YXS"),
    "grey.jpg": (np.full((16, 32), 77, np.uint8), "YX"),
    "rgb.jpeg": (np.full((16, 32, 3), 77, np.uint8), "YXS"),
}


@pytest.mark.parametrize("name", PICTURE_CASES)
def test_pictures(tmp_path, name):
    pixels, axes = PICTURE_CASES[name]
    Image.fromarray(pixels).save(tmp_path / name)
    data, found = read_image(tmp_path / name)
    assert found == axes
    assert data.dtype == pixels.dtype
    assert np.array_equal(data, pixels)


@pytest.mark.parametrize(("mode", "expected"), [("P", "RGB"), ("LA", "L")])
def test_pictures_with_a_palette_or_grey_with_alpha(tmp_path, mode, expected):
    picture = Image.fromarray(RGB).convert(mode)
    picture.save(tmp_path / "picture.png")
    data, _ = read_image(tmp_path / "picture.png")
    assert np.array_equal(data, np.asarray(picture.convert(expected)))


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_arrays(tmp_path, zarr_format):
    array = zarr.create_array(tmp_path / "a.zarr", data=STACK, zarr_format=zarr_format)
    data, axes = read_image(tmp_path / "a.zarr")
    assert isinstance(data, zarr.Array)
    assert axes is None
    assert np.array_equal(data[:], STACK)
    array.attrs["_ARRAY_DIMENSIONS"] = ["t", "y", "x"]
    assert read_image(tmp_path / "a.zarr")[1] == "TYX"


@pytest.mark.parametrize(
    ("names", "axes"), [("zyx", "ZYX"), (("time", "y", "x"), "TYX"), (("a", "b", "c"), None)]
)
def test_zarr_3_names_its_axes(tmp_path, names, axes):
    zarr.create_array(tmp_path / "a.zarr", data=STACK, dimension_names=tuple(names))
    assert read_image(tmp_path / "a.zarr")[1] == axes


def ome_zarr(path: Path, version: str, axes: Any) -> None:
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.create_group(path, zarr_format=zarr_format)
    for level in range(2):
        data = STACK[None, None, :, :: 2**level, :: 2**level]
        group.create_array(str(level), data=data, chunks=(1, 1, 1, 16, 16))
    image = {"version": version, "datasets": [{"path": "0"}, {"path": "1"}]}
    multiscales = [image if axes is None else image | {"axes": axes}]
    if version == "0.5":
        group.attrs["ome"] = {"version": version, "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = multiscales


NAMED = [{"name": name} for name in ("t", "c", "z", "y", "x")]
OME_CASES = {"0.1": None, "0.3": list("tczyx"), "0.4": NAMED, "0.5": NAMED}


@pytest.mark.parametrize("version", OME_CASES)
def test_ome_zarr(tmp_path, version):
    ome_zarr(tmp_path / "image.ome.zarr", version, OME_CASES[version])
    levels, axes = read_image(tmp_path / "image.ome.zarr")
    assert axes == "TCZYX"
    assert [level.shape[-2:] for level in levels] == [(16, 32), (8, 16)]
    stack = FrameStack.from_array(levels, axes=axes)
    assert stack.frame(stack.index(0, 4), long_side=10).shape == (8, 16, 3)
    assert read_image(tmp_path / "image.ome.zarr" / "0")[0].shape == (1, 1, 5, 16, 32)


def test_ome_zarr_as_bioformats_writes_it(tmp_path):
    group = zarr.create_group(tmp_path / "image.zarr", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    ome_zarr(tmp_path / "image.zarr" / "0", "0.4", NAMED)
    assert len(read_image(tmp_path / "image.zarr")[0]) == 2


# What cannot be read


def damaged(path: Path, original: bytes, keep: float) -> None:
    path.write_bytes(original[: int(len(original) * keep)])


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg"])
@pytest.mark.parametrize("keep", [0, 0.02, 0.5], ids=["empty", "a few bytes", "half"])
def test_broken_files_are_explained(tmp_path, suffix, keep):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    path = tmp_path / f"image{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, noise, compression="zlib")
    else:
        Image.fromarray(noise).save(path)
    damaged(path, path.read_bytes(), keep)
    with pytest.raises(FrameError, match=r"could not be read|holds no image"):
        read_image(path)


def test_a_picture_under_a_wrong_name_is_explained(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "image.png")
    (tmp_path / "image.png").rename(tmp_path / "image.tif")
    with pytest.raises(FrameError, match="what its name says"):
        read_image(tmp_path / "image.tif")


def test_broken_zarr_is_explained(tmp_path):
    ome_zarr(tmp_path / "a.zarr", "0.4", NAMED)
    (tmp_path / "a.zarr" / ".zattrs").write_text("{")
    with pytest.raises(FrameError, match="could not be read"):
        read_image(tmp_path / "a.zarr")
    ome_zarr(tmp_path / "b.zarr", "0.4", NAMED)
    zarr.open_group(tmp_path / "b.zarr").attrs["multiscales"] = [{"datasets": [{"path": "9"}]}]
    with pytest.raises(FrameError, match="could not be read"):
        read_image(tmp_path / "b.zarr")


def test_what_is_no_image_is_explained(tmp_path):
    with pytest.raises(FrameError, match="There is no file"):
        read_image(tmp_path / "missing.tif")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FrameError, match="a folder without a Zarr image or frames"):
        read_image(tmp_path / "folder")
    (tmp_path / "notes.txt").write_text("cells")
    with pytest.raises(FrameError, match=r"notes\.txt is not in a format .* Save it as TIFF"):
        read_image(tmp_path / "notes.txt")
    group = zarr.create_group(tmp_path / "g.zarr")
    with pytest.raises(FrameError, match=r"no OME-Zarr image.*groups: none"):
        read_image(tmp_path / "g.zarr")
    for name in ("cells", "nuclei"):
        group.create_array(name, data=STACK)
    with pytest.raises(FrameError, match=r"2 images \(0: cells 5 × 16 × 32, 1: nuclei .*--series"):
        read_image(tmp_path / "g.zarr")


def tiff_of(path: Path, bits: int, content: bytes, compression: int = 1, *more: Any) -> None:
    """A grey TIFF of 160 × 128 pixels in one strip, byte by byte."""
    tags = [(256, 4, 160), (257, 4, 128), (258, 3, bits), (259, 3, compression), (262, 3, 1)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 4, 128), (279, 4, len(content)), *more]
    file = b"II*\0" + struct.pack("<I", 8 + len(content)) + content
    file += struct.pack("<H", len(tags))
    for tag, kind, value in tags:
        file += struct.pack("<HHI", tag, kind, 1)
        file += struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
    path.write_bytes(file + bytes(4))


N_PIXELS = 160 * 128
UNDECODABLE = {
    "12 bit": (12, bytes(N_PIXELS * 3 // 2)),
    "24 bit float": (24, bytes(N_PIXELS * 3), 1, (339, 3, 3)),
    "ZSTD": (8, b"\x28\xb5\x2f\xfd" + b"x" * 99, 50000),
    "an unknown compression": (8, b"x" * 99, 60000),
}
CODECS = {"12 bit": "12-bit", "24 bit float": "float24", "ZSTD": "ZSTD"}


@pytest.mark.skipif(find_spec("imagecodecs") is not None, reason="imagecodecs decodes them")
@pytest.mark.parametrize("name", UNDECODABLE)
def test_what_cannot_be_decoded_says_what_is_missing(tmp_path, name):
    tiff_of(tmp_path / "image.tif", *UNDECODABLE[name])
    wanted = rf"image\.tif .*{CODECS.get(name, '60000')}.*pip install 'napari-sam-annotator\[codecs"
    with pytest.raises(FrameError, match=wanted):
        read_image(tmp_path / "image.tif")


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "packbits"])
@pytest.mark.parametrize("pixels", [RGB, RGB[..., 0]], ids=["RGB", "grey"])
def test_compressions_that_pillow_knows(tmp_path, compression, pixels):
    frames = [Image.fromarray(np.roll(pixels, n, 0)) for n in range(3)]
    path = tmp_path / "image.tif"
    frames[0].save(path, compression=compression, save_all=True, append_images=frames[1:])
    data, axes = read_image(path)
    with Image.open(path) as picture:
        expected = [np.asarray(frame) for frame in ImageSequence.Iterator(picture)]
    assert axes == ("IYXS" if pixels.ndim == 3 else "IYX")
    np.testing.assert_array_equal(data, expected)


# Labels

LABEL_CASES = {
    "uint16": (np.uint16, 65535, np.uint16),
    "uint8": (np.uint8, 255, np.uint8),
    "bool": (bool, 1, np.uint8),
    "small int64": (np.int64, 65535, np.uint16),
    "large int64": (np.int64, 65536, np.uint32),
    "uint32": (np.uint32, 3, np.uint32),
}


@pytest.mark.parametrize("name", LABEL_CASES)
@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_labels_are_read_as_they_were_written(tmp_path, name, suffix):
    dtype, highest, expected = LABEL_CASES[name]
    labels = np.zeros((3, 8, 9), dtype)
    labels[1, 2:4, 3:6] = highest
    path = tmp_path / f"labels{suffix}"
    write_labels(path, labels, axes="TYX")
    data, axes = read_image(path)
    assert axes == "TYX"
    assert data.dtype == expected
    assert np.array_equal(data[...], labels)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".zarr"])
def test_labels_of_a_width_of_three_stay_labels(tmp_path, suffix):
    write_labels(tmp_path / f"labels{suffix}", np.ones((8, 9, 3), int))
    data, axes = read_image(tmp_path / f"labels{suffix}")
    assert data.shape == (8, 9, 3)
    assert axes is None or axes.endswith("YX")


WRONG_LABELS = {
    "floats": (np.zeros((4, 5)), "whole numbers"),
    "one axis": (np.zeros(4, int), "at least two axes"),
    "negative": (np.full((4, 5), -1), "-1 to 0"),
    "too high": (np.full((4, 5), 2**32), "renumber"),
}


@pytest.mark.parametrize("name", WRONG_LABELS)
def test_what_are_no_labels(tmp_path, name):
    labels, message = WRONG_LABELS[name]
    with pytest.raises(FrameError, match=message):
        write_labels(tmp_path / "labels.tif", labels)
    assert not os.listdir(tmp_path)


def test_ids_stay_the_same_array():
    """Nothing is copied that need not be."""
    ids = np.zeros((4, 5), np.uint16)
    assert as_ids(ids) is ids


IDS = np.kron(np.arange(1, 26).reshape(5, 5), np.ones((6, 6), int))  # squares, side by side


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "<f4", ">f4", "f8"])
def test_whole_numbers_of_any_type_are_ids(dtype):
    ids = as_ids(IDS.astype(dtype))
    assert ids.dtype.kind == "u"
    np.testing.assert_array_equal(ids, IDS.astype(dtype).astype(int))


NO_IDS = {
    "fractions": (IDS / 2, "whole numbers, but these hold 0.5"),
    "NaN": (np.where(IDS > 3, IDS, np.nan), "these hold nan"),
    "infinite": (np.where(IDS > 3, IDS, np.inf), "these hold inf"),
    "far too high": (IDS * 1e30, "renumber"),
    "negative": (-IDS, "-25 to 0"),
    "an image": (STACK[0], "image rather than labels: 100%"),
    "squares of two pixels": (IDS[::3, ::3], "image rather than labels"),
}


@pytest.mark.parametrize("name", NO_IDS)
def test_what_are_no_ids(name):
    labels, message = NO_IDS[name]
    with pytest.raises(FrameError, match=message):
        as_ids(labels)


def test_a_few_touching_pixels_are_labels():
    ids = np.zeros((30, 30), int)
    ids[3, 4:24] = np.arange(1, 21)
    np.testing.assert_array_equal(as_ids(ids), ids)


def test_labels_are_read_and_checked_part_by_part(tmp_path):
    fractions = np.stack([IDS, IDS / 2]).astype(np.float32)
    tifffile.imwrite(tmp_path / "ids.tif", fractions, metadata={"axes": "TYX"})
    labels, axes = read_labels(tmp_path / "ids.tif")
    assert (labels.shape, axes) == ((2, 30, 30), "TYX")
    np.testing.assert_array_equal(labels[0], IDS)
    with pytest.raises(FrameError, match="whole numbers"):
        labels[1]


def test_where_labels_cannot_go(tmp_path):
    labels = np.zeros((4, 5), np.uint8)
    with pytest.raises(FrameError, match=r"labels\.png. Choose a name in \.tif or \.zarr"):
        write_labels(tmp_path / "labels.png", labels)
    with pytest.raises(SamError, match="Choose a folder that exists"):
        write_labels(tmp_path / "none" / "labels.tif", labels)
    (tmp_path / "labels.zarr").mkdir()
    with pytest.raises(FrameError, match="is there already"):
        write_labels(tmp_path / "labels.zarr", labels)


def test_labels_replace_older_labels(tmp_path):
    write_labels(tmp_path / "labels.tif", np.zeros((4, 5), np.uint8))
    write_labels(tmp_path / "labels.tif", np.ones((4, 5), np.uint8))
    assert read_image(tmp_path / "labels.tif")[0].all()


def test_labels_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_labels(tmp_path / "labels.tif", np.ones((4, 5), np.uint8))

    def full_disk(path: Path, *args: Any, **options: Any) -> None:
        Path(path).write_bytes(b"II")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(SamError, match="No space left on device"):
        write_labels(tmp_path / "labels.tif", np.zeros((4, 5), np.uint8))
    assert read_image(tmp_path / "labels.tif")[0].all()
    assert os.listdir(tmp_path) == ["labels.tif"]


def test_real_images_are_read(data_folder):
    path = sorted(data_folder.glob("*/*.image.tif"))[0]
    data, axes = read_image(path)
    stack = FrameStack.from_array(data, axes=axes)
    assert stack.frame(next(stack.indices())).any()
