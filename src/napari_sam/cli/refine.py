"""`napari-sam refine`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.engine import ImageChoice, ModelChoice
from napari_sam.stacks import RefineRules

from .embed import open_store
from .options import (
    Frames,
    Json,
    LabelsOut,
    check_outputs,
    open_predictor,
    read_stack,
    takes_options,
    weights_file,
)
from .printing import progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.stacks import Refined

OtherLabels = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="Labels of another tool, of the image's size: TIFF, Zarr, _seg.npy."
    ),
]
Review = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.csv",
        help="Also write a table of all objects: those that were kept as they were come first, "
        "with the reason.",
    ),
]


@takes_options
def refine(
    image: Annotated[
        Path, typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr, or a folder.")
    ],
    *,
    labels: OtherLabels,
    out: LabelsOut,
    rules: RefineRules,
    frames: Frames = "all",
    review: Review = None,
    reading: ImageChoice,
    choice: ModelChoice,
    as_json: Json = False,
) -> None:
    """Refine the objects of another tool's labels, and write them as labels.

    Each object prompts the model by its mask. It is replaced only where the answer agrees with it
    and the model is sure; all others stay as they were, and are counted. Numbers are kept.
    """
    from napari_sam.engine import EmbeddingCache, read_labels, write_labels
    from napari_sam.headless import (
        as_small_as_fits,
        blank_notices,
        choose_frames,
        parse_frames,
        session_to_refine,
    )
    from napari_sam.headless import refining as headless

    check_outputs((image, labels, weights_file(choice.model)), out, review)
    stack, axes = read_stack(image, reading)
    wanted = list(choose_frames(stack, parse_frames(frames)))
    session = session_to_refine(stack, read_labels(labels)[0], wanted)
    predictor = open_predictor(choice)
    for notice in blank_notices(stack, wanted):
        tell(notice)
    cache = EmbeddingCache(store=open_store())
    with progress_bar("refining", "object") as progress:
        steps = headless.refine(session, predictor, rules, wanted, cache=cache, progress=progress)
        results = list(steps)
    write_labels(out, as_small_as_fits(session.labels), axes)
    if review is not None:
        headless.write_refined(review, results)
    report(results, out, as_json=as_json)


def report(results: Sequence[Refined], out: Path, *, as_json: bool) -> None:
    """How many were replaced, and why the others were not."""
    kept = Counter(each.reason for each in results if each.kept)
    n_refined = len(results) - kept.total()
    if as_json:
        counts = {"labels": str(out), "objects": len(results), "refined": n_refined}
        typer.echo(json.dumps(counts | {"kept": dict(kept.most_common())}, indent=2))
        return
    typer.echo(f"{n_refined} of {len(results)} objects refined")
    for reason, n in kept.most_common():
        typer.echo(f"{n} kept: {reason}")
    typer.echo(f"written to {out}")
