"""Figures of this computer, and which model is recommended for what reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_sam.bench import GRID, SIDE, Figures, disc_boxes, picture, recommend
from napari_sam.cli import app
from napari_sam.engine import CATALOGUE

ENTRIES = {entry.name: entry for entry in CATALOGUE}


def figures(model: str, encode_seconds: float) -> Figures:
    config = ENTRIES[model].config
    return Figures(model, config, "cpu", "fp32", 2, 0.1, 9.0, encode_seconds, 9.0, 20, 1, 900, 1, 9)


@dataclass(frozen=True)
class Case:
    name: str
    measured: Sequence[tuple[str, float]]
    present: Sequence[str]
    chosen: str
    says: Sequence[str]


CASES = [
    Case("alone", [("pocket", 0.1)], ["pocket"], "pocket", ["pocket (0.1 s)", "within 3 s"]),
    Case(
        "the largest that is quick enough",
        [("pocket", 0.1), ("vit_b_lm", 2.0), ("vit_l_lm", 6.2)],
        ["pocket", "vit_b_lm", "vit_l_lm"],
        "vit_b_lm",
        ["vit_b_lm (2.0 s)", "slower: vit_l_lm (6.2 s)"],
    ),
    Case(
        "estimated from one of its make",
        [("vit_b_lm", 0.5)],
        ["vit_b_lm", "vit_l_lm", "vit_h"],
        "vit_l_lm",
        ["vit_l_lm (about 1.5 s)", "vit_h (about 3.1 s)"],
    ),
    Case(
        "another make cannot be estimated",
        [("pocket", 0.1)],
        ["pocket", "vit_b"],
        "pocket",
        ["Not measured: vit_b; add --model vit_b."],
    ),
    Case(
        "none is quick",
        [("vit_b_lm", 9.0), ("vit_l_lm", 30.0)],
        ["vit_b_lm", "vit_l_lm"],
        "vit_b_lm",
        ["none of the models here is ready within 3 s", "vit_l_lm (30.0 s)"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_is_recommended_and_why(case: Case) -> None:
    measured = [figures(*each) for each in case.measured]
    chosen, reason = recommend(measured, [ENTRIES[name] for name in case.present])
    assert chosen == case.chosen
    for words in case.says:
        assert words in reason


def test_an_own_network_can_be_measured() -> None:
    own = replace(figures("vit_b", 1.0), model="hela", config="vit")
    assert recommend([own], [])[0] == "hela"


def test_every_box_is_around_a_disc() -> None:
    grey = picture()[..., 0]
    assert grey.shape == (SIDE, SIDE)
    boxes = disc_boxes()
    assert len(boxes) == GRID**2
    for y0, x0, y1, x1 in np.array(boxes).astype(int):
        assert grey[(y0 + y1) // 2, (x0 + x1) // 2] > 100
        assert grey[y0 - 3, x0 - 3] < 100


@pytest.mark.slow
def test_bench_of_the_embedded_model() -> None:
    result = CliRunner().invoke(app, ["bench", "--device", "cpu", "--json"])
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    (row,) = answer["models"]
    assert row["model"] == "pocket"
    assert row["device"] == "cpu"
    assert min(row[key] for key in row if key.endswith(("seconds", "second"))) > 0
    assert answer["recommended"] in answer["reason"]
