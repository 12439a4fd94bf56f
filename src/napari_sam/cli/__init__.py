"""The command line, `napari-sam …`. What is heavy is imported inside the commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .alike import alike
from .automatic import auto
from .batch import batch
from .bench import bench
from .classify import classify
from .detectors import app as detectors
from .embed import embed, show_cache
from .evaluate import evaluate
from .export import export, import_
from .features import features
from .measure import measure
from .models import app as models
from .page import page
from .printing import one_line, quiet_libraries, tell
from .refine import refine
from .segment import demo, segment
from .session import app as sessions
from .stacks import propagate, track
from .train import train

app = typer.Typer(
    help="Click a cell, get its mask: Segment Anything without a screen.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
at_work = (segment, refine, auto, alike, propagate, track, classify, measure, export, page, embed)
for command in (*at_work, features, batch, demo, evaluate, bench, train):
    app.command()(command)
app.command("import")(import_)
app.command("cache")(show_cache)
app.add_typer(models, name="models")
app.add_typer(detectors, name="detectors")
app.add_typer(sessions, name="session")


def main() -> None:
    """Run the command. Errors that the user can fix are one line on stderr; exit code 1."""
    from napari_sam.engine import SamError

    quiet_libraries()
    try:
        app()
    except (SamError, OSError) as error:
        tell(one_line(error))
        sys.exit(1)


@app.callback(invoke_without_command=True)
def start(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Click a cell, get its mask: Segment Anything without a screen."""
    from napari_sam.installation import DISTRIBUTION, rival_distribution, rival_warning

    if version:
        from importlib.metadata import version as version_of

        typer.echo(version_of(DISTRIBUTION))
        raise typer.Exit
    if rival := rival_distribution():
        tell(rival_warning(rival))
