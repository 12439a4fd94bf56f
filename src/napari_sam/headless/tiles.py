"""All objects of an image of any size, written to disk: no frame and no labels are held in memory.

What each tile holds is kept in a folder beside the result, so that a run that was stopped at any
moment goes on where it was. At the end the tiles are joined and written as an OME-Zarr of labels.
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from napari_sam.engine import (
    AutomaticOptions,
    EmbeddingCache,
    FoundObject,
    FrameIndex,
    FrameStack,
    Joining,
    Labelled,
    Predictor,
    SamError,
    Tile,
    Tiling,
    Window,
    alone,
    choose_tiling,
    decide_in_tile,
    in_tiles,
    propose_at_once,
    read_scales,
    scales_of,
    tile_parts,
    write_text,
    written,
)
from napari_sam.formats import export

from .automatic import Progress

ENDING = ".ome.zarr"
CHUNK = 1024  # pixels of the labels along y and x
BUSY = "Another process is looking for the objects of this image. Wait for it."


@dataclass(frozen=True, eq=False)
class Source:
    """An image as it was opened, and what is known of it."""

    stack: FrameStack
    name: str  # by which a run that goes on knows it
    axes: str | None = None
    scale: Sequence[float] | None = None
    units: Sequence[str] | None = None

    @classmethod
    def of_file(
        cls, path: Path, stack: FrameStack, axes: str | None, series: str | int | None = None
    ) -> Source:
        """One image of a file, with the size of a pixel that it tells."""
        scale, units = scales_of(read_scales(path, series), axes) or (None, None)
        name = f"{path.absolute()} of {path.stat().st_mtime_ns}" if path.exists() else str(path)
        name += f", image {series}" * (series is not None)
        return cls(stack, name, axes, scale, units)


@dataclass
class Written:
    """What came of it."""

    n_objects: int = 0
    n_tiles: int = 0
    n_kept: int = 0  # of these, which an earlier run had done
    dropped: Counter[str] = field(default_factory=Counter)
    areas: list[int] = field(default_factory=list)  # pixels, one an object
    scores: list[float] = field(default_factory=list)


def find_to_disk(
    source: Source,
    predictor: Predictor,
    out: Path,
    options: AutomaticOptions | None = None,
    frames: Sequence[FrameIndex] | None = None,
    *,
    progress: Progress | None = None,
    tiles: Path | None = None,
) -> Written:
    """Find all objects, tile by tile, and write their labels as an OME-Zarr with a pyramid.

    Parameters
    ----------
    out
        A folder that does not exist yet; its name ends in ``.ome.zarr``.
    frames
        ``None``: all of the stack.
    progress
        Called as ``progress(done, total)``. What it raises stops the work; the next call with the
        same image, model and options goes on there.
    tiles
        The folder for what the tiles hold, which the caller removes when the result is safe. By
        default it is beside ``out``, and removed at the end.

    Raises
    ------
    SamError
        If the model cannot do it by the method asked for, another process writes there, or a file
        cannot be written.
    """
    options = _unfiltered(options)
    wanted = list(source.stack.indices() if frames is None else frames)
    work = tiles or out.with_name(f"{out.name}.tiles")
    busy = f"Another process is writing {out}. Wait for it, or choose another name."
    with alone(work, SamError(busy if tiles is None else BUSY)):
        _begin(work, _fingerprint(source, predictor, options))
        result = Written()
        tilings = []
        for nth, frame in enumerate(wanted):

            def told(done: int, total: int, nth: int = nth) -> None:
                if progress is not None:
                    progress(100 * nth + 100 * done // total, 100 * len(wanted))

            looking = _Looking(source.stack, predictor, options, frame, work)
            tilings.append(looking.look(result, told))
        labels = _joined(source.stack, wanted, tilings, options, work, result)
        objects = Labelled.of(labels, axes=source.axes, scale=source.scale, units=source.units)
        export(objects, out, "ome-zarr")
        if tiles is None:
            shutil.rmtree(work)
    return result


def plan_tiles(
    source: Source,
    predictor: Predictor,
    tiles: Path,
    options: AutomaticOptions | None,
    frames: Sequence[FrameIndex],
) -> int:
    """Choose the tiles for :func:`find_to_disk`, so that several processes can search them.

    Returns
    -------
    How many tiles all frames have together.

    Raises
    ------
    SamError
        As :func:`find_to_disk`.
    """
    options = _unfiltered(options)
    with alone(tiles, SamError(BUSY)):
        _begin(tiles, _fingerprint(source, predictor, options))
        looking = [_Looking(source.stack, predictor, options, frame, tiles) for frame in frames]
        return sum(len(each.tiling()) for each in looking)


def search_tiles(
    source: Source,
    predictor: Predictor,
    tiles: Path,
    options: AutomaticOptions | None,
    frames: Sequence[FrameIndex],
    which: range,
) -> None:
    """Have on disk what some of the tiles hold that :func:`plan_tiles` has chosen.

    Other processes may search other tiles meanwhile, or even the same: each writes the same.

    Parameters
    ----------
    which
        Numbers of tiles, counted through all frames.
    """
    before = 0
    for frame in frames:
        looking = _Looking(source.stack, predictor, _unfiltered(options), frame, tiles)
        tiling = looking.planned()
        looking.search(tiling, [nth - before for nth in which if 0 <= nth - before < len(tiling)])
        before += len(tiling)


def _unfiltered(options: AutomaticOptions | None) -> AutomaticOptions:
    """Nothing is filtered again: what does not stand is not kept."""
    return replace(options or AutomaticOptions(), kept_score=1.0, kept_stability=1.0)


@dataclass(frozen=True, eq=False)
class _Looking:
    """One frame, looked at tile by tile."""

    stack: FrameStack
    predictor: Predictor
    options: AutomaticOptions
    frame: FrameIndex
    work: Path

    def look(self, result: Written, progress: Progress) -> Tiling:
        """Have what every tile holds on disk."""
        tiling = self.tiling()
        result.n_tiles += len(tiling)
        result.n_kept += self.search(tiling, range(len(tiling)), progress)
        return tiling

    def search(self, tiling: Tiling, which: Sequence[int], progress: Progress | None = None) -> int:
        """Have what these tiles hold on disk; returns how many were there already."""
        there = {nth for nth in which if _is_whole(_file(self.work, self.frame, nth))}
        done = there | ({*range(len(tiling))} - {*which})
        given = (self.predictor, self.stack, self.frame)
        whole, cache = in_tiles(self.options), EmbeddingCache(limit_bytes=0)
        shape = self.stack.frame_shape_of(self.frame)
        for tile, part in tile_parts(*given, tiling, self.options, cache, progress, done):
            proposed = propose_at_once(self.predictor, part, self.frame, whole, cache)
            found = [replace(each.moved(*tile.window[:2]), tile=tile) for each in proposed]
            decided = decide_in_tile(tile, found, self.options, shape)
            _save(_file(self.work, self.frame, tile.nth), decided)
        return len(there)

    def planned(self) -> Tiling:
        """As chosen before.

        Raises
        ------
        SamError
            If that cannot be read.
        """
        path = self.work / f"{_name(self.frame)}.json"
        try:
            said = json.loads(path.read_text("utf-8"))
            shape = self.stack.frame_shape_of(self.frame)
            return Tiling(shape, said["reduction"], said["core"], said["halo"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SamError(f"{path} cannot be read. Run the same command again.") from error

    def tiling(self) -> Tiling:
        """As chosen in the run that this one goes on with, which may have taken a first look."""
        try:
            return self.planned()
        except SamError:
            for other in self.work.glob(f"{_name(self.frame)}.*.npz"):
                other.unlink()  # of which tiling it is, nobody knows
        shape = self.stack.frame_shape_of(self.frame)
        input_size = self.predictor.model.network.config.input_size
        cache = EmbeddingCache(limit_bytes=0)
        given = (self.predictor, self.stack, self.frame, self.options, cache)
        whole = Tiling(shape, max(shape) / input_size, core=max(shape), halo=0)
        tiling = choose_tiling(*given) or whole
        said = {"reduction": tiling.reduction, "core": tiling.core, "halo": tiling.halo}
        write_text(self.work / f"{_name(self.frame)}.json", json.dumps(said))
        return tiling


def _fingerprint(source: Source, predictor: Predictor, options: AutomaticOptions) -> dict[str, Any]:
    """What a run must share with an earlier one to go on with it."""
    model = predictor.model
    return {
        "image": source.name,
        "shape": list(source.stack.shape),
        "axes": source.axes,
        "channels": list(source.stack.channels),
        "model": model.hash,
        "precision": model.precision,
        "options": repr(options),
    }


def _begin(work: Path, about: dict[str, Any]) -> None:
    """A folder for the tiles, with those of an earlier run if that was the same."""
    noted = work / "about.json"
    try:
        same = json.loads(noted.read_text("utf-8")) == about
    except (OSError, ValueError):
        same = False
    if not same:
        shutil.rmtree(work, ignore_errors=True)
        try:
            work.mkdir(parents=True)
        except OSError as error:
            raise SamError(
                f"{work} could not be written: {error.strerror}. Choose a folder that exists, can "
                "be written to and has room."
            ) from error
        write_text(noted, json.dumps(about))


def _name(frame: FrameIndex) -> str:
    return "frame" + "".join(f"-{at}" for at in frame if at is not None)


def _file(work: Path, frame: FrameIndex, nth: int) -> Path:
    return work / f"{_name(frame)}.{nth}.npz"


def _save(path: Path, decided: Sequence[FoundObject]) -> None:
    """What stands in a tile, and how many were dropped for what."""
    standing = [each for each in decided if each.dropped is None]
    dropped = Counter(each.dropped for each in decided if each.dropped)
    del dropped["in another tile"]
    with written(path) as part, part.open("wb") as file:
        np.savez_compressed(
            file,
            windows=np.array([each.window for each in standing], np.int64).reshape(-1, 4),
            lengths=np.array([len(each.bits) for each in standing], np.int64),
            bits=np.concatenate([np.zeros(0, np.uint8), *(each.bits for each in standing)]),
            about=np.array([(e.area, e.score, e.stability) for e in standing]).reshape(-1, 3),
            methods=np.array([each.method for each in standing], "U5"),
            dropped=np.array(json.dumps(dropped)),
        )


def _is_whole(path: Path) -> bool:
    """Whether a tile was searched; what a disk has damaged since is searched again."""
    try:
        with zipfile.ZipFile(path) as held:
            return held.testzip() is None
    except (OSError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        path.unlink(missing_ok=True)
        return False


def _load(path: Path, tile: Tile) -> tuple[list[FoundObject], Counter[str]]:
    if not path.exists():  # nothing is to be seen there
        return [], Counter()
    with np.load(path) as held:
        ends = np.cumsum(held["lengths"])[:-1].tolist()
        bits = np.split(held["bits"], ends)
        rows = zip(held["windows"].tolist(), bits, held["about"], held["methods"], strict=False)
        found = [
            FoundObject(
                (y0, x0, y1, x1), mask, int(area), score, stability, (y0, x0), method, tile=tile
            )
            for (y0, x0, y1, x1), mask, (area, score, stability), method in rows
        ]
        return found, Counter(json.loads(str(held["dropped"])))


def _joined(
    stack: FrameStack,
    frames: Sequence[FrameIndex],
    tilings: Sequence[Tiling],
    options: AutomaticOptions,
    work: Path,
    result: Written,
) -> Any:
    """The labels of all frames, on disk; those of an earlier run are made again."""
    chunks = (*(1 for _ in stack.shape[:-2]), *(min(CHUNK, size) for size in stack.shape[-2:]))
    labels = zarr.create_array(
        work / "labels.zarr", shape=stack.shape, chunks=chunks, dtype=np.uint32, overwrite=True
    )
    for frame, tiling in zip(frames, tilings, strict=True):
        joining = Joining(options)
        for tile in tiling:
            found, dropped = _load(_file(work, frame, tile.nth), tile)
            result.dropped += dropped
            settled = joining.add(tile, list(enumerate(found)))
            _paint(labels, frame, [each for _, each in settled], tile.window, result)
        rest = [each for _, each in joining.finish()]
        _paint(labels, frame, rest, (0, 0, 0, 0), result)
    return labels


def _paint(
    labels: Any, frame: FrameIndex, found: Sequence[FoundObject], window: Window, result: Written
) -> None:
    """Write objects under new numbers: those in a window together, others one by one."""
    inside = [each for each in found if _is_inside(each.window, window)]
    others = [[each] for each in found if not _is_inside(each.window, window)]
    for group in (inside, *others):
        if not group:
            continue
        corners = np.array([each.window for each in group])
        top, left = corners[:, :2].min(0).tolist()
        bottom, right = corners[:, 2:].max(0).tolist()
        spans = iter((slice(top, bottom), slice(left, right)))
        where = tuple(next(spans) if at is None else at for at in frame)
        pixels: NDArray[np.uint32] = np.asarray(labels[where])
        for each in group:
            result.n_objects += 1
            result.areas.append(each.area)
            result.scores.append(each.score)
            y0, x0, y1, x1 = each.window
            there = pixels[y0 - top : y1 - top, x0 - left : x1 - left]
            there[each.mask & (there == 0)] = result.n_objects
        labels[where] = pixels


def _is_inside(window: Window, other: Window) -> bool:
    return (
        other[0] <= window[0]
        and other[1] <= window[1]
        and window[2] <= other[2]
        and window[3] <= other[3]
    )
