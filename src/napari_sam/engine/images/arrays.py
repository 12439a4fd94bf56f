"""NumPy's own files, and Cellpose's `_seg.npy`: a pickle, of which only arrays are taken."""

from __future__ import annotations

import pickle
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from ..errors import FrameError
from .series import Pixels, Series

NPY_SUFFIXES = (".npy",)
ARRAYS = {"_reconstruct", "scalar", "_frombuffer"}
NUMPY_MODULES = {
    *("numpy.core.multiarray", "numpy._core.multiarray"),
    *("numpy.core.numeric", "numpy._core.numeric"),
}


def npy_series(path: Path, *, masks: bool) -> Series:
    """An array; of a Cellpose file its masks, or the image if it was saved with them."""
    with path.open("rb") as file:
        if not _is_pickled(file):
            return Series(name="", load=partial(_mapped, path))
        content = _Arrays(file).load()
    held = content.item() if isinstance(content, np.ndarray) and content.ndim == 0 else content
    name = "masks" if masks else "img"
    found = held.get(name) if isinstance(held, dict) else None
    if not isinstance(found, np.ndarray):
        raise FrameError(
            f"{path} holds Python objects without {'masks' if masks else 'an image'} among them. "
            "Of these files only Cellpose's _seg.npy is read, for its masks: give it as labels."
        )
    return Series(name="", load=lambda: (found, None))


def _mapped(path: Path) -> Pixels:
    return np.load(path, mmap_mode="r", allow_pickle=False), None


def _is_pickled(file: BinaryIO) -> bool:
    """Read a file's header, up to where its values begin."""
    major, _ = npy.read_magic(file)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    return bool(read(file)[2].hasobject)


class _Arrays(pickle.Unpickler):
    """Unpickles arrays and plain values, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module in NUMPY_MODULES and name in ARRAYS:
            return super().find_class(module, name)
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):  # bytes, as old protocols write them
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it holds {module}.{name}, which is not an array")
