"""The field's protocol: how good is a mask after one click, a box, and a few corrections?

Each object is clicked at its most interior point; every further click goes to the most interior
point of the deeper error (Xu et al. 2016, "Deep interactive object selection"). What is scored is
what a user is shown: the mask that the model itself puts first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import filters, segmentation

from napari_sam.engine import Embedding, Prediction, Predictor, Prompts, iou
from napari_sam.training.clicks import Mask, bounding_box, corrective_click, interior_point
from napari_sam.training.data import AnnotatedFrame, FrameName

MIN_AREA = 16  # px; smaller specks are debris of the annotation
MAX_CLICKS = 10
NOC_IOU = 0.8
CORRECTED = 5  # clicks after which a mask is kept to be looked at


@dataclass(frozen=True)
class ObjectScore:
    """Scores of one object, of the model and of classical tools with the same prompts."""

    source: str
    iou_clicks: tuple[float, ...]  # after 1, 2, … clicks
    iou_best_of_three: float  # after one click, had the best candidate been chosen
    iou_box: float
    iou_ellipse: float  # the filled ellipse in the box
    iou_otsu: float  # Otsu's threshold and a watershed, the region under the first click


@dataclass(frozen=True)
class Score:
    """Means over objects, or over sources."""

    n_objects: int
    iou_click_1: float
    iou_best_of_three: float
    iou_otsu: float
    iou_click_3: float
    iou_click_5: float
    noc_80: float  # clicks to reach an IoU of 0.8, at most MAX_CLICKS
    iou_box: float
    iou_ellipse: float


@dataclass(frozen=True)
class PackedMask:
    """A mask (H, W) in a few hundred bytes, so that thousands can be kept."""

    shape: tuple[int, ...]
    bits: bytes

    @classmethod
    def pack(cls, mask: Mask) -> PackedMask:
        """Eight pixels a byte, and those compressed."""
        return cls(mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1))

    def unpack(self) -> Mask:
        """The mask again, (H, W)."""
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        return np.unpackbits(bits, count=prod(self.shape)).reshape(self.shape).astype(bool)


@dataclass(frozen=True)
class Trial:
    """One object: its scores, and what is needed to show how they came about."""

    score: ObjectScore
    frame: FrameName
    object_id: int
    area: int  # px
    otsu_clicks: tuple[float, ...]  # IoU of the classical regions after 1, 2, … clicks
    prompts: Prompts  # the box, and all clicks in their order
    one_click: PackedMask
    box: PackedMask
    corrected: PackedMask  # after CORRECTED clicks, or as many as there were
    encode_ms: float  # of the frame
    click_ms: float  # from a click to its mask, on average

    @property
    def source(self) -> str:
        """Of the frame."""
        return self.score.source


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """A frame, what the model made of it, and the regions of the classical tools."""

    frame: AnnotatedFrame
    embedding: Embedding
    regions: tuple[NDArray[np.int32], ...]
    encode_ms: float


@dataclass(frozen=True, eq=False)
class Step:
    """The clicks so far, and the answer to them."""

    prompts: Prompts
    prediction: Prediction
    mask: Mask  # the one the model puts first
    milliseconds: float


def evaluate(
    predictor: Predictor,
    frames: Iterable[AnnotatedFrame],
    *,
    max_objects: int = 10,
    n_clicks: int = MAX_CLICKS,
    seed: int = 0,
) -> Iterator[ObjectScore]:
    """Scores of at most ``max_objects`` objects of each frame, drawn at random."""
    for trial in trials(predictor, frames, max_objects=max_objects, n_clicks=n_clicks, seed=seed):
        yield trial.score


def trials(
    predictor: Predictor,
    frames: Iterable[AnnotatedFrame],
    *,
    max_objects: int = 10,
    n_clicks: int = MAX_CLICKS,
    seed: int = 0,
) -> Iterator[Trial]:
    """The protocol, object by object: at most ``max_objects`` of each frame, drawn at random."""
    rng = np.random.default_rng(seed)
    for frame in frames:
        ids = drawn_ids(frame, max_objects, rng)
        encoded = encode(predictor, frame)
        for id_ in ids:
            yield trial(predictor, encoded, int(id_), n_clicks)


def drawn_ids(frame: AnnotatedFrame, n: int, rng: np.random.Generator) -> NDArray[np.int32]:
    """At most ``n`` of a frame's objects that are large enough, drawn at random, sorted."""
    ids, areas = np.unique(frame.labels, return_counts=True)
    ids = ids[(ids > 0) & (areas >= MIN_AREA)]
    return np.sort(rng.choice(ids, n, replace=False)) if len(ids) > n else ids


def encode(predictor: Predictor, frame: AnnotatedFrame) -> EncodedFrame:
    """Encode a frame, once for all its objects."""
    started = perf_counter()
    embedding = predictor.encode(frame.image)
    float(embedding.features.flatten()[0])  # waits for the GPU
    encode_ms = 1000 * (perf_counter() - started)
    return EncodedFrame(frame, embedding, otsu_regions(frame.image), encode_ms)


def trial(predictor: Predictor, encoded: EncodedFrame, object_id: int, n_clicks: int) -> Trial:
    """Click, box and correct one object."""
    frame, embedding = encoded.frame, encoded.embedding
    truth = frame.labels == object_id
    box = bounding_box(truth)
    steps = list(islice(corrections(predictor, embedding, truth), n_clicks))
    drawn = Prompts.from_box((box[0] - 0.5, box[1] - 0.5, box[2] + 0.5, box[3] + 0.5))
    boxed = predictor.predict(embedding, drawn).mask()  # around whole pixels, as the ellipse is
    by_otsu = otsu_clicks(encoded.regions, truth, n_clicks)
    score = ObjectScore(
        frame.source,
        iou_clicks=tuple(iou(step.mask, truth) for step in steps),
        iou_best_of_three=max(iou(mask, truth) for mask in _three(steps[0].prediction)),
        iou_box=iou(boxed, truth),
        iou_ellipse=iou(ellipse_in(box, truth.shape), truth),
        iou_otsu=by_otsu[0],
    )
    return Trial(
        score,
        frame=frame.name,
        object_id=object_id,
        area=int(truth.sum()),
        otsu_clicks=by_otsu,
        prompts=steps[-1].prompts.with_box(drawn.box),
        one_click=PackedMask.pack(steps[0].mask),
        box=PackedMask.pack(boxed),
        corrected=PackedMask.pack(steps[:CORRECTED][-1].mask),
        encode_ms=encoded.encode_ms,
        click_ms=float(np.mean([step.milliseconds for step in steps])),
    )


def _three(prediction: Prediction) -> list[Mask]:
    """The candidates of a prediction, without the single mask."""
    return [prediction.mask(n) for n, token in enumerate(prediction.tokens) if token > 0]


def corrections(predictor: Predictor, embedding: Embedding, truth: Mask) -> Iterator[Step]:
    """The clicks of an annotator who never tires, and the answers to them."""
    prompts = Prompts.from_points([interior_point(truth)])
    seed = None
    while True:
        started = perf_counter()
        prediction = predictor.predict(embedding, prompts, seed=seed)
        mask = prediction.mask()
        yield Step(prompts, prediction, mask, 1000 * (perf_counter() - started))
        seed = prediction.low_res_logits[prediction.best]
        point, label = corrective_click(mask, truth)
        prompts = prompts.with_point(point, label)


def macro(scores: Sequence[ObjectScore]) -> tuple[Score, dict[str, Score]]:
    """Mean over the sources, and for each source the mean over its objects."""
    per_source = {
        source: mean_score([score for score in scores if score.source == source])
        for source in sorted({score.source for score in scores})
    }
    means = [
        float(np.mean([getattr(score, field.name) for score in per_source.values()]))
        for field in fields(Score)
        if field.name != "n_objects"
    ]
    return Score(len(scores), *means), per_source


def mean_score(scores: Sequence[ObjectScore]) -> Score:
    """Mean over objects. Where fewer clicks were made than asked about, the last one counts."""
    clicks = [score.iou_clicks for score in scores]
    reached = [[n for n, value in enumerate(ious, 1) if value >= NOC_IOU] for ious in clicks]

    def after(n: int) -> float:
        return float(np.mean([ious[min(n, len(ious)) - 1] for ious in clicks]))

    return Score(
        n_objects=len(scores),
        iou_click_1=after(1),
        iou_best_of_three=float(np.mean([score.iou_best_of_three for score in scores])),
        iou_otsu=float(np.mean([score.iou_otsu for score in scores])),
        iou_click_3=after(3),
        iou_click_5=after(5),
        noc_80=float(np.mean([min(first, default=MAX_CLICKS) for first in reached])),
        iou_box=float(np.mean([score.iou_box for score in scores])),
        iou_ellipse=float(np.mean([score.iou_ellipse for score in scores])),
    )


def ellipse_in(box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Mask:
    """The filled ellipse inscribed in a box (y0, x0, y1, x1) whose last pixels are inside."""
    y0, x0, y1, x1 = box
    ys, xs = np.ogrid[: shape[0], : shape[1]]
    v = (ys - (y0 + y1) / 2) / ((y1 - y0 + 1) / 2)
    u = (xs - (x0 + x1) / 2) / ((x1 - x0 + 1) / 2)
    inside: Mask = u**2 + v**2 <= 1
    return inside


def otsu_regions(image: NDArray[np.uint8]) -> tuple[NDArray[np.int32], ...]:
    """Regions (H, W) of the bright and the dark side of Otsu's threshold, split by watersheds."""
    grey = ndimage.gaussian_filter(image.mean(-1), 1)
    if grey.min() == grey.max():
        return (np.ones(grey.shape, np.int32),)
    bright = grey > filters.threshold_otsu(grey)
    return tuple(_watershed(side) for side in (bright, ~bright))


def _watershed(foreground: Mask) -> NDArray[np.int32]:
    """Foreground cut between the peaks of its depth."""
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(foreground), 1)
    peaks = (ndimage.maximum_filter(depth, 7) == depth) & foreground
    markers, _ = ndimage.label(peaks)
    regions: NDArray[np.int32] = segmentation.watershed(-depth, markers, mask=foreground)
    return regions


def otsu_clicks(
    regions: Sequence[NDArray[np.int32]], truth: Mask, n_clicks: int
) -> tuple[float, ...]:
    """IoU after each click: a positive one adds the region under it, a negative one takes it away.

    What makes the mask worse is undone, as a user would: these regions have no other answer.
    """
    ious: list[float] = []
    mask = np.zeros(truth.shape, bool)
    point, label = interior_point(truth), 1
    for _ in range(n_clicks):
        region = region_under(regions, point)
        tried = mask | region if label else mask & ~region
        if not ious or iou(tried, truth) > ious[-1]:
            mask = tried
        ious.append(iou(mask, truth))
        point, label = corrective_click(mask, truth)
    return tuple(ious)


def region_under(regions: Sequence[NDArray[np.int32]], point: tuple[int, int]) -> Mask:
    """The region (H, W) that holds a point (y, x), of the first labels that have one there."""
    labels = next((labels for labels in regions if labels[point]), None)
    if labels is None:
        return np.zeros(regions[0].shape, bool)
    found: Mask = labels == labels[point]
    return found
