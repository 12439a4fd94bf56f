"""Weights of a graph stored in fewer bits; the graph computes in single precision all the same."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .options import Weights

if TYPE_CHECKING:
    import onnx

FEWEST = 1024  # numbers of a weight that is worth storing otherwise
HIGHEST_HALF = float(np.finfo(np.float16).max)
LARGEST_FILE = 2_000_000_000  # bytes; a graph of more than 2 GiB keeps its weights in a second file
OUT_CHANNELS = {"Conv": 0, "ConvTranspose": 1, "MatMul": 1, "Gemm": 1}  # axis of a weight


def store(graph: onnx.ModelProto, weights: Weights) -> None:
    """Change how a graph stores its large weights.

    Parameters
    ----------
    graph
        With single-precision weights; it is changed.
    weights
        ``"fp16"``: half precision. ``"int8"``: what convolutions and products of matrices weigh
        with, in 256 steps for each output channel; half precision for the rest.
    """
    if weights == "fp32":
        return
    from onnx import numpy_helper

    axes = dict(_channel_axes(graph)) if weights == "int8" else {}
    kept: list[onnx.TensorProto] = []
    changed: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < FEWEST:
            kept.append(tensor)
        elif tensor.name in axes:
            nodes.append(_as_steps(tensor.name, values, axes[tensor.name], changed))
        elif np.abs(values).max() <= HIGHEST_HALF:
            nodes.append(_as_halves(tensor.name, values, changed))
        else:
            kept.append(tensor)
    nodes += list(graph.graph.node)
    del graph.graph.initializer[:], graph.graph.node[:]
    graph.graph.initializer.extend([*kept, *changed])
    graph.graph.node.extend(nodes)


def save(graph: onnx.ModelProto, path: Path, largest: int = LARGEST_FILE) -> None:
    """Write a graph; more than ``largest`` bytes of weights into a second file, `data_of` it."""
    import onnx

    n_bytes = sum(len(tensor.raw_data) for tensor in graph.graph.initializer)
    if n_bytes <= largest:
        onnx.save_model(graph, path)
    else:
        onnx.save_model(graph, path, save_as_external_data=True, location=data_of(path).name)
        shutil.copymode(path, data_of(path))  # else nobody but its owner could read it


def data_of(path: Path) -> Path:
    """The second file of a huge graph, with its weights."""
    return path.with_name(f"{path.name}.data")


def _channel_axes(graph: onnx.ModelProto) -> Iterator[tuple[str, int]]:
    """Weights of convolutions and products of matrices, and the axis of their output channels."""
    for node in graph.graph.node:
        if node.op_type in OUT_CHANNELS:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            yield node.input[1], 0 if transposed else OUT_CHANNELS[node.op_type]


def _as_halves(
    name: str, values: NDArray[np.float32], stored: list[onnx.TensorProto]
) -> onnx.NodeProto:
    from onnx import TensorProto, helper, numpy_helper

    stored.append(numpy_helper.from_array(values.astype(np.float16), f"{name}/fp16"))
    return helper.make_node("Cast", [f"{name}/fp16"], [name], to=TensorProto.FLOAT)


def _as_steps(
    name: str, values: NDArray[np.float32], axis: int, stored: list[onnx.TensorProto]
) -> onnx.NodeProto:
    from onnx import helper, numpy_helper

    others = tuple(n for n in range(values.ndim) if n != axis)
    scale = np.abs(values).max(axis=others, keepdims=True) / 127
    scale[scale == 0] = 1
    steps = np.rint(values / scale).astype(np.int8)
    stored.append(numpy_helper.from_array(steps, f"{name}/int8"))
    stored.append(numpy_helper.from_array(scale.ravel(), f"{name}/scale"))
    return helper.make_node(
        "DequantizeLinear", [f"{name}/int8", f"{name}/scale"], [name], axis=axis
    )
