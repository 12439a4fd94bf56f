"""Zarr 2 and 3: arrays, OME-Zarr images with their levels, the fields of a plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import zarr

from ..errors import FrameError
from .codecs import checked
from .places import open_node
from .series import Pixels, Series, size_of

ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
OLD_OME_AXES = tuple("tczyx")  # of OME-Zarr before 0.3, which does not name them
BY_NAME = {
    **{letter: letter.upper() for letter in "tczyxs"},
    "time": "T",
    "frame": "T",
    "channel": "C",
    "channels": "C",
    "row": "Y",
    "rows": "Y",
    "column": "X",
    "columns": "X",
}
BY_TYPE = {"time": "T", "channel": "C"}
OTHER = "Q"  # an axis that leads to a frame, and nothing more is known of it


def is_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr array or group."""
    return any((path / name).exists() for name in ZARR_FILES)


def zarr_series(path: Path | str) -> tuple[list[Series], bool]:
    """The images in a folder, a zip file or at an address, and whether one has to be chosen.

    Raises
    ------
    FrameError
        If there is none.
    """
    node, name = open_node(path), PurePath(path).name
    if isinstance(node, zarr.Array):
        return [_array(name, node)], False
    if "plate" in _ome(node):
        fields = [Series(each, partial(_field, node, each)) for each in _groups(node)]
        return _found(path, node, fields), True
    if "bioformats2raw.layout" in _ome(node):
        found = [each for image in _groups(node) for each in _images(node[image], image)]
        return _found(path, node, found), False
    found = list(_images(node, name))
    if found:
        return found, False
    arrays = [_array(each, node[each]) for each in sorted(node.array_keys())]
    return _found(path, node, arrays), True


def _found(path: Path | str, node: Any, series: list[Series]) -> list[Series]:
    if not series:
        groups = ", ".join(sorted(node.group_keys())) or "none"
        raise FrameError(
            f"{path} is a Zarr group, but no OME-Zarr image. Give the path of an image in it "
            f"(groups: {groups})."
        )
    return series


def ome_image(path: Path | str, series: str | int | None = None) -> Mapping[str, Any] | None:
    """What an OME-Zarr says of one of its images, such as its axes; ``None`` if it is no such."""
    node = open_node(path)
    if isinstance(node, zarr.Array):
        return None
    wanted, groups = str(0 if series is None else series), _groups(node)
    if groups:
        name = wanted if wanted in groups else groups[int(wanted)]
        return next(iter(_ome(node[name]).get("multiscales", ())), None)
    images = _ome(node).get("multiscales", ())
    number = int(wanted) if wanted.isdecimal() else 0
    return images[number] if number < len(images) else None


def _groups(node: Any) -> list[str]:
    """Where the images are: the fields of a plate (``A/1/0``), or what a converter wrote."""
    about = _ome(node)
    if "bioformats2raw.layout" in about:
        return sorted((each for each in node.group_keys() if each.isdecimal()), key=int)
    return [
        f"{well['path']}/{image['path']}"
        for well in about.get("plate", {}).get("wells", ())
        for image in _ome(node[well["path"]])["well"]["images"]
    ]


def _field(node: Any, name: str) -> Pixels:
    return next(iter(_images(node[name], name))).load()


def _images(group: Any, name: str) -> list[Series]:
    """The OME-Zarr images of one group, mostly one."""
    found = []
    for image in _ome(group).get("multiscales", ()):
        levels = [group[dataset["path"]] for dataset in image["datasets"]]
        axes = ome_axes(image.get("axes", OLD_OME_AXES))
        load = partial(_checked_levels, levels, axes)
        found.append(Series(name, load, size_of(levels[0].shape, axes)))
    return found


def _checked_levels(levels: Sequence[Any], axes: str) -> Pixels:
    return [checked(level) for level in levels], axes


def _array(name: str, array: Any) -> Series:
    axes = _array_axes(array)
    return Series(name, lambda: (checked(array), axes), size_of(array.shape, axes))


def _ome(group: Any) -> Any:
    """An OME-Zarr group's metadata: beside other attributes up to 0.4, by themselves since 0.5."""
    return group.attrs.get("ome", group.attrs)


def ome_axes(axes: Sequence[Any]) -> str:
    """A letter an axis: by its type, and among the axes of space by its name.

    Where those have other names, the last two of them are y and x.
    """
    said = [axis if isinstance(axis, Mapping) else {"name": axis} for axis in axes]
    names = [str(axis.get("name", "")).lower() for axis in said]
    types = [axis.get("type") for axis in said]
    letters = [
        BY_TYPE.get(str(kind).lower()) or (BY_NAME.get(name, OTHER) if kind != "space" else "")
        for kind, name in zip(types, names, strict=True)
    ]
    space = [n for n, letter in enumerate(letters) if not letter]
    for n, letter in zip(space, _space([names[n] for n in space]), strict=True):
        letters[n] = letter
    return _each_once(letters)


def _space(names: Sequence[str]) -> list[str]:
    """The axes of space: by their names where these are z, y and x, else by their order."""
    known = [BY_NAME.get(name, "") for name in names]
    if len(set(known)) == len(known) and set(known) <= {"Z", "Y", "X"}:
        return known
    return [*([OTHER] * (len(names) - 3)), *"ZYX"[max(0, 3 - len(names)) :]]


def _each_once(letters: Sequence[str]) -> str:
    """Letters that mean something, once each: of two the first counts."""
    return "".join(
        letter if letter not in letters[:n] else OTHER for n, letter in enumerate(letters)
    )


def _array_axes(array: Any) -> str | None:
    """The names of an array's axes, as Zarr 3 has them or xarray writes them into Zarr 2."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not names or any(not isinstance(name, str) for name in names):
        return None
    letters = _each_once([BY_NAME.get(name.lower(), OTHER) for name in names])
    return letters if {"Y", "X"} <= set(letters) else None
