"""Output of the commands: tables on stdout, progress and messages on stderr."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer


def print_table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print a table with columns as wide as their content; empty columns are left out."""
    columns = [c for c in zip(header, *rows, strict=True) if not rows or any(c[1:])]
    widths = [max(map(len, column)) for column in columns]
    for row in zip(*columns, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())


@contextmanager
def progress_bar(title: str, unit: str = "it") -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, where that is a terminal; yields its `progress(done, total)`."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, unit_scale=unit == "B", leave=False, disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def tell(sentence: str) -> None:
    """Say something to the person, beside the results."""
    typer.echo(f"napari-sam: {sentence}", err=True)


def tell_assumed(what: str, option: str) -> None:
    """That nobody said whether frames are time or depth, and how to say it."""
    tell(
        f"The file does not say whether {what} time or depth. Time is assumed, in which objects "
        f"move. For a volume, give {option}."
    )


def one_line(error: Exception) -> str:
    """An error as one line: what it is about, and what is wrong."""
    if isinstance(error, OSError) and error.strerror:
        about = f"{error.filename}: " if error.filename else ""
        return f"{about}{error.strerror}"
    return " ".join(str(error).split())


def quiet_libraries() -> None:
    """Silence logs and warnings of libraries; the program's own warnings are printed.

    Warnings that Python was started with, as by ``-W``, are not changed.
    """
    root, own = logging.getLogger(), logging.getLogger("napari_sam")
    if not any(isinstance(handler, logging.NullHandler) for handler in root.handlers):
        root.addHandler(logging.NullHandler())
        own.addHandler(_Told(logging.WARNING))
    if not sys.warnoptions:
        for library in ("tifffile", "zarr", "numcodecs", "PIL", "numpy"):
            warnings.filterwarnings("ignore", module=library)


class _Told(logging.Handler):
    """Prints the program's own log records as lines for the user."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(" ".join(record.getMessage().split()))
