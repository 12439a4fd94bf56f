"""Automatic segmentation judged: figures counted by hand, and the page that shows them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam.engine import FrameError, Predictor, load_model
from napari_sam.training import (
    AutomaticEvaluation,
    as_json,
    empty_items,
    evaluate_automatic,
    find_items,
    frames_of,
    match,
    write_found_report,
)
from napari_sam.training.evaluation.automatic import FrameResult, PackedLabels, otsu_objects

SIZE = 32
SQUARE = (slice(9, 16), slice(9, 16))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bright square of 7 px in each of two sources, of which one may have others."""
    entries = []
    for name, complete in (("all", True), ("some", False)):
        labels = np.zeros((SIZE, SIZE), np.uint16)
        labels[SQUARE] = 9
        tifffile.imwrite(tmp_path / f"{name}.tif", (labels * 20 + 10).astype(np.uint8))
        tifffile.imwrite(tmp_path / f"{name}.labels.tif", labels)
        files = {"image": f"{name}.tif", "labels": f"{name}.labels.tif", "axes": "YX"}
        about = {"id": name, "source": f"<{name}>", "all_objects_annotated": complete}
        entries.append({**about, **files})
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def judged(folder: Path) -> AutomaticEvaluation:
    """As if the square, and three others, had been found in each frame."""
    found = np.zeros((SIZE, SIZE), np.uint32)
    found[SQUARE] = 1
    for n, corner in enumerate(((0, 0), (0, 20), (20, 0)), start=2):
        found[corner[0] : corner[0] + 6, corner[1] : corner[1] + 6] = n
    results = tuple(
        FrameResult(
            frame.source,
            frame.name,
            match(frame.labels, found, complete=frame.complete),
            match(frame.labels, otsu_objects(frame.image), complete=frame.complete),
            PackedLabels.pack(found),
            seconds,
        )
        for item, seconds in zip(find_items(folder), (1.0, 3.0), strict=True)
        for frame in frames_of(item)
    )
    return AutomaticEvaluation("painter", "0123", "seeds", "cpu", "fp32", results)


def test_figures_counted_by_hand(folder: Path) -> None:
    """One of four is right. The classical tool finds just that one."""
    figures = json.loads(json.dumps(as_json([judged(folder)])))
    all_labelled, some = figures["per_source"]["<all>"], figures["per_source"]["<some>"]
    assert (all_labelled["n_objects"], all_labelled["n_found"]) == (1, 4)
    assert all_labelled["precision"] == 0.25
    assert all_labelled["f1_50"] == all_labelled["pq"] == 0.4
    assert all_labelled["recall"] == some["recall"] == 1
    assert some["precision"] is some["f1_50"] is some["pq"] is None
    assert figures["macro"]["f1_50"] == 0.4
    assert figures["classical"]["macro"]["f1_50"] == 1
    assert figures["timing"]["seconds_a_frame"] == 2


@pytest.mark.slow
def test_the_embedded_model_on_an_image(folder: Path) -> None:
    """With every object known to be labelled, precision is known everywhere."""
    predictor = Predictor(load_model("pocket", device="cpu", precision="fp32"))
    told: list[tuple[int, int]] = []
    evaluation = evaluate_automatic(
        predictor,
        find_items(folder),
        complete=True,
        progress=lambda *step: told.append(step),
    )
    assert evaluation.method == "seeds"
    assert told == [(1, 2), (2, 2)]
    assert not any(np.isnan(score.pq) for score in evaluation.scores.per_source.values())


def test_the_classical_tool_takes_the_side_away_from_the_border() -> None:
    image = np.full((40, 40, 3), 200, np.uint8)
    image[10:20, 10:20] = 20
    image[30, 30] = 20
    for picture in (image, 255 - image):
        objects = otsu_objects(picture)
        assert len(np.unique(objects)) == 2
        assert (objects[12:18, 12:18] > 0).all()
        assert np.count_nonzero(objects) < 13**2  # of the speck, nothing
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
    assert "1 found, 3 false, 0 rejected, 0 never proposed" in figures[0]
    assert "recall 1.00" in figures[1]
    assert json.loads((tmp_path / "page" / "scores.json").read_text())["model"] == "painter"


@pytest.mark.slow
def test_nothing_to_judge(folder: Path) -> None:
    for labels in folder.glob("*.labels.tif"):
        pixels = np.zeros((SIZE, SIZE), np.uint16)
        pixels[0, 0] = 1
        tifffile.imwrite(labels, pixels)
    predictor = Predictor(load_model("pocket", device="cpu", precision="fp32"))
    with pytest.raises(FrameError, match="no object of 16 pixels"):
        evaluate_automatic(predictor, find_items(folder))


def test_images_without_objects_are_named(folder: Path) -> None:
    evaluation, items = judged(folder), find_items(folder)
    labels = folder / "some.labels.tif"
    tifffile.imwrite(labels, np.zeros_like(tifffile.imread(labels)))
    alone = replace(evaluation, results=evaluation.results[:1])
    assert [item.id for item in empty_items(alone, items)] == ["some"]
