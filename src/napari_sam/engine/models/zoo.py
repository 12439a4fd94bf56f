"""A model by its name or path, placed on a device and ready to predict."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import safetensors.torch
import torch
from safetensors import SafetensorError

from napari_sam.engine.errors import ModelError, SamError
from napari_sam.engine.writing import written
from napari_sam.model import Network, PocketConfig, SamConfig, compile_blocks

from .catalogue import find_model, known_models, whole_file, writable_folder
from .checkpoint import image_encoder, read_network, read_state, recognise
from .download import check_space, disk_error
from .hashes import hash_matches, record_hash, recorded_hash

Precision = Literal["fp32", "bf16"]

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A network with its weights on a device, ready to encode and decode."""

    network: Network
    name: str
    hash: str  # of the weights file's content: an embedding belongs to one model
    device: torch.device
    precision: Precision  # of the image encoder; the rest is always fp32
    notices: tuple[str, ...] = ()  # sentences for the user: what could not be done as asked


def load_model(
    name_or_path: str | Path,
    *,
    device: str = "auto",
    precision: str = "auto",
    compiled: bool = False,
) -> LoadedModel:
    """Load a model that is on this computer.

    Parameters
    ----------
    name_or_path : str or Path
        A name of the catalogue, the name of an own model, or the path of a checkpoint.
    device : str
        "auto" (CUDA, else Apple's MPS, else CPU), or "cpu", "cuda", "cuda:1", "mps".
    precision : str
        Of the image encoder: "fp32", "bf16", or "auto": bf16 where the device computes in it.
    compiled : bool
        Whether a large network's encoder is put through torch.compile, where there is a GPU: the
        second image takes a minute longer, the later ones less time. Without a compiler it runs
        as it is.

    Returns
    -------
    LoadedModel
        On the CPU, with a notice, where the GPU's memory is too small.

    Raises
    ------
    ModelError
        The model is unknown, not here, damaged or unsafe; or this computer has no such device or
        precision.
    """
    chosen_device = choose_device(device)
    name, path, content = find_weights(name_or_path)
    config = recognise(read_state(path), path)
    chosen_precision = choose_precision(precision, chosen_device, config)
    network = read_network(path, DTYPES[chosen_precision])
    model = LoadedModel(network, name, content, chosen_device, chosen_precision)
    try:
        _place(network, chosen_device, chosen_precision)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise ModelError(
                f"{chosen_device} does not work with this PyTorch ({error}). Choose the device "
                "cpu, or install the PyTorch that fits your GPU's driver."
            ) from error
        return on_cpu(model)
    if compiled and chosen_device.type != "cpu":
        compile_blocks(image_encoder(network))
    return model


def on_cpu(model: LoadedModel) -> LoadedModel:
    """The model moved to the CPU, for when the GPU's memory is full; says so in its notices.

    The network itself is moved, so that the GPU's memory is free: `model` is not to be used again.
    """
    cpu = torch.device("cpu")
    precision: Precision = "fp32" if model.precision == "fp32" else _fastest_precision(cpu)
    _place(model.network.to(cpu), cpu, precision)
    torch.cuda.empty_cache()
    notice = (
        f"The memory of {model.device} is full: {model.name} runs on the CPU now, more slowly. "
        "Close other programs that use the GPU, or choose a smaller model."
    )
    return replace(model, device=cpu, precision=precision, notices=(*model.notices, notice))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device's memory is full, by CUDA's error or by the words of MPS's."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)


def choose_device(wanted: str) -> torch.device:
    """The device requested; "auto" is CUDA, else MPS, else the CPU.

    Raises
    ------
    ModelError
        This computer has no such device.
    """
    gpus = {"cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if wanted == "auto":
        return torch.device(next((name for name, n in gpus.items() if n), "cpu"))
    available = ["cpu", *(name for name, n in gpus.items() if n)]
    available += [f"{name}:{index}" for name, n in gpus.items() for index in range(n)]
    if wanted not in available:
        raise ModelError(
            f"PyTorch finds no device {wanted!r} on this computer, only {', '.join(available)}. "
            "Choose one of these, or auto; a GPU also needs its driver and a PyTorch built for it."
        )
    return torch.device(wanted)


def choose_precision(
    wanted: str, device: torch.device, config: SamConfig | PocketConfig
) -> Precision:
    """The precision of a network's image encoder on a device.

    Raises
    ------
    ModelError
        `wanted` is not a precision, or the device cannot compute in it.
    """
    if wanted == "auto":
        # pocket takes 52 ms for 512 x 512 pixels on two CPU cores, 28 ms in bf16: nobody feels the
        # difference, and the figures of its model card are those of fp32
        return "fp32" if isinstance(config, PocketConfig) else _fastest_precision(device)
    if wanted not in ("fp32", "bf16"):
        raise ModelError(f"There is no precision {wanted!r}. Choose auto, fp32 or bf16.")
    if wanted == "bf16":
        try:
            torch.ones(1, device=device, dtype=torch.bfloat16)
        except (TypeError, RuntimeError) as error:
            raise ModelError(
                f"{device} cannot compute in bf16 ({error}). Choose the precision auto or fp32."
            ) from error
    return cast(Precision, wanted)


def register(path: str | Path, name: str) -> Path:
    """Keep a checkpoint in the models folder under a name; the file itself may go afterwards.

    A name of the catalogue takes only the published file, so a download made by hand is as good
    as one made here. Own models are saved as safetensors, without optimizer states or code.

    Returns
    -------
    Path
        The file in the models folder.

    Raises
    ------
    ModelError
        The file cannot be used, the name is taken or not a name, or nothing can be written.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ModelError(f"There is no file {path}. Check the path.")
    entry = next((entry for entry in known_models() if entry.name == name), None)
    if entry is None:
        return _register_own(path, name)
    if entry.hash is None:
        raise ModelError(f"There is a model {name} already. Choose another name.")
    if not hash_matches(path, entry.hash):
        raise ModelError(
            f"{path} is not the published {name}: its hash is not {entry.hash}. Download it again "
            f"from {entry.url}, or choose another name if it is a model of your own."
        )
    target = writable_folder() / entry.file_name
    with _written(target, path.stat().st_size) as part:
        shutil.copyfile(path, part)
    record_hash(target, entry.hash)
    return target


def _register_own(path: Path, name: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ModelError(f"{name!r} is not a name for a model. Use letters, digits, - and _.")
    read_network(path)  # refuses what could not be loaded later
    state = {key: value.contiguous() for key, value in read_state(path).items()}
    target = writable_folder() / f"{name}.safetensors"
    with _written(target, sum(value.nbytes for value in state.values())) as part:
        safetensors.torch.save_file(state, part)
    recorded_hash(target)
    return target


@contextmanager
def _written(target: Path, n_bytes: int) -> Iterator[Path]:
    """A temporary file that becomes the target at the end, or nothing."""
    check_space(target.parent, n_bytes)
    try:
        with written(target) as part:
            yield part
    except (SamError, SafetensorError) as error:
        raise disk_error(_as_os_error(error), target.parent) from error


def _as_os_error(error: SamError | SafetensorError) -> OSError:
    """The operating system's error; safetensors has it as text: "… (os error 28)"."""
    if isinstance(error.__cause__, OSError):
        return error.__cause__
    number = re.search(r"os error (\d+)", str(error))
    if number is None:
        return OSError(str(error))
    return OSError(int(number[1]), os.strerror(int(number[1])))


def find_weights(name_or_path: str | Path) -> tuple[str, Path, str]:
    """(name, file, content hash) of a name, or of a path where no model has that name.

    Raises
    ------
    ModelError
        The model is unknown, not here or damaged.
    """
    path = Path(name_or_path).expanduser()
    names = {entry.name for entry in known_models()}
    if str(name_or_path) not in names and (path.is_file() or path.suffix or len(path.parts) > 1):
        if not path.is_file():
            raise ModelError(f"There is no file {path}. Check the path, or give a model's name.")
        return path.stem, path, recorded_hash(path)
    entry = find_model(str(name_or_path))
    path = whole_file(entry)
    return entry.name, path, entry.hash or recorded_hash(path)


def fast_in_bf16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16; elsewhere it is emulated, and slower than fp32."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        units: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # newer PyTorch
        return bool(units.get("avx512_bf16") or units.get("amx_bf16"))
    return False


def _fastest_precision(device: torch.device) -> Precision:
    return "bf16" if fast_in_bf16(device) else "fp32"


def _place(network: Network, device: torch.device, precision: Precision) -> None:
    """Convert on the CPU, then move: the device never holds more than the final weights."""
    if precision == "bf16":
        image_encoder(network).to(torch.bfloat16)
    else:
        network.to(dtype=torch.float32)
    network.to(device)
