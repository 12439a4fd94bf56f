"""The page in a real browser: what is clicked is segmented as in Python, saved and kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from playwright.sync_api import Browser, expect

from file_server import FolderServer, serving_folder
from napari_sam import Predictor, load_model
from napari_sam.engine import EmbeddingCache, iou
from napari_sam.session import SessionFile, load
from page_user import PageUser
from replaying import opened, replayed, unpacked
from three_cells import CELLS, RADIUS, SHAPE, write_cells

pytestmark = pytest.mark.slow


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return write_cells(tmp_path)


def test_clicks_boxes_and_corrections_give_the_masks_of_python(
    user: PageUser, cells: Path, tmp_path: Path
) -> None:
    user.open(cells, SHAPE)
    user.click(*CELLS[0])
    user.press("n")
    user.press("w")
    user.drag((14, 94), (46, 126))
    user.wait_for_mask()
    user.press("n", "q")
    user.click(*CELLS[2])
    user.click(60, 230, button="right")
    folder = unpacked(user.save("session", tmp_path), tmp_path)
    stack = opened(cells)
    file = SessionFile(folder)
    labels = file.fill(file.new_labels())
    expected = replayed(file, stack).labels
    assert file.problems == []
    for object_id, (cy, cx) in enumerate(CELLS, 1):
        assert iou(labels == object_id, expected == object_id) >= 0.98
        assert labels[cy, cx] == object_id
    assert load(folder, stack).notices == []  # the image is known by the hash of its pixels
    assert user.errors == []


def test_real_cells_are_those_of_python(user: PageUser, data_folder: Path, tmp_path: Path) -> None:
    image = sorted(data_folder.glob("dsb2018/*.image.tif"))[1]
    truth = tifffile.imread(str(image).replace(".image.", ".labels."))
    user.open(image, truth.shape)
    for object_id in np.unique(truth[truth > 0])[:5]:
        places = np.argwhere(truth == object_id)
        user.click(*places[len(places) // 2])
        user.press("n")
    folder = unpacked(user.save("session", tmp_path), tmp_path)
    file = SessionFile(folder)
    labels = file.fill(file.new_labels())
    expected = replayed(file, opened(image)).labels
    ids = np.unique(expected)[1:]
    assert len(ids) > 0
    assert [iou(labels == n, expected == n) >= 0.98 for n in ids] == [True] * len(ids)


def test_a_click_in_a_large_frame_finds_the_cell_in_a_part_of_it(
    user: PageUser, tmp_path: Path
) -> None:
    y, x = np.mgrid[:1600, :1200]
    pixels = np.random.default_rng(0).normal(60, 8, y.shape)
    for cy, cx in ((700, 500), (740, 560), (200, 1000)):
        pixels += 120 * (np.hypot(y - cy, x - cx) < RADIUS)
    image = tmp_path / "large.tif"
    tifffile.imwrite(image, np.clip(pixels, 0, 255).astype(np.uint8))
    user.open(image, y.shape)
    user.click(700, 500)
    file = SessionFile(unpacked(user.save("session", tmp_path), tmp_path))
    labels = file.fill(file.new_labels())
    assert iou(labels == 1, np.hypot(y - 700, x - 500) < RADIUS) >= 0.9
    ((_, frame, annotation),) = file.annotations()
    assert annotation.crop is not None
    assert annotation.crop.shape == (1024, 1024)
    stack, predictor = opened(image), Predictor(load_model("pocket", device="cpu"))
    cached = EmbeddingCache().embed(predictor, stack, frame, crop=annotation.crop)
    within = annotation.prompts.within(annotation.crop)
    top, left, bottom, right = annotation.crop
    found = labels[top:bottom, left:right] == 1
    assert iou(found, predictor.refine(cached.embedding, within).mask()) >= 0.98


def test_saved_files_hold_the_objects(user: PageUser, cells: Path, tmp_path: Path) -> None:
    user.open(cells, SHAPE)
    user.click(*CELLS[0])
    user.page.fill("#class-name", "mitotic")
    user.press("Enter")
    user.page.locator("#classes button").click()
    labels = tifffile.imread(user.save("tiff", tmp_path))
    assert (labels.shape, labels.dtype) == (SHAPE, np.uint16)
    assert np.count_nonzero(labels == 1) == pytest.approx(np.pi * RADIUS**2, rel=0.2)
    assert np.array_equal(np.asarray(Image.open(user.save("png", tmp_path))), labels)
    coco = json.loads(user.save("coco", tmp_path).read_text())
    (annotation,) = coco["annotations"]
    assert annotation["area"] == np.count_nonzero(labels)
    assert {each["id"]: each["name"] for each in coco["categories"]}[
        annotation["category_id"]
    ] == "mitotic"
    session = SessionFile(unpacked(user.save("session", tmp_path), tmp_path))
    assert np.array_equal(session.fill(session.new_labels()), labels)
    assert session.classes.given[1].name == "mitotic"


def test_a_reload_loses_nothing(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.click(*CELLS[0])
    user.press("n")
    user.click(*CELLS[1])
    user.wait_until_saved()
    before = user.objects()
    assert len(before) == 2
    user.page.reload()
    user.wait_until_ready()
    assert user.objects() == before
    user.click(*CELLS[2])  # continues with the object that was current
    assert len(user.objects()) == 2


# Keeps the browser's storage busy until window.release is set
BUSY = """async () => {
  const database = await new Promise((resolve) => {
    const request = indexedDB.open("napari-sam-page", 1);
    request.onsuccess = () => resolve(request.result);
  });
  const files = database.transaction(["work", "files"], "readwrite").objectStore("files");
  const again = () => window.release || (files.count().onsuccess = again);
  again();
}"""
MAY_CLOSE = "dispatchEvent(new Event('beforeunload', { cancelable: true }))"


def test_closing_asks_until_the_work_is_written(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.wait_until_saved()
    assert user.page.evaluate(MAY_CLOSE)
    user.page.evaluate(BUSY)
    user.click(*CELLS[0])
    user.page.wait_for_timeout(500)  # longer than a change waits
    assert not user.page.evaluate(MAY_CLOSE)
    user.page.evaluate("window.release = true")
    user.wait_until_saved()
    assert user.page.evaluate(MAY_CLOSE)


def test_keys_alone_are_enough(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.page.locator("#canvas").focus()
    user.press(*["Shift+ArrowLeft"] * 2, "Enter")  # from the middle, 128, to a cell at 110
    user.wait_for_mask()
    assert len(user.objects()) == 1
    user.press("Control+z")
    assert user.objects() == []
    user.press("Control+Shift+Z")
    assert len(user.objects()) == 1
    user.press("k")
    expect(user.page.locator("#candidates button[aria-pressed=true]")).to_have_count(1)
    user.press("Delete")
    assert user.objects() == []
    menu, summary = user.page.locator("#save"), user.page.locator("#save summary")
    summary.focus()
    user.press("Enter", "Tab")
    expect(menu).to_have_attribute("open", "")
    user.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(summary).to_be_focused()


def test_lasso_and_brush(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.press("e")
    user.drag((18, 40), (32, 54), (46, 40), (32, 26), (19, 39))
    user.wait_for_mask()
    user.press("n", "r")
    user.drag((10, 240), (50, 240))
    expect(user.page.locator("#count")).to_have_text("2 objects")
    user.page.locator("#not-this").click()
    user.drag((10, 240), (50, 240))
    expect(user.page.locator("#count")).to_have_text("1 object")


def test_fingers_and_a_pen(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.touch([CELLS[0]])
    user.wait_for_mask()
    user.press("n")
    user.touch([(32, 120)], [(32, 120), (32, 136)], [(32, 88), (32, 168)])  # five times as large
    user.touch([(32, 100)], [(32, 116)], [(32, 132)])  # and moved
    user.touch([(22, 70)])  # now there is what was at 30, 110
    user.wait_for_mask()
    said = re.search(r"(\d+) pixels", user.page.locator("#status").inner_text())
    assert said is not None
    assert int(said[1]) == pytest.approx(np.pi * RADIUS**2, rel=0.2)
    user.press("n", "0")
    user.pen(*CELLS[2])
    user.wait_for_mask()
    assert len(user.objects()) == 3


def test_a_stack_is_annotated_frame_by_frame(user: PageUser, cells: Path, tmp_path: Path) -> None:
    movie = tmp_path / "movie.tif"
    tifffile.imwrite(
        movie, np.stack([tifffile.imread(cells)] * 3), metadata={"axes": "TYX"}, imagej=True
    )
    user.open(movie, SHAPE)
    expect(user.page.locator("#frames output")).to_have_text("1 / 3")
    user.click(*CELLS[0])
    user.press("PageDown")
    expect(user.page.locator("#frames output")).to_have_text("2 / 3")
    user.wait_until_ready()
    user.click(*CELLS[0])
    assert "2 frames" in user.objects()[0]
    labels = tifffile.imread(user.save("tiff", tmp_path))
    assert labels.shape == (3, *SHAPE)
    assert [frame.any() for frame in labels] == [True, True, False]


# What a server says so that a page may have memory which its threads share
ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


def test_a_page_that_a_server_isolates_has_threads_and_the_same_masks(
    browser: Browser, page_file: Path, cells: Path, tmp_path: Path
) -> None:
    labels = []
    for headers in ({}, ISOLATED):
        with serving_folder(FolderServer(page_file.parent, headers=headers)) as server:
            context = browser.new_context(viewport={"width": 1100, "height": 700})
            user = PageUser(context.new_page())
            user.visit(f"{server.url}/{page_file.name}")
            user.open(cells, SHAPE)
            for place in CELLS:
                user.click(*place)
                user.press("n")
            assert (len(user.page.workers) > 1) == (headers is ISOLATED)
            labels.append(tifffile.imread(user.save("tiff", tmp_path)))
            assert user.errors == []
            assert set(server.asked) == {page_file.name}
            context.close()
    for object_id in range(1, 4):
        assert iou(*(each == object_id for each in labels)) >= 0.98


def test_nothing_is_asked_of_the_network(user: PageUser, cells: Path) -> None:
    user.open(cells, SHAPE)
    user.click(*CELLS[0])
    assert all(address.startswith(("file:", "blob:")) for address in user.requests)
    policy = user.page.locator("meta[http-equiv=Content-Security-Policy]").get_attribute("content")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"http|unsafe-inline|'unsafe-eval'|\*", policy)
    assert user.errors == []
