"""Packs annotated images to travel: the frames that a training reads, in 8 bit, compressed.

``python -m napari_sam.training.pocket.pack DATA FOLDER``. The folder holds the same sources, and
``napari-sam train`` takes it as it takes DATA. To train elsewhere in pieces, stop a run with Ctrl+C
or SIGTERM, copy its ``.checkpoint`` along, and continue with ``--resume``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tifffile
import typer

from napari_sam.training.data import FRAMES_PER_STACK, AnnotatedFrame, Item, frames_of
from napari_sam.training.folder import find_items

MAX_SIDE = 1024  # the network sees no more of a frame than this; a larger one is cut

app = typer.Typer(add_completion=False, help=__doc__)


@app.command()
def main(
    data: Path,
    folder: Annotated[Path, typer.Argument(help="Made; must not exist yet.")],
    frames: Annotated[int, typer.Option(help="Of each stack, at most.")] = FRAMES_PER_STACK,
) -> None:
    """Pack DATA into FOLDER."""
    n_bytes = pack(find_items(data), folder, frames)
    typer.echo(f"{folder} holds {n_bytes / 1e6:.1f} MB.")


def pack(items: Iterable[Item], folder: Path, n_frames: int = FRAMES_PER_STACK) -> int:
    """Write the frames of items, and an index of them; how many bytes they are."""
    folder.mkdir(parents=True)
    entries = [
        _written(frame, folder, f"{nth:04d}-{part}")
        for nth, item in enumerate(items)
        for frame in frames_of(item, n_frames)
        for part, frame in enumerate(_parts(frame))
    ]
    (folder / "index.json").write_text(json.dumps(entries, indent=1), "utf-8")
    return sum(path.stat().st_size for path in folder.iterdir())


def _parts(frame: AnnotatedFrame) -> Iterator[AnnotatedFrame]:
    """The frame; of a large one the parts that hold objects."""
    height, width = frame.labels.shape
    for y in range(0, height, MAX_SIDE):
        for x in range(0, width, MAX_SIDE):
            part = (slice(y, y + MAX_SIDE), slice(x, x + MAX_SIDE))
            if frame.labels[part].any():
                yield replace(frame, image=frame.image[part], labels=frame.labels[part])


def _written(frame: AnnotatedFrame, folder: Path, name: str) -> dict[str, Any]:
    """Write one frame; its entry of the index."""
    position = "-".join(map(str, frame.name.position))
    image, labels = (f"{name}-{position}.{kind}.tif" for kind in ("image", "labels"))
    grey = bool((frame.image == frame.image[..., :1]).all())
    _, ids = np.unique(frame.labels, return_inverse=True)
    first = 0 if (frame.labels == 0).any() else 1
    numbered = (ids.reshape(frame.labels.shape) + first).astype(np.uint16)
    pixels = frame.image[..., 0] if grey else frame.image
    photometric = "minisblack" if grey else "rgb"
    compressed: dict[str, Any] = {"compression": "zlib", "predictor": True}
    tifffile.imwrite(folder / image, pixels, photometric=photometric, **compressed)
    tifffile.imwrite(folder / labels, numbered, photometric="minisblack", **compressed)
    return {
        "id": f"{frame.name}, {name}",
        "source": frame.source,
        "image": image,
        "labels": labels,
        "axes": "YX" if grey else "YXC",
        "modality": frame.modality,
        "all_objects_annotated": frame.complete,
    }


if __name__ == "__main__":
    app()
