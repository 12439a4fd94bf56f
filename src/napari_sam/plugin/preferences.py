"""The user's preferences: a page of napari's since 0.9, the same defaults before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_warning

from napari_sam.engine import about
from napari_sam.installation import DISTRIBUTION

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingStore


@dataclass(frozen=True)
class Preferences:
    """Preferences, declared in napari.yaml under ``configurations`` with the same texts."""

    prefetch: bool = field(
        default=True,
        metadata=about("Look ahead", "Embed neighbouring frames in the background"),
    )
    limit_gb: int = field(
        default=10,
        metadata=about(
            "Space on disk (GB)",
            "Embeddings are kept for the next time; the least recently used are removed "
            "first. They "
            "never take more than a quarter of the free disk. 0 keeps none. To clear them, see "
            "the widget, or type napari-sam cache --clear.",
            least=0,
            most=10000,
        ),
    )
    folder: str = field(
        default="",
        metadata=about(
            "Folder",
            "Where embeddings are kept, for instance on a larger disk; empty for the usual place. "
            "The environment variable NAPARI_SAM_EMBEDDINGS, if set, takes precedence.",
        ),
    )


def read_preferences() -> Preferences:
    """The preferences as they are now."""
    page = _page()
    if page is None:
        return Preferences()
    return Preferences(page.prefetch, page.limit_gb, page.folder)


def on_preferences_changed(changed: Callable[[object], object]) -> Callable[[], None]:
    """Have a function called at each change in napari's page; the one returned ends that."""
    page = _page()
    if page is None:
        return lambda: None

    page.events.connect(changed)  # weakly, if it is a method
    return lambda: page.events.disconnect(changed)


def open_store(preferences: Preferences) -> EmbeddingStore:
    """The embeddings on disk, as preferred; the command line uses the same from now on.

    Brings in zarr, an eighth of a second that the panel need not wait for.
    """
    from napari_sam.engine import EmbeddingStore, save_store_settings, store_settings

    if _page() is not None:
        save_store_settings(preferences.folder, preferences.limit_gb)
    settings = store_settings()
    return EmbeddingStore(settings.folder, settings.limit_bytes, tell=show_warning)


def _page() -> Any:
    """napari's own model of our page; None before napari 0.9, or if the plugin is not installed."""
    try:
        from napari.settings import get_plugin_settings

        return get_plugin_settings(DISTRIBUTION).embeddings
    except (ImportError, KeyError):
        return None
