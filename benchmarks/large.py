"""All nuclei of images of growing size, as an OME-Zarr on disk, and the first click in them.

    python benchmarks/large.py [--sides 2048 4096 10000 20000] [--threads 1]
    python benchmarks/large.py --sides 40000 --strip 400 [--threads 1]

Each image is made chunk by chunk, with its pyramid, and searched in a process of its own. 20,000
pixels take an hour, 40,000 four: `--strip` searches so many megapixels of it only, a strip from its
left to its right border, and says what a megapixel took on the way. How the window gets on with
such an image is in `large_window.py`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
import zarr
from numpy.typing import NDArray
from scipy import ndimage

from measuring import elsewhere, markdown, peak_memory, reset_peak_memory, resident, save
from napari_sam.engine import (
    AutomaticOptions,
    FrameStack,
    Predictor,
    Prompts,
    box_outline,
    load_model,
    open_image,
)
from napari_sam.headless.image import new_session, segment
from napari_sam.headless.tiles import Source, find_to_disk

CHUNK = 1024
PITCH = 80  # pixels between nuclei
SIDES = (2048, 4096, 10_000)
DIFFERENT = 8  # chunks along either axis, before they are repeated
STOPS = (4, 16, 50, 100, 200, 400)  # megapixels after which the time is taken


@dataclass(frozen=True)
class Figures:
    """One image."""

    side: int
    n_nuclei: int
    n_objects: int
    first_click_s: float  # from opening the image to the first mask
    seconds: float
    cpu_seconds: float
    before_mb: float
    peak_mb: float
    on_the_way: dict[int, float] = field(default_factory=dict)  # megapixels: cpu seconds so far


def write_image(path: Path, side: int) -> int:
    """An OME-Zarr of dark ground and bright nuclei of some 30 pixels; how many these are."""
    group = zarr.open_group(path, mode="w")
    steps = [2**n for n in range(max(1, int(np.log2(side / 512)) + 1))]
    levels = [
        group.create_array(str(n), shape=(-(-side // s),) * 2, chunks=(CHUNK, CHUNK), dtype="u1")
        for n, s in enumerate(steps)
    ]
    axes = [{"name": name, "type": "space"} for name in "yx"]
    datasets = [
        {"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": [s, s]}]}
        for n, s in enumerate(steps)
    ]
    image = {"name": "nuclei", "axes": axes, "datasets": datasets}
    group.attrs["ome"] = {"version": "0.5", "multiscales": [image]}
    n_nuclei = 0
    for top in range(0, side, CHUNK):
        for left in range(0, side, CHUNK):
            at = (top // CHUNK % DIFFERENT, left // CHUNK % DIFFERENT)
            pixels, n = _chunk(*at, min(CHUNK, side - top), min(CHUNK, side - left))
            n_nuclei += n
            for level, step in zip(levels, steps, strict=True):
                small = pixels[::step, ::step]
                y, x = top // step, left // step
                level[y : y + small.shape[0], x : x + small.shape[1]] = small
    return n_nuclei


@cache
def _chunk(row: int, column: int, height: int, width: int) -> tuple[NDArray[np.uint8], int]:
    """Its pixels; nuclei lie in the fields of a grid, and none in two chunks."""
    rng = np.random.default_rng((CHUNK * row, CHUNK * column))
    rows, columns = np.mgrid[: PITCH - 16, : PITCH - 16]
    pixels = np.full((height, width), 30.0, np.float32)
    n = 0
    for y in range(8, height - PITCH, PITCH):
        for x in range(8, width - PITCH, PITCH):
            at_y, at_x = rng.uniform(20, PITCH - 36, 2)
            a, b = rng.uniform(11, 17, 2)
            inside = ((rows - at_y) / a) ** 2 + ((columns - at_x) / b) ** 2 <= 1
            pixels[y : y + PITCH - 16, x : x + PITCH - 16][inside] = rng.uniform(90, 210)
            n += 1
    pixels = ndimage.gaussian_filter(pixels, 1.2) + rng.normal(0, 5, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8), n


def measure(side: int, threads: int, strip: int | None = None) -> Figures:
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nuclei.ome.zarr"
        n_nuclei = write_image(path, side)
        _chunk.cache_clear()
        predictor = Predictor(load_model("pocket", device="cpu"))
        start = time.perf_counter()
        opened = open_image(path)
        stack = FrameStack.from_array(opened.data, axes=opened.axes)
        session = new_session(stack)
        prompts = {(1, stack.index()): Prompts.from_points([(8 + 30, 8 + 30)])}
        list(segment(session, prompts, predictor, cell_size=30))
        first = time.perf_counter() - start
        del session
        reset_peak_memory()
        before, start, cpu = resident(), time.perf_counter(), time.process_time()
        source, out = Source(stack, path.name, opened.axes), Path(folder) / "labels.ome.zarr"
        searched = strip or side**2 / 1e6
        box = None if strip is None else box_outline((0, 0, strip * 1e6 / side, side))
        on_the_way: dict[int, float] = {}

        def note(done: int, total: int) -> None:
            now = time.process_time() - cpu
            for stop in STOPS:
                if stop not in on_the_way and done / total * searched >= stop:
                    on_the_way[stop] = now
                    sys.stderr.write(f"{stop} Mpx {now:.0f} s, {peak_memory():.0f} MB\n")

        options = AutomaticOptions(cell_size=30, within=box)
        written = find_to_disk(source, predictor, out, options, progress=note)
        took = time.perf_counter() - start, time.process_time() - cpu
        figures = Figures(side, n_nuclei, written.n_objects, first, *took, before, peak_memory())
        return replace(figures, on_the_way=on_the_way)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--strip", type=int, help="megapixels that are searched; all by default")
    parser.add_argument("--save")
    given = parser.parse_args()
    if given.save:
        save(given.save, measure(given.sides[0], given.threads, given.strip))
        return
    header = (
        *("image", "nuclei", "objects", "first click", "all objects", "processor time per Mpx"),
        "peak memory",
    )
    rows = []
    for side in given.sides:
        arguments = ["--sides", str(side), "--threads", str(given.threads)]
        if given.strip:
            arguments += ["--strip", str(given.strip)]
        said: Figures = elsewhere(__file__, *arguments)
        megapixels = given.strip or side**2 / 1e6
        rows.append(
            [
                f"{side:,}²" + (f", a strip of {given.strip} Mpx" if given.strip else ""),
                f"{said.n_nuclei:,}",
                f"{said.n_objects:,}",
                f"{said.first_click_s:.1f} s",
                f"{said.seconds:.0f} s",
                f"**{said.cpu_seconds / megapixels:.2f} s**",
                f"{said.peak_mb:.0f} MB (before {said.before_mb:.0f} MB)",
            ]
        )
        for stop, seconds in said.on_the_way.items():
            sys.stderr.write(f"{stop} Mpx: {seconds / stop:.2f} s of processor time each\n")
    sys.stdout.write(markdown(header, rows))


if __name__ == "__main__":
    main()
