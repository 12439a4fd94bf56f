"""Where a Zarr is: a folder, a zip file, or an address such as https://… or s3://…."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import zarr
from zarr.storage import FsspecStore, ZipStore

from ..errors import FrameError

ADDRESS = re.compile(r"(https?|s3|gs):/+(.+)")  # a path may have lost one of its slashes
ROOTS = ("zarr.json", ".zgroup", ".zarray")
CONNECT_S, READ_S = 15, 60  # a server that is silent for so long is not waited for
CLOSE_S = 1
NEEDS = {"http": "remote", "https": "remote", "s3": "s3", "gs": "gcsfs"}
UNREACHED = "Check the address, the network, and that the server lets you read it."
UNREACHED_S3 = (
    "Check the address with its bucket, the network, and the credentials of this computer: "
    "AWS_PROFILE names some, FSSPEC_S3_ANON=true reads public images without any."
)


def address_of(path: str | Path) -> str | None:
    """The address that a path is; ``None`` for a file or folder of this computer."""
    found = ADDRESS.fullmatch(str(path).rstrip("/"))
    return f"{found[1]}://{found[2]}" if found else None


def remedy_at(address: str) -> str:
    """What to check where an address cannot be read."""
    return UNREACHED_S3 if address.startswith("s3:") else UNREACHED


def open_node(path: str | Path) -> Any:
    """The array or group at the root of a Zarr, to be read; only metadata is read here.

    Raises
    ------
    FrameError
        If a package for that kind of address is missing, or there is no Zarr.
    """
    address = address_of(path)
    if address is not None:
        store = _remote_store(address)
        _check_reached(address)
        return _opened(store, address)
    if Path(path).suffix.lower() == ".zip":
        return _opened(ZipStore(path, mode="r"), str(path), _root_in(Path(path)))
    return zarr.open(path, mode="r")


def _opened(store: Any, name: str, root: str | None = None) -> Any:
    try:
        return zarr.open(store, mode="r", path=root)
    except FileNotFoundError as error:
        raise FrameError(
            f"There is no Zarr at {name}: it has none of {', '.join(ROOTS)}. Give the address, the "
            "bucket's name included, or the file of the image itself."
        ) from error


def _remote_store(address: str) -> Any:
    kind = address.partition(":")[0]
    try:
        return FsspecStore.from_url(address, storage_options=_waiting(kind), read_only=True)
    except ImportError as error:
        extra = f"'napari-sam-annotator[{NEEDS[kind]}]'" if kind != "gs" else "gcsfs"
        raise FrameError(
            f"To read {address} a package is missing ({error}). Install it with pip install "
            f"{extra}, or download the image."
        ) from error


def _check_reached(address: str) -> None:
    """Ask S3 for one file: of several requests at once that fail, Zarr leaves some behind."""
    if not address.startswith("s3:"):
        return
    from fsspec.core import url_to_fs

    files, path = url_to_fs(address)
    with contextlib.suppress(FileNotFoundError):
        files.cat_file(f"{path}/{ROOTS[0]}")


def _waiting(kind: str) -> dict[str, Any]:
    """How long a web server is waited for."""
    if not kind.startswith("http"):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
    return {"client_kwargs": {"timeout": timeout}, "get_client": _new_session}


async def _new_session(**options: Any) -> Any:
    """The connections to a web server, closed before the program ends.

    Zarr ends its event loop then; connections that are open still would complain of that. It is
    registered later than Zarr's own end, and so comes before it.
    """
    from aiohttp import ClientSession

    options["loop"] = asyncio.get_running_loop()
    session = ClientSession(**options)
    atexit.register(_close, session, options["loop"])
    return session


def _close(session: Any, loop: asyncio.AbstractEventLoop) -> None:
    if loop.is_running() and not session.closed:
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(session.close(), loop).result(CLOSE_S)


def _root_in(path: Path) -> str | None:
    """The folder in a zip file that is the Zarr, where its root is not."""
    with zipfile.ZipFile(path) as file:
        found = [PurePosixPath(name) for name in file.namelist() if name.endswith(ROOTS)]
    top = min(found, key=lambda each: len(each.parts), default=None)
    return None if top is None or len(top.parts) == 1 else str(top.parent)
