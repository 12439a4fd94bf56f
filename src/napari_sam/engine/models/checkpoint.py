"""A checkpoint's weights, with any wrapper removed, and the network they belong to."""

from __future__ import annotations

import pickle
import pickletools
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import cast

import safetensors.torch
import torch
from torch import Tensor, nn

from napari_sam.engine.errors import ModelError
from napari_sam.model import (
    POCKET,
    VIT_B,
    VIT_H,
    VIT_L,
    VIT_T,
    Network,
    Pocket,
    PocketConfig,
    Sam,
    SamConfig,
    ViTConfig,
    empty_network,
)

WRAPPERS = ("model_state", "model", "state_dict")  # micro-sam's training, and others
PREFIXES = ("module.", "sam.", "model.", "_orig_mod.")  # of every key, in any order
PORTION = 64 * 2**20  # bytes of a file that are in memory while they are converted
LARGEST_INPUT, LARGEST_WIDTH = 4096, 4096  # pixels, channels: four times the published ones
LARGEST_PICKLE = 50 * 2**20  # bytes that name the tensors of a file
NAMED = 5  # keys in an error
CONSTANTS = ("pixel_mean", "pixel_std")  # saved by some tools, part of the config here


def read_network(path: Path, encoder_dtype: torch.dtype = torch.float32) -> Network:
    """The network of a checkpoint, recognised by its keys, with its weights, on the CPU.

    The image encoder's are of the type requested, all others single. What the file holds in that
    type already stays mapped to it; the rest is converted portion by portion, so that the weights
    are never held twice.

    Raises
    ------
    ModelError
        The file is missing, damaged, unsafe, or holds no network known here, or one that computes
        no numbers.
    """
    mapped = read_state(path)
    network = _empty_network(mapped, path)
    _check_fit(mapped, network, path)
    image_encoder(network).to(encoder_dtype)
    dtypes = {key: tensor.dtype for key, tensor in network.state_dict().items()}
    others = {key: t for key, t in mapped.items() if t.dtype != dtypes.get(key, t.dtype)}
    state = {key: tensor for key, tensor in mapped.items() if key not in others}
    for keys in _portions(others):
        # Pages read from a mapped file count as memory while it is mapped
        portion = read_state(path)
        state |= {key: portion[key].to(dtypes[key]) for key in keys}
    _check_numbers(state, path)
    network.load_state_dict(state, strict=True, assign=True)
    return network.requires_grad_(False)


def image_encoder(network: Network) -> nn.Module:
    """The part of a network that sees the image, the only one that may be in half precision."""
    if isinstance(network, Sam):
        return network.image_encoder
    return cast(Pocket, network).encoder


def read_state(path: Path) -> dict[str, Tensor]:
    """Parameters in a checkpoint under their official names, with any wrapper removed.

    Code in a pickle is never run.

    Raises
    ------
    ModelError
        The file is missing, damaged, or wants to run code.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(9)
        if beginning[8:9] == b"{":
            state = unwrap(safetensors.torch.load_file(path))
        else:
            _check_archive(path)
            state = unwrap(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
        _check_sizes(state, path)
    except pickle.UnpicklingError as error:
        raise ModelError(
            "The file holds more than weights, and code in it could do harm: it was not loaded. "
            "Save the state dict alone, in micro-sam with export_custom_sam_model; or as "
            f"safetensors. It is {path}"
        ) from error
    except OSError as error:
        raise ModelError(
            f"The model cannot be read ({error.strerror or error}). Check the path: {path}"
        ) from error
    except Exception as error:
        raise ModelError(
            "This is not a complete checkpoint: cut off, in PyTorch's format of before 2020, or "
            "something else. Fetch it again, or save it again with torch.save or as safetensors. "
            f"It is {path}"
        ) from error
    return state


def unwrap(checkpoint: object) -> dict[str, Tensor]:
    """The state dict in a checkpoint, without wrappers around it or prefixes of its keys."""
    for wrapper in WRAPPERS:
        if isinstance(checkpoint, Mapping) and isinstance(checkpoint.get(wrapper), Mapping):
            checkpoint = checkpoint[wrapper]
    items = checkpoint.items() if isinstance(checkpoint, Mapping) else ()
    named = {key: value for key, value in items if isinstance(key, str)}
    state = {key: value for key, value in named.items() if isinstance(value, Tensor)}
    while state and (prefix := _common_prefix(state)):
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return {key: value for key, value in state.items() if key not in CONSTANTS}


def recognise(state: Mapping[str, Tensor], path: Path) -> SamConfig | PocketConfig:
    """The network that a state dict belongs to, read from its keys and shapes.

    Raises
    ------
    ModelError
        None of the networks here; `path` is named in the message.
    """
    try:
        if "image_encoder.pos_embed" in state:
            return _named(_vit_config(state))
        if "image_encoder.patch_embed.seq.0.c.weight" in state:
            return VIT_T
        if "encoder.downs.0.weight" in state:
            return POCKET if "maps.hidden.weight" in state else replace(POCKET, maps_width=0)
    except (LookupError, ValueError, ZeroDivisionError) as error:
        raise _unknown_network(path) from error
    raise _unknown_network(path)


def _empty_network(state: Mapping[str, Tensor], path: Path) -> Network:
    """The network that a state dict belongs to, without memory for its weights."""
    config = recognise(state, path)
    try:
        return empty_network(config)
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise _unknown_network(path) from error


def _check_archive(path: Path) -> None:
    """Refuse what PyTorch would make something large of while it reads what a file holds."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("PyTorch compresses nothing")
            if entry.filename.endswith("/data.pkl"):
                if entry.file_size > LARGEST_PICKLE:
                    raise ValueError("a list of tensors is shorter")
                _check_pickle(archive.read(entry))


def _check_pickle(content: bytes) -> None:
    """A bytearray of any length is made by naming it; no weights need one."""
    for _, argument, _ in pickletools.genops(content):
        if isinstance(argument, str) and "bytearray" in argument:
            raise pickle.UnpicklingError("bytearray")


def _check_sizes(state: Mapping[str, Tensor], path: Path) -> None:
    """Every tensor is in the file with all its numbers, not one number said to be many."""
    total = 0
    for tensor in state.values():
        if tensor.layout is not torch.strided or tensor.device.type != "cpu" or tensor.is_quantized:
            raise ValueError("weights are plain tensors")
        if tensor.nbytes > tensor.untyped_storage().nbytes():
            raise ValueError("a tensor is larger than what is stored of it")
        total += tensor.nbytes
    if total > path.stat().st_size:
        raise ValueError("the tensors are larger than the file")


def _check_fit(state: Mapping[str, Tensor], network: Network, path: Path) -> None:
    """Compare keys, shapes and kinds of numbers with the network's, before anything is made."""
    wanted = network.state_dict()
    both = state.keys() & wanted.keys()
    problems = {
        "Missing": wanted.keys() - state.keys(),
        "Unexpected": state.keys() - wanted.keys(),
        "Of another shape": {key for key in both if state[key].shape != wanted[key].shape},
        "Of another type": {key for key in both if _kind(state[key]) != _kind(wanted[key])},
    }
    said = "; ".join(f"{problem}: {_listed(keys)}" for problem, keys in problems.items() if keys)
    if said:
        raise ModelError(
            f"This is nearly a {network.config.name} network, but its weights do not fit: {said}. "
            f"Save the state dict of an unmodified Segment Anything network. It is {path}"
        )


def _check_numbers(state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse NaN and infinite weights: their masks would be empty without a word."""
    for key, tensor in state.items():
        if tensor.is_floating_point() and tensor.numel():
            low, high = torch.aminmax(tensor)
            if not (torch.isfinite(low) and torch.isfinite(high)):
                raise ModelError(
                    f"Some weights are not finite numbers, for example in {key}: the training that "
                    "made them failed, or the file is damaged. Use an earlier checkpoint, or "
                    f"download it again. It is {path}"
                )


def _kind(tensor: Tensor) -> tuple[bool, bool]:
    return tensor.is_floating_point(), tensor.is_complex()


def _listed(keys: Iterable[str]) -> str:
    """A few keys, and how many more there are."""
    first = sorted(key[:100] for key in keys)
    more = f" and {len(first) - NAMED} more" if len(first) > NAMED else ""
    return ", ".join(first[:NAMED]) + more


def _portions(tensors: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """Their keys in groups of about a portion's size."""
    keys: list[str] = []
    n_bytes = 0
    for key, tensor in tensors.items():
        keys.append(key)
        n_bytes += tensor.nbytes
        if n_bytes >= PORTION:
            yield keys
            keys, n_bytes = [], 0
    yield keys


def _common_prefix(state: Mapping[str, Tensor]) -> str:
    return next((p for p in PREFIXES if all(key.startswith(p) for key in state)), "")


def _vit_config(state: Mapping[str, Tensor]) -> SamConfig:
    """A ViT's size: the relative positions of a block tell its heads and how far it sees."""
    _, map_size, _, width = state["image_encoder.pos_embed"].shape
    patch_size = state["image_encoder.patch_embed.proj.weight"].shape[-1]
    tables = _sequence(state, "image_encoder.blocks.{}.attn.rel_pos_h")
    seen = [(table.shape[0] + 1) // 2 for table in tables]  # tokens along one side
    windows = [size for size in seen if size != map_size]
    head_width = tables[0].shape[1]
    if width % head_width or width > LARGEST_WIDTH or map_size * patch_size > LARGEST_INPUT:
        raise ValueError(f"no network has {width} channels for {map_size} x {patch_size} pixels")
    return SamConfig(
        name="vit",
        encoder=ViTConfig(
            width,
            depth=len(tables),
            heads=width // head_width,
            global_blocks=tuple(index for index, size in enumerate(seen) if size == map_size),
            window_size=windows[0] if windows else map_size,
            patch_size=patch_size,
        ),
        input_size=map_size * patch_size,
        stride=patch_size,
        embedding_dim=state["image_encoder.neck.0.weight"].shape[0],
    )


def _sequence(state: Mapping[str, Tensor], key: str) -> list[Tensor]:
    """The tensors of a numbered key, from 0 up to the first number missing."""
    found: list[Tensor] = []
    for index in count():
        if key.format(index) not in state:
            return found
        found.append(state[key.format(index)])
    return found


def _named(config: SamConfig) -> SamConfig:
    """The config under its usual name, where it is one of the published sizes."""
    for known in (VIT_B, VIT_L, VIT_H):
        if replace(config, name=known.name) == known:
            return known
    return config


def _unknown_network(path: Path) -> ModelError:
    return ModelError(
        "The file holds no network known here. ViT-B, ViT-L and ViT-H of Segment Anything 1, "
        "MobileSAM, and what was trained from them can be loaded; SAM 2 and others cannot. "
        f"It is {path}"
    )
