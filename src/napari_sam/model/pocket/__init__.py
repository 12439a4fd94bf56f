"""The embedded network: its encoder, its decoder, and both at several sizes of a frame."""

from .decoder import click_kernel
from .encoder import POCKET, PocketConfig, PocketFeatures
from .network import Pocket, View, stack_windows

__all__ = [
    "POCKET",
    "Pocket",
    "PocketConfig",
    "PocketFeatures",
    "View",
    "click_kernel",
    "stack_windows",
]
