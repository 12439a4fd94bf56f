"""A recipe is saved from the page Automatic of a real window, and run beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog
from skimage import data

from automatic_page import Page
from napari_sam.batch import read_recipe
from napari_sam.engine import write_options

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def page(open_window, tmp_path: Path) -> Page:
    """The page Automatic, on an image that was opened from a file."""
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, data.coins()[:120, :120])
    user = open_window(data.coins()[:120, :120])
    user.widget.ahead.prefetch = False
    layer = user.widget.bridge.image
    layer._source = layer.source.model_copy(update={"path": str(path)})
    return Page(user)


def save(page: Page, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Press the button, and choose a file."""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    page.press(page.widget.recipe_panel.save)


def test_what_the_page_says_is_saved(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.choose("method", "grid")
    page.set("points_per_side", 7)
    page.set("min_area", 40)
    page.panel.control("border").setChecked(False)
    said = page.panel.options()
    save(page, tmp_path / "r.yaml", monkeypatch)
    recipe = read_recipe(tmp_path / "r.yaml")
    assert recipe.automatic is not None
    assert write_options(recipe.automatic) == write_options(said.automatic)
    assert recipe.automatic.grid == said.automatic.grid
    assert recipe.model.model == page.automatic.predictor.model.name
    assert recipe.images == (str(tmp_path / "*.tif"),)
    assert "r.yaml is saved, for *.tif" in page.widget.recipe_panel.text.text()


@pytest.mark.slow
def test_it_runs_beside_the_window(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, recipes = page.widget.recipe_panel, page.widget.recipes
    assert not panel.run.isEnabled()
    save(page, tmp_path / "r.yaml", monkeypatch)
    page.qtbot.mouseClick(panel.run, LEFT)
    assert recipes.is_running
    assert panel.run.text() == "Stop"
    page.qtbot.waitUntil(lambda: not recipes.is_running, timeout=240_000)
    assert "1 done, 0 done before" in panel.text.text()
    assert (tmp_path / "results" / "report" / "index.html").is_file()


def test_an_image_without_a_file(
    open_window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(open_window(data.coins()[:120, :120]))
    save(page, tmp_path / "r.yaml", monkeypatch)
    assert "was not opened from a file" in page.said
    assert not (tmp_path / "r.yaml").exists()


def test_examples_are_of_one_image(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.choose("what", "alike")
    save(page, tmp_path / "r.yaml", monkeypatch)
    assert "Examples are in this image only" in page.said
    assert not (tmp_path / "r.yaml").exists()
