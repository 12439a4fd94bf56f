"""Objects propagated through real time-lapses and volumes from the truth of one frame only.

    python benchmarks/propagation.py [--data DIR] [--clips NAME …] [--frames N] [--model NAME]

Against two baselines in the same run: the mask of the first frame copied to all others, and the
network prompted again in every frame with nothing but the box of its last answer. Then somebody
corrects the weakest results, one after the other: the truth is painted there, and the object
propagated from it. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam import EmbeddingCache, FrameStack, Predictor, Prompts, load_model, read_image
from napari_sam.engine import FrameIndex, iou, mask_to_box
from napari_sam.headless.stacks import propagate, seeded_session
from napari_sam.session import Session, objects
from napari_sam.training import Item, find_items

DATA = Path(
    os.environ.get("NAPARI_SAM_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)
MEMORY = 6 * 2**30  # bytes for embeddings, so that a clip is encoded once
SMALLEST = 16  # pixels in the first frame; what is smaller is not propagated
CORRECTIONS = 5
LATER = (5, 10, 20)  # frames after which ids are compared

Mask: TypeAlias = NDArray[np.bool_]
Masks: TypeAlias = dict[tuple[int, int], Mask]  # by object and frame


@dataclass(frozen=True, eq=False)
class Clip:
    """A stack along one axis, its truth, and the frame that is given away."""

    name: str
    stack: FrameStack
    truth: NDArray[np.int32]  # (T, H, W)
    seed: int
    is_volume: bool

    @property
    def ids(self) -> list[int]:
        """The objects that are propagated."""
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


def read_clip(item: Item, n_frames: int) -> Clip:
    """At most so many frames of an item: a time-lapse from its start, a volume about its middle."""
    pixels, truth = read_image(item.image)[0], np.asarray(read_image(item.labels)[0], np.int32)
    is_volume = "Z" in item.axes
    counts = [len(np.unique(frame)) for frame in truth]
    fullest = int(np.argmax(counts))
    start = max(0, min(fullest - n_frames // 2, len(truth) - n_frames)) if is_volume else 0
    part = slice(start, start + n_frames)
    stack = FrameStack.from_array(pixels[part], axes=item.axes)
    return Clip(item.id, stack, truth[part], fullest - start if is_volume else 0, is_volume)


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


def propagated(clip: Clip, predictor: Predictor, cache: EmbeddingCache) -> Session:
    """A session in which everything was propagated from the first frame."""
    frame = clip.stack.index(clip.seed)
    seeds = np.where(np.isin(clip.truth[clip.seed], clip.ids), clip.truth[clip.seed], 0)
    session = seeded_session(clip.stack, seeds, frame)
    for result in propagate(session, frame, predictor, direction=direction(clip), cache=cache):
        if result.stopped:
            gone = not (clip.truth[result.frame[0] :] == result.object_id).any()
            sys.stderr.write(f"  {result.stopped}{' It is gone indeed.' * gone}\n")
    return session


def direction(clip: Clip) -> str:
    """Where to, so that all frames are reached."""
    ends = clip.seed == 0, clip.seed == len(clip.truth) - 1
    return {(True, False): "forward", (False, True): "backward"}.get(ends, "both")


def correct(session: Session, clip: Clip, predictor: Predictor, cache: EmbeddingCache) -> None:
    """Paint the truth over the weakest result and carry on from there."""
    weakest = session.weakest(1)
    if not weakest:
        return
    object_id, frame, _ = weakest[0]
    t = frame[0]
    assert t is not None
    wanted = clip.truth[t] == object_id
    if not wanted.any():
        give_up(session, clip, object_id, t)
        return
    paint(session, object_id, frame, wanted)
    way = "forward" if t > clip.seed else "backward"
    last = len(clip.truth) - 1 if way == "forward" else 0
    if t != last:
        list(propagate(session, frame, predictor, [object_id], direction=way, cache=cache))


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


def smoothness(clip: Clip, masks: Mapping[tuple[int, int], Mask]) -> float:
    """Mean IoU of an object's masks in neighbouring frames in which it truly is."""
    pairs = [
        iou(masks[i, before], masks[i, now])
        for i in clip.ids
        for before, now in clip.steps()
        if (clip.truth[before] == i).any() and (clip.truth[now] == i).any()
    ]
    return mean(pairs)


def row(clip: Clip, predictor: Predictor) -> list[str]:
    """One line of the table."""
    cache = EmbeddingCache(MEMORY)
    baselines = [score(clip, copied(clip)), score(clip, boxed(clip, predictor, cache))]
    session = propagated(clip, predictor, cache)
    masks = masks_of(session, clip)
    ours = score(clip, masks)
    smooth = "–"
    if clip.is_volume:
        truth = {(i, t): clip.truth[t] == i for i in clip.ids for t in range(len(clip.truth))}
        smooth = f"{smoothness(clip, masks):.3f} ({smoothness(clip, truth):.3f})"
    for _ in range(CORRECTIONS):
        correct(session, clip, predictor, cache)
    corrected = score(clip, masks_of(session, clip))
    size = f"{len(clip.ids)} × {len(clip.truth)}"
    ways = (*baselines, ours)
    return [clip.name, size, *map(str, (*ways, corrected)), *(way.ids for way in ways), smooth]


HEADER = (
    "clip",
    "objects × frames",
    "copied",
    "box again",
    "propagated",
    f"{CORRECTIONS} corrections",
    "ids: copied",
    "box again",
    "propagated",
    "neighbouring slices (truth)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--clips", nargs="+", help="parts of names; all stacks by default")
    parser.add_argument("--frames", type=int, default=40, help="of each clip at most")
    parser.add_argument("--model", default="pocket")
    arguments = parser.parse_args()
    predictor = Predictor(load_model(arguments.model))
    sys.stdout.write(f"| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|\n")
    for item in find_items(arguments.data):
        named = not arguments.clips or any(name in item.id for name in arguments.clips)
        if named and set(item.axes) & set("TZ"):
            cells = row(read_clip(item, arguments.frames), predictor)
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
