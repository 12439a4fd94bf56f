"""Somebody at the page in a real browser, with a real mouse."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, Playwright, expect

READY = re.compile("^Ready")
OFFLINE = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 60_000  # milliseconds; other tests may be at work on this computer


def launch(driver: Playwright) -> Browser | None:
    """The Chromium of this computer; None if there is none."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        return None
    return driver.chromium.launch(executable_path=chromium, args=list(OFFLINE))


@dataclass
class PageUser:
    """Opens images, clicks, and looks at what the page says."""

    page: Page
    shape: tuple[int, int] = (0, 0)  # (H, W) of the image that is open
    requests: list[str] = field(default_factory=list)  # addresses that the page asked for
    errors: list[str] = field(default_factory=list)  # of its programs, and what its policy refused

    def visit(self, page: Path | str) -> None:
        """Open a page's file, or its address."""
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console", lambda said: self.errors.append(said.text) if said.type == "error" else None
        )
        self.page.goto(page if isinstance(page, str) else page.as_uri())

    def open(self, paths: Path | Iterable[Path], shape: tuple[int, int]) -> None:
        """Open an image and wait until it is encoded."""
        given = [paths] if isinstance(paths, Path) else list(paths)
        self.page.set_input_files("#file", given)
        self.shape = shape
        expect(self.page.locator("#image-name")).to_have_text(given[0].name, timeout=PATIENCE)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        expect(self.page.locator("#status")).to_have_text(READY, timeout=PATIENCE)

    def place(self, y: float, x: float) -> tuple[float, float]:
        """Where a pixel of the image, all of which is shown, is on the screen."""
        box = self.page.locator("#canvas").bounding_box()
        assert box is not None
        scale = min(box["width"] / self.shape[1], box["height"] / self.shape[0])
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        return (
            middle[0] + (x + 0.5 - self.shape[1] / 2) * scale,
            middle[1] + (y + 0.5 - self.shape[0] / 2) * scale,
        )

    def click(self, y: float, x: float, button: Literal["left", "right"] = "left") -> None:
        """Click on a pixel, and wait for the mask."""
        self.page.evaluate("document.getElementById('status').textContent = ''")
        self.page.mouse.click(*self.place(y, x), button=button)
        self.wait_for_mask()

    def drag(self, *path: tuple[float, float]) -> None:
        """Press at the first pixel, move along the others, let go at the last."""
        self.page.mouse.move(*self.place(*path[0]))
        self.page.mouse.down()
        for point in path[1:]:
            self.page.mouse.move(*self.place(*point), steps=3)
        self.page.mouse.up()

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Put fingers on pixels, move them and lift them: at each moment those that are down."""
        driver = self.page.context.new_cdp_session(self.page)
        before = 0
        for fingers in [*moments, []]:
            kind = "touchMove" if len(fingers) == before else "touchStart"
            kind = "touchEnd" if len(fingers) < before else kind
            points = [{"x": x, "y": y} for x, y in (self.place(*pixel) for pixel in fingers)]
            driver.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
            before = len(fingers)
        driver.detach()

    def pen(self, y: float, x: float) -> None:
        """Tap on a pixel with a pen."""
        driver = self.page.context.new_cdp_session(self.page)
        at = dict(zip("xy", self.place(y, x), strict=True))
        for kind in ("mousePressed", "mouseReleased"):
            tip = {"type": kind, "button": "left", "clickCount": 1, "pointerType": "pen"}
            driver.send("Input.dispatchMouseEvent", {**tip, **at})
        driver.detach()

    def wait_for_mask(self) -> None:
        expect(self.page.locator("#status")).to_have_text(re.compile("score"), timeout=PATIENCE)

    def wait_until_saved(self) -> None:
        expect(self.page.locator("#saved")).to_have_text(re.compile("^Saved"), timeout=PATIENCE)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def objects(self) -> list[str]:
        """What a screen reader says of each object in the list."""
        items = self.page.locator("#objects [role=option]")
        return [str(item.get_attribute("aria-label")) for item in items.all()]

    def notices(self) -> list[str]:
        return self.page.locator("#notices li > span").all_inner_texts()

    def wait_for_notice(self, text: str) -> None:
        notice = self.page.locator("#notices li", has_text=text)
        expect(notice).to_have_count(1, timeout=PATIENCE)

    def save(self, kind: str, folder: Path) -> Path:
        """Save to a file in a folder."""
        self.page.locator("#save summary").click()
        with self.page.expect_download(timeout=PATIENCE) as download:
            self.page.locator(f"[data-save={kind}]").click()
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        return path
