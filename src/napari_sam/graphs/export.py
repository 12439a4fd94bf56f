"""A model as a folder of ONNX graphs, checked before it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam.engine import LoadedModel, SamError, written
from napari_sam.model import Pocket, Sam

from .checking import LARGEST_ERROR, LEAST_IOU, Agreement, compare
from .options import OnnxOptions, Weights
from .pocket import pocket_decoder_graph, pocket_encoder_graph
from .sam import sam_decoder_graph, sam_encoder_graph
from .storing import save, store
from .tracing import OPSET, check_packages

if TYPE_CHECKING:
    import onnx


def export_onnx(
    model: LoadedModel, folder: str | Path, options: OnnxOptions | None = None
) -> Agreement:
    """Write the encoder and the decoder of a model as ONNX, with a README of inputs and outputs.

    The graphs are run by onnxruntime before the folder is there, on a photograph and several
    prompts. In single precision, embeddings, logits and scores differ from PyTorch's by 0.001 of
    the largest number at most, and masks have an IoU of 0.995 with PyTorch's at least; with
    weights of fewer bits, only the masks are judged.

    Parameters
    ----------
    model
        On the CPU, in fp32.
    folder
        Is made; what was there is not overwritten.

    Returns
    -------
    Agreement
        What was found in that check.

    Raises
    ------
    SamError
        If a package is missing, the check fails, or the folder cannot be written.
    """
    check_packages()
    options = options or OnnxOptions()
    if model.device.type != "cpu" or model.precision != "fp32":
        raise SamError("ONNX is written from a model on the CPU in fp32. Load it so.")
    if Path(folder).exists():
        raise SamError(f"{folder} is there already. Choose a name that is not taken.")
    with written(folder, folder=True) as part:
        encoder, decoder = part / "encoder.onnx", part / "decoder.onnx"
        for make, path in zip(_makers(model), (encoder, decoder), strict=True):
            _write(make(), path, options.weights)
        found = compare(model, encoder, decoder)
        _judge(model, options, found)
        part.joinpath("README.md").write_text(_readme(model, options, found), encoding="utf-8")
    return found


def _makers(model: LoadedModel) -> Sequence[Callable[[], onnx.ModelProto]]:
    """What makes the encoder, then the decoder: each is as large as the network."""
    network = model.network
    if isinstance(network, Pocket):
        return partial(pocket_encoder_graph, network), partial(pocket_decoder_graph, network)
    assert isinstance(network, Sam)
    return partial(sam_encoder_graph, network), partial(sam_decoder_graph, network)


def _write(graph: onnx.ModelProto, path: Path, weights: Weights) -> None:
    store(graph, weights)
    save(graph, path)


def _judge(model: LoadedModel, options: OnnxOptions, found: Agreement) -> None:
    """Refuse graphs that differ too much from PyTorch."""
    is_exact = options.weights == "fp32"
    if found.iou >= LEAST_IOU and (found.error <= LARGEST_ERROR or not is_exact):
        return
    remedy = "Update torch and onnxruntime" if is_exact else "Choose the weights fp32"
    raise SamError(
        f"{model.name} as ONNX with {options.weights} weights differs too much from PyTorch: the "
        f"lowest IoU of a mask is {found.iou:.3f}, not {LEAST_IOU}, the largest error "
        f"{found.error:.1e}. {remedy}."
    )


def _readme(model: LoadedModel, options: OnnxOptions, found: Agreement) -> str:
    """What the graphs take and give, for who runs them."""
    config = model.network.config
    kind = "pocket" if isinstance(model.network, Pocket) else "sam"
    template = resources.files(__package__).joinpath(f"{kind}.md").read_text(encoding="utf-8")
    return template.format(
        name=model.name,
        hash=model.hash,
        weights=options.weights,
        opset=OPSET,
        error=found.error,
        iou=found.iou,
        size=config.input_size,
        side=config.input_size // 16,
        mask=config.mask_size,
        dim=getattr(config, "embedding_dim", 0),
    )
