"""Automatic segmentation judged: figures counted by hand, and the page that shows them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.engine import AutomaticOptions, FrameError, GridRules
from napari_sam.training import (
    AutomaticEvaluation,
    as_json,
    empty_items,
    evaluate_automatic,
    find_items,
    write_found_report,
)
from napari_sam.training.evaluation.automatic import PackedLabels, otsu_objects
from napari_sam.training.evaluation.found_report import choose_frames
from painter import SIZE, Painter, painting

GRID = AutomaticOptions(
    method="grid",
    grid=GridRules(points_per_side=4, points_per_batch=1),
    min_score=0,
    min_stability=0,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A square of 7 px around the second point of a grid of 4 x 4, in two sources."""
    entries = []
    at = round(SIZE * 3 / 8)
    for name, complete in (("all", True), ("some", False)):
        labels = np.zeros((SIZE, SIZE), np.uint16)
        labels[at - 3 : at + 4, at - 3 : at + 4] = 9
        tifffile.imwrite(tmp_path / f"{name}.tif", (labels * 20 + 10).astype(np.uint8))
        tifffile.imwrite(tmp_path / f"{name}.labels.tif", labels)
        files = {"image": f"{name}.tif", "labels": f"{name}.labels.tif", "axes": "YX"}
        about = {"id": name, "source": f"<{name}>", "all_objects_annotated": complete}
        entries.append({**about, **files})
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def judged(folder: Path, complete: bool = False) -> AutomaticEvaluation:
    return evaluate_automatic(
        painting(Painter(1)), find_items(folder), GRID, name="painter", complete=complete
    )


def test_figures_counted_by_hand(folder: Path) -> None:
    """A square is painted at each of 16 points: one is right. The classical tool finds just it."""
    figures = json.loads(json.dumps(as_json([judged(folder)])))
    all_labelled, some = figures["per_source"]["<all>"], figures["per_source"]["<some>"]
    assert all_labelled["n_objects"] == 1
    assert all_labelled["n_found"] == 16
    assert all_labelled["precision"] == pytest.approx(1 / 16, abs=1e-4)
    assert all_labelled["f1_50"] == pytest.approx(2 / 17, abs=1e-4)
    assert all_labelled["recall"] == some["recall"] == 1
    assert some["precision"] is some["f1_50"] is some["pq"] is None
    assert figures["macro"]["f1_50"] == all_labelled["f1_50"]
    assert figures["classical"]["macro"]["f1_50"] == 1
    assert figures["method"] == "grid"
    assert judged(folder, complete=True).scores.per_source["<some>"].f1_50 > 0


def test_the_classical_tool_takes_the_side_away_from_the_border() -> None:
    image = np.full((40, 40, 3), 200, np.uint8)
    image[10:20, 10:20] = 20
    image[30, 30] = 20
    for picture in (image, 255 - image):
        objects = otsu_objects(picture)
        assert len(np.unique(objects)) == 2
        assert 60 <= np.count_nonzero(objects[10:20, 10:20]) == np.count_nonzero(objects)
    assert len(np.unique(otsu_objects(np.full((20, 20, 3), 7, np.uint8)))) <= 2


def test_labels_are_kept() -> None:
    labels = np.random.default_rng(0).integers(0, 70_000, (9, 11)).astype(np.uint32)
    assert (PackedLabels.pack(labels).unpack() == labels).all()


def test_the_page(folder: Path, tmp_path: Path) -> None:
    """What was found, what is false and what is merely unlabelled have outlines of their own."""
    items = find_items(folder)
    page = write_found_report(
        tmp_path / "page", [judged(folder)], items, data="a & b", command="napari-sam …"
    ).read_text("utf-8")
    assert "a &amp; b" in page
    assert "<all>" not in page
    figures = re.findall(r"<figure.*?</figure>", page, re.S)
    assert len(figures) == 2
    kinds = [set(re.findall(r'path class="(\w+)"', figure)) - {"ground"} for figure in figures]
    assert kinds == [{"matched", "false"}, {"matched", "unlabelled"}]
    assert "1 found, 15 false, 0 rejected, 0 never proposed" in figures[0]
    assert "recall 1.00" in figures[1]
    assert json.loads((tmp_path / "page" / "scores.json").read_text())["model"] == "painter"


def test_worst_and_median_frames(folder: Path) -> None:
    (result, _) = judged(folder).results
    assert [each.kind for each in choose_frames("painter", [result])] == ["worst"]
    kinds = [each.kind for each in choose_frames("painter", [result] * 5, n_frames=4)]
    assert kinds == ["worst", "worst", "median", "median"]


def test_nothing_to_judge(folder: Path) -> None:
    for labels in folder.glob("*.labels.tif"):
        pixels = tifffile.imread(labels)
        pixels[:] = 0
        pixels[0, 0] = 1
        tifffile.imwrite(labels, pixels)
    with pytest.raises(FrameError, match="no object of 16 pixels"):
        judged(folder)


def test_images_without_objects_are_named(folder: Path) -> None:
    labels = folder / "some.labels.tif"
    tifffile.imwrite(labels, np.zeros_like(tifffile.imread(labels)))
    evaluation = judged(folder)
    assert [item.id for item in empty_items(evaluation, find_items(folder))] == ["some"]
