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
    from napari_sam.engine import Predictor

from napari_sam.session import Propagated, Region

from .agreement import Step, agreements
from .appearance import END_RULES, UNCHANGED, Change, EndRules, with_evidence
from .decoding import Decoded, decode_objects
from .division import Parting, divided
from .motion import Picture, drift, follow, shifted
from .track import NOT_LOST, Before, Loss, Scene, Track, reaches_border

LEFT = "It left the frame"
ANOTHER = "The mask found there does not lead back to it: it may have divided, died or been lost"
TWO = "There are two similar objects now: it may have divided"
DIVIDED = 0.25  # of the score is left to a daughter that keeps the mother's id


@dataclass(frozen=True)
class Rules:
    """When an answer is believed, and when an object is given up."""

    least_inside: float = 0.4  # of the moved mask that is in the frame
    least_share: float = 0.4  # of the pixels it claims; neighbours that fit better have the others
    least_overlap: float = 0.3  # IoU with the moved mask
    most_growth: float = 3.0  # or shrinkage, from frame to frame
    least_score: float = 0.3
    least_visible: float = 0.1  # of its pixels, while it leaves at the border
    most_changed: float = math.log(12)  # in time: minus the logarithms of agreements and of areas
    patience: int = 2  # low-confidence frames in a row that the moved mask bridges
    end: EndRules = END_RULES  # along depth


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
    drift: tuple[float, float] | None = None  # of the whole frame, if it moved with that alone


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
        with_evidence(decoded, each.track.appearance, scene.picture)
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
    judged = _with_agreement(staying, judged, before, scene, predictor, rules)
    judged = _with_divisions(staying, judged, owners > 0, last, scene, predictor)
    judged = [
        _aged(each, found, scene.picture, rules.end)
        for each, found in zip(staying, judged, strict=True)
    ]
    for each, decoded, found in zip(staying, decoded_objects, judged, strict=True):
        yield _propagated(each, decoded, found, scene, name)


def _move(track: Track, before: Picture, scene: Scene, drifted: tuple[float, float]) -> Moved:
    stays = track.appearance is not None and track.appearance.weight > 0
    velocity = drifted
    if not stays:
        velocity = follow(track.region, before, scene.picture, track.velocity)[:2]
    shift = round(velocity[0]), round(velocity[1])
    height, width = scene.embedding.frame_shape
    region = shifted(track.region, *shift, (height, width))
    at_border = reaches_border(region, (height, width))
    inside = region.area / track.region.area
    drifts = round(drifted[0]), round(drifted[1])
    still, home = shifted(track.region, *drifts, (height, width)), track.home.moved(*drifts)
    known = drifted if stays else None
    return Moved(track, region, still, home, velocity, inside, at_border, known)


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
    agreement: float = 1.0  # with where it came from, looking back from here
    lost: Loss = NOT_LOST


def _judge(
    moved: Moved, decoded: Decoded, owners: NDArray[np.int32], nth: int, rules: Rules
) -> Judgement:
    """Whether what was found is still the object; else the moved mask for a while, or the end."""
    expected = moved.region.within(decoded.window)
    y0, x0, y1, x1 = decoded.window
    owners = owners[y0:y1, x0:x1]
    own = owners == nth
    found = _touching(own, expected)
    if moved.at_border and _area(found) < rules.least_visible * moved.track.whole:
        return Judgement(Region.empty(), 0.0, LEFT)
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
    rules: Rules,
) -> list[Judgement]:
    """How far what was found leads back to where it came from; a mask that was moved does not."""
    asked = [
        n
        for n, (each, found) in enumerate(zip(moved, judged, strict=True))
        if found.region and not found.is_bridge and not each.track.low_confidence
    ]
    agreed = [1.0] * len(asked)
    if before.embedding is not None:
        steps = [
            Step(moved[n].track.region, judged[n].region, moved[n].drift, moved[n].track.appearance)
            for n in asked
        ]
        pictures = (before.picture, scene.picture)
        agreed = agreements(steps, pictures, before.embedding, predictor)
    scored = [
        found._replace(lost=each.track.lost) for each, found in zip(moved, judged, strict=True)
    ]
    for n, agreement in zip(asked, agreed, strict=True):
        lost = moved[n].track.lost.after(agreement)
        if _is_another(moved[n], judged[n].region, lost, scene.embedding.frame_shape, rules):
            scored[n] = Judgement(Region.empty(), 0.0, ANOTHER)
        else:
            scored[n] = judged[n]._replace(agreement=agreement, lost=lost)
    return [
        found
        if each.track.appearance is not None
        else found._replace(score=_lowered(found.score, 2 * found.lost.most))
        for each, found in zip(moved, scored, strict=True)
    ]


def _is_another(
    moved: Moved, region: Region, lost: Loss, frame_shape: tuple[int, int], rules: Rules
) -> bool:
    """Whether what is found in time neither leads back to the object nor is as large as it was.

    What reaches the border may have become smaller by leaving.
    """
    track = moved.track
    if track.appearance is not None:
        return False
    same_part = not reaches_border(region, frame_shape)
    change = abs(math.log(region.area / track.usual)) if same_part else 0.0
    return lost.recent + change > rules.most_changed


def _lowered(score: float, change: float) -> float:
    """A score of one frame, lowered by what has changed on the way to it."""
    return float((score * math.exp(-change)) ** (1 / 3))


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
        score=_lowered(found.score * found.agreement, change.total(rules)),
        change=change,
        may_have_ended=change.n_unsure > 0,
    )


def _at_home(moved: Moved, region: Region, weight: float) -> float:
    """The share of a region inside its first place; structures that fill space may be oblique."""
    return float((region.common(moved.home).area / max(region.area, 1)) ** weight)


def _propagated(
    moved: Moved, decoded: Decoded, found: Judgement, scene: Scene, model: str
) -> tuple[Propagated, Track | None]:
    track, frame = moved.track, scene.frame
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
        whole=track.whole_after(found.region, scene.embedding.frame_shape),
        usual=track.usual_after(found.region),
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
