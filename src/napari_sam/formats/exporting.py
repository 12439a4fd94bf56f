"""Objects are written: what a format cannot hold is told before, and no file is left half."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from napari_sam.engine import FrameStack, Labelled, SamError, check_name, written

from .catalogue import LOSSES, Feature, Format, find_format
from .outlines import by_object, outlines


def export(
    objects: Labelled,
    path: str | Path,
    to: str | None = None,
    *,
    image: FrameStack | None = None,
) -> list[str]:
    """Write objects in a format, whole or not at all.

    Parameters
    ----------
    path
        A file, which is replaced; a folder must not exist yet.
    to
        A name of :data:`FORMATS`; by default the one that the path's ending tells.
    image
        For pictures of objects.

    Returns
    -------
    What the format could not hold, a sentence each.

    Raises
    ------
    SamError
        If there is no such format, its package is missing, or the file cannot be written.
    """
    path = Path(path)
    chosen = find_format(to, path)
    check_export(chosen, path, has_image=image is not None)
    lost = losses(objects, chosen)
    write_objects(objects, path, chosen, image)
    return lost


def write_objects(
    objects: Labelled, path: Path, chosen: Format, image: FrameStack | None = None
) -> None:
    """Write objects as :func:`export` does, once it is checked and told what is lost."""
    with written(path, folder=chosen.is_folder) as part:
        needed = (image,) if chosen.needs_image else ()
        chosen.code.write(objects, part, *needed, **chosen.arguments)
    if finish := getattr(chosen.code, "finish", None):
        finish(path)


def check_export(chosen: Format, path: Path, *, has_image: bool = True) -> None:
    """Notice before the work what would stop it at its end.

    Raises
    ------
    SamError
        If a package or the image is missing, or the path cannot be written.
    """
    check_name(path)
    _ = chosen.code
    if chosen.needs_image and not has_image:
        raise SamError(f"For {chosen.title} the image is needed as well. Give it with --image.")
    if chosen.is_folder and path.exists():
        raise SamError(f"{path} is there already. Choose another name, or remove it first.")
    if not chosen.is_folder and path.is_dir():
        raise SamError(f"{path} is a folder. Give the name of a file.")
    if not path.absolute().parent.is_dir():
        raise SamError(f"There is no folder {path.parent}. Make it, or write elsewhere.")


def losses(objects: Labelled, chosen: Format) -> list[str]:
    """What a format cannot hold of these objects, a sentence each; nothing of it is written."""
    missing = [feature for feature in LOSSES if feature not in chosen.holds]
    there = set(_features(objects, frozenset(missing)))
    return [f"{chosen.title}: {LOSSES[each]}." for each in missing if each in there]


def _features(objects: Labelled, asked: frozenset[Feature]) -> Iterator[Feature]:
    """Which of these features the objects have."""
    sizes = dict(zip(objects.axes, objects.shape, strict=True))
    if sizes.get("T", 1) > 1:
        yield "time"
    if sizes.get("Z", 1) > 1:
        yield "depth"
    if objects.classes:
        yield "classes"
    if objects.reviews:
        yield "reviews"
    if objects.parents:
        yield "mothers"
    if any(unit != "pixel" for unit in objects.units):
        yield "scale"
    yield from {"numbers", "pixels"} & asked  # type: ignore[misc]
    if asked & {"holes", "pieces"}:
        yield from _shapes(objects)


def _shapes(objects: Labelled) -> Iterator[Feature]:
    holes = pieces = False
    for _, pixels in objects.frames():
        found = outlines(pixels)
        holes = holes or any(piece.holes for piece in found)
        pieces = pieces or any(len(each) > 1 for each in by_object(found).values())
    if holes:
        yield "holes"
    if pieces:
        yield "pieces"
