"""Objects propagated through real time-lapses and volumes from the truth of one frame only.

    python benchmarks/propagation.py [--data DIR] [--clips NAME …] [--frames N] [--objects N]

Time-lapses are seeded from the first frame, against two baselines: the mask of the first frame
copied to all others, and the network prompted again in every frame with nothing but the box of its
last answer. In volumes every object is alone, and seeded from its largest slice, both ways;
``--through time`` treats depth as if it were time. What is found where an object is not counts as
much as what is missing. Then somebody corrects what comes first in the review, one after the other:
the truth is painted there, and the object propagated from it. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from napari_sam import EmbeddingCache, FrameStack, Predictor, Prompts, load_model, read_image
from napari_sam.engine import FrameIndex, iou, mask_to_box
from napari_sam.headless.stacks import propagate, seeded_session
from napari_sam.session import Session, objects
from napari_sam.session.current import CurrentAnnotations
from napari_sam.stacks import Direction, Through
from napari_sam.training import Item, find_items

DATA = Path(
    os.environ.get("NAPARI_SAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
MEMORY = 6 * 2**30  # bytes for embeddings, so that a clip is encoded once
SMALLEST = 16  # pixels in the first frame; what is smaller is not propagated
CORRECTIONS = 5
LATER = (5, 10, 20)  # frames after which ids are compared
SEED = 0  # of the choice of objects, where there are more than are wanted

Mask: TypeAlias = NDArray[np.bool_]
Masks: TypeAlias = dict[tuple[int, int], Mask]  # by object and frame


@dataclass(frozen=True, eq=False)
class Clip:
    """A stack along one axis, its truth, and the frame that is given away."""

    name: str
    stack: FrameStack
    truth: NDArray[np.int32]  # (T, H, W)
    seed: int  # the frame
    is_volume: bool
    only: tuple[int, ...] = ()  # the objects that are propagated; none: all of the seed's frame

    @property
    def ids(self) -> list[int]:
        """The objects that are propagated."""
        if self.only:
            return list(self.only)
        ids, areas = np.unique(self.truth[self.seed], return_counts=True)
        return [int(i) for i, area in zip(ids, areas, strict=True) if i and area >= SMALLEST]

    def steps(self) -> Iterator[tuple[int, int]]:
        """Every frame but the first, after the one from which it is reached."""
        yield from ((t, t + 1) for t in range(self.seed, len(self.truth) - 1))
        yield from ((t, t - 1) for t in range(self.seed, 0, -1))


@dataclass
class Score:
    """How well the objects of a clip were propagated."""

    ious: list[float] = field(default_factory=list)
    right: dict[int, list[bool]] = field(default_factory=lambda: {n: [] for n in LATER})

    def __str__(self) -> str:
        return f"{mean(self.ious):.3f}"

    @property
    def ids(self) -> str:
        """Share of objects under their own id after 5, 10 and 20 frames."""
        shares = (f"{100 * mean(r):.0f}" if r else "–" for r in self.right.values())
        return " / ".join(shares)


@dataclass
class Extent:
    """How well objects end where they end."""

    ious: list[float] = field(default_factory=list)  # over all frames at once, one an object
    true: int = 0  # frames, of all objects together
    many: int = 0
    missing: int = 0
    scored: list[tuple[float, float]] = field(default_factory=list)  # what it says, and the IoU

    @property
    def cells(self) -> list[str]:
        """As columns of a table; frames as means of an object."""
        n = max(len(self.ious), 1)
        frames = [f"{count / n:.1f}" for count in (self.true, self.many, self.missing)]
        told = spearmanr(*zip(*self.scored, strict=True)).statistic if self.scored else np.nan
        return [f"{mean(self.ious):.3f}", *frames, f"{told:.2f}"]


class Run(NamedTuple):
    """A session in which objects of a clip were propagated."""

    session: Session
    clip: Clip


def read_clip(item: Item, n_frames: int) -> Clip:
    """A volume, or so many frames of a time-lapse at most."""
    pixels, truth = read_image(item.image)[0], np.asarray(read_image(item.labels)[0], np.int32)
    is_volume = "Z" in item.axes
    part = slice(None) if is_volume else slice(n_frames)
    stack = FrameStack.from_array(pixels[part], axes=item.axes)
    return Clip(item.id, stack, truth[part], 0, is_volume)


def alone(clip: Clip, n_objects: int) -> list[Clip]:
    """A clip for each object of a volume, seeded from its largest slice; some, if they are many."""
    areas = {int(i): (clip.truth == i).sum(axis=(1, 2)) for i in np.unique(clip.truth) if i}
    ids = [i for i, area in areas.items() if area.max() >= SMALLEST]
    if len(ids) > n_objects:
        ids = sorted(np.random.default_rng(SEED).choice(ids, n_objects, replace=False).tolist())
    return [replace(clip, seed=int(areas[i].argmax()), only=(i,)) for i in ids]


def copied(clip: Clip) -> Masks:
    """The first mask in every frame."""
    return {(i, t): clip.truth[clip.seed] == i for i in clip.ids for _, t in clip.steps()}


def boxed(clip: Clip, predictor: Predictor, cache: EmbeddingCache) -> Masks:
    """Each frame prompted with the box of the mask found in the frame before."""
    masks: Masks = {(i, clip.seed): clip.truth[clip.seed] == i for i in clip.ids}
    for before, now in clip.steps():
        embedding = cache.embed(predictor, clip.stack, clip.stack.index(now)).embedding
        boxes = {i: mask_to_box(masks[i, before]) for i in clip.ids if (i, before) in masks}
        found = {i: Prompts.from_box(box) for i, box in boxes.items() if box is not None}
        predictions = predictor.predict_many(embedding, found.values(), multimask=False)
        for i, prediction in zip(found, predictions, strict=True):
            masks[i, now] = prediction.mask()
    return masks


def propagated(
    clip: Clip, predictor: Predictor, cache: EmbeddingCache, through: Through | None = None
) -> Session:
    """A session in which everything was propagated from the first frame."""
    frame = clip.stack.index(clip.seed)
    seeds = np.where(np.isin(clip.truth[clip.seed], clip.ids), clip.truth[clip.seed], 0)
    session = seeded_session(clip.stack, seeds, frame)
    way = direction(clip)
    for result in propagate(session, frame, predictor, direction=way, through=through, cache=cache):
        if result.stopped:
            there = clip.truth[result.frame[0]] == result.object_id
            sys.stderr.write(f"  {result.stopped}{'' if there.any() else ' It is gone indeed.'}\n")
    return session


def direction(clip: Clip) -> Direction:
    """Where to, so that all frames are reached."""
    if clip.seed == 0:
        return "forward"
    return "backward" if clip.seed == len(clip.truth) - 1 else "both"


def correct(
    runs: Sequence[Run], predictor: Predictor, cache: EmbeddingCache, through: Through | None = None
) -> None:
    """Paint the truth over what comes first in the review of all runs, and propagate from there."""
    current = CurrentAnnotations()
    for session, clip in runs:
        current.put({key: a for key, a in session.annotations() if key[0] in clip.ids})
    if not current.weakest(1):
        return
    object_id, frame, _ = current.weakest(1)[0]
    session, clip = next(run for run in runs if object_id in run.clip.ids)
    t = frame[0]
    assert t is not None
    wanted = clip.truth[t] == object_id
    if not wanted.any():
        give_up(session, clip, object_id, t)
        return
    paint(session, object_id, frame, wanted)
    way: Direction = "forward" if t > clip.seed else "backward"
    last = len(clip.truth) - 1 if way == "forward" else 0
    if t != last:
        list(
            propagate(
                session, frame, predictor, [object_id], direction=way, through=through, cache=cache
            )
        )


def give_up(session: Session, clip: Clip, object_id: int, t: int) -> None:
    """Delete an object from a frame on, away from where it set out."""
    for further in range(t, len(clip.truth)) if t > clip.seed else range(t, -1, -1):
        frame = clip.stack.index(further)
        if session.region(object_id, frame):
            objects.delete(session, [object_id], frame)


def paint(session: Session, object_id: int, frame: FrameIndex, wanted: Mask) -> None:
    """Make an object cover these pixels by hand, whoever had them."""
    plane = session.labels[frame[0]]
    changed = (plane == object_id) != wanted
    rows, columns = np.nonzero(changed)
    before = plane[changed]
    after = np.where(wanted, object_id, 0)[changed].astype(plane.dtype)
    plane[changed] = after
    indices = (np.full(rows.shape, frame[0]), rows, columns)
    session.note_stroke([(indices, before, after)])


def masks_of(session: Session, clip: Clip) -> Masks:
    """What the labels hold."""
    return {(i, t): session.labels[t] == i for i in clip.ids for t in range(len(clip.truth))}


def score(clip: Clip, masks: Mapping[tuple[int, int], Mask]) -> Score:
    """Compare with the truth wherever an object is truly there."""
    result = Score()
    nothing = np.zeros(clip.stack.frame_shape, bool)
    for object_id in clip.ids:
        for _, t in clip.steps():
            true = clip.truth[t] == object_id
            if not true.any():
                continue
            mask = masks.get((object_id, t), nothing)
            result.ious.append(iou(mask, true))
            if abs(t - clip.seed) in LATER:
                result.right[abs(t - clip.seed)].append(fits(object_id, mask, clip.truth[t]))
    return result


def fits(object_id: int, mask: Mask, truth: NDArray[np.int32]) -> bool:
    """Whether no other object fits a mask better than its own."""
    under = [int(i) for i in np.unique(truth[mask]) if i]
    return bool(under) and max(under, key=lambda i: iou(mask, truth == i)) == object_id


def extent(runs: Sequence[Run]) -> Extent:
    """Compare objects with the truth over all frames, those included in which they are not."""
    result = Extent()
    for session, clip in runs:
        labels = np.asarray(session.labels)
        scores = {(i, frame[0]): score for i, frame, score in session.weakest()}
        for i in clip.ids:
            mask, true = labels == i, clip.truth == i
            result.ious.append(iou(mask, true))
            where, there = mask.any(axis=(1, 2)), true.any(axis=(1, 2))
            result.true += int(there.sum())
            result.many += int((where & ~there).sum())
            result.missing += int((there & ~where).sum())
            result.scored += [
                (scores[i, t], iou(mask[t], true[t]))
                for t in np.flatnonzero(where).tolist()
                if (i, t) in scores
            ]
    return result


def row(clip: Clip, predictor: Predictor) -> list[str]:
    """One line of the table of time-lapses."""
    cache = EmbeddingCache(MEMORY)
    baselines = [score(clip, copied(clip)), score(clip, boxed(clip, predictor, cache))]
    runs = [Run(propagated(clip, predictor, cache), clip)]
    ours, ends = score(clip, masks_of(*runs[0])), extent(runs)
    for _ in range(CORRECTIONS):
        correct(runs, predictor, cache)
    corrected = score(clip, masks_of(*runs[0]))
    size = f"{len(clip.ids)} × {len(clip.truth)}"
    ways = (*baselines, ours)
    figures = [*map(str, (*ways, corrected)), *ends.cells]
    return [clip.name, size, *figures, *(way.ids for way in ways)]


def volume_row(
    clip: Clip, predictor: Predictor, n_objects: int, through: Through | None
) -> list[str]:
    """One line of the table of volumes."""
    cache = EmbeddingCache(MEMORY)
    clips = alone(clip, n_objects)
    runs = [Run(propagated(each, predictor, cache, through), each) for each in clips]
    ends = extent(runs)
    within = [mean(ious) for run in runs if (ious := score(run.clip, masks_of(*run)).ious)]
    for _ in range(CORRECTIONS):
        correct(runs, predictor, cache, through)
    size = f"{len(clips)} × {len(clip.truth)}"
    return [clip.name, size, *ends.cells, f"{mean(within):.3f}", f"{mean(extent(runs).ious):.3f}"]


ENDS = ("3D IoU", "true", "too many", "missing", "Spearman of the score")
HEADER = (
    "clip",
    "objects × frames",
    "copied",
    "box again",
    "propagated",
    f"{CORRECTIONS} corrections",
    *ENDS,
    "ids: copied",
    "box again",
    "propagated",
)
VOLUME_HEADER = (
    "volume",
    "objects × slices",
    *ENDS,
    "IoU where it is",
    f"3D IoU, {CORRECTIONS} corrections",
)


def write_line(cells: Sequence[str]) -> None:
    """A row of a Markdown table, at once."""
    sys.stdout.write(f"| {' | '.join(cells)} |\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--clips", nargs="+", help="parts of names; all stacks by default")
    parser.add_argument("--frames", type=int, default=40, help="of each time-lapse at most")
    parser.add_argument("--objects", type=int, default=16, help="of each volume at most")
    parser.add_argument("--through", choices=("time", "depth"), help="of volumes: depth")
    parser.add_argument("--model", default="pocket")
    arguments = parser.parse_args()
    predictor = Predictor(load_model(arguments.model))
    chosen = [
        read_clip(item, arguments.frames)
        for item in find_items(arguments.data)
        if set(item.axes) & set("TZ")
        and (not arguments.clips or any(name in item.id for name in arguments.clips))
    ]
    for is_volume, header in ((True, VOLUME_HEADER), (False, HEADER)):
        clips = [clip for clip in chosen if clip.is_volume == is_volume]
        if clips:
            write_line(header)
            write_line(["---"] * len(header))
        for clip in clips:
            write_line(
                volume_row(clip, predictor, arguments.objects, arguments.through)
                if is_volume
                else row(clip, predictor)
            )


if __name__ == "__main__":
    main()
