"""`napari-sam session …`: what was annotated, without the image and without a window."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import LEFT_OUT, Json, LabelsOut, check_outputs
from .printing import print_table, tell

if TYPE_CHECKING:
    from napari_sam.session import Annotation, SessionFile

COLUMNS = (
    *("object", "frames", "own", "propagated", "automatic", "prompts", "lowest score", "parents"),
    *("class", "probability", "review", "ended"),
)

app = typer.Typer(
    help="Show saved sessions, and export their labels, tracks and scores.", no_args_is_help=True
)

File = Annotated[
    Path,
    typer.Argument(
        metavar="SESSION", help="The folder IMAGE.napari-sam that the window saves beside an image."
    ),
]


@app.command("show")
def show(file: File, as_json: Json = False) -> None:
    """Show a session's image, models and objects.

    For each object: in how many frames it is; how many of these masks are your own, how many were
    propagated from another frame, and how many were found automatically; its prompts; the lowest
    score; mothers; its class, with the probability where it was proposed; its review state; why it
    ended.

    Exit code 3 if parts of the session are missing or damaged: they are told, the rest is shown.
    """
    from napari_sam.session import SessionFile

    session = SessionFile(file)
    rows = list(_objects(session))
    about = {key: value for key, value in session.manifest.items() if key != "frames"}
    if as_json:
        typer.echo(json.dumps({**about, "objects": rows}, indent=2))
    else:
        _print(session, about, rows)
    _tell_problems(session)


def _print(session: SessionFile, about: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    image, models = about["image"], about["models"]
    shape = " × ".join(map(str, image["shape"]))
    typer.echo(f"image   {image['path'] or '(not said)'}, {shape}, {image['dtype']}")
    typer.echo(f"saved   {about['saved']} by {about['program']}")
    if waiting := session.requests():
        typer.echo(f"waiting {len(waiting)} to be decoded when the session is opened")
    for name, model in models.items():
        typer.echo(f"model   {name}, {model['precision']}, {model['hash']}")
    print_table(
        COLUMNS,
        [
            (
                str(row["object_id"]),
                str(row["frames"]),
                str(row["own"]),
                str(row["propagated"]),
                str(row["automatic"]),
                str(row["prompts"]),
                "" if row["lowest_score"] is None else f"{row['lowest_score']:.2f}",
                " ".join(map(str, row["parents"])),
                row["class"],
                "" if row["class_probability"] is None else f"{row['class_probability']:.2f}",
                row["review"],
                " ".join(row["ended"]),
            )
            for row in rows
        ],
    )


@app.command("export")
def export(
    file: File,
    labels: LabelsOut,
    tracks: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="The tracks: a row for each object and frame."),
    ] = None,
    scores: Annotated[
        Path | None,
        typer.Option(metavar="FILE.csv", help="A table of the origin and the scores of each mask."),
    ] = None,
) -> None:
    """Write a session's labels, tracks and scores as files.

    Exit code 3 if parts of the session are missing or damaged: they are told, the rest is written.
    """
    from napari_sam.engine import write_labels
    from napari_sam.headless import write_annotation_scores
    from napari_sam.session import SessionFile
    from napari_sam.stacks import find_tracks

    session = SessionFile(file)
    check_outputs((session.folder, *_images(session)), labels, tracks, scores)
    pixels = session.fill(session.new_labels())
    found = None if tracks is None else find_tracks(pixels, session.parents)
    write_labels(labels, pixels)
    typer.echo(f"labels written to {labels}")
    if tracks and found:
        found.write_csv(tracks)
        typer.echo(f"{found.n_tracks} tracks written to {tracks}")
    if scores:
        write_annotation_scores(scores, session.annotations(), session.classes, session.reviews)
        typer.echo(f"scores written to {scores}")
    for _ in session.annotations():  # what is missing shows when it is read
        pass
    _tell_problems(session)


def _tell_problems(session: SessionFile) -> None:
    """Print which parts of a session could not be read, and exit with code 3 if any."""
    for problem in session.problems:
        tell(problem)
    if session.problems:
        raise typer.Exit(LEFT_OUT)


def _images(session: SessionFile) -> tuple[Path, ...]:
    """Where a session's image may be: where it was, and beside the session."""
    recorded = session.manifest["image"]["path"]
    if recorded is None:
        return ()
    return Path(recorded), session.folder.with_name(Path(recorded).name)


def _objects(session: SessionFile) -> Iterator[dict[str, Any]]:
    """One row an object that is in the labels or was annotated."""
    frames: dict[int, set[Any]] = {}
    annotations: dict[int, list[Annotation]] = {}
    for frame, _, pixels in session.labels():
        for object_id in _ids(pixels):
            frames.setdefault(object_id, set()).add(frame)
    for object_id, _, annotation in session.annotations():
        annotations.setdefault(object_id, []).append(annotation)
    for object_id in sorted(frames.keys() | annotations.keys()):
        current = annotations.get(object_id, [])
        scores = [a.listed_score for a in current if a.footprint.landed]
        given = session.classes.of(object_id)
        yield {
            "object_id": object_id,
            "frames": len(frames.get(object_id, ())),
            "own": sum(a.is_anchor for a in current),
            "propagated": sum(a.source is not None and not a.stopped for a in current),
            "automatic": sum(bool(a.found_by) for a in current),
            "prompts": sum(len(a.drawings) for a in current),
            "lowest_score": min((each for each in scores if each is not None), default=None),
            "parents": session.parents.get(object_id, ()),
            "class": "" if given is None else given.name,
            "class_probability": None if given is None else given.probability,
            "review": "" if object_id not in session.reviews else session.reviews[object_id].text,
            "warnings": [a.warning for a in current if a.warning],
            "ended": [a.stopped for a in current if a.stopped],
        }


def _ids(pixels: Any) -> list[int]:
    import numpy as np

    return [int(value) for value in np.unique(pixels) if value]
