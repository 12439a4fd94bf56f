"""The page in a real browser: opening, clicks, keeping the work, and memory over 500 clicks.

    python benchmarks/page.py [--clicks 500] [--large 4000]

By the clock, between the mouse's event and the change of the page's text, which a busy computer
makes longer, so its load is named; and in processor time of the process that shows the page, its
worker included. Memory is that of this process.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import tifffile
from playwright.sync_api import Browser, sync_playwright

from measuring import markdown
from napari_sam.web import write_page
from page_user import PageUser, launch

SIDE = 512
PITCH, RADIUS = 50, 14  # of the cells, in pixels
CLICKS_EACH = 5  # on a cell: one that begins it, and corrections
TIMED = 20  # clicks whose times count
STROKES = 5
LOADED = 1500  # milliseconds in which the page does what it does in advance

# The time from the release of the mouse to the sentence that tells of the mask
CLOCK = """() => {
  window.times = [];
  let began = 0;
  const status = document.getElementById("status");
  addEventListener("pointerup", (event) => (began = event.timeStamp), { capture: true });
  new MutationObserver(() => {
    if (!status.textContent.includes("score") || !began) return;
    times.push(performance.now() - began);
    began = 0;
  }).observe(status, { childList: true, characterData: true, subtree: true });
}"""
# The times in which the page could not answer
TASKS = """() => {
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const task of list.getEntries()) tasks.push(task.duration);
  }).observe({ type: "longtask" });
}"""


def write_cells(folder: Path, side: int) -> tuple[Path, list[tuple[int, int]]]:
    """An image of bright cells, and their middles."""
    rng = np.random.default_rng(0)
    pixels = rng.normal(400, 30, (side, side)).astype(np.float32)
    y, x = np.ogrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1]
    disc = 3000 * (np.hypot(y, x) < RADIUS)
    middles = [(cy, cx) for cy in range(30, side - 20, PITCH) for cx in range(30, side - 20, PITCH)]
    for cy, cx in middles:
        pixels[cy - RADIUS : cy + RADIUS + 1, cx - RADIUS : cx + RADIUS + 1] += disc
    path = folder / f"cells-{side}.tif"
    tifffile.imwrite(path, pixels.clip(0, 65535).astype(np.uint16))
    return path, middles


class Seen(PageUser):
    """Somebody at the page, with a stopwatch and an eye on memory."""

    def memory(self) -> tuple[float, float]:
        """Resident memory of the page's process, and what JavaScript holds, in MB."""
        driver = self.page.context.new_cdp_session(self.page)
        driver.send("HeapProfiler.enable")
        driver.send("HeapProfiler.collectGarbage")
        heap = driver.send("Runtime.getHeapUsage")["usedSize"]
        driver.detach()
        status = Path(f"/proc/{self.process()}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6, heap / 1e6

    def processor_time(self) -> float:
        """Seconds that all threads of the page's process have computed."""
        fields = Path(f"/proc/{self.process()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def process(self) -> int:
        """The process that shows the page: the one that has computed most."""
        browser = self.page.context.browser
        assert browser is not None
        driver = browser.new_browser_cdp_session()
        known = driver.send("SystemInfo.getProcessInfo")["processInfo"]
        driver.detach()
        pages = [each for each in known if each["type"] == "renderer"]
        return int(max(pages, key=lambda each: each["cpuTime"])["id"])

    def times(self) -> list[float]:
        """Milliseconds of each click since the last time."""
        return [float(each) for each in self.page.evaluate("times.splice(0)")]


def clicking(user: Seen, middles: list[tuple[int, int]]) -> Iterator[int]:
    """Click on one cell after the other, and correct it; numbered."""
    done = 0
    while True:
        for cy, cx in middles:
            user.press("n")
            for n in range(CLICKS_EACH):
                if n % 2:
                    user.click(cy + RADIUS + 6 + n, cx, button="right")
                else:
                    user.click(cy + 2 * n, cx + 2)
                done += 1
                yield done


def measured(browser: Browser, page: Path, folder: Path, clicks: int) -> Iterator[list[str]]:
    """Rows on an image as the network sees it whole."""
    image, middles = write_cells(folder, SIDE)
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    user = Seen(context.new_page())
    user.visit(page)
    user.page.evaluate(CLOCK)
    user.page.wait_for_timeout(LOADED)
    began = perf_counter()
    user.open(image, (SIDE, SIDE))
    ready = perf_counter() - began
    yield [f"opening {SIDE} × {SIDE} pixels, until *Ready*", f"{ready:.1f} s"]
    user.page.wait_for_timeout(LOADED)
    memory = {}
    for n in islice(clicking(user, middles), clicks):
        if n == 1:
            before = user.processor_time()
        if n == TIMED:
            first, *others = user.times()
            each = (user.processor_time() - before) / (TIMED - 1)
            yield ["the first click, until its mask is shown", f"{first:.0f} ms"]
            yield ["a later one, median", f"{median(others):.0f} ms"]
            yield ["processor time of a later one, with all that follows", f"{1000 * each:.0f} ms"]
        if n in {TIMED, *(clicks * fifth // 5 for fifth in range(1, 6))}:
            user.wait_until_saved()
            memory[n] = user.memory()
    said = ", ".join(map(str, memory))
    resident, heap = zip(*memory.values(), strict=True)
    yield [f"memory after {said} clicks", ", ".join(f"{each:.0f}" for each in resident) + " MB"]
    yield ["of it JavaScript's own", ", ".join(f"{each:.1f}" for each in heap) + " MB"]
    context.close()


def keeping(browser: Browser, page: Path, folder: Path, side: int) -> Iterator[list[str]]:
    """Rows on what a stroke in a large frame costs until it is kept in the browser."""
    image, middles = write_cells(folder, side)
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    user = Seen(context.new_page())
    user.visit(page)
    user.open(image, (side, side))
    user.press("r")
    user.page.evaluate(TASKS)
    used, tasks = [], []
    for cy, cx in middles[: STROKES + 1]:
        user.press("n")
        user.page.wait_for_timeout(LOADED)
        before = user.processor_time()
        user.page.evaluate("tasks.length = 0; document.getElementById('saved').textContent = ''")
        user.drag((cy, cx), (cy + 20, cx + 20))
        user.wait_until_saved()
        used.append(user.processor_time() - before)
        tasks.append(max(user.page.evaluate("tasks"), default=0))
    what = f"a stroke in {side} × {side} pixels, until it is kept"
    yield [f"{what}: processor time", f"{1000 * median(used[1:]):.0f} ms"]
    longest = median(tasks[1:])  # browsers tell of 50 ms and more
    said = f"{longest:.0f} ms" if longest else "below 50 ms"
    yield ["the longest time in which the page does not answer", said]
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clicks", type=int, default=500)
    parser.add_argument("--large", type=int, default=4000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder = Path(name)
        page = write_page(folder / "segment.html")
        browser = launch(driver)
        if browser is None:
            sys.exit("Chromium is not installed (Debian: chromium)")
        rows = [
            *keeping(browser, page, folder, options.large),
            *measured(browser, page, folder, options.clicks),
        ]
        version = browser.version
        browser.close()
    load = f"load of the computer at the end: {os.getloadavg()[0]:.1f}"
    sys.stdout.write(markdown([f"Chromium {version}", load], rows))


if __name__ == "__main__":
    main()
