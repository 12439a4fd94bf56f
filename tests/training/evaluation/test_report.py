"""Judging and its page: figures worked out by hand, pictures that show what they should."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam.engine import FrameError, Prompts
from napari_sam.training import (
    AnnotatedFrame,
    Evaluation,
    Item,
    as_json,
    empty_items,
    evaluate_model,
    find_items,
    write_report,
)
from napari_sam.training.data import FrameName
from napari_sam.training.evaluation.contact_sheet import (
    draw_trial,
    outline,
    quality,
    window_around,
)
from napari_sam.training.evaluation.examples import choose_examples
from napari_sam.training.evaluation.protocol import (
    ObjectScore,
    PackedMask,
    Trial,
    ellipse_in,
)
from painter import SIZE, Painter, painting

SQUARE, BAR = "squares & co", "<bars>"
VOID = {"meta", "wbr"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A square of 7 px, which the painter paints at once, and a bar of 7 x 15 px."""
    entries = []
    for name, source, columns in (("a", SQUARE, slice(8, 15)), ("b", BAR, slice(8, 23))):
        labels = np.zeros((SIZE, SIZE), np.uint16)
        labels[12:19, columns] = 1
        tifffile.imwrite(tmp_path / f"{name}.tif", (labels * 200).astype(np.uint8))
        tifffile.imwrite(tmp_path / f"{name}.labels.tif", labels)
        files = {"image": f"{name}.tif", "labels": f"{name}.labels.tif", "axes": "YX"}
        entries.append({"id": name, "source": source, **files})
    (tmp_path / "index.json").write_text(json.dumps(entries))
    return tmp_path


def judged(items: list[Item], name: str = "painter") -> Evaluation:
    return evaluate_model(painting(Painter(1)), items, name=name)


def test_figures_worked_out_by_hand(folder: Path) -> None:
    """The painter fills 7 x 7 px around each click.

    The square is right at once. Of the bar the first click paints the left 49 of 105 px, the second
    49 more, 98 of 105. The third goes to the top of the last column, missed on 7 px: it gets 4 of
    these and 33 px beside the bar, so that 102 of 138 px are common.
    """
    progress = []
    evaluation = evaluate_model(
        painting(Painter(1)), find_items(folder), progress=lambda *step: progress.append(step)
    )
    figures = json.loads(json.dumps(as_json([evaluation])))
    assert set(figures) == {"model", "hash", "macro", "per_source", "classical", "timing"}
    assert figures["model"] == "painter"
    assert set(figures["per_source"]) == {SQUARE, BAR}
    bar, macro = figures["per_source"][BAR], figures["macro"]
    assert bar["n_objects"] == 1
    assert bar["iou_click_1"] == pytest.approx(49 / 105, abs=1e-4)
    assert bar["iou_click_3"] == pytest.approx(102 / 138, abs=1e-4)
    assert bar["iou_clicks"][1] == pytest.approx(98 / 105, abs=1e-4)
    assert bar["noc_80"] == 2
    assert macro["iou_click_1"] == pytest.approx((1 + 49 / 105) / 2, abs=1e-4)
    assert macro["iou_click_3"] == pytest.approx((1 + 102 / 138) / 2, abs=1e-4)
    assert macro["iou_click_5"] == macro["iou_clicks"][4]
    assert macro["iou_box"] == 1
    assert macro["noc_80"] == 1.5
    ellipses = [ellipse_in((0, 0, 6, width - 1), (7, width)).mean() for width in (7, 15)]
    assert figures["classical"]["macro"]["iou_box"] == pytest.approx(np.mean(ellipses), abs=1e-4)
    assert figures["classical"]["macro"]["iou_click_1"] == macro["iou_otsu"]
    assert figures["timing"]["click_ms"] > 0
    assert progress == [(1, 2), (2, 2)]


def test_several_models_go_by_name(folder: Path) -> None:
    items = find_items(folder)
    figures = as_json([judged(items, "one"), judged(items, "two")])
    assert list(figures) == ["one", "two"]
    assert figures["one"]["macro"] == figures["two"]["macro"]


def test_labels_without_objects(folder: Path) -> None:
    empty = np.zeros((SIZE, SIZE), np.uint16)
    tifffile.imwrite(folder / "a.labels.tif", empty)
    items = find_items(folder)
    assert [item.id for item in empty_items(judged(items), items)] == ["a"]
    tifffile.imwrite(folder / "b.labels.tif", empty)
    with pytest.raises(FrameError, match="no object of 16 pixels"):
        judged(items)


class Tags(HTMLParser):
    """Collects text, and fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page(folder: Path) -> None:
    items = find_items(folder)
    evaluations = [judged(items, "one"), judged(items, "<two>")]
    out = folder / "made" / "here"
    page = write_report(out, evaluations, items, data="my cells", command="napari-sam evaluate d")
    assert page == out / "index.html"
    assert json.loads((out / "scores.json").read_text()) == as_json(evaluations)
    html = page.read_text("utf-8")
    assert "$" not in html
    assert not re.search(r'(src|href)="|https?://|@import', html)  # nothing beside it is needed
    tags = Tags()
    tags.feed(html)
    assert not tags.open
    text = " ".join(tags.text)
    for said in (SQUARE, BAR, "one", "<two>", "my cells", "napari-sam evaluate d", "0.47"):
        assert said in text
    # Curves: the mean and each source; pictures: one case a source and model, three panels each
    assert html.count('<svg class="chart"') == 3
    pictures = re.findall(r"url\(data:image/png;base64,([^)]+)\)", html)
    assert len(pictures) == html.count("<figure") == 4
    assert html.count("<svg viewBox") == 12
    for picture in pictures:
        assert Image.open(io.BytesIO(base64.b64decode(picture))).mode == "L"


def test_a_report_that_cannot_be_written(folder: Path) -> None:
    (folder / "taken").write_text("a file")
    items = find_items(folder)
    with pytest.raises(FrameError, match="report cannot be written"):
        write_report(folder / "taken", [judged(items)], items, data="d", command="c")


def trial(source: str, iou: float, object_id: int = 1) -> Trial:
    """A trial whose three pictures have one IoU."""
    mask = np.zeros((SIZE, SIZE), bool)
    mask[10:21, 12:17] = True
    packed = PackedMask.pack(mask)
    prompts = Prompts.from_box((10, 12, 20, 16)).with_point((15, 14)).with_point((3, 4), 0)
    return Trial(
        ObjectScore(source, (iou,) * 5, iou, iou, 0.5, 0.5), FrameName("f"), object_id, 55,
        (0.5,) * 5, prompts, packed, packed, packed, 1.0, 1.0,
    )  # fmt: skip


def test_the_worst_and_the_median_are_chosen() -> None:
    trials = [trial("many", n / 10, n) for n in (5, 1, 9, 3, 7, 4, 8)] + [trial("single", 0.2)]
    examples = choose_examples("m", trials, quality, 4)
    chosen = [(each.result.source, each.kind, quality(each.result)) for each in examples]
    assert chosen == [
        ("many", "worst", pytest.approx(0.1)),
        ("many", "median", pytest.approx(0.5)),
        ("single", "worst", pytest.approx(0.2)),
    ]
    examples = choose_examples("m", trials[:-1], quality, 6)
    more = [(each.kind, quality(each.result)) for each in examples]
    assert more == [("worst", pytest.approx(q)) for q in (0.1, 0.3, 0.4)] + [
        ("median", pytest.approx(q)) for q in (0.5, 0.7, 0.8)
    ]


def test_a_picture_of_an_object() -> None:
    """The window is around the object; outlines run along the pixels' outer edges."""
    labels = np.zeros((SIZE, 3 * SIZE), np.int32)
    labels[10:21, 12:17] = 1
    image = np.zeros((SIZE, 3 * SIZE, 3), np.uint8)
    image[..., 0] = labels * 90
    window = window_around(labels == 1)
    assert (window.height, window.width) == (SIZE, 35)
    assert window.left <= 12 - 5
    assert window.left + window.width >= 17 + 5
    path = outline(labels == 1, window, "truth")
    numbers = np.array(re.findall(r"(-?[\d.]+) (-?[\d.]+)", path), float)
    assert numbers.min(0).tolist() == [11.5, 9.5]
    assert numbers.max(0).tolist() == [16.5, 20.5]
    assert outline(labels == 2, window, "truth") == ""
    (example,) = choose_examples("m", [trial("s", 0.25)], quality)
    picture = draw_trial(example, AnnotatedFrame("s", image, labels, FrameName("f")))
    assert picture.count('class="positive" cx="14.0" cy="15.0"') == 2
    assert picture.count('class="negative" cx="4.0" cy="3.0"') == 1
    assert '<rect class="box" x="12.0" y="10.0" width="4.0" height="10.0"/>' in picture
    assert picture.count("<b>0.25</b>") == 3
    assert "f · object 1 · 55 px" in picture
