"""The embedded network's graphs and their description: what `make web` puts into the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from napari_sam.engine import load_model
from napari_sam.graphs import pocket_decoder_graph, pocket_encoder_graph, store
from napari_sam.model import Pocket


def write_graphs(folder: Path) -> None:
    """Write encoder.onnx, decoder.onnx and network.json of the embedded network into a folder."""
    model = load_model("pocket", device="cpu")
    network = model.network
    if not isinstance(network, Pocket):
        raise TypeError(f"pocket is a {type(network).__name__}")
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {
        "encoder.onnx": pocket_encoder_graph(network),
        "decoder.onnx": pocket_decoder_graph(network),
    }
    for name, graph in graphs.items():
        store(graph, "fp16")  # as the weights are kept: nothing is lost
        folder.joinpath(name).write_bytes(graph.SerializeToString())
    config = network.config
    described = {
        "name": model.name,
        "hash": model.hash,
        "precision": model.precision,
        "input_size": config.input_size,
        "mask_size": config.mask_size,
        "levels": config.levels,
        "window": config.window,
        "sure": config.sure,
        "fit": config.fit,
        "stride": config.stride,
    }
    folder.joinpath("network.json").write_text(json.dumps(described))


if __name__ == "__main__":
    write_graphs(Path(sys.argv[1]))
