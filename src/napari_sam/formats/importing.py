"""Files of other programs become labels."""

from __future__ import annotations

from pathlib import Path

from napari_sam.engine import FrameError, Labelled, decoding

from .canvas import Canvas
from .catalogue import find_format


def import_objects(
    path: str | Path, source: str | None = None, *, canvas: Canvas | None = None
) -> Labelled:
    """Read objects from a file of another program.

    Parameters
    ----------
    source
        A name of :data:`FORMATS`; by default the one that the path's ending tells.
    canvas
        The image that the objects are of, for formats that do not say how large it is; with labels,
        whose pixels objects take that have positions only.

    Returns
    -------
    Labels with what the file says of them; their problems tell what had to be left out.

    Raises
    ------
    SamError
        If the file is missing, broken or of another kind. It names the file, the entry and what to
        do.
    """
    path = Path(path)
    chosen = find_format(source, path, reading=True)
    if not path.exists():
        raise FrameError(f"There is no file {path}. Check its name and folder.")
    if chosen.needs_canvas and canvas is None:
        raise FrameError(
            f"{chosen.title} does not say how large the image is. Give the image, or labels of "
            "its size, with --like."
        )
    with decoding(path, f"Is it {chosen.title}? Choose another format with --from."):
        objects: Labelled = chosen.code.read(path, canvas)
    return objects
