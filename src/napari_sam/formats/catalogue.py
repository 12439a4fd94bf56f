"""The formats by name: what each of them holds, and which file of code writes and reads it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

from napari_sam.engine import SamError

Feature: TypeAlias = Literal[
    "time",
    "depth",
    "holes",
    "pieces",
    "numbers",
    "classes",
    "reviews",
    "mothers",
    "scale",
    "pixels",
]
"""What a format can hold: frames over time and depth, objects with holes and in several pieces,
the objects' own numbers, their classes, review states and mothers, the size of a
pixel, every pixel."""

LOSSES: dict[Feature, str] = {
    "time": "all frames are of one kind: which of them follow one another in time is lost",
    "depth": "slices are separate images: which of them are of one volume is lost",
    "holes": "holes of objects are filled",
    "pieces": "of an object in several pieces each becomes an object of its own",
    "numbers": "objects are numbered anew",
    "classes": "their classes are lost",
    "reviews": "their review states are lost",
    "mothers": "which object came from which is lost",
    "scale": "the size of a pixel is lost",
    "pixels": "the pixels of the objects are lost: their places stay",
}
SHAPES: frozenset[Feature] = frozenset({"holes", "pieces", "pixels"})
STACKS: frozenset[Feature] = frozenset({"time", "depth"})


@dataclass(frozen=True)
class Format:
    """A format of files of objects."""

    name: str
    title: str
    suffixes: tuple[str, ...]  # of its files; the first is given to new ones
    holds: frozenset[Feature]
    reads: bool = True
    is_folder: bool = False
    package: str = ""  # that is needed
    extra: str = "formats"  # which brings the package
    needs_image: bool = False
    needs_canvas: bool = False  # its files do not say how large the image is
    module: str = ""  # where it is not called as the format
    arguments: Mapping[str, str] = field(default_factory=dict)  # of its function `write`

    @property
    def code(self) -> ModuleType:
        """The module that writes and reads it.

        Raises
        ------
        SamError
            If its package is not installed.
        """
        if self.package:
            try:
                importlib.import_module(self.package)
            except ImportError as error:
                raise SamError(
                    f"For {self.title} the package {self.package} is needed. Install it with "
                    f"\"pip install 'napari-sam-annotator[{self.extra}]'\"."
                ) from error
        name = self.module or self.name.replace("-", "_")
        return importlib.import_module(f"{__package__}.{name}")


def _holds(*features: Feature, shapes: bool = True, stacks: bool = True) -> frozenset[Feature]:
    return frozenset(features) | (SHAPES if shapes else set()) | (STACKS if stacks else set())


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("tiff", "TIFF, as ImageJ has it", (".tif", ".tiff"), _holds("numbers", "scale")),
        Format("ome-tiff", "OME-TIFF", (".ome.tif", ".ome.tiff"), _holds("numbers", "scale")),
        Format(
            "ome-zarr",
            "OME-Zarr labels",
            (".zarr", ".ome.zarr"),
            _holds("numbers", "classes", "reviews", "scale"),
            is_folder=True,
        ),
        Format(
            "ome-zarr-0.4",
            "OME-Zarr labels of version 0.4",
            (),
            _holds("numbers", "classes", "reviews", "scale"),
            is_folder=True,
            reads=False,
            module="ome_zarr",
            arguments={"version": "0.4"},
        ),
        Format(
            "coco", "COCO JSON", (".json",), _holds("numbers", "classes", "reviews", stacks=False)
        ),
        Format(
            "geojson",
            "GeoJSON for QuPath",
            (".geojson",),
            _holds("numbers", "classes", "reviews"),
            needs_canvas=True,
        ),
        Format(
            "imagej-rois",
            "ImageJ ROIs",
            (".zip",),
            _holds("numbers"),
            package="roifile",
            needs_canvas=True,
        ),
        Format(
            "yolo",
            "YOLO segmentation",
            (),
            _holds("classes", "pixels", shapes=False, stacks=False),
            reads=False,
            is_folder=True,
        ),
        Format("cellpose", "Cellpose", ("_seg.npy",), _holds("numbers", stacks=False) | {"depth"}),
        Format(
            "ctc",
            "Cell Tracking Challenge",
            ("_RES", "_TRA"),
            _holds("numbers", "mothers"),
            is_folder=True,
        ),
        Format(
            "tracks-csv",
            "a table of tracks",
            (".csv",),
            _holds("numbers", "classes", "reviews", "mothers", shapes=False),
            needs_canvas=True,
        ),
        Format(
            "trackmate",
            "TrackMate",
            (".xml",),
            _holds("mothers", "scale", "pixels", shapes=False),
        ),
        Format(
            "geff",
            "GEFF",
            (".geff",),
            _holds("numbers", "classes", "reviews", "mothers", "scale", shapes=False),
            is_folder=True,
            package="geff",
            needs_canvas=True,
        ),
        Format(
            "cutouts",
            "pictures of objects",
            (),
            _holds("numbers"),
            reads=False,
            is_folder=True,
            needs_image=True,
        ),
        Format(
            "overlay",
            "outlines on the image",
            (),
            _holds("numbers", "scale"),
            reads=False,
            is_folder=True,
            needs_image=True,
        ),
        Format(
            "overlay-png",
            "outlines on the image as PNG",
            (),
            _holds("numbers", "scale"),
            reads=False,
            is_folder=True,
            needs_image=True,
            module="drawn",
            arguments={"kind": "png"},
        ),
        Format(
            "animation",
            "an animated GIF with outlines",
            (".gif",),
            _holds("numbers", "scale"),
            reads=False,
            needs_image=True,
            module="drawn",
            arguments={"kind": "gif"},
        ),
        Format(
            "video",
            "a video (MP4) with outlines",
            (".mp4",),
            _holds("numbers", "scale"),
            reads=False,
            needs_image=True,
            package="imageio_ffmpeg",
            extra="video",
            module="drawn",
            arguments={"kind": "mp4"},
        ),
        *(
            Format(
                f"meshes-{kind}",
                f"surfaces as {kind.upper()}",
                (),
                _holds("numbers", "scale"),
                reads=False,
                is_folder=True,
                package="trimesh",
                module="meshes",
                arguments={"kind": kind},
            )
            for kind in ("stl", "obj", "ply")
        ),
    )
}


def find_format(name: str | None, path: Path, *, reading: bool = False) -> Format:
    """The format of a name; without one that of a file's name.

    Raises
    ------
    SamError
        If there is no such format, the file's name does not tell, or it cannot be read.
    """
    known = [each for each in FORMATS.values() if each.reads or not reading]
    if name is not None:
        found = FORMATS.get(name)
    else:
        lower = path.name.lower()
        fitting = [
            (len(s), each)
            for each in known
            for s in each.suffixes
            if s and lower.endswith(s.lower())
        ]
        found = max(fitting, key=lambda pair: pair[0])[1] if fitting else None
    if found is None or found not in known:
        unsaid = f"The ending of {path.name} does not tell the format"
        wrong = unsaid if name is None else f"{name!r} is no format"
        if found is not None:
            wrong = f"{found.title} is only written, not read"
        option = "--from" if reading else "--to"
        raise SamError(f"{wrong}. Choose with {option}: {names_of(known)}.")
    return found


def names_of(formats: Iterable[Format]) -> str:
    """Their names, as a list in a sentence."""
    return ", ".join(each.name for each in formats)
