"""`napari-sam classify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_sam.engine import ImageChoice, ModelChoice

from .embed import open_store
from .options import check_outputs, open_predictor, read_stack, takes_options, weights_file
from .printing import print_table, progress_bar, tell

COLUMNS = ("object_id", "class", "class_probability")


@takes_options
def classify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="SESSION",
            help="The folder IMAGE.napari-sam that the window saves beside an image. The classes "
            "given there are the examples.",
        ),
    ],
    *,
    out: Annotated[
        Path, typer.Option(metavar="FILE.csv", help="The table: object, class, probability.")
    ],
    image: Annotated[
        Path | None,
        typer.Option(
            metavar="IMAGE", help="The image, if it is neither beside the session nor as recorded."
        ),
    ] = None,
    reading: ImageChoice,
    choice: ModelChoice,
) -> None:
    """Propose a class for each object of a session, from the objects that you gave one.

    The probability is empty where you gave the class. The session stays as it is.
    """
    from napari_sam.engine import EmbeddingCache, SamError, write_table
    from napari_sam.headless.labelled import image_of
    from napari_sam.session import load
    from napari_sam.session.classes import take_proposals
    from napari_sam.stacks import propose_in

    source = image or image_of(file)
    if source is None:
        raise SamError(f"The image of {file} is not there. Say where it is with --image.")
    check_outputs((file, source, weights_file(choice.model)), None, out)
    stack, _ = read_stack(source, reading)
    session = load(file, stack)
    for notice in session.notices:
        tell(notice)
    predictor = open_predictor(choice)
    with progress_bar("classifying", "%") as progress:
        cache = EmbeddingCache(store=open_store())
        proposed = propose_in(session, predictor, cache, progress)
    take_proposals(session, proposed)
    rows = [(object_id, session.classes.given[object_id]) for object_id in sorted(proposed)]
    cells = [
        (i, each.name, "" if each.probability is None else f"{each.probability:.4f}")
        for i, each in rows
    ]
    write_table(out, COLUMNS, cells)
    counts = session.classes.counts()
    print_table(
        ("class", "given", "proposed"),
        [(name, str(own), str(others)) for name, (own, others) in counts.items()],
    )
    typer.echo(f"{len(rows)} objects written to {out}")
