"""Frames of any size looked through for phrases: as a whole and, if larger, in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_sam.engine.detecting import detect
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.left_out import LeftOut
from napari_sam.engine.prompt_set import ObjectPrompts
from napari_sam.engine.tiles import Tile, Tiling, Window, fits_at_once, reduction_for

from .detector import Found, TextDetector

LOWEST = 0.02  # scores below are noise: OWLv2 alone gives 3600 boxes a look
SAME = 0.5  # IoU from which on two boxes are of one object
AT_EDGE = 2.0  # pixels: so near to the edge of a tile an object is taken for cut


def detect_by_words(
    phrases: Sequence[str],
    detector: TextDetector,
    stack: FrameStack,
    frames: Iterable[FrameIndex] | None = None,
    *,
    cell_size: float | None = None,
    overlap: float = SAME,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[ObjectPrompts | LeftOut]:
    """Look for what some phrases name: ``PromptSet.of(detect_by_words(["nucleus"], …))``.

    A frame larger than the detector's input is looked at as a whole, for what is large, and in
    tiles that overlap. Of boxes that overlap, whatever their phrases, the one with the highest
    score stays. Their scores are kept, down to 0.02: the threshold, `PromptSet.at_least`, can
    change without another look.

    Parameters
    ----------
    phrases
        "nucleus", "the dividing cell": each becomes a class.
    frames
        In their order; ``None``: all of the stack.
    cell_size
        Diameter in pixels of what is looked for, where it is known: the size of the tiles.
    overlap
        IoU above which two boxes are one object, more than 0.
    progress
        Called as ``progress(done, total)`` in looks, also during one; what it raises stops the
        work.

    Yields
    ------
    The objects of a frame, those with the highest scores first.

    Raises
    ------
    PromptError
        If a phrase is empty, or too long for the detector.
    """
    asked = detector.checked(phrases)
    wanted = list(stack.indices() if frames is None else frames)
    reduction = 1.0 if cell_size is None else reduction_for(cell_size)
    total = sum(
        len(windows(stack.frame_shape_of(frame), detector.input_side, reduction))
        for frame in wanted
    )
    done = 0

    def report() -> None:
        if progress is not None:
            progress(done, total)

    def prompter(picture: NDArray[np.uint8]) -> Iterator[ObjectPrompts]:
        nonlocal done
        shape = picture.shape[0], picture.shape[1]
        kept: list[Found] = []
        for tile, window in windows(shape, detector.input_side, reduction):
            report()
            y0, x0, y1, x1 = window
            found = detector.look(picture[y0:y1, x0:x1], asked, report)
            kept.append(_placed(found, tile, window, shape))
            done += 1
        boxes, scores, nth = (
            np.concatenate([getattr(each, name) for each in kept])
            for name in ("boxes", "scores", "phrases")
        )
        for n in suppressed(boxes, scores, overlap):
            known = {"class_name": asked[nth[n]], "score": float(scores[n])}
            yield ObjectPrompts.of_box(boxes[n].tolist(), **known)

    yield from detect(prompter, stack, wanted, name=f"The detector {detector.name}")
    report()


def windows(
    frame_shape: tuple[int, int], side: int, reduction: float
) -> list[tuple[Tile | None, Window]]:
    """Where to look in a frame: all of it, then, unless that is enough, tile by tile.

    Each is as large as it can be, also at the end of a frame, so that all show objects alike.
    """
    height, width = frame_shape
    looks: list[tuple[Tile | None, Window]] = [(None, (0, 0, height, width))]
    if fits_at_once(frame_shape, reduction, side):
        return looks
    tiling = Tiling.of(frame_shape, reduction, side)
    length = tiling.core + 2 * tiling.halo
    for tile in tiling:
        (top, left, bottom, right) = tile.window
        y0, x0 = max(0, min(top, bottom - length)), max(0, min(left, right - length))
        y1, x1 = min(height, max(bottom, y0 + length)), min(width, max(right, x0 + length))
        looks.append((tile, (y0, x0, y1, x1)))
    return looks


def suppressed(
    boxes: NDArray[np.float64], scores: NDArray[np.float64], overlap: float
) -> list[int]:
    """Which boxes stay, the highest score first: none overlaps one before it by more.

    Greedy non-maximum suppression. What stays above a threshold does not depend on those below it.
    """
    kept: list[int] = []
    gone = np.zeros(len(boxes), bool)
    sizes, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, :2] + boxes[:, 2:]) / 2
    areas, tree = sizes.prod(axis=-1), cKDTree(centres)
    # Sides of boxes that overlap so have a ratio of `overlap` at least, and share as much of both
    reach = (1 + 1 / overlap) / 2 - overlap
    for best in np.argsort(-scores, kind="stable").tolist():
        if gone[best]:
            continue
        kept.append(best)
        near = np.array(tree.query_ball_point(centres[best], reach * sizes[best].max(), p=np.inf))
        low = np.maximum(boxes[best, :2], boxes[near, :2])
        high = np.minimum(boxes[best, 2:], boxes[near, 2:])
        shared = np.prod(np.clip(high - low, 0, None), axis=-1)
        gone[near[shared > overlap * (areas[best] + areas[near] - shared)]] = True
    return kept


def _placed(found: Found, tile: Tile | None, window: Window, frame_shape: tuple[int, int]) -> Found:
    """What was found in a window, in pixels of the frame: that which is seen whole there.

    A tile keeps what has its centre in the core, and does not reach the edge of the window.
    """
    first, last = np.array(window[:2]), np.array(window[2:])
    ends = np.array(frame_shape)
    low = np.clip(found.boxes[:, :2] + first, -0.5, ends - 0.5)
    high = np.clip(found.boxes[:, 2:] + first, -0.5, ends - 0.5)
    kept = (high - low >= 1).all(axis=-1) & (found.scores >= LOWEST)
    if tile is not None:
        cut = (low < first - 0.5 + AT_EDGE) & (first > 0)
        cut |= (high > last - 0.5 - AT_EDGE) & (last < ends)
        kept &= np.array([tile.owns((y, x)) for y, x in (low + high) / 2], bool)
        kept &= ~cut.any(axis=-1)
    boxes = np.concatenate([low, high], axis=-1)
    return Found(boxes[kept], found.scores[kept], found.phrases[kept])
