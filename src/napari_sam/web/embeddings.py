"""A Segment Anything network in the page: the embeddings of some frames, and its decoder."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from napari_sam.engine import (
    FrameIndex,
    FrameStack,
    SamError,
    open_image,
)
from napari_sam.engine.crop import LONG_SIDE, Crop, is_large
from napari_sam.session import SessionFile
from napari_sam.session.saving.records import read_frame_name

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Predictor
    from napari_sam.model import Sam

EMBEDDED = "pocket"  # the network that every page has
MOST_EMBEDDINGS = 100  # 280 MB of a page's text: a browser holds it several times


class Place(NamedTuple):
    """What a network has looked at: a frame, or a crop of one that is larger than its input."""

    frame: FrameIndex
    crop: Crop | None


def model_of(session: SessionFile) -> str | None:
    """The last of a session's networks that is not the embedded one."""
    others = [name for name in session.manifest["models"] if name != EMBEDDED]
    return others[-1] if others else None


def annotated_stack(image: str | Path, session: SessionFile | None) -> FrameStack:
    """An image as the network saw it in its session: the same channels and limits.

    Raises
    ------
    SamError
        If the image cannot be read, or is not the session's.
    """
    opened = open_image(image)
    stack = FrameStack.from_array(opened.data, axes=opened.axes)
    if session is None:
        return stack
    if not session.is_of(stack.shape):
        raise SamError(
            f"The session {session.folder.name} belongs to an image of shape {session.shape}, "
            f"{Path(image).name} has {stack.shape}. Give the image it was made with."
        )
    saw = session.manifest["preprocessing"]
    return FrameStack.from_array(
        opened.data,
        axes=opened.axes,
        channel=None if stack.rgb or stack.colour_axis is None else saw["channels"],
        limits=saw["limits"],
        mean=saw.get("mean", False),
    )


def annotated_frames(session: SessionFile) -> list[FrameIndex]:
    """The frames in which a session has anything."""
    return [read_frame_name(name) for name in session.manifest["frames"]]


def annotated_places(
    stack: FrameStack, frames: Sequence[FrameIndex], session: SessionFile | None, model: str
) -> list[Place]:
    """Frames; of large ones, the crops in which a model found the objects of a session.

    Raises
    ------
    SamError
        If there is no such crop, or more than a page takes.
    """
    places = [Place(frame, None) for frame in frames]
    if is_large(stack.frame_shape):
        found = session.annotations() if session else ()
        wanted = set(frames)
        places = [
            Place(frame, annotation.crop)
            for _, frame, annotation in found
            if annotation.crop and annotation.model == model and frame in wanted
        ]
        places = list(dict.fromkeys(places))
        if not places:
            height, width = stack.frame_shape
            raise SamError(
                f"Frames of {height} × {width} pixels are larger than the {LONG_SIDE} that {model} "
                "sees at once, and a page takes the parts in which it found the objects of a "
                f"session: here are none. Segment a few objects by {model} and give the session, "
                f"or crop the image, or give --model {EMBEDDED}: it looks at any part in the page."
            )
    if len(places) > MOST_EMBEDDINGS:
        raise SamError(
            f"{len(places)} embeddings are too much for a page, which takes {MOST_EMBEDDINGS}. "
            "Choose --frames, such as 0-20."
        )
    return places


def encoded_parts(
    predictor: Predictor, stack: FrameStack, places: Sequence[Place], cache: EmbeddingCache
) -> Iterator[tuple[str, bytes]]:
    """The parts of a page by which a Segment Anything network answers in some places of its image.

    Embeddings are taken from the cache, or made now; they are written in half precision, in which
    masks stay the same but for single pixels. At the end the network is on the CPU.

    Raises
    ------
    SamError
        Before the first part, if it is another network.
    """
    import torch

    from napari_sam.graphs import check_packages, sam_low_res_graph, store

    check_packages()
    network = _checked(predictor)
    numbers = {index: n for n, index in enumerate(stack.indices())}
    shape: tuple[int, ...] = ()
    for n, (frame, crop) in enumerate(places):
        features = cache.embed(predictor, stack, frame, crop=crop).embedding.features
        shape = tuple(features.shape)
        yield f"embedding-{n}", features.cpu().numpy().astype("<f2").tobytes()
    graph = sam_low_res_graph(network.cpu(), torch.float16)
    store(graph, "fp16")
    yield "sam-decoder.onnx.gz", gzip.compress(graph.SerializeToString(), mtime=0)
    model = predictor.model
    described = {
        "name": model.name,
        "hash": model.hash,
        "precision": model.precision,
        "input_size": network.config.input_size,
        "mask_size": network.config.mask_size,
        "embedding": shape,
        "embeddings": [(numbers[frame], crop) for frame, crop in places],
    }
    yield "sam.json", json.dumps(described).encode()


def _checked(predictor: Predictor) -> Sam:
    """The network, if it can travel."""
    from napari_sam.model import Sam

    name, network = predictor.model.name, predictor.model.network
    if not isinstance(network, Sam):
        raise SamError(
            f"{name} is not a Segment Anything network: a page cannot take its embeddings. "
            f"Choose another model, or --model {EMBEDDED}, which every page has."
        )
    return network
