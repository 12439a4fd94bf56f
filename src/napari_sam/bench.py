"""The speed of models on this computer, and which of them to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam.engine import Embedding, ModelEntry, Predictor, Prompts, load_model
from napari_sam.headless.image import one_thread

SIDE = 1024  # pixels of the picture's sides
GRID = 8  # discs along each side: 64 boxes
REPEATS = 7
HOVER_SECONDS = 1.0
PATIENCE = 3.0  # seconds one waits for an image before the mind wanders
SIZES = ("pocket", "vit_t", "vit_b", "vit_l", "vit_h")  # larger networks draw finer borders
GFLOP = {"vit_b": 972, "vit_l": 2986, "vit_h": 5961}  # of their encoders, all of one make


@dataclass(frozen=True)
class Figures:
    """Speed and memory of one model here. Memory is the growth of this process, in MB."""

    model: str
    config: str
    device: str
    precision: str
    threads: int  # of the encoder; prompts are decoded on one
    load_seconds: float
    load_megabytes: float | None  # None where the system does not tell
    encode_seconds: float
    encode_megabytes: float | None
    click_milliseconds: float  # from the click to the mask in a picture of 1024 x 1024
    click_megabytes: float | None
    boxes_milliseconds: float  # 64 boxes, all their masks
    boxes_megabytes: float | None
    previews_per_second: float  # while the pointer moves


def measure(name_or_path: str | Path, *, device: str = "auto", precision: str = "auto") -> Figures:
    """Load a model, encode a picture, click in it, outline 64 objects by boxes, hover.

    Raises
    ------
    ModelError
        As :func:`napari_sam.engine.load_model`.
    """
    with _watched() as load:
        predictor = Predictor(load_model(name_or_path, device=device, precision=precision))
    wait = torch.get_device_module(predictor.model.device).synchronize
    image = picture()

    def encode_one() -> Embedding:
        embedding = predictor.encode(image)
        wait()  # a GPU works asynchronously
        return embedding

    with _watched() as encode:
        embedding = encode_one()
    if encode.seconds < PATIENCE:  # the first time warms up; a slow network has no need of it
        encode.seconds = _median(encode_one, 3)
    with one_thread():
        click, boxes, previews = _measure_prompts(predictor, embedding)
    model = predictor.model
    return Figures(
        model=model.name,
        config=model.network.config.name,
        device=str(model.device),
        precision=model.precision,
        threads=torch.get_num_threads(),
        load_seconds=load.seconds,
        load_megabytes=load.megabytes,
        encode_seconds=encode.seconds,
        encode_megabytes=encode.megabytes,
        click_milliseconds=1000 * click.seconds,
        click_megabytes=click.megabytes,
        boxes_milliseconds=1000 * boxes.seconds,
        boxes_megabytes=boxes.megabytes,
        previews_per_second=previews / HOVER_SECONDS,
    )


def _measure_prompts(predictor: Predictor, embedding: Embedding) -> tuple[Watched, Watched, int]:
    """A click, 64 boxes, and how many previews there are while the pointer moves."""
    points = cycle([Prompts.from_points([centre]) for centre in _centres()])
    boxes = [Prompts.from_box(box) for box in disc_boxes()]

    def click() -> None:
        predictor.predict(embedding, next(points)).mask()

    with _watched() as clicked:
        click()
    clicked.seconds = _median(click, REPEATS)
    with _watched() as outlined:
        for prediction in predictor.predict_many(embedding, boxes, multimask=False):
            prediction.mask()
    return clicked, outlined, _count(click, HOVER_SECONDS)


def picture() -> NDArray[np.uint8]:
    """A grey picture (SIDE, SIDE, 3) of bright discs on a noisy ground, always the same."""
    noise = np.random.default_rng(0).normal(40, 8, (SIDE, SIDE))
    pitch = SIDE // GRID
    offsets = np.arange(SIDE) % pitch - pitch / 2
    discs = np.hypot(offsets[:, None], offsets[None, :]) < pitch / 4
    grey = (noise + 120 * discs).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def disc_boxes() -> list[tuple[float, float, float, float]]:
    """The boxes (y0, x0, y1, x1) around the discs of `picture`."""
    radius = SIDE / GRID / 4
    return [(y - radius, x - radius, y + radius, x + radius) for y, x in _centres()]


@dataclass(frozen=True)
class Candidate:
    """A model that is present, and how long it takes for an image."""

    name: str
    config: str
    encode_seconds: float
    measured: bool  # otherwise estimated from another network of the same make

    @property
    def size(self) -> int:
        """Larger networks draw finer borders."""
        return SIZES.index(self.config) if self.config in SIZES else 0

    def __str__(self) -> str:
        about = "" if self.measured else "about "
        return f"{self.name} ({about}{self.encode_seconds:.1f} s)"


def recommend(figures: Sequence[Figures], present: Sequence[ModelEntry]) -> tuple[str, str]:
    """The model to use on this computer, of those measured and those present; and why.

    The largest network that encodes an image within :data:`PATIENCE`; the quickest if none does.

    Returns
    -------
    name, sentences
    """
    candidates, unknown = _candidates(figures, present)
    quick = [each for each in candidates if each.encode_seconds <= PATIENCE]
    if quick:
        chosen = max(quick, key=lambda each: each.size)
        words = f"Use {chosen}: of the models here the largest that is ready within {PATIENCE:g} s."
    else:
        chosen = min(candidates, key=lambda each: each.encode_seconds)
        words = f"Use {chosen}: none of the models here is ready within {PATIENCE:g} s."
    if slower := [str(each) for each in candidates if each.size > chosen.size]:
        words += f" Larger models have finer borders, but are slower: {', '.join(slower)}."
    if unknown:
        words += f" Not measured: {', '.join(unknown)}; add --model {unknown[0]}."
    return chosen.name, words


def _candidates(
    figures: Sequence[Figures], present: Sequence[ModelEntry]
) -> tuple[list[Candidate], list[str]]:
    """Models measured, models estimated from these, and the names of the others."""
    measured = [Candidate(f.model, f.config, f.encode_seconds, measured=True) for f in figures]
    rates = [GFLOP[f.config] / f.encode_seconds for f in figures if f.config in GFLOP]
    estimated, unknown = [], []
    for entry in present:
        if entry.name in [each.name for each in measured]:
            continue
        if rates and entry.config in GFLOP:
            seconds = GFLOP[entry.config] / median(rates)
            estimated.append(Candidate(entry.name, entry.config, seconds, measured=False))
        else:
            unknown.append(entry.name)
    return measured + estimated, unknown


def _centres() -> list[tuple[float, float]]:
    pitch = SIDE / GRID
    places = [(i + 0.5) * pitch for i in range(GRID)]
    return [(y, x) for y in places for x in places]


def _median(action: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = perf_counter()
        action()
        times.append(perf_counter() - start)
    return median(times)


def _count(action: Callable[[], object], seconds: float) -> int:
    """How many times an action is done within so many seconds."""
    n, end = 0, perf_counter() + seconds
    while perf_counter() < end:
        action()
        n += 1
    return n


@dataclass
class Watched:
    """Time and memory of a block of code, filled in when it ends."""

    seconds: float = 0.0
    megabytes: float | None = None


@contextmanager
def _watched() -> Iterator[Watched]:
    watched = Watched()
    before = _reset_peak()
    start = perf_counter()
    yield watched
    watched.seconds = perf_counter() - start
    if before is not None:
        watched.megabytes = max(0.0, _peak() - before)


def _reset_peak() -> float | None:
    """The memory now, in MB, from which on the peak counts; None where only Linux could tell."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 1e6
    try:
        Path("/proc/self/clear_refs").write_text("5")  # man 5 proc: the peak becomes the present
    except OSError:
        return None
    return _peak()


def _peak() -> float:
    """The highest memory since the last reset, in MB: the GPU's, or this process's."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status").read_text()
    kilobytes = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes.split()[1]) * 1024 / 1e6
