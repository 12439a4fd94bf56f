"""Objects through time: lifetime, displacement, speed, divisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from napari_sam.engine import FrameError
from napari_sam.engine.runs import reduced

OBJECT = "object_id"


def measure_tracks(
    table: pd.DataFrame, parents: Mapping[int, tuple[int, ...]] | None = None
) -> pd.DataFrame:
    """One row an object: how long it is there, how far and how fast it moves, what it becomes.

    Parameters
    ----------
    table
        Of :func:`measure`: objects of one number over time.
    parents
        The mothers of daughters.

    Returns
    -------
    Lifetimes and speeds are in the units of time and length of the table, else in frames and
    pixels. A speed is the distance between two frames that follow one another, by the time between
    them. Straightness is displacement by path: 1 on a straight line. The generation of an object
    without mothers is 0.

    Raises
    ------
    FrameError
        If the table is not over time.
    """
    t = _time_column(table)
    rows = table.sort_values([OBJECT, t], kind="stable")
    places = _places(rows)
    length = places[-1].rpartition("_")[2]
    timed = next((name for name in rows.columns if name.startswith("time_")), None)
    unit = "frame" if timed is None else timed.removeprefix("time_")
    when = rows[timed or t].to_numpy(float)
    step = _one_frame(rows[t].to_numpy(float), when)
    ids = rows[OBJECT].to_numpy()
    first = np.flatnonzero(np.diff(ids, prepend=-1)) if len(ids) else np.zeros(0, np.intp)
    last = np.append(first[1:], len(ids)) - 1
    at = rows[places].to_numpy(float)
    moved = np.append(np.linalg.norm(np.diff(at, axis=0), axis=1), 0)
    took = np.append(np.diff(when), 1.0)
    moved[last] = 0
    speed = np.where(np.isin(np.arange(len(ids)), last), -np.inf, moved / np.maximum(took, 1e-300))
    path = reduced(np.add, moved, first)
    net = np.linalg.norm(at[last] - at[first], axis=1)
    life = when[last] - when[first]
    with np.errstate(divide="ignore", invalid="ignore"):
        found: dict[str, Any] = {
            OBJECT: ids[first],
            "first_frame": rows[t].to_numpy()[first],
            "last_frame": rows[t].to_numpy()[last],
            "n_frames": last - first + 1,
            f"lifetime_{unit}{'s' if timed is None else ''}": life + step,
            f"displacement_{length}": net,
            f"path_{length}": path,
            f"speed_mean_{length}_per_{unit}": path / np.where(life > 0, life, np.nan),
            f"speed_max_{length}_per_{unit}": _finite(reduced(np.maximum, speed, first)),
            "straightness": net / np.where(path > 0, path, np.nan),
        }
    return pd.DataFrame({**found, **_family(ids[first].tolist(), parents or {})})


def _family(ids: list[int], parents: Mapping[int, tuple[int, ...]]) -> dict[str, Any]:
    """Mothers, number of daughters, and how many divisions came before, of each object."""
    daughters: dict[int, int] = {}
    for mothers in parents.values():
        for mother in mothers:
            daughters[mother] = daughters.get(mother, 0) + 1
    return {
        "parents": [" ".join(map(str, parents.get(each, ()))) for each in ids],
        "daughters": [daughters.get(each, 0) for each in ids],
        "generation": [_generation(each, parents) for each in ids],
    }


def _generation(object_id: int, parents: Mapping[int, tuple[int, ...]]) -> int:
    """How many mothers one above the other it has; each counts once, if they go in a circle."""
    seen = {object_id}
    above = parents.get(object_id, ())
    while fresh := [mother for mother in above if mother not in seen]:
        seen.add(fresh[0])
        above = parents.get(fresh[0], ())
    return len(seen) - 1


def _time_column(table: pd.DataFrame) -> str:
    """The column of frames: t, else the only axis that is no depth."""
    names = [str(name) for name in table.columns]
    if "t" in names:
        return "t"
    others = [name for name in names if name.startswith("axis")]
    if len(others) == 1 and "z" not in names:
        return others[0]
    raise FrameError(
        "These objects are not over time, so there are no tracks to measure. Name the axes of the "
        "labels, such as TYX."
    )


def _places(table: pd.DataFrame) -> list[str]:
    """The columns of centroids in the units of the image."""
    names = [name for name in table.columns if name.startswith("centroid_")]
    in_units = [name for name in names if not name.endswith("_px")]
    return in_units or names


def _one_frame(frames: Any, when: Any) -> float:
    """How long a frame takes."""
    span = np.ptp(frames) if len(frames) else 0
    return float(np.ptp(when) / span) if span else 1.0


def _finite(values: Any) -> Any:
    return np.where(np.isfinite(values), values, np.nan)
