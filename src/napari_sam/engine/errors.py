"""Errors in the user's words: what was given, what is expected, how to fix it."""


class SamError(Exception):
    """An error whose message is written for the user and shown as it is."""


class FrameError(SamError, ValueError):
    """An image, a stack or a frame index that cannot be used."""


class PromptError(SamError, ValueError):
    """Points, boxes or masks that cannot prompt the network."""


class ModelError(SamError, RuntimeError):
    """A model that cannot be found, fetched, verified or loaded."""


class Cancelled(Exception):  # noqa: N818 not an error
    """The user's own Cancel: not an error, nothing to show."""
