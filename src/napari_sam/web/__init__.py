"""A page that segments in a browser, without a server or network."""

from __future__ import annotations

from .page import write_page

__all__ = ["write_page"]
