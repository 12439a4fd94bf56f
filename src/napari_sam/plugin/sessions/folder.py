"""How far each image of a folder is, and a small picture of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.plugin.work.jobs import Report
from napari_sam.session import Annotation, Session, SessionFile

from .places import image_of, sessions_of_file

THUMBNAIL = 96  # pixels of the long side

Status: TypeAlias = Literal["new", "automatic", "annotated", "done"]


@dataclass(frozen=True)
class FolderImage:
    """One image file of a folder, as its saved session has it."""

    path: Path
    status: Status = "new"
    n_objects: int = 0
    shown: FrameIndex | None = None  # the frame to continue in
    problem: str = ""  # why the image or its session cannot be read


def look_through(
    folder: Path, report: Report
) -> Iterator[list[FolderImage] | tuple[FolderImage, NDArray[np.uint8] | None]]:
    """The images of a folder, then one by one how far each is, and its picture (h, w, 3).

    Runs in a worker's thread.
    """
    from napari_sam.engine import images_in  # brings in zarr, which a new panel need not

    paths = images_in(folder)
    yield [FolderImage(path) for path in paths]
    for n, path in enumerate(paths):
        report(n, len(paths))
        image = look_at(path)
        try:
            yield image, thumbnail(path, image.shown)
        except SamError as error:
            yield FolderImage(path, image.status, image.n_objects, problem=str(error)), None


def look_at(path: Path) -> FolderImage:
    """How far an image is. A session that cannot be read counts as a problem, not as none."""
    problem = ""
    for folder in sessions_of_file(path):
        try:
            file = SessionFile(folder)
            if folder.parent == path.parent or image_of(file) == path:
                return _as_saved(path, file)
        except SamError as error:
            problem = problem or str(error)
    return FolderImage(path, problem=problem)


def look_at_session(path: Path, session: Session) -> FolderImage:
    """How far the image on screen is."""
    objects = [each for each in session.objects() if each.frames]
    annotations = [each for _, each in session.annotations()]
    status = _status(session.is_done, bool(objects), annotations)
    return FolderImage(path, status, len(objects), session.shown)


def thumbnail(path: Path, frame: FrameIndex | None = None) -> NDArray[np.uint8]:
    """A small picture of an image, (h, w, 3): of a frame, or the first one.

    Raises
    ------
    SamError
        If the file cannot be read.
    """
    from napari_sam.engine import read_image  # brings in zarr, which a new panel need not

    data, axes = read_image(path, series=0)
    stack = FrameStack.from_array(data, axes=axes)
    with suppress(SamError):  # of a session whose image was replaced
        if frame is not None:
            return stack.frame(frame, long_side=THUMBNAIL)
    return stack.frame(stack.index(), long_side=THUMBNAIL)


def _as_saved(path: Path, file: SessionFile) -> FolderImage:
    """What a session says of its image: finished, touched by the user, or only found."""
    ids = {int(each) for _, _, pixels in file.labels() for each in np.unique(pixels) if each}
    annotations = [each for object_id, _, each in file.annotations() if object_id in ids]
    status = _status(file.is_done, bool(ids), annotations)
    return FolderImage(path, status, len(ids), file.shown, " ".join(file.problems))


def _status(is_done: bool, has_objects: bool, annotations: Iterable[Annotation]) -> Status:
    if is_done:
        return "done"
    if not has_objects:
        return "new"
    has_own = found = False
    for annotation in annotations:
        has_own |= annotation.is_anchor
        found |= bool(annotation.found_by)
    return "automatic" if found and not has_own else "annotated"
