"""A saved session comes back, with all of it that is intact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_sam.engine import FrameIndex, FrameStack, SamError
from napari_sam.session.saved import FrameFiles, Saved
from napari_sam.session.session import Session

from .image_record import image_record
from .session_file import SessionFile


def load(path: str | Path, stack: FrameStack, labels: Any = None) -> Session:
    """Open a saved session again.

    What of it is gone or damaged is left out, and the session's notices say so.

    Parameters
    ----------
    stack
        The image. If its pixels are others than they were, the session's notices say so.
    labels
        Empty labels of the image's shape to write into; by default an array in memory.

    Raises
    ------
    SamError
        If there is no session, it cannot be read, or the image has another shape.
    """
    file = SessionFile(path)
    if not file.is_of(stack.shape):
        raise SamError(
            f"The session {file.folder.name} belongs to an image of shape {file.shape}, this one "
            f"has {stack.shape}. Open the image it was made with."
        )
    labels = file.new_labels() if labels is None else labels
    manifest = file.manifest
    session = Session(stack, file.fill(labels), highest_id=0)
    session.restore(
        {(object_id, frame): a for object_id, frame, a in file.annotations()},
        file.requests(),
        file.parents,
        manifest["highest_id"],
        file.classes,
        file.reviews,
    )
    session.recall_sizes()
    session.protect_neighbours = manifest["protect_neighbours"]
    session.placement = file.placement
    session.channel_axis = file.channel_axis
    session.shown = file.shown
    session.through = file.through
    session.is_done = file.is_done
    session.image_reader = manifest["image"].get("reader")
    session.models = {n: (m["hash"], m["precision"]) for n, m in manifest["models"].items()}
    session.select(manifest["active"])
    for frame, files in file.files.items():
        lost = [tile for tile, name in files.labels.items() if name in file.lost]
        session.changed[frame] = int(bool(lost))  # then with the next change
        session.changed_tiles[frame] = {tile: 1 for tile in lost if tile is not None}
    replaced = frozenset(manifest.get("replaced", ()))
    session.saved = Saved(file.folder, file.revision, manifest["saves"], 0, _intact(file), replaced)
    session.notices.extend(_about_lost(file))
    if manifest["image"]["content"] != image_record(stack)["content"]:
        session.is_of_image = False
        session.notices.append(
            f"The image is not the one {file.folder.name} was made with: its pixels differ. The "
            "objects are where they were; check that they still fit."
        )
    return session


def _intact(file: SessionFile) -> dict[FrameIndex, FrameFiles]:
    """The files of each frame that could be read; the others are left as they are on disk."""
    intact = {frame: files.without(file.lost) for frame, files in file.files.items()}
    return {frame: files for frame, files in intact.items() if files}


def _about_lost(file: SessionFile) -> list[str]:
    """A short message about missing parts."""
    if not file.problems:
        return []
    n = len(file.problems) - 1
    more = "" if not n else f" So {'is 1 other file' if n == 1 else f'are {n} other files'}."
    return [
        f"{file.problems[0]}{more} All else of {file.folder.name} is here; of objects without "
        "labels, what their prompts remember."
    ]
