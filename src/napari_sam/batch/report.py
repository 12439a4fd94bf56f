"""The page at the end of a batch, and what it shows as tables.

One file, ``index.html``, that needs nothing beside it; ``images.csv`` has a row an image.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from html import escape
from importlib.metadata import version
from pathlib import Path

import numpy as np
import yaml

from napari_sam.engine import write_table, write_text
from napari_sam.training.evaluation.pages import make_folder, read_template

from .recipe import Recipe
from .results import PREVIEW, Outcome

MOST_FAILURES, MOST_NOTICES, OF_A_KIND = 200, 20, 8
WIDTH, HEIGHT, FOOT, BINS = 260, 110, 18, 24

Value = Callable[[Outcome], float]
CHARTS: tuple[tuple[str, Value], ...] = (
    ("Objects in an image", lambda each: each.n_objects),
    ("Median area of the objects of an image, pixels", lambda each: each.median_area),
    ("Mean score of the objects of an image", lambda each: each.mean_score),
    ("Seconds for an image", lambda each: each.seconds),
)
COLUMNS = ("image", "status", "objects", "median_area_px2", "mean_score", "seconds", "folder")


def write_report(
    folder: Path, recipe: Recipe, outcomes: Sequence[Outcome], *, title: str, seconds: float
) -> Path:
    """Write ``index.html`` and ``images.csv``.

    Parameters
    ----------
    seconds
        That the whole batch took.

    Raises
    ------
    SamError
        If the folder cannot be written.
    """
    page, table = report_files(make_folder(folder))
    write_text(page, report_page(recipe, outcomes, title=title, seconds=seconds))
    write_table(table, (*COLUMNS, "reason"), map(_row, outcomes))
    return page


def report_files(folder: Path) -> tuple[Path, Path]:
    """The page and the table of a report."""
    return folder / "index.html", folder / "images.csv"


def report_page(recipe: Recipe, outcomes: Sequence[Outcome], *, title: str, seconds: float) -> str:
    """The page as HTML."""
    good = [each for each in outcomes if each.status != "failed"]
    failed = [each for each in outcomes if each.status == "failed"]
    record = recipe.model_dump(mode="json", exclude_defaults=True)
    return read_template("report.html", __package__).substitute(
        title=escape(title),
        lead=escape(_lead(good, failed)),
        figures="".join(_figures(outcomes, seconds)),
        failures=_failures(failed),
        charts=_charts(good),
        sheet=_sheet(good),
        notices=_notices(good),
        files=f"<code>{escape(recipe.out)}/IMAGE/KEY</code>",
        recipe=escape(yaml.safe_dump(record, sort_keys=False, allow_unicode=True)),
        circumstances=escape(_circumstances(recipe, seconds)),
    )


def _row(each: Outcome) -> tuple[object, ...]:
    known = (each.n_objects, f"{each.median_area:g}", f"{each.mean_score:g}")
    measured = known if each.status != "failed" else ("", "", "")
    return each.image, each.status, *measured, f"{each.seconds:.3f}", each.folder, each.reason


def _lead(good: Sequence[Outcome], failed: Sequence[Outcome]) -> str:
    n = len(good) + len(failed)
    if not failed:
        return "One image is done." if n == 1 else f"All {n:,} images are done."
    return f"{len(good):,} of {n:,} images are done. {len(failed):,} could not be used: see why."


def _figures(outcomes: Sequence[Outcome], seconds: float) -> Iterator[str]:
    counts = Counter(each.status for each in outcomes)
    yield _figure(f"{counts['done']:,}", "images done now")
    if counts["skipped"]:
        yield _figure(f"{counts['skipped']:,}", "were done before")
    kind = "worse" if counts["failed"] else ""
    yield _figure(f"{counts['failed']:,}", "could not be used", kind)
    yield _figure(f"{sum(each.n_objects for each in outcomes):,}", "objects")
    if counts["done"] and seconds:
        yield _figure(f"{60 * counts['done'] / seconds:,.1f}", "images a minute")


def _figure(value: str, about: str, kind: str = "") -> str:
    return f'<div class="figure"><b class="{kind}">{value}</b><span>{escape(about)}</span></div>'


def _failures(failed: Sequence[Outcome]) -> str:
    """The images that could not be used, and why."""
    if not failed:
        return ""
    rows = "".join(
        f"<tr><th>{escape(Path(each.image).name)}</th><td>{escape(each.reason)}</td></tr>"
        for each in failed[:MOST_FAILURES]
    )
    more = len(failed) - MOST_FAILURES
    rest = f'<p class="soft">{more:,} more are in images.csv.</p>' if more > 0 else ""
    return (
        '<h2>What could not be used</h2><div class="card scroll"><table class="failures">'
        f"<tbody>{rows}</tbody></table></div>{rest}"
    )


def _charts(good: Sequence[Outcome]) -> str:
    """How the images differ; what is the same for all is left out."""
    if len(good) < 2:
        return ""
    drawn = "".join(
        f'<div class="card"><h3>{escape(name)}</h3>{_histogram(list(map(value, good)))}</div>'
        for name, value in CHARTS
    )
    return (
        "<h2>How the images differ</h2>"
        '<p class="soft">The height of a bar is the number of images. An image far away from all '
        f'others deserves a look.</p><div class="charts">{drawn}</div>'
    )


def _histogram(values: Sequence[float]) -> str:
    """The numbers of values between the lowest and the highest, as SVG."""
    low, high = min(values), max(values)
    counts, _ = np.histogram(values, BINS, (low, high if high > low else low + 1))
    width, full = WIDTH / BINS, HEIGHT - FOOT - 4
    bars = "".join(
        f'<rect x="{n * width + 0.5:.1f}" y="{HEIGHT - FOOT - full * count / counts.max():.1f}" '
        f'width="{width - 1:.1f}" height="{full * count / counts.max():.1f}">'
        f"<title>{count} images</title></rect>"
        for n, count in enumerate(counts.tolist())
        if count
    )
    middle = f"median {float(np.median(values)):.4g}"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}">{bars}'
        f'<path class="axis" d="M0 {HEIGHT - FOOT}h{WIDTH}"/>'
        f'<text x="0" y="{HEIGHT - 4}">{low:.4g}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 4}" text-anchor="middle">{middle}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 4}" text-anchor="end">{high:.4g}</text></svg>'
    )


def _sheet(good: Sequence[Outcome]) -> str:
    """Images with the fewest, with a median and with the most objects."""
    figures = [_shown(kind, each) for kind, each in _chosen(good)]
    if not any(figures):
        return ""
    return (
        "<h2>Contact sheet</h2>"
        '<p class="soft">The images with the fewest, a median number of, and the most objects.</p>'
        f'<div class="sheet">{"".join(figures)}</div>'
    )


def _chosen(good: Sequence[Outcome]) -> Iterator[tuple[str, Outcome]]:
    ranked = sorted(good, key=lambda each: (each.n_objects, each.image))
    if len(ranked) <= OF_A_KIND:
        yield from (("", each) for each in ranked)
        return
    n = min(OF_A_KIND, len(ranked) // 3)
    first = (len(ranked) - n) // 2
    yield from (("fewest", each) for each in ranked[:n])
    yield from (("median", each) for each in ranked[first : first + n])
    yield from (("most", each) for each in ranked[-n:])


def _shown(kind: str, each: Outcome) -> str:
    try:
        picture = base64.b64encode((Path(each.folder) / PREVIEW).read_bytes()).decode()
    except OSError:
        return ""
    tag = f'<b class="{kind}">{kind}</b>' if kind else ""
    objects = f"{each.n_objects:,} object{'' if each.n_objects == 1 else 's'}"
    return (
        f'<figure><img alt="" src="data:image/png;base64,{picture}"><figcaption>{tag}'
        f"{escape(Path(each.image).name)} · {objects}</figcaption></figure>"
    )


def _notices(good: Sequence[Outcome]) -> str:
    """What was said about images, each sentence once."""
    said = Counter(notice for each in good for notice in each.notices)
    if not said:
        return ""
    rows = "".join(
        f"<li>{escape(notice)} <span class=soft>({count:,} ×)</span></li>"
        for notice, count in said.most_common(MOST_NOTICES)
    )
    return f"<h2>What was noticed</h2><ul>{rows}</ul>"


def _circumstances(recipe: Recipe, seconds: float) -> str:
    return (
        f"{date.today().isoformat()}. napari-sam {version('napari-sam-annotator')}, "
        f"model {recipe.model.model}. It took {seconds:.0f} s."
    )
