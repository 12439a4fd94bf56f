"""A file, or a folder, over HTTP on this machine, as well or badly behaved as a test wants it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class FileServer:
    """What is served, how, and which ranges were requested."""

    content: bytes
    ranges: bool = True
    status: int = 200
    drops: tuple[int, ...] = ()  # bytes sent to the first, second, … request before it breaks off
    length: int | None = None  # claimed instead of the true length; negative: none is given
    headers: tuple[tuple[str, str], ...] = ()  # sent as well
    raw: bytes | None = None  # sent instead of all that, whatever it is
    endless: bool = False  # the content again and again, until the client goes
    holds: int | None = None  # after so many bytes nothing comes until it is released
    released: threading.Event = field(default_factory=threading.Event)
    asked: list[str | None] = field(default_factory=list)  # Range headers, in order
    url: str = ""


@contextmanager
def serving(server: FileServer) -> Iterator[FileServer]:
    """Serve on a free port of 127.0.0.1; `server.url` is the file's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, server)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}/weights.pth"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            http.shutdown()
            thread.join()


def answer(request: BaseHTTPRequestHandler, server: FileServer) -> None:
    """One response, with or without a range, broken off where the test says so."""
    asked = request.headers.get("Range")
    server.asked.append(asked)
    if server.raw is not None:
        request.wfile.write(server.raw.replace(b"{url}", server.url.encode()))
        request.close_connection = True
        return
    if server.holds == 0:
        server.released.wait()
    if server.status != 200:
        request.send_error(server.status)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
    if start and start >= len(server.content):
        request.send_error(416)
        return
    body = server.content[start:]
    request.send_response(206 if start else 200)
    if start:
        whole = len(server.content)
        request.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
    length = len(body) if server.length is None else server.length
    if length >= 0:
        request.send_header("Content-Length", str(length))
    for header in server.headers:
        request.send_header(*header)
    request.end_headers()
    sent = dict(enumerate(server.drops, start=1)).get(len(server.asked), len(body))
    try:
        request.wfile.write(body[: sent if server.holds is None else server.holds])
        while server.endless:
            request.wfile.write(body)
        if server.holds is not None:
            server.released.wait()
    except ConnectionError:  # the client cancelled
        request.close_connection = True


@dataclass
class FolderServer:
    """A folder that is served without a listing, and which of its files were asked for."""

    folder: Path
    drops: str = "nothing"  # files whose path ends so break off in the middle
    refuses: str = "nothing"  # those are answered with an error of the server
    headers: Mapping[str, str] = field(default_factory=dict)  # of every answer
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving_folder(server: FolderServer) -> Iterator[FolderServer]:
    """Serve on a free port of 127.0.0.1; `server.url` is the folder's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/").partition("?")[0]
            server.asked.append(path)
            file = server.folder / path
            if path.endswith(server.refuses) or not file.is_file():
                self.send_error(500 if path.endswith(server.refuses) else 404)
                return
            content = file.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            n = len(content) // 2 if path.endswith(server.drops) else len(content)
            self.wfile.write(content[:n])
            self.close_connection = n < len(content)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        server.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
