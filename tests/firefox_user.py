"""Somebody at the page in Firefox, the browser as it is installed, by WebDriver BiDi."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

from tornado.ioloop import IOLoop
from tornado.websocket import WebSocketClientConnection, websocket_connect

PATIENCE = 120  # seconds; other tests may be at work on this computer
PREFERENCES = {  # of a profile: nothing is asked of the network, nothing is asked of the user
    "app.update.enabled": False,
    "browser.download.folderList": 2,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.server": "",
}


@contextmanager
def firefox(folder: Path) -> Iterator[FirefoxUser | None]:
    """Firefox with a profile in a folder, into which it downloads, too; None: not installed."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        yield None
        return
    profile = folder / "profile"
    profile.mkdir()
    set_up = {**PREFERENCES, "browser.download.dir": str(folder)}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(set_up[name])});" for name in set_up]
    profile.joinpath("user.js").write_text("\n".join(lines))
    command = [program, "--headless", "--remote-debugging-port=0", "--profile", str(profile)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        loop = IOLoop(make_current=False)
        try:
            heard = (re.search(r"listening on (ws:\S+)", line) for line in process.stderr)
            address = next(found[1] for found in heard if found)
            Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop it
            socket = loop.run_sync(lambda: websocket_connect(f"{address}/session"))
            yield FirefoxUser(loop, socket)
        finally:
            process.terminate()
            loop.close()


@dataclass
class FirefoxUser:
    """Opens images, clicks, and looks at what the page says."""

    loop: IOLoop
    socket: WebSocketClientConnection
    errors: list[str] = field(default_factory=list)  # of the page's programs, and of its policy
    downloads: list[Path] = field(default_factory=list)
    ids: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.send("session.new", capabilities={})
        self.send("session.subscribe", events=["log.entryAdded", "browsingContext.downloadEnd"])
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def send(self, method: str, **params: object) -> dict[str, Any]:
        """What the browser answers to a command."""
        id_ = next(self.ids)
        command = json.dumps({"id": id_, "method": method, "params": params})
        self.loop.run_sync(lambda: self.socket.write_message(command))
        while (told := self._next()).get("id") != id_:
            pass
        assert told["type"] == "success", told
        return dict(told["result"])

    def _next(self) -> dict[str, Any]:
        """The next message; events are noted."""
        message = self.loop.run_sync(self.socket.read_message, timeout=PATIENCE)
        assert message is not None, "Firefox has ended"
        told = json.loads(message)
        if told.get("method") == "log.entryAdded" and told["params"]["level"] == "error":
            self.errors.append(told["params"]["text"])
        if told.get("method") == "browsingContext.downloadEnd":
            self.downloads.append(Path(told["params"]["filepath"]))
        return dict(told)

    def visit(self, page: Path) -> None:
        url = page.as_uri()
        self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it is."""
        result = self._evaluated(expression)
        return result.get("value")

    def _evaluated(self, expression: str) -> Mapping[str, Any]:
        target = {"context": self.context}
        told = self.send("script.evaluate", expression=expression, target=target, awaitPromise=True)
        assert told["type"] == "success", told
        return dict(told["result"])

    def wait_for(self, selector: str, text: str) -> None:
        """Wait until an element's text begins so."""
        element = f"document.querySelector({json.dumps(selector)})"
        is_there = f"{element}.textContent.startsWith({json.dumps(text)})"
        self.evaluate(
            "new Promise((done) => { const look = () => "
            f"{is_there} ? done() : setTimeout(look, 50); look(); }})"
        )

    def open(self, image: Path) -> None:
        """Open an image and wait until it is encoded."""
        element = self._evaluated("document.querySelector('#file')")
        shared = {"sharedId": element["sharedId"]}
        files = [str(image)]
        self.send("input.setFiles", context=self.context, element=shared, files=files)
        self.wait_for("#image-name", image.name)
        self.wait_for("#status", "Ready")

    def place(self, y: float, x: float, shape: tuple[int, int]) -> tuple[int, int]:
        """Where a pixel of the image, all of which is shown, is on the screen."""
        size = "JSON.stringify(document.querySelector('#canvas').getBoundingClientRect())"
        box = json.loads(self.evaluate(size))
        scale = min(box["width"] / shape[1], box["height"] / shape[0])
        return (
            round(box["x"] + box["width"] / 2 + (x + 0.5 - shape[1] / 2) * scale),
            round(box["y"] + box["height"] / 2 + (y + 0.5 - shape[0] / 2) * scale),
        )

    def drag(self, *places: tuple[int, int], button: int = 0) -> None:
        """Press at the first place, let go at the last, and wait for the mask."""
        self.evaluate("void (document.querySelector('#status').textContent = '')")
        moves = [{"type": "pointerMove", "x": x, "y": y} for x, y in places]
        down, up = ({"type": kind, "button": button} for kind in ("pointerDown", "pointerUp"))
        self._act("pointer", [moves[0], down, *moves[1:], up])
        self.wait_for("#status", "Object")

    def press(self, *keys: str) -> None:
        kinds = ("keyDown", "keyUp")
        self._act("key", [{"type": kind, "value": key} for key in keys for kind in kinds])

    def _act(self, kind: str, actions: list[dict[str, Any]]) -> None:
        sources = [{"type": kind, "id": kind, "actions": actions}]
        self.send("input.performActions", context=self.context, actions=sources)

    def save(self, kind: str) -> Path:
        """Save to a file."""
        self.evaluate(f"void document.querySelector('[data-save={kind}]').click()")
        while not self.downloads:
            self._next()
        return self.downloads.pop()
