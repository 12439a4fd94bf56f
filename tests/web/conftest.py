"""A page that is built, and a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from napari_sam.web.page import BUILT, write_page
from page_user import PageUser, launch


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page without an image."""
    if not BUILT.is_file():
        pytest.skip("the page is not built: make web")
    return write_page(tmp_path_factory.mktemp("page") / "segment.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        browser = launch(driver)
        if browser is None:
            pytest.skip("no Chromium on this computer (Debian: chromium)")
        yield browser
        browser.close()


@pytest.fixture
def user(browser: Browser, page_file: Path) -> Iterator[PageUser]:
    """Somebody who has just opened the page."""
    context = browser.new_context(viewport={"width": 1100, "height": 700})
    user = PageUser(context.new_page())
    user.visit(page_file)
    yield user
    context.close()
