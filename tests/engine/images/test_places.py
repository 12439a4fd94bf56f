"""Zarr in zip files and at addresses: only what is needed is read, and what fails is said."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import zarr
from zarr.core.sync import sync

from file_server import FolderServer, serving_folder
from napari_sam.engine import FramePart, FrameStack, read_scales
from napari_sam.engine.errors import FrameError
from napari_sam.engine.images import open_image
from napari_sam.engine.images.places import address_of

PIXELS = np.random.default_rng(0).integers(1, 255, (64, 96), np.uint8)


def write(path: Path, version: Literal["0.4", "0.5"] = "0.5", name: str = "image.zarr") -> Path:
    """An OME-Zarr of two levels without consolidated metadata."""
    group = zarr.open_group(path / name, mode="w", zarr_format=2 if version == "0.4" else 3)
    for n in (0, 1):
        pixels = PIXELS[:: 2**n, :: 2**n]
        group.create_array(str(n), data=pixels, chunks=(16, 16))
    axes = [{"name": each, "type": "space", "unit": "micrometer"} for each in "yx"]
    datasets = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [s, s]}]}
        for n, s in ((0, 0.5), (1, 1.0))
    ]
    about = {"multiscales": [{"version": version, "axes": axes, "datasets": datasets}]}
    group.attrs.update(about if version == "0.4" else {"ome": {"version": version, **about}})
    return path / name


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FolderServer]:
    write(tmp_path)
    write(tmp_path, "0.4", "old.zarr")
    with serving_folder(FolderServer(tmp_path)) as serving:
        yield serving


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("https://host/a.zarr", "https://host/a.zarr"),
        (Path("https://host/a.zarr/"), "https://host/a.zarr"),
        (Path("s3://bucket/a.zarr"), "s3://bucket/a.zarr"),
        ("a.zarr", None),
        (Path("/data/http/a.zarr"), None),
        (Path("C:/a.zarr"), None),
    ],
)
def test_an_address_is_known_though_a_path_has_one_slash(path, address):
    assert address_of(path) == address


@pytest.mark.parametrize("name", ["image.zarr", "old.zarr"])
def test_over_http_only_the_chunks_of_a_part_are_read(server, name):
    opened = open_image(Path(f"{server.url}/{name}"))  # as a command gets it
    assert opened.axes == "YX"
    stack = FrameStack.from_array(opened.data, axes=opened.axes, limits=(0, 255))
    before = len(server.asked)
    part = FramePart.of(stack, (None, None), (16, 32, 32, 64), 1.0)
    np.testing.assert_array_equal(part.frame((None, None))[..., 0], PIXELS[16:32, 32:64])
    assert len(server.asked) - before == 2
    assert read_scales(f"{server.url}/{name}") == {
        "Y": (0.5, "micrometer"),
        "X": (0.5, "micrometer"),
    }


def test_a_server_that_breaks_off_is_an_error_and_no_black_chunk(server):
    server.drops = "0/c/1/2"
    opened = open_image(f"{server.url}/image.zarr")
    stack = FrameStack.from_array(opened.data, axes=opened.axes)
    with pytest.raises(FrameError, match=r"The image could not be read: .*still there"):
        stack.frame((None, None), long_side=None)


def test_an_error_of_the_server_is_no_missing_chunk(server):
    server.refuses = "0/c/1/2"
    opened = open_image(f"{server.url}/image.zarr")
    stack = FrameStack.from_array(opened.data, axes=opened.axes)
    with pytest.raises(FrameError, match=r"could not be read: .*500"):
        stack.frame((None, None), long_side=None)


def test_a_chunk_that_is_not_there_is_empty_as_zarr_has_it(server):
    (server.folder / "image.zarr/0/c/1/2").unlink()
    opened = open_image(f"{server.url}/image.zarr")
    stack = FrameStack.from_array(opened.data, axes=opened.axes, limits=(0, 255))
    shown = stack.frame((None, None), long_side=None)[..., 0]
    assert not shown[16:32, 32:48].any()
    np.testing.assert_array_equal(shown[32:], PIXELS[32:])


@pytest.mark.parametrize("name", ["nothing.zarr", "image.zarr/c"])
def test_where_there_is_no_zarr_it_is_said(server, name):
    with pytest.raises(FrameError, match=r"There is no Zarr at http.*zarr\.json"):
        open_image(f"{server.url}/{name}")


def test_a_server_that_is_not_there(server):
    with pytest.raises(FrameError, match=r"could not be read: .*Check the address"):
        open_image("http://127.0.0.1:9/image.zarr")


def test_a_missing_package_is_named(monkeypatch, server):
    monkeypatch.setattr("napari_sam.engine.images.places.FsspecStore.from_url", _no_package)
    with pytest.raises(FrameError, match=r"pip install 'napari-sam-annotator\[s3\]'"):
        open_image("s3://bucket/image.zarr")


def _no_package(*_: object, **__: object) -> None:
    raise ImportError("Install s3fs to access S3")


@pytest.mark.parametrize("inside", ["", "image.zarr/"])
def test_a_zip_file_holds_the_zarr_or_its_folder(tmp_path, inside):
    folder = write(tmp_path)
    with zipfile.ZipFile(tmp_path / "image.zarr.zip", "w") as file:
        for each in folder.rglob("*"):
            file.write(each, f"{inside}{each.relative_to(folder)}")
    opened = open_image(tmp_path / "image.zarr.zip")
    assert opened.axes == "YX"
    np.testing.assert_array_equal(opened.data[0][...], PIXELS)
    assert read_scales(tmp_path / "image.zarr.zip")["X"] == (0.5, "micrometer")


def test_a_zip_file_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("letter.txt", "Dear")
    with pytest.raises(FrameError, match="There is no Zarr at"):
        open_image(tmp_path / "a.zip")


AT_EXIT = """
import atexit, gc, sys
import aiohttp, zarr

def tell():
    sessions = [each for each in gc.get_objects() if isinstance(each, aiohttp.ClientSession)]
    print([each.closed for each in sessions], zarr.core.sync.loop[0].is_running())

atexit.register(tell)
from napari_sam.engine.images import open_image
open_image(sys.argv[1])
"""


@pytest.mark.slow
def test_connections_are_closed_before_the_event_loop_is(server):
    command = [sys.executable, "-c", AT_EXIT, f"{server.url}/image.zarr"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("[True] True\n", "")


@pytest.fixture(scope="module")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server with one image in the bucket "cells", and in "shared" for everybody."""
    import s3fs
    from moto.server import ThreadedMotoServer  # half a second, not for all who look for tests

    folder = write(tmp_path_factory.mktemp("s3"))
    serving = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    serving.start()
    host, port = serving.get_host_and_port()
    for bucket, acl in (("cells", "private"), ("shared", "public-read")):
        files = s3fs.S3FileSystem(
            key="a",
            secret="b",
            endpoint_url=f"http://{host}:{port}",
            s3_additional_kwargs={"ACL": acl},
        )
        files.mkdir(bucket)
        files.put(str(folder), f"{bucket}/image.zarr", recursive=True)
    yield f"http://{host}:{port}"
    serving.stop()


@pytest.fixture
def computer(buckets: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A computer with credentials for that server and no patience, to be changed by a test."""
    from s3fs import S3FileSystem

    said = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_ENDPOINT_URL": buckets}
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), "none")
    for name, value in {**said, **files, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(S3FileSystem, "retries", 1)
    disconnect()
    yield monkeypatch
    disconnect()


def disconnect() -> None:
    """Let s3fs forget its connections, which were made for another environment."""
    from s3fs import S3FileSystem

    for files in S3FileSystem._cache.values():
        if files.asynchronous and files._s3 is not None:  # others close themselves
            sync(files._s3.close())
    S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_an_image_in_a_bucket_is_read(computer: pytest.MonkeyPatch) -> None:
    opened = open_image(Path("s3://cells/image.zarr"))  # as a command gets it
    np.testing.assert_array_equal(opened.data[0][...], PIXELS)
    assert read_scales("s3://cells/image.zarr")["X"] == (0.5, "micrometer")


@pytest.mark.slow
def test_a_public_image_is_read_without_credentials(computer: pytest.MonkeyPatch) -> None:
    import fsspec.config

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        computer.delenv(name)
    with pytest.raises(FrameError, match=r"locate credentials.*AWS_PROFILE.*FSSPEC_S3_ANON=true"):
        open_image("s3://shared/image.zarr")
    computer.setenv("FSSPEC_S3_ANON", "true")
    computer.setitem(fsspec.config.conf, "s3", {})
    fsspec.config.set_conf_env(fsspec.config.conf)  # as when a program starts
    disconnect()
    np.testing.assert_array_equal(open_image("s3://shared/image.zarr").data[0][...], PIXELS)
    with pytest.raises(FrameError, match=r"Forbidden\. Check the address with its bucket"):
        open_image("s3://cells/image.zarr")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "changed", "said"),
    [
        ("s3://cells/nothing.zarr", {}, r"no Zarr at s3://cells/nothing.*bucket's name"),
        ("s3://nobody/image.zarr", {}, r"no Zarr at s3://nobody/image.*bucket's name"),
        ("s3://cells/image.zarr", {"AWS_PROFILE": "nobody"}, r"profile \(nobody\).*AWS_PROFILE"),
        (
            "s3://cells/image.zarr",
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            r"connect to the endpoint.*Check the address with its bucket, the network",
        ),
    ],
)
def test_what_s3_refuses_is_said(computer: pytest.MonkeyPatch, address, changed, said) -> None:
    for name, value in changed.items():
        computer.setenv(name, value)
    for read in (open_image, read_scales):
        with pytest.raises(FrameError, match=said):
            read(address)
