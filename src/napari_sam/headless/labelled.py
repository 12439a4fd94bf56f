"""Labels with all that is known of them: from a file of labels, or from a saved session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sam.engine import FrameError, FrameIndex, Labelled
from napari_sam.session import (
    Annotation,
    Classes,
    GivenClass,
    Placement,
    SessionFile,
    is_session,
    session_path,
)


def open_labelled(
    path: str | Path, *, axes: str | None = None, series: str | int | None = None
) -> Labelled:
    """Open a file of labels, or a session, to measure or export its objects.

    Of files the sizes of pixels are read, where they say it; of a session also mothers, scores and
    what was painted by hand.

    Raises
    ------
    SamError
        If it cannot be read.
    """
    from napari_sam.engine import read_labels, read_scales, scales_of  # the window needs no zarr

    if is_session(path):
        return labelled_session(SessionFile(path))
    labels, letters = read_labels(path, series=series, axes=axes)
    sized = scales_of(read_scales(path, series), letters)
    scale, units = sized or (None, None)
    return Labelled.of(labels, axes=letters, scale=scale, units=units)


def labelled_session(file: SessionFile) -> Labelled:
    """The objects of a saved session; its problems say what of it is lost."""
    labels = file.fill(file.new_labels())
    given = file.classes
    known = {(i, frame): facts_of(each, given.of(i)) for i, frame, each in file.annotations()}
    objects = placed(labels, file.placement, file.parents, known)
    return replace(
        objects, classes=names_of(given), reviews=file.reviews, problems=tuple(file.problems)
    )


def names_of(classes: Classes) -> dict[int, str]:
    """The class of each object that has one."""
    return {object_id: each.name for object_id, each in classes.given.items()}


def placed(
    labels: Any,
    placement: Placement | None,
    parents: Mapping[int, tuple[int, ...]],
    facts: Mapping[tuple[int, FrameIndex], Mapping[str, Any]],
) -> Labelled:
    """Labels of an image that lies in the world as a layer of napari does."""
    ndim = len(labels.shape)
    scale = units = axes = None
    if placement is not None:
        scale, units = placement.scale[-ndim:], placement.units[-ndim:]
        axes = _letters(placement.axis_labels[-ndim:])
    return Labelled.of(labels, axes=axes, scale=scale, units=units, parents=parents, facts=facts)


def with_axes(objects: Labelled, axes: str | None) -> Labelled:
    """The same, where nothing was known of the axes, with those of the image."""
    if axes is None or len(axes) != len(objects.axes) or "Q" not in objects.axes:
        return objects
    return replace(objects, axes=axes) if axes[-2:] == "YX" else objects


def with_scale(objects: Labelled, scale: Sequence[float], units: Sequence[str] | str) -> Labelled:
    """The same with pixels of another size."""
    sized = Labelled.of(objects.labels, axes=objects.axes, scale=scale, units=units)
    return replace(objects, scale=sized.scale, units=sized.units)


def facts_of(annotation: Annotation, given: GivenClass | None = None) -> dict[str, Any]:
    """What a table says of an object in a frame, besides what it measures.

    The probability of its class is empty where the user said it.
    """
    footprint = annotation.footprint
    by_hand = footprint.painted.area / footprint.landed.area if footprint.landed else 0.0
    confidence = annotation.iou_prediction if annotation.score is None else annotation.score
    by_examples = None if given is None or given.is_own else given.probability
    return {
        "class_probability": by_examples,
        "score": confidence,
        "model": annotation.model,
        "by_hand_share": min(by_hand, 1.0),
    }


def image_of(path: Path) -> Path | None:
    """The image of a session, where it is still there: as recorded, or beside the session."""
    file = SessionFile(path)
    recorded = file.manifest["image"]["path"]
    if recorded is None:
        return None
    candidates: Iterable[Path] = (
        Path(recorded),
        file.folder.with_name(Path(recorded).name),
    )
    return next((each for each in candidates if each.exists()), None)


def session_beside(image: Path) -> Path:
    """The session of an image.

    Raises
    ------
    FrameError
        If none was saved beside it.
    """
    path = session_path(image)
    if not is_session(path):
        raise FrameError(
            f"No session is saved beside {image}. Give the labels of its objects with --labels."
        )
    return path


def _letters(names: tuple[str, ...]) -> str | None:
    """Axis labels of napari as letters, where they are some."""
    letters = "".join(name[:1].upper() for name in names)
    known = all(len(name) == 1 and name.isalpha() for name in names)
    return letters if known and letters[-2:] == "YX" else None
