"""A module of PyTorch → an ONNX graph, by torch.export."""

from __future__ import annotations

import importlib
import logging
import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_sam.engine import SamError

if TYPE_CHECKING:
    import onnx

OPSET = 18
PACKAGES = ("onnx", "onnxscript", "onnxruntime")

Dimensions = dict[int, Any]  # which axes of an input may have any length: their `torch.export.Dim`


def check_packages() -> None:
    """Notice before the work that what writes and runs ONNX is missing.

    Raises
    ------
    SamError
        If one of the packages is not installed.
    """
    for package in PACKAGES:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise SamError(
                f"ONNX files need the package {package}. Install it with "
                "pip install 'napari-sam-annotator[onnx]'."
            ) from error


def traced(
    module: nn.Module,
    example: tuple[Tensor, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    dimensions: tuple[Dimensions, ...],
) -> onnx.ModelProto:
    """The graph of a module, with single-precision weights in it.

    Parameters
    ----------
    module
        Called as ``module(*example)``; returns one tensor, or a tuple.
    example
        Inputs of any lengths that are allowed.
    inputs, outputs
        Names in the graph.
    dimensions
        For each input the axes whose length may differ from the example's.
    """
    from onnxscript import opset18

    def gelu(x: Any, approximate: str = "none") -> Any:
        """The error function's GELU in the order in which onnxruntime makes one step of it."""
        return opset18.Mul(
            opset18.Mul(x, 0.5), opset18.Add(opset18.Erf(opset18.Div(x, math.sqrt(2))), 1.0)
        )

    library = logging.getLogger("torch.onnx")
    before = library.level
    library.setLevel(logging.ERROR)  # it says which of its parts are not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module.eval(),
                example,
                dynamo=True,
                input_names=inputs,
                output_names=outputs,
                dynamic_shapes=dimensions,
                opset_version=OPSET,
                external_data=False,
                optimize=False,
                verbose=False,
                custom_translation_table={torch.ops.aten.gelu.default: gelu},
            )
    finally:
        library.setLevel(before)
    if program is None:
        raise SamError("PyTorch made no ONNX graph. Update it to 2.9 or newer.")
    _simplify(program.model)
    return program.model_proto


def _simplify(graph: Any) -> None:
    """Compute what is constant, and leave out what is then not needed or there twice.

    PyTorch's own simplification looks for patterns as well, in a time that grows with the square of
    the number of steps: for ViT-H, minutes. onnxruntime finds the same when it loads a graph.
    """
    from onnxscript import ir, optimizer

    common = ir.passes.common
    common.InlinePass()(graph)
    optimizer.fold_constants(graph)
    for clean in (
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
    ):
        clean(graph)
