"""Many prompts in one image, without a screen: prompts in, labels and one result an object out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import torch

from napari_sam.engine import (
    CachedEmbedding,
    Crop,
    EmbeddingCache,
    FrameError,
    FrameIndex,
    FrameStack,
    Predictor,
    PromptError,
    Prompts,
    PromptSet,
    is_blank,
    positions_of,
)
from napari_sam.engine.predictor import Progress
from napari_sam.session import Key, Region, Session, classes, decode
from napari_sam.stacks import decode_prompts

NOTHING_LANDED = (
    "No pixel landed: nothing was found there, or what was found is another object already."
)


@dataclass(frozen=True)
class Segmented:
    """One object in one frame, as it landed in the labels."""

    object_id: int
    frame: FrameIndex
    prompts: Prompts
    iou_prediction: float
    stability_score: float
    area: int  # pixels in the labels; earlier objects keep theirs
    box: tuple[float, float, float, float] | None  # y0, x0, y1, x1 around them; None: no pixel
    milliseconds: float  # from prompts to labels, the frame being encoded already
    notes: tuple[str, ...]  # what of the prompts was left out or changed
    class_name: str = ""  # as the source of its prompts calls it


def group(
    points: Sequence[Sequence[float]], boxes: Sequence[Sequence[float]], *, each: bool = False
) -> list[Prompts]:
    """Points and boxes as objects, the boxes first.

    All points are one object, together with a box. With several boxes each box is an object, and a
    point belongs to the smallest one around it.

    Parameters
    ----------
    points
        ``(y, x)`` or ``(y, x, label)`` in frame pixels.
    boxes
        ``(y0, x0, y1, x1)`` in frame pixels.
    each
        Every point and every box is an object of its own.

    Raises
    ------
    PromptError
        If a point is in none of several boxes, or its label is neither 1 nor 0.
    """
    objects = [Prompts.from_box(box) for box in boxes] or [Prompts()] * (bool(points) and not each)
    for y, x, label in ((*point, 1)[:3] for point in points):
        if label not in (0, 1):
            raise PromptError(
                f"The label {label:g} of the point {y:g},{x:g} is not 1 or 0. Write 1 on the "
                "object, 0 on what does not belong to it."
            )
        if each:
            objects.append(Prompts())
        n = -1 if each or len(objects) == 1 else _smallest_around(objects, y, x)
        objects[n] = objects[n].with_point((y, x), int(label))
    return objects


def new_session(stack: FrameStack, highest_id: int = 0) -> Session:
    """A session with empty labels of the image's shape, in a type that holds the highest id."""
    dtype = np.uint16 if highest_id <= np.iinfo(np.uint16).max else np.uint32
    try:
        session = Session(stack, np.zeros(stack.shape, dtype), highest_id=0)
    except (MemoryError, ValueError) as error:
        raise FrameError(
            f"Labels of an image of shape {stack.shape} do not fit into memory. Give a part of it, "
            "or fewer frames."
        ) from error
    session.knows_ids = lambda frame: True  # nobody else writes into these labels
    return session


def blank_notices(stack: FrameStack, frames: Iterable[FrameIndex]) -> Iterator[str]:
    """A sentence about each of these frames in which there is nothing to see."""
    for frame in dict.fromkeys(frames):
        if is_blank(stack, frame, sampled=True):
            at = ",".join(str(position) for position in frame if position is not None)
            yield (
                f"There is nothing to see in {f'frame {at}' if at else 'this image'}: all pixels "
                "have one value, or none (NaN). A mask would mean nothing. Is it the right frame, "
                "the right channel?"
            )


def segment(
    session: Session,
    prompts: Mapping[tuple[int, FrameIndex], Prompts],
    predictor: Predictor,
    progress: Progress | None = None,
    cache: EmbeddingCache | None = None,
    cell_size: float | None = None,
) -> Iterator[Segmented]:
    """Decode the prompts of many objects, frame by frame, and write their masks into the labels.

    Parameters
    ----------
    session
        The image and its labels. Where objects overlap, the lower id keeps the pixels.
    prompts
        For each (object id, frame index) all prompts of that object there.
    progress
        Called as ``progress(done, total)`` while a frame is encoded.
    cache
        Where embeddings are found and kept; by default in memory, for this call.
    cell_size
        Diameter of the cells in pixels, where it is known: decides between candidates, and at what
        size a large frame is looked at.

    Raises
    ------
    PromptError
        If prompts or an id are not valid; raised before anything is encoded.
    """
    cache = EmbeddingCache() if cache is None else cache
    session.cell_diameter = cell_size or session.cell_diameter
    keys = sorted(prompts, key=lambda key: ([i or 0 for i in key[1]], key[0]))
    fitted = {key: _fitted(session, key, prompts[key]) for key in keys}
    for object_id, frame in keys:
        wanted, notes = fitted[object_id, frame]
        milliseconds = _annotate(session, (object_id, frame), wanted, predictor, cache, progress)
        yield _segmented(session, (object_id, frame), wanted, milliseconds, notes)


def segment_prompts(
    session: Session,
    prompts: PromptSet,
    predictor: Predictor,
    *,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
    cell_size: float | None = None,
) -> Iterator[Segmented]:
    """Decode prompts from anywhere and write their masks into the labels: one step of undo.

    Objects that are in the labels keep their pixels, and of two new ones that with the lower
    number. Close the generator to stop; what has landed stays, with its classes.

    Parameters
    ----------
    prompts
        What does not fit the image is left out: ``prompts.fitted(session.stack)`` tells it.
    progress
        Called as ``progress(done, total)`` in objects.
    cell_size
        As for :func:`segment`.
    """
    cache = EmbeddingCache() if cache is None else cache
    fitted = prompts.fitted(session.stack)
    session.make_room(max(1, fitted.highest_id))
    run = session.new_run()
    by_key = {(each.object_id, each.at): each for each in fitted.objects}
    landed: set[int] = set()
    try:
        start = perf_counter()
        for answer in decode_prompts(
            fitted, session.stack, predictor, cache, progress, cell_size=cell_size
        ):
            object_id, frame = answer.request.key
            session.land(answer, run)
            each = by_key[object_id, positions_of(frame)]
            result = _segmented(
                session,
                answer.request.key,
                each.prompts.with_mask(each.mask),
                1000 * (perf_counter() - start),
                each.notes,
                each.class_name,
            )
            landed |= {object_id} if result.area else set()
            yield result
            start = perf_counter()
    finally:
        names = {i: name for i, name in fitted.classes.items() if i in landed}
        classes.give_named_classes(session, names, run, "prompt")


def _segmented(
    session: Session,
    key: Key,
    prompts: Prompts,
    milliseconds: float,
    notes: tuple[str, ...],
    class_name: str = "",
) -> Segmented:
    landed = session.annotation(*key)
    return Segmented(
        object_id=key[0],
        frame=key[1],
        prompts=prompts,
        iou_prediction=landed.iou_prediction or 0.0,
        stability_score=landed.stability or 0.0,
        area=landed.footprint.landed.area,
        box=_box(landed.footprint.landed),
        milliseconds=milliseconds,
        notes=notes if landed.footprint.landed else (*notes, NOTHING_LANDED),
        class_name=class_name,
    )


def _annotate(
    session: Session,
    key: Key,
    prompts: Prompts,
    predictor: Predictor,
    cache: EmbeddingCache,
    progress: Progress | None,
) -> float:
    """Give prompts and write their mask; milliseconds that took, without encoding."""
    threads = torch.get_num_threads()
    encoding_s = 0.0

    def embed(crop: Crop | None) -> CachedEmbedding:
        nonlocal encoding_s
        start = perf_counter()
        torch.set_num_threads(threads)
        cached = cache.embed(predictor, session.stack, key[1], progress, crop)
        torch.set_num_threads(1)
        encoding_s += perf_counter() - start
        return cached

    start = perf_counter()
    request = session.edit(*key, prompts)
    if request is not None:
        with one_thread():
            session.land(decode(request, predictor, embed, session.stack))
    return 1000 * (perf_counter() - start - encoding_s)


@contextmanager
def one_thread() -> Iterator[None]:
    """Decoding is so small that a team of threads gains little, and stalls on a busy computer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def as_row(result: Segmented) -> dict[str, Any]:
    """A result as JSON has it; the frame by its positions on the leading axes."""
    return {
        "object_id": result.object_id,
        "frame": [i for i in result.frame if i is not None],
        "class": result.class_name,
        "prompts": describe(result.prompts),
        "iou_prediction": round(result.iou_prediction, 4),
        "stability_score": round(result.stability_score, 4),
        "area": result.area,
        "box": result.box,
        "milliseconds": round(result.milliseconds, 1),
        "notes": result.notes,
    }


def describe(prompts: Prompts) -> str:
    """Prompts in a few words: "box (95, 246, 144, 296) + negative point (110, 60)"."""
    words = []
    if prompts.box is not None:
        words.append(f"box {_in_brackets(prompts.box)}")
    if prompts.mask is not None:
        words.append("mask")
    for kind, label in (("point", 1), ("negative point", 0)):
        labelled = zip(prompts.points, prompts.labels, strict=True)
        points = [point for point, given in labelled if given == label]
        if points:
            count = kind if len(points) == 1 else f"{len(points)} {kind}s"
            words.append(" ".join([count, *map(_in_brackets, points)]))
    return " + ".join(words)


def _smallest_around(objects: Sequence[Prompts], y: float, x: float) -> int:
    areas = {
        (y1 - y0) * (x1 - x0): n
        for n, (y0, x0, y1, x1) in enumerate(prompts.box for prompts in objects if prompts.box)
        if y0 <= y <= y1 and x0 <= x <= x1
    }
    if not areas:
        raise PromptError(
            f"The point {y:g},{x:g} is in none of the {len(objects)} boxes: which object is it? "
            "Give each object its number in a table of prompts, or make each prompt an object."
        )
    return areas[min(areas)]


def _fitted(
    session: Session, key: tuple[int, FrameIndex], prompts: Prompts
) -> tuple[Prompts, tuple[str, ...]]:
    object_id, frame = key
    session.make_room(object_id)
    try:
        return prompts.fitted(session.stack.frame_shape_of(frame))
    except PromptError as error:
        raise PromptError(f"Object {object_id}: {error}") from error


def _box(region: Region) -> tuple[float, float, float, float] | None:
    if not region.area:
        return None
    y0, x0, y1, x1 = region.window
    return (y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5)


def _in_brackets(coordinates: tuple[float, ...]) -> str:
    return f"({', '.join(f'{number:g}' for number in coordinates)})"
