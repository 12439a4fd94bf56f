"""A page in which a Segment Anything network answers: its embeddings and its decoder travel."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tifffile
from playwright.sync_api import Browser, expect

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused
from napari_sam import FrameStack, Predictor, Prompts, load_model
from napari_sam.engine import EmbeddingCache, iou
from napari_sam.headless import new_session, segment
from napari_sam.session import SessionFile, save, session_path
from napari_sam.web.page import BUILT
from page_user import PageUser
from replaying import opened, replayed, unpacked

pytestmark = pytest.mark.slow

SHAPE = (64, 128)
LARGE = (1100, 1060)
SEED = 2  # of weights whose masks below are neither empty nor on each other


@pytest.fixture
def movie(
    working_folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Three frames; the session beside them has an object in the first two, by a small network."""
    folder = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(folder))
    safetensors.torch.save_file(small_state(SEED), folder / "small.safetensors")
    pixels = np.random.default_rng(0).integers(0, 4000, (3, *SHAPE)).astype(np.uint16)
    path = working_folder / "movie.tif"
    tifffile.imwrite(path, pixels, imagej=True, metadata={"axes": "TYX"})
    save_session(path, pixels)
    return path


def save_session(path: Path, pixels: np.ndarray) -> None:
    """An image's session with an object in its first two frames, by the small network."""
    stack = FrameStack.from_array(pixels, axes="TYX")
    session = new_session(stack)
    prompts = {
        (1, stack.index(0)): Prompts.from_points([(30, 40)]),
        (2, stack.index(1)): Prompts.from_box((5, 10, 60, 60)),
    }
    list(segment(session, prompts, Predictor(load_model("small", device="cpu"))))
    save(session, session_path(path), image_path=path)


@pytest.fixture
def visitor(
    browser: Browser, napari_sam: NapariSam, tmp_path: Path
) -> Iterator[Callable[[str, tuple[int, int]], PageUser]]:
    """Opens the page that is made of a session in the working folder."""
    if not BUILT.is_file():
        pytest.skip("the page is not built: make web")
    context = browser.new_context(viewport={"width": 1100, "height": 700})

    def visit(session: str, shape: tuple[int, int]) -> PageUser:
        made = napari_sam(f"page {session} --device cpu --out page.html")
        assert made.code == 0, made.err
        user = PageUser(context.new_page(), shape)
        user.visit(tmp_path / "page.html")
        user.wait_until_ready()
        return user

    yield visit
    context.close()


def test_clicks_and_boxes_are_decoded_as_in_python(visitor, movie: Path, tmp_path: Path) -> None:
    user = visitor("movie.tif.napari-sam", SHAPE)
    expect(user.page.locator("#model")).to_have_text("Model: small")
    user.press("n", "w")
    user.drag((5, 70), (60, 120))
    user.wait_for_mask()
    user.press("PageDown")
    user.wait_until_ready()
    user.press("n", "q")
    user.click(20, 100)
    user.click(50, 20, button="right")
    user.press("PageDown")
    expect(user.page.locator("#model")).to_have_text("Model: pocket")  # not chosen: no objects

    stack = opened(movie)
    file = SessionFile(unpacked(user.save("session", tmp_path), tmp_path / "saved"))
    assert {each.model for _, _, each in file.annotations()} == {"small"}
    labels, expected = file.fill(file.new_labels()), replayed(file, stack, "small").labels
    ids = np.unique(expected)[1:]
    assert len(ids) == 4
    assert [iou(labels == n, expected == n) >= 0.98 for n in ids] == [True] * 4
    assert user.errors == []


def test_what_was_looked_at_in_a_large_frame_travels(visitor, movie: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, LARGE).astype(np.uint16)
    image = movie.with_name("large.tif")
    tifffile.imwrite(image, pixels)
    stack, predictor = opened(image), Predictor(load_model("small", device="cpu"))
    session, frame = new_session(stack), stack.index()
    list(segment(session, {(1, frame): Prompts.from_points([(600, 500)])}, predictor))
    looked_at = session.annotation(1, frame).crop
    save(session, session_path(image), image_path=image)

    user = visitor("large.tif.napari-sam", LARGE)
    model = "Model: small in one part of this frame, pocket elsewhere"
    expect(user.page.locator("#model")).to_have_text(model)
    user.press("Delete", "n")  # such a network takes all of the frame for an object
    user.click(700, 300)
    expect(user.page.locator("#status")).to_have_text(re.compile("by small.$"))
    user.click(200, 800, button="right")

    file = SessionFile(unpacked(user.save("session", tmp_path), tmp_path / "saved"))
    ((_, _, annotation),) = file.annotations()
    assert (annotation.model, annotation.crop) == ("small", looked_at)
    embedding = EmbeddingCache().embed(predictor, stack, frame, crop=looked_at).embedding
    expected = predictor.refine(embedding, annotation.prompts.within(looked_at)).mask()
    assert iou(file.fill(file.new_labels()) > 0, expected) >= 0.98
    assert user.errors == []


def test_a_box_in_a_crop_at_an_offset_and_a_scale_is_decoded_as_in_python(
    visitor, movie: Path, tmp_path: Path
) -> None:
    y, x = np.mgrid[:1200, :1400]
    pixels = np.random.default_rng(0).normal(300, 10, y.shape)
    pixels += 3000 * (np.hypot(y - 1000, x - 1250) < 15)
    image = movie.with_name("large.tif")
    tifffile.imwrite(image, np.clip(pixels, 0, 65535).astype(np.uint16))
    weights = Path(os.environ["NAPARI_SAM_MODELS"]) / "inside.safetensors"
    safetensors.torch.save_file(small_state(62), weights)  # its masks end inside this crop
    stack, predictor = opened(image), Predictor(load_model("inside", device="cpu"))
    session, frame = new_session(stack), stack.index()
    boxes = {(1, frame): Prompts.from_box((985, 1235, 1015, 1265))}
    list(segment(session, boxes, predictor))
    looked_at = session.annotation(1, frame).crop
    assert looked_at == (688, 888, 1200, 1400)
    save(session, session_path(image), image_path=image)

    user = visitor("large.tif.napari-sam", y.shape)
    user.press("Delete", "n", "w")
    user.drag((980, 1228), (1018, 1268))
    user.wait_for_mask()
    expect(user.page.locator("#status")).to_have_text(re.compile("by inside.$"))

    file = SessionFile(unpacked(user.save("session", tmp_path), tmp_path / "saved"))
    ((_, _, annotation),) = file.annotations()
    assert annotation.crop == looked_at
    embedding = EmbeddingCache().embed(predictor, stack, frame, crop=looked_at).embedding
    expected = predictor.refine(embedding, annotation.prompts.within(looked_at)).mask()
    labels = file.fill(file.new_labels())
    assert np.count_nonzero(labels) > 1000
    assert iou(labels[688:1200, 888:1400] > 0, expected) >= 0.98
    assert user.errors == []


REFUSALS = (
    Refusal(
        "a model that is not here",
        "page movie.tif --model vit_h --out page.html",
        "With --model pocket",
    ),
    Refusal(
        "another image",
        "page movie.tif --session other.tif.napari-sam --out page.html",
        "Give the image it was made with",
        lambda folder: save_session(folder / "other.tif", np.zeros((2, *SHAPE), np.uint16)),
    ),
    Refusal("no image", "page --model small --out page.html", "Give the image"),
    Refusal(
        "frames that are not there",
        "page movie.tif --model small --frames 7 --out page.html",
        "outside a stack of 3",
    ),
    Refusal(
        "a large frame without objects",
        "page large.tif --model small --out page.html",
        "Segment a few objects by small and give the session, or crop the image",
        lambda folder: tifffile.imwrite(folder / "large.tif", np.zeros((1100, 64), np.uint8)),
    ),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
@pytest.mark.usefixtures("page_file")
def test_what_cannot_travel_is_said(case: Refusal, movie: Path, napari_sam: NapariSam) -> None:
    assert_refused(case, napari_sam, movie.parent)
