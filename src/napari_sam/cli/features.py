"""`napari-sam features`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_sam.engine import ImageChoice, ModelChoice

from .embed import open_store
from .measure import LabelsIn, open_both, tell_problems
from .options import check_outputs, open_predictor, takes_options
from .printing import progress_bar


@takes_options
def features(
    image: Annotated[
        Path,
        typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr; or a session."),
    ],
    *,
    labels: LabelsIn = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Written as .npz or .parquet.")],
    reading: ImageChoice,
    choice: ModelChoice,
) -> None:
    """Write what the network sees of each object, for classifiers and clustering of your own.

    A vector for each object and frame: the embedding, averaged over the object's mask.
    """
    from napari_sam.engine import EmbeddingCache, FrameError
    from napari_sam.headless.features import check_features_path, object_features, write_features

    check_features_path(out)
    objects, stack, inputs = open_both(image, labels, reading)
    check_outputs(inputs, None, out)
    if stack is None:
        raise FrameError(f"The image of {image} is needed. Put it where it was, or give it itself.")
    predictor = open_predictor(choice)
    with progress_bar("looking at objects", "frame") as progress:
        cache = EmbeddingCache(store=open_store())
        found = object_features(objects, stack, predictor, cache=cache, progress=progress)
    write_features(out, found)
    n, size = found.vectors.shape
    typer.echo(f"{n} object{'' if n == 1 else 's'}, {size} numbers each, in {out}")
    tell_problems(objects)
