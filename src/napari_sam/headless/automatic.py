"""All objects of an image or a stack without a screen: options in, labels and objects out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import (
    AutomaticOptions,
    Dropped,
    EmbeddingCache,
    FoundObject,
    FrameError,
    FrameIndex,
    FrameStack,
    Predictor,
    choose_method,
    find_objects,
    is_blank,
    is_large,
)
from napari_sam.model import Pocket
from napari_sam.session import Region, Session, land_found, read_frame
from napari_sam.stacks import IN_DEPTH, LinkRules, Through, link_frames, named_through

from .image import one_thread

Progress: TypeAlias = Callable[[int, int], None]
Find: TypeAlias = Callable[
    [FrameIndex, NDArray[np.integer] | None, Progress], Iterable[FoundObject]
]

REMEDIES: dict[Dropped, str] = {  # against the filter that was nearest to letting one stand
    "at the border": "--border",
    "outside": "a larger part --within",
    "annotated already": "frames that are not annotated yet",
    "cut by a neighbour": "a larger --overlap",
    "duplicate": "a larger --overlap",
    "not round": "a lower --min-roundness",
    "too bright": "a higher --max-intensity",
    "too dark": "a lower --min-intensity",
    "too large": "a larger --max-area",
    "too small": "a smaller --min-area",
    "unlike the examples": "a lower --threshold",
    "cut off": "fewer --crop-n-layers",
    "in another tile": "another --cell-size",
    "low stability": "a lower --min-stability",
    "low score": "a lower --min-score",
}


@dataclass(frozen=True, eq=False)
class Placed:
    """A proposal in a frame, and the object it became in the labels."""

    object_id: int  # 0: none, since it was dropped
    frame: FrameIndex
    found: FoundObject
    region: Region  # its pixels in the labels: better objects keep theirs


def find_everything(
    session: Session,
    predictor: Predictor,
    options: AutomaticOptions | None = None,
    frames: Iterable[FrameIndex] | None = None,
    *,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Iterator[Placed]:
    """Find all objects, frame by frame, and write them into the session's labels.

    Objects that are there already stay as they are. Close the generator to stop; the frames that
    are done stay, and one undo takes all of them back.

    Parameters
    ----------
    frames
        In their order; ``None``: all of the stack.
    progress
        Called as ``progress(done, total)`` in hundredths of a frame.

    Yields
    ------
    Every proposal of a frame, once all of it has landed; those that were dropped say why.

    Raises
    ------
    SamError
        If the model cannot do it by the method asked for, before anything is encoded, or the labels
        cannot hold so many objects.
    """
    options = options or AutomaticOptions()
    cache = EmbeddingCache() if cache is None else cache
    choose_method(options, predictor.model.network)

    def find(
        frame: FrameIndex, annotated: NDArray[np.integer] | None, progress: Progress
    ) -> Iterator[FoundObject]:
        given = (predictor, session.stack, frame, options)
        return find_objects(*given, annotated=annotated, cache=cache, progress=progress)

    yield from place_found(session, predictor, find, frames, cache=cache, progress=progress)


def place_found(
    session: Session,
    predictor: Predictor,
    find: Find,
    frames: Iterable[FrameIndex] | None,
    *,
    cache: EmbeddingCache,
    progress: Progress | None,
) -> Iterator[Placed]:
    """Write what is found frame by frame into the session's labels: one step of undo.

    Parameters
    ----------
    find
        Finds the objects of a frame, given it, what is annotated there, and a progress.
    """
    stack = session.stack
    wanted = list(stack.indices() if frames is None else frames)
    run = session.new_run()

    def within(nth: int) -> Progress:
        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(100 * nth + 100 * done // total, 100 * len(wanted))

        return report

    for nth, frame in enumerate(wanted):
        found: list[FoundObject] = []
        if not is_blank(stack, frame):
            annotated = read_frame(session.labels, frame)
            input_size = predictor.model.network.config.input_size
            in_tiles = is_large(stack.frame_shape_of(frame), input_size)  # each encoded in its turn
            if not in_tiles:
                cache.embed(predictor, stack, frame)  # with as many threads as there are
            alone = not in_tiles and isinstance(predictor.model.network, Pocket)
            with one_thread() if alone else nullcontext():
                found = list(find(frame, annotated if annotated.any() else None, within(nth)))
        landed = land_found(session, frame, found, predictor.model, run)
        within(nth)(1, 1)
        for (object_id, region), each in zip(landed, found, strict=True):
            yield Placed(object_id, frame, each, region)


def link_everything(session: Session, placed: Sequence[Placed]) -> list[Placed]:
    """Give each object one id in all frames: in depth its slices are joined, in time it is tracked.

    Objects that were there before keep their ids. The last axis goes first, so that in a volume
    over time whole objects are tracked. An axis whose name does not tell is taken for time.

    Returns
    -------
    What was placed, by the ids that it has now.

    Raises
    ------
    SamError
        If the image has one frame only, or more than two axes lead to a frame.
    """
    stack = session.stack
    leading = [axis for axis, at in enumerate(next(stack.indices())) if at is not None]
    if not leading:
        raise FrameError("This image has one frame only. To link objects, open a stack.")
    linked = list(placed)
    for axis in reversed(leading):
        rules = IN_DEPTH if through(stack, axis) == "depth" else LinkRules()
        earlier = (stack.shape[a] if a < axis else 1 for a in leading)
        for positions in np.ndindex(*earlier):
            among = {each.object_id for each in linked}
            ids = link_frames(session, stack.index(*positions), axis, rules, among).ids
            linked = [
                replace(each, object_id=ids.get(each.frame, {}).get(each.object_id, each.object_id))
                for each in linked
            ]
    return linked


def through(stack: FrameStack, axis: int) -> Through:
    """Whether an axis is time or depth; time where its name does not tell."""
    return named_through(stack, axis) or "time"


def as_small_as_fits(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Labels in 16 bit, where that holds their ids."""
    highest = int(labels.max(initial=0))
    return labels.astype(np.uint16) if highest <= np.iinfo(np.uint16).max else labels


def why_dropped(placed: Iterable[Placed]) -> dict[str, int]:
    """How many proposals were dropped for which reason, most first."""
    counts = Counter(each.found.dropped for each in placed)
    return {
        reason: n for reason, n in counts.most_common() if reason not in (None, "in another tile")
    }


def nothing_found(placed: Sequence[Placed]) -> str:
    """What to say, and to do, where no object stands; "" where one does."""
    if any(each.object_id for each in placed):
        return ""
    if not placed:
        return (
            "No object was found: the model sees nothing there that looks like one. Is it the "
            "right channel, the right frame? Try more --points-per-side, or another --model."
        )
    reasons = why_dropped(placed)
    remedy = next(remedy for reason, remedy in REMEDIES.items() if reason in reasons)
    said = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    return f"No object was found; what might have been one was dropped: {said}. Try {remedy}."


def as_row(placed: Placed) -> dict[str, Any]:
    """An object as JSON has it; the frame by its positions on the leading axes."""
    found = placed.found
    y0, x0, y1, x1 = placed.region.window
    return {
        "object_id": placed.object_id,
        "frame": [at for at in placed.frame if at is not None],
        "score": round(found.score, 4),
        **({} if found.likeness is None else {"likeness": round(found.likeness, 4)}),
        "stability": round(found.stability, 4),
        "area": placed.region.area,
        "roundness": round(found.roundness, 4),
        "intensity": None if found.intensity is None else round(found.intensity, 4),
        "box": (y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5),
        "point": found.point,
        "method": found.method,
    }
