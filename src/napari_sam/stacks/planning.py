"""Where objects are propagated to: the frames to walk through, read from a session once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from napari_sam.engine import Axis, FrameIndex, FrameStack, SamError

if TYPE_CHECKING:
    from napari_sam.session.session import Session

from napari_sam.session.region import Region

from .options import Direction, PropagationOptions, Through


class Reference(NamedTuple):
    """The annotated slice that an object is compared with along depth: its largest one."""

    frame: FrameIndex
    region: Region


@dataclass(frozen=True, eq=False)
class Leg:
    """Neighbouring frames in order, and the objects that start in the first one."""

    frames: tuple[FrameIndex, ...]
    seeds: Mapping[int, Region]  # masks in the first frame
    until: Mapping[int, FrameIndex]  # the frame before which an object is to end, if any
    goals: Mapping[int, Region]  # masks in the last frame, if it is walked from both its ends
    through: Through = "time"
    references: Mapping[int, Reference] = field(default_factory=dict)  # along depth

    @property
    def n_steps(self) -> int:
        """How often a frame is looked at."""
        return 2 * (len(self.frames) - 2) if self.goals else len(self.frames) - 1


@dataclass(frozen=True, eq=False)
class Plan:
    """Objects to propagate, and where to. Read from a session once, then independent of it."""

    legs: tuple[Leg, ...]

    @property
    def n_steps(self) -> int:
        """How often a frame is looked at."""
        return sum(leg.n_steps for leg in self.legs)


def plan(
    session: Session,
    object_ids: Iterable[int],
    frame: FrameIndex,
    *,
    direction: Direction = "forward",
    n_frames: int | None = None,
    axis: int | None = None,
    through: Through | None = None,
) -> Plan:
    """Read from a session what is needed to propagate objects from a frame.

    Parameters
    ----------
    object_ids
        Objects that the labels hold in this frame, such as ``session.ids_in(frame)``.
    direction
        ``forward`` and ``backward`` lead to the object's next annotated frame or to the stack's
        end, ``both`` does both. ``between`` fills the frames from the annotated frame before to
        the one after, this frame being one of them or between them, from both sides.
    n_frames
        How far to go at most; ``between`` goes all the way.
    axis
        The axis of the image to go along; by default the first one that leads to frames.
    through
        Whether that axis is time, in which objects move and divide, or depth, in which they stay
        where they are and end. ``None``: as the image's axes are named, else time.

    Raises
    ------
    SamError
        If there is nowhere to go, or an object is not in this frame or not between two others.
    """
    PropagationOptions(direction, n_frames, None if axis is None else Axis(axis), through)
    along = axis_along(session.stack, frame, axis)
    line, here = _line_through(session.stack, frame, axis)
    through = through or named_through(session.stack, along) or "time"
    ids = list(dict.fromkeys(object_ids))
    if direction == "between":
        return Plan(tuple(_legs_between(session, ids, line, here, through)))
    reach = len(line) if n_frames is None else n_frames
    ways = {
        "forward": line[here : here + 1 + reach],
        "backward": line[max(0, here - reach) : here + 1][::-1],
    }
    seeds = {i: _seed(session, i, frame) for i in ids}
    anchors = {i: session.anchors(i) for i in ids}
    chosen = ways if direction == "both" else {direction: ways[direction]}
    references = {i: _reference(session, i, line, frame) for i in ids if through == "depth"}
    legs = [
        Leg(frames, seeds, dict(_first_anchors(anchors, frames[1:])), {}, through, references)
        for frames in chosen.values()
        if len(frames) > 1
    ]
    if not legs:
        raise SamError(
            f"There is no frame {direction} of this one. Choose another direction or frame."
        )
    return Plan(tuple(legs))


def axis_along(stack: FrameStack, frame: FrameIndex, axis: int | None) -> int:
    """The axis to go along from a frame: the one given, or the first that leads to frames."""
    leading = [n for n, position in enumerate(frame) if position is not None]
    if not leading or (axis is not None and axis not in leading):
        others = " or ".join(map(str, leading))
        remedy = f"Choose axis {others}." if leading else "Objects are propagated through a stack."
        asked = "" if axis is None else f" along axis {axis}"
        raise SamError(f"There are no frames{asked} in an image of shape {stack.shape}. {remedy}")
    return leading[0] if axis is None else axis


def named_through(stack: FrameStack, axis: int) -> Through | None:
    """Whether an axis is time or depth by its letter; ``None`` if that does not tell."""
    letter = stack.letters[axis : axis + 1]
    names: dict[str, Through] = {"T": "time", "Z": "depth"}
    return names.get(letter)


def _seed(session: Session, object_id: int, frame: FrameIndex) -> Region:
    region = session.region(object_id, frame)
    if not region.area:
        raise SamError(
            f"Object {object_id} has no pixel in this frame. Go to a frame in which it is "
            "segmented, or segment it here."
        )
    return region


def _reference(
    session: Session, object_id: int, line: Sequence[FrameIndex], frame: FrameIndex
) -> Reference:
    """Its largest slice annotated or propagated from: a corrected end is no good example of it."""
    known = session.origins(object_id) | session.anchors(object_id) | {frame}
    slices = [Reference(each, session.region(object_id, each)) for each in line if each in known]
    return max(slices, key=lambda each: each.region.area)


def _first_anchors(
    anchors: Mapping[int, set[FrameIndex]], frames: Sequence[FrameIndex]
) -> Iterator[tuple[int, FrameIndex]]:
    for object_id, annotated in anchors.items():
        for frame in frames:
            if frame in annotated:
                yield object_id, frame
                break


def ids_between(session: Session, frame: FrameIndex, axis: int | None = None) -> tuple[int, ...]:
    """The objects that are annotated in two frames around this one.

    Raises
    ------
    SamError
        If there is none.
    """
    line, here = _line_through(session.stack, frame, axis)
    ids = [each.object_id for each in session.objects()]
    between = tuple(i for i in ids if _span(session, i, line, here) is not None)
    if not between:
        raise SamError(
            "No object is annotated both before and after this frame. Annotate one in a frame "
            "before and in one after, then fill the frames between."
        )
    return between


def _line_through(
    stack: FrameStack, frame: FrameIndex, axis: int | None
) -> tuple[tuple[FrameIndex, ...], int]:
    """All frames along an axis, and which of them this one is."""
    along = axis_along(stack, frame, axis)
    line = tuple((*frame[:along], at, *frame[along + 1 :]) for at in range(stack.shape[along]))
    return line, line.index(frame)


def _span(
    session: Session, object_id: int, line: Sequence[FrameIndex], here: int
) -> tuple[int, int] | None:
    """The annotated frames of an object before and after one of them, if there are two."""
    anchors = session.anchors(object_id)
    annotated = [
        n for n, frame in enumerate(line) if frame in anchors and session.region(object_id, frame)
    ]
    before = [n for n in annotated if n <= here]
    after = [n for n in annotated if n > here] or before[-1:]
    if before and after == before[-1:]:
        before = before[:-1]  # this frame is the last annotated one: fill up to it
    return (before[-1], after[0]) if before and after else None


def _legs_between(
    session: Session,
    ids: Sequence[int],
    line: Sequence[FrameIndex],
    here: int,
    through: Through,
) -> Iterator[Leg]:
    """A leg for all objects that are annotated in the same two frames around this one."""
    spans: dict[tuple[int, int], list[int]] = {}
    for object_id in ids:
        span = _span(session, object_id, line, here)
        if span is None:
            raise SamError(
                f"Object {object_id} is not annotated in two frames around this one. "
                "Annotate it in one before and one after, or propagate it forward."
            )
        spans.setdefault(span, []).append(object_id)
    for (first, last), together in spans.items():
        if last > first + 1:
            frames = tuple(line[first : last + 1])
            ends = (
                {i: session.region(i, frame) for i in together} for frame in (frames[0], frames[-1])
            )
            seeds, goals = ends
            yield Leg(frames, seeds, {}, goals, through)
