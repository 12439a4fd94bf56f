"""Files of a training run, each either whole or not there."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image
from safetensors import SafetensorError
from safetensors.torch import save_file

from napari_sam.engine import ModelError, SamError, written
from napari_sam.model import Network, Pocket

REMEDY = (
    "Make room on the disk, or choose a folder that can be written to; then continue with --resume."
)


def save_weights(network: Network, path: Path) -> None:
    """Write the weights as safetensors.

    The embedded network's in half precision: half the file for no measurable loss.

    Raises
    ------
    ModelError
        If the disk is full, or the folder cannot be written to; so below.
    """
    state = {name: tensor.contiguous().cpu() for name, tensor in network.state_dict().items()}
    if isinstance(network, Pocket):
        state = {name: tensor.half() for name, tensor in state.items()}
    with _written(path) as part:
        save_file(state, part, {"config": network.config.name})


def save_checkpoint(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint."""
    with _written(path) as part, part.open("wb") as file:
        torch.save(state, file)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, on the CPU.

    Raises
    ------
    ModelError
        If it is damaged.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise ModelError(
            f"{path} is not a complete checkpoint ({type(error).__name__}). Delete it, and "
            "begin the "
            "training again without --resume."
        ) from error
    return state


def save_json(content: Mapping[str, Any], path: Path) -> None:
    """Write plain values, one line an entry of a list."""
    with _written(path) as part:
        part.write_text(json.dumps(content, indent=1), "utf-8")


def is_complete(log: Path) -> bool:
    """Whether a run's log says that it came to its end."""
    try:
        return bool(json.loads(log.read_text("utf-8"))["complete"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def save_picture(picture: Image, path: Path) -> None:
    """Write a PNG."""
    with _written(path) as part:
        picture.save(part, "png")


def write_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write named arrays into one file, in a folder that is made if it is not there."""
    path.parent.mkdir(exist_ok=True)
    with _written(path) as part, part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    """Some of the arrays in a file."""
    with np.load(path) as arrays:
        return [arrays[name] for name in names]


@contextmanager
def _written(target: Path) -> Iterator[Path]:
    """A temporary file that becomes the target at the end, or nothing."""
    try:
        with written(target, remedy=REMEDY) as part:
            yield part
    except SamError as error:
        raise ModelError(str(error)) from error
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(f"{target} could not be written: {error}. {REMEDY}") from error
