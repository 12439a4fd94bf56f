"""One step of propagation: the objects of one frame found again in the next.

Every object is followed to where its picture has moved, and the network is asked what is there.
Then all objects share the frame's pixels, and every answer is judged: is this still the object, and
all of it? Along depth an object has an appearance, which adds to what the network says of its
pixels, and decides where it ends. What can be told by its brightness is not followed there; the
sections of what fills space, such as neurites, shift where it runs aslant.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam.engine import FrameIndex, iou

if TYPE_CHECKING:
    from napari_sam.engine import Embedding, Predictor

from napari_sam.session import Propagated, Region

from .agreement import Step, agreements
from .appearance import END_RULES, UNCHANGED, Appearance, Change, EndRules
from .decoding import Decoded, decode_objects
from .division import Parting, divided
from .motion import Picture, drift, follow, shifted

SLACK = 1  # pixels around its place in the first slice that are home to an object, too
NO_REGION = Region.empty()
LEFT = "It left the frame"
TWO = "There are two similar objects now: it may have divided"
MEMORY = 0.9  # of earlier disagreements, in the next frame
LEAST_AGREEMENT = 0.02
DIVIDED = 0.25  # of the score is left to a daughter that keeps the mother's id


@dataclass(frozen=True)
class Rules:
    """When an answer is believed, and when an object is given up."""

    least_inside: float = 0.4  # of the moved mask that is in the frame
    least_share: float = 0.4  # of the pixels it claims; neighbours that fit better have the others
    least_overlap: float = 0.3  # IoU with the moved mask
    most_growth: float = 3.0  # or shrinkage, from frame to frame
    least_score: float = 0.3
    patience: int = 2  # low-confidence frames in a row that the moved mask bridges
    end: EndRules = END_RULES  # along depth


@dataclass(frozen=True, eq=False)
class Track:
    """An object as it is in the latest frame."""

    object_id: int
    region: Region
    source: FrameIndex
    velocity: tuple[float, float] = (0.0, 0.0)  # yx, pixels from frame to frame
    low_confidence: int = 0  # frames in a row
    appearance: Appearance | None = None  # in the first slice, along depth
    home: Region = NO_REGION  # and its place there, with some slack
    change: Change = UNCHANGED  # since then
    unsure_from: FrameIndex | None = None  # the frame before which it may have ended already
    lost: float = 0.0  # minus the logarithms of its forward-backward agreements, the last most

    @classmethod
    def in_depth(
        cls, object_id: int, region: Region, source: FrameIndex, picture: Picture
    ) -> Track:
        """An object that starts along depth, with its appearance in the first slice."""
        grown = np.pad(region.pixels, SLACK)
        home = ndimage.binary_dilation(grown, iterations=SLACK)
        y0, x0 = region.top - SLACK, region.left - SLACK
        return cls(
            object_id,
            region,
            source,
            appearance=Appearance.of(region, picture),
            home=Region(y0, x0, home),
        )


class Before(NamedTuple):
    """The frame last looked at; the first one needs no embedding."""

    picture: Picture
    embedding: Embedding | None = None


class Scene(NamedTuple):
    """A frame to find objects in."""

    frame: FrameIndex
    picture: Picture
    embedding: Embedding


@dataclass(frozen=True, eq=False)
class Moved:
    """An object's mask where its picture has moved to."""

    track: Track
    region: Region
    still: Region  # where it would be if only the whole frame had moved,
    home: Region  # and where its first place would be then
    velocity: tuple[float, float]
    inside: float  # how much of it is in the frame
    at_border: bool  # whether it reaches the frame's border


def step(
    tracks: Sequence[Track],
    before: Before,
    scene: Scene,
    predictor: Predictor,
    rules: Rules,
) -> Iterator[tuple[Propagated, Track | None]]:
    """Each object in the next frame, and its state for the next step; ``None`` if it ends."""
    last = before.picture
    is_depth = any(track.appearance for track in tracks)
    drifted = drift(last, scene.picture) if is_depth else (0.0, 0.0)
    moved = [_move(track, last, scene, drifted) for track in tracks]
    staying = [each for each in moved if each.inside >= rules.least_inside]
    answers = decode_objects([each.region for each in staying], scene.embedding, predictor)
    decoded_objects = [
        _with_evidence(each.track, decoded, scene.picture)
        for each, decoded in zip(staying, answers, strict=True)
    ]
    owners = _share(decoded_objects, scene.embedding.frame_shape)
    name = predictor.model.name
    for each in moved:
        if each.inside < rules.least_inside:
            yield _stop(each.track, scene.frame, name, LEFT), None
    judged = [
        _judge(each, decoded, owners, n, rules)
        for n, (each, decoded) in enumerate(zip(staying, decoded_objects, strict=True), start=1)
    ]
    judged = _with_agreement(staying, judged, before, scene, predictor)
    judged = _with_divisions(staying, judged, owners > 0, last, scene, predictor)
    judged = [
        _aged(each, found, scene.picture, rules.end)
        for each, found in zip(staying, judged, strict=True)
    ]
    for each, decoded, found in zip(staying, decoded_objects, judged, strict=True):
        yield _propagated(each, decoded, found, scene.frame, name)


def _move(track: Track, before: Picture, scene: Scene, drifted: tuple[float, float]) -> Moved:
    if track.appearance is not None and track.appearance.weight:
        velocity = drifted
    else:
        velocity = follow(track.region, before, scene.picture, track.velocity)[:2]
    shift = round(velocity[0]), round(velocity[1])
    height, width = scene.embedding.frame_shape
    region = shifted(track.region, *shift, (height, width))
    top, left, bottom, right = region.window
    at_border = min(top, left) == 0 or bottom == height or right == width
    inside = region.area / track.region.area
    still, home = (
        shifted(place, round(drifted[0]), round(drifted[1]), (height, width))
        for place in (track.region, track.home)
    )
    return Moved(track, region, still, home, velocity, inside, at_border)


def _with_evidence(track: Track, decoded: Decoded, picture: Picture) -> Decoded:
    """The network's logits of an object, along depth with the evidence of its brightness."""
    if track.appearance is None or not track.appearance.weight:
        return decoded
    evidence = track.appearance.evidence(picture, decoded.window)
    return replace(decoded, values=decoded.values + evidence)


def _share(decoded_objects: Sequence[Decoded], frame_shape: tuple[int, int]) -> NDArray[np.int32]:
    """Which decoded, counted from 1, has each pixel: that with the highest positive value."""
    owners = np.zeros(frame_shape, np.int32)
    highest = np.zeros(frame_shape, np.float32)
    for n, decoded in enumerate(decoded_objects, start=1):
        y0, x0, y1, x1 = decoded.window
        best = highest[y0:y1, x0:x1]
        wins = decoded.values > best
        best[wins] = decoded.values[wins]
        owners[y0:y1, x0:x1][wins] = n
    return owners


class Judgement(NamedTuple):
    """The decision about an object in a frame."""

    region: Region
    score: float
    warning: str = ""  # a reason to distrust it
    is_bridge: bool = False  # the region is the moved mask, in place of what was found
    change: Change = UNCHANGED  # along depth, since the first slice
    may_have_ended: bool = False
    lost: float = 0.0


def _judge(
    moved: Moved, decoded: Decoded, owners: NDArray[np.int32], nth: int, rules: Rules
) -> Judgement:
    """Whether what was found is still the object; else the moved mask for a while, or the end."""
    expected = moved.region.within(decoded.window)
    y0, x0, y1, x1 = decoded.window
    owners = owners[y0:y1, x0:x1]
    own = owners == nth
    found = _touching(own, expected)
    score, warning = _weigh(decoded, own, found, expected, rules)
    if not warning:
        return Judgement(Region.from_mask(found, *decoded.window[:2]), score)
    bridge = expected & (own | (owners == 0))
    free = _area(bridge) >= rules.least_share * moved.region.area
    left = moved.at_border and _area(found) < _area(expected) / rules.most_growth
    if left or not free or moved.track.low_confidence >= rules.patience:
        return Judgement(Region.empty(), 0.0, LEFT if left else warning)
    return Judgement(
        Region.from_mask(bridge, *decoded.window[:2]), score / 2, warning, is_bridge=True
    )


def _weigh(
    decoded: Decoded,
    own: NDArray[np.bool_],
    found: NDArray[np.bool_],
    expected: NDArray[np.bool_],
    rules: Rules,
) -> tuple[float, str]:
    """How reliable an answer is, 0 to 1, and a reason to distrust it, if there is one."""
    share = _area(own) / max(_area(decoded.values > 0), 1)
    overlap = iou(found, expected)
    growth = max(_area(found), 1) / max(_area(expected), 1)
    score = (decoded.stability * decoded.agreement * overlap) ** (1 / 3)
    if not (decoded.values > 0).any():
        return score, "It vanished"
    if share < rules.least_share:
        return score, "A neighbour took most of its pixels: they may have merged"
    if growth > rules.most_growth:
        return score, "It grew too much in one frame: it may have merged"
    if growth < 1 / rules.most_growth:
        return score, "It shrank too much in one frame: it may have divided, or vanished"
    if overlap < rules.least_overlap:
        return score, "The mask found there is elsewhere: it may have moved too far, or divided"
    if score < rules.least_score:
        return score, "It cannot be distinguished from its surroundings any more"
    return score, ""


def _with_agreement(
    moved: Sequence[Moved],
    judged: Sequence[Judgement],
    before: Before,
    scene: Scene,
    predictor: Predictor,
) -> list[Judgement]:
    """In time, how far what was found leads back to where it came from."""
    asked = [
        n
        for n, (each, found) in enumerate(zip(moved, judged, strict=True))
        if found.region and each.track.appearance is None
    ]
    agreed = [1.0] * len(asked)
    if before.embedding is not None:
        steps = [Step(moved[n].track.region, judged[n].region) for n in asked]
        pictures = (before.picture, scene.picture)
        agreed = agreements(steps, pictures, before.embedding, predictor)
    scored = list(judged)
    for n, agreement in zip(asked, agreed, strict=True):
        lost = MEMORY * moved[n].track.lost - math.log(max(agreement, LEAST_AGREEMENT))
        scored[n] = judged[n]._replace(score=_lowered(judged[n].score, lost), lost=lost)
    return scored


def _lowered(score: float, change: float) -> float:
    """A score of one frame, lowered by what has changed on the way to it."""
    return float((score * math.exp(-2 * change)) ** (1 / 3))


def _with_divisions(
    moved: Sequence[Moved],
    judged: Sequence[Judgement],
    taken: NDArray[np.bool_],
    before: Picture,
    scene: Scene,
    predictor: Predictor,
) -> list[Judgement]:
    """The masks found, with lower scores where a mask may be one daughter only."""
    sure = [
        n
        for n, (each, found) in enumerate(zip(moved, judged, strict=True))
        if not found.warning and each.track.appearance is None
    ]
    tracks = [moved[n].track for n in sure]
    now = [judged[n].region for n in sure]
    partings = [Parting(t.region, n, t.velocity) for t, n in zip(tracks, now, strict=True)]
    pictures = (before, scene.picture)
    verdicts = divided(partings, taken, pictures, scene.embedding, predictor)
    suspects = set(compress(sure, verdicts))
    return [
        found._replace(score=DIVIDED * found.score, warning=TWO) if n in suspects else found
        for n, found in enumerate(judged)
    ]


def _aged(moved: Moved, found: Judgement, picture: Picture, rules: EndRules) -> Judgement:
    """Whether the mask found along depth is still the same object, or the object has ended."""
    track = moved.track
    if track.appearance is None or not found.region:
        return found
    if found.is_bridge and track.appearance.is_gone(found.region, picture):
        return Judgement(Region.empty(), 0.0, found.warning)
    common = found.region.common(moved.still).area
    overlap = common / max(found.region.area + moved.still.area - common, 1)
    change = track.change.after(
        rules,
        overlap=overlap,
        fading=track.appearance.fading(found.region, picture),
        at_home=_at_home(moved, found.region, track.appearance.weight),
    )
    if change.is_over(rules):
        return Judgement(Region.empty(), 0.0, change.reason(rules))
    return found._replace(
        score=_lowered(found.score, change.total(rules)),
        change=change,
        may_have_ended=change.n_unsure > 0,
    )


def _at_home(moved: Moved, region: Region, weight: float) -> float:
    """The share of a region inside its first place; structures that fill space may be oblique."""
    return float((region.common(moved.home).area / max(region.area, 1)) ** weight)


def _propagated(
    moved: Moved, decoded: Decoded, found: Judgement, frame: FrameIndex, model: str
) -> tuple[Propagated, Track | None]:
    track = moved.track
    if not found.region:
        return _stop(track, frame, model, found.warning), None
    propagated = Propagated(
        track.object_id,
        frame,
        found.region,
        decoded.iou_prediction,
        decoded.stability,
        found.score,
        model,
        track.source,
        warning=f"{found.warning}." if found.warning else "",
    )
    return propagated, replace(
        track,
        region=found.region,
        velocity=moved.velocity,
        low_confidence=track.low_confidence + 1 if found.is_bridge else 0,
        home=moved.home,
        change=found.change,
        lost=found.lost,
        unsure_from=track.unsure_from or (frame if found.may_have_ended else None),
    )


def _stop(track: Track, frame: FrameIndex, model: str, reason: str) -> Propagated:
    unsure = f", perhaps before {_at(track.unsure_from)} already" if track.unsure_from else ""
    return Propagated(
        track.object_id,
        frame,
        Region.empty(),
        iou_prediction=0.0,
        stability=0.0,
        score=0.0,
        model=model,
        source=track.source,
        stopped=f"Object {track.object_id} ends before frame {_at(frame)}{unsure}. {reason}.",
    )


def _at(frame: FrameIndex) -> str:
    """The position of a frame in its stack."""
    return ", ".join(str(position) for position in frame if position is not None)


def _area(mask: NDArray[np.bool_]) -> int:
    """Number of pixels."""
    return int(np.count_nonzero(mask))


def _touching(mask: NDArray[np.bool_], place: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The connected parts of a mask that touch a place."""
    parts, n_parts = ndimage.label(mask)
    touching = np.zeros(n_parts + 1, bool)
    touching[parts[place & mask]] = True
    kept: NDArray[np.bool_] = touching[parts]
    return kept
