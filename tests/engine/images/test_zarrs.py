"""Zarr: axes by their type, plates by their wells, and codecs that may not run."""

from __future__ import annotations

import json
import struct
import warnings
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from napari_sam.engine import FrameStack
from napari_sam.engine.errors import FrameError
from napari_sam.engine.images import open_image, read_image, read_labels
from napari_sam.engine.images.zarrs import ome_axes

FRAME = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32)


def axis(name: str, kind: str | None = None) -> dict[str, str]:
    return {"name": name} if kind is None else {"name": name, "type": kind}


YX = [axis("y", "space"), axis("x", "space")]
AXES_CASES = {
    "named only": ([axis(name) for name in "tczyx"], "TCZYX"),
    "letters": (list("tczyx"), "TCZYX"),
    "by type": (
        [axis("t", "time"), axis("c", "channel"), axis("z", "space"), *YX],
        "TCZYX",
    ),
    "a channel axis called fluo": ([axis("fluo", "channel"), *YX], "CYX"),
    "a time axis called cycle": ([axis("cycle", "time"), *YX], "TYX"),
    "a space axis called slice": ([axis("slice", "space"), *YX], "ZYX"),
    "a custom axis called stage": ([axis("stage"), *YX], "QYX"),
    "a custom axis called cycle beside channels": (
        [axis("cycle"), axis("c", "channel"), *YX],
        "QCYX",
    ),
    "rows and columns": ([axis("row", "space"), axis("column", "space")], "YX"),
    "four axes of space": ([axis(n, "space") for n in ("w", "z", "y", "x")], "QZYX"),
    "two channel axes": ([axis("c", "channel"), axis("d", "channel"), *YX], "CQYX"),
    "channels last": ([*YX, axis("c", "channel")], "YXC"),
    "x before y": ([axis("x", "space"), axis("y", "space")], "XY"),
}


@pytest.mark.parametrize("name", AXES_CASES)
def test_axes_mean_what_their_type_says(name):
    axes, expected = AXES_CASES[name]
    assert ome_axes(axes) == expected


def ome_group(path: Path, pixels: Any = FRAME, axes: Any = YX) -> None:
    group = zarr.open_group(path, mode="a", zarr_format=2)
    group.create_array("0", data=pixels, chunks=pixels.shape)
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]


def test_channels_are_no_frames(tmp_path):
    ome_group(tmp_path / "a.zarr", np.stack([FRAME] * 5), [axis("fluo", "channel"), *YX])
    data, axes = read_image(tmp_path / "a.zarr")
    stack = FrameStack.from_array(data, axes=axes)
    assert (stack.shape, stack.colour_axis) == ((16, 32), 0)


@pytest.fixture
def plate(tmp_path: Path) -> Path:
    path = tmp_path / "plate.zarr"
    wells = ("A/1", "B/2")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": well} for well in wells]}
    for n, well in enumerate(wells):
        fields = zarr.open_group(path / well, mode="w", zarr_format=2)
        fields.attrs["well"] = {"images": [{"path": "0"}]}
        ome_group(path / well / "0", FRAME + n)
    return path


def test_a_plate_lists_its_wells(plate):
    with pytest.raises(FrameError, match=r"2 images \(0: A/1/0, 1: B/2/0\)\. .*--series"):
        read_image(plate)


@pytest.mark.parametrize("series", ["B/2/0", "1", 1])
def test_a_well_is_chosen_by_name_or_number(plate, series):
    (level,), axes = read_image(plate, series=series)
    assert axes == "YX"
    np.testing.assert_array_equal(level[...], FRAME + 1)


def test_a_well_that_is_not_there(plate):
    with pytest.raises(FrameError, match=r"no series 'C/1/0'.*0: A/1/0"):
        read_image(plate, series="C/1/0")


def test_several_images_as_bioformats_writes_them(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs.update(
        {"bioformats2raw.layout": 3}
    )
    for n in range(11):
        ome_group(tmp_path / "a.zarr" / str(n), FRAME + n)
    opened = open_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(opened.data[0][...], FRAME)
    assert opened.others.startswith("11 images (0: 0 16 × 32 YX")
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr", series=10)[0][0][...], FRAME + 10)
    assert not open_image(tmp_path / "a.zarr", series=10).others


def test_arrays_of_a_group_are_chosen_by_name(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    for name in ("cells", "nuclei"):
        group.create_array(name, data=FRAME)
    with pytest.raises(FrameError, match=r"0: cells .* 1: nuclei"):
        read_image(tmp_path / "a.zarr")
    assert read_image(tmp_path / "a.zarr", series="nuclei")[0].shape == (16, 32)


# Codecs

UNREAD = r"could run code|could not be read"  # the latter where the library itself refuses


def with_codec(path: Path, **changes: Any) -> None:
    zarr.create_array(path, data=FRAME, chunks=FRAME.shape, zarr_format=2, compressors=None)
    metadata = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps(metadata | changes))


REFUSED = {
    "a pickle as filter": {"filters": [{"id": "pickle", "protocol": 4}]},
    "a pickle as compressor": {"compressor": {"id": "pickle", "protocol": 4}},
    "objects as JSON": {"filters": [{"id": "json2"}]},
    "text": {"compressor": {"id": "base64"}},
    "a pickle behind a delta": {
        "filters": [{"id": "delta", "dtype": "<u2"}, {"id": "pickle", "protocol": 4}]
    },
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_codecs_that_could_run_code_are_refused(tmp_path, name, read):
    with_codec(tmp_path / "a.zarr", **REFUSED[name])
    with pytest.raises(FrameError, match=UNREAD):
        read(tmp_path / "a.zarr")


def test_a_pickle_does_not_run(tmp_path):
    """The chunk is a pickle that makes a file when it is loaded."""
    proof = tmp_path / "proof"
    with_codec(tmp_path / "a.zarr", compressor={"id": "pickle", "protocol": 4})
    (chunk,) = (p for p in (tmp_path / "a.zarr").iterdir() if p.name == "0.0")
    chunk.write_bytes(b"cbuiltins\nopen\n(V" + str(proof).encode() + b"\nVw\ntR.")
    with pytest.raises(FrameError, match=UNREAD):
        read_image(tmp_path / "a.zarr")
    assert not proof.exists()


def test_a_level_of_an_image_is_checked_like_an_array(tmp_path):
    ome_group(tmp_path / "a.zarr")
    metadata = json.loads((tmp_path / "a.zarr" / "0" / ".zarray").read_text())
    metadata["compressor"] = {"id": "base64"}
    (tmp_path / "a.zarr" / "0" / ".zarray").write_text(json.dumps(metadata))
    with pytest.raises(FrameError, match="could run code"):
        read_image(tmp_path / "a.zarr")


ACCEPTED = {
    "blosc": zarr.codecs.BloscCodec(),
    "zstd": zarr.codecs.ZstdCodec(),
    "gzip": zarr.codecs.GzipCodec(),
}


@pytest.mark.parametrize("name", ACCEPTED)
@pytest.mark.parametrize("shards", [None, (16, 32)])
def test_codecs_of_numbers_are_read(tmp_path, name, shards):
    zarr.create_array(
        tmp_path / "a.zarr", data=FRAME, chunks=(8, 8), shards=shards, compressors=ACCEPTED[name]
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.zarr")[0][...], FRAME)


def test_a_codec_inside_of_shards_is_seen(tmp_path):
    zarr.create_array(tmp_path / "a.zarr", data=FRAME, chunks=(8, 8), shards=(16, 32))
    file = tmp_path / "a.zarr" / "zarr.json"
    metadata = json.loads(file.read_text())
    inside = metadata["codecs"][0]["configuration"]["codecs"]
    inside.append({"name": "numcodecs.pickle", "configuration": {}})
    file.write_text(json.dumps(metadata))
    with pytest.raises(FrameError, match=UNREAD):
        read_image(tmp_path / "a.zarr")


# Lengths

BLOSC = {
    "Zarr 2": {"zarr_format": 2, "compressors": numcodecs.Blosc},
    "Zarr 3": {"compressors": zarr.codecs.BloscCodec},
    "shards": {"chunks": (8, 16), "shards": (16, 32), "compressors": zarr.codecs.BloscCodec},
    "numcodecs": {"compressors": zarr.codecs.numcodecs.Blosc},
}


def blosc_array(path: Path, name: str, n_beyond: int) -> None:
    """An array in Blosc whose chunks say that they are longer by so many bytes than they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Zarr: numcodecs are not in the specification
        options = {"chunks": FRAME.shape, **BLOSC[name]}
        options["compressors"] = options["compressors"]()
        zarr.create_array(path, data=FRAME, **options)
    (chunk,) = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith(("zarr", ".z")))
    content = bytearray(chunk.read_bytes())
    heads = [0, *range(16, len(content) - 16)] if name == "shards" else [0]
    for at in heads:  # version 2 of the format, and what 256 or 1024 bytes unfold to
        n_bytes, _, n_stored = struct.unpack_from("<4xIII", content, at)
        if content[at] == 2 and n_bytes in (256, 1024) and n_stored <= len(content):
            struct.pack_into("<I", content, at + 12, n_stored + n_beyond)
    chunk.write_bytes(content)


@pytest.mark.filterwarnings("ignore:Numcodecs codecs:UserWarning")
@pytest.mark.parametrize("name", BLOSC)
@pytest.mark.parametrize("read", [read_image, read_labels])
def test_blosc_does_not_read_beyond_the_end_of_a_chunk(tmp_path, name, read):
    blosc_array(tmp_path / "a.zarr", name, 0)
    pixels, _ = read_image(tmp_path / "a.zarr")
    np.testing.assert_array_equal(pixels[...], FRAME)
    np.testing.assert_array_equal(pixels[3:9, 5], FRAME[3:9, 5])
    blosc_array(tmp_path / "b.zarr", name, 10**8)
    with pytest.raises((ValueError, FrameError), match=r"bytes and says that it has 1000"):
        read(tmp_path / "b.zarr")[0][...]


def test_blosc_beyond_the_end_of_an_image_s_chunk_is_one_sentence(tmp_path):
    blosc_array(tmp_path / "a.zarr", "Zarr 3", 10**8)
    stack = FrameStack.from_array(read_image(tmp_path / "a.zarr")[0])
    with pytest.raises(FrameError, match=r"The image could not be read: a chunk of it"):
        stack.frame(stack.index())
