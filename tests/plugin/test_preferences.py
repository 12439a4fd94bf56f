"""Preferences: napari's page where there is one, the same defaults where there is none."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
from npe2 import PluginManifest

from napari_sam.engine import options_of, store_settings
from napari_sam.installation import DISTRIBUTION
from napari_sam.plugin import preferences
from napari_sam.plugin.preferences import (
    Preferences,
    on_preferences_changed,
    open_store,
    read_preferences,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, empty, and nothing in the environment."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path)
    monkeypatch.delenv("NAPARI_SAM_EMBEDDINGS", raising=False)
    monkeypatch.delenv("NAPARI_SAM_EMBEDDINGS_GB", raising=False)
    return tmp_path


@pytest.fixture
def page(folder: Path):
    """napari's page of ours, as its dialog changes it; put back at the end."""
    page = preferences._page()
    if page is None:
        pytest.skip("this napari has no preferences for plugins")
    yield page
    page.update(asdict(Preferences()))


@pytest.fixture
def no_page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A napari before 0.9."""
    monkeypatch.delattr("napari.settings.get_plugin_settings", raising=False)


def test_the_manifest_declares_what_is_read_in_the_same_words() -> None:
    contributions = PluginManifest.from_distribution(DISTRIBUTION).contributions
    if not hasattr(contributions, "configurations"):
        pytest.skip("this npe2 knows no preferences")
    properties = contributions.configurations["embeddings"].properties
    options = options_of(Preferences)
    assert list(properties) == list(options)
    for name, setting in properties.items():
        option, said = options[name], options[name].option
        assert setting.default == option.default
        assert setting.type == {bool: "boolean", int: "integer", str: "string"}[option.kind]
        assert (setting.title, setting.description) == (said.label, said.help)
        assert (setting.minimum, setting.maximum) == (said.least, said.most)


def test_changes_in_the_page_are_read_and_heard(page) -> None:
    assert read_preferences() == Preferences()
    heard = []
    end = on_preferences_changed(lambda event: heard.append(read_preferences()))
    page.limit_gb = 20
    page.prefetch = False
    assert heard == [Preferences(limit_gb=20), Preferences(limit_gb=20, prefetch=False)]
    end()
    page.limit_gb = 30
    assert len(heard) == 2


def test_the_command_line_uses_the_same_store(page, folder: Path) -> None:
    store = open_store(Preferences(limit_gb=3, folder=str(folder / "large")))
    assert (store.folder, store.limit_bytes) == (folder / "large", 3 * 10**9)
    assert store_settings().folder == store.folder
    assert store_settings().limit_bytes == store.limit_bytes


def test_the_environment_goes_before_the_page(page, folder: Path, monkeypatch) -> None:
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(folder / "cluster"))
    assert open_store(Preferences(folder="/elsewhere")).folder == folder / "cluster"


def test_before_there_was_a_page(no_page: None, folder: Path) -> None:
    assert read_preferences() == Preferences()
    on_preferences_changed(lambda event: None)()
    store = open_store(read_preferences())
    assert (store.folder, store.limit_bytes) == (folder / "embeddings", 10**10)
    assert list(folder.iterdir()) == []
