"""Foreign decoders: every error in them becomes one sentence, in this file only."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .errors import Cancelled, FrameError, SamError

LONGEST_REASON = 200  # characters of what a library says
WHOLE = (
    "Is it whole, and what its name says? Open it in the program that wrote it and save it again, "
    "as TIFF for instance."
)
DECODERS = (
    "Install more decoders with \"pip install 'napari-sam-annotator[codecs]'\", or save the image "
    "without compression, in 8, 16 or 32 bit."
)


@contextmanager
def decoding(what: object, remedy: str = WHOLE) -> Iterator[None]:
    """Inside, libraries read what may be damaged, of any kind or made to do harm.

    Raises
    ------
    FrameError
        In place of their errors; errors written for the user are not changed.
    """
    try:
        yield
    except (SamError, Cancelled):
        raise
    except MemoryError as error:
        raise FrameError(
            f"{what} needs more memory than there is. Free some, or give a smaller image."
        ) from error
    except (ImportError, NotImplementedError) as error:
        raise FrameError(
            f"{what} is stored in a way that cannot be read here: {reason(error)}. {DECODERS}"
        ) from error
    except Exception as error:
        raise FrameError(f"{what} could not be read: {reason(error)}. {remedy}") from error


def reason(error: Exception) -> str:
    """The message of a library's error, as part of a sentence."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = " ".join(said.split()).rstrip(".")[:LONGEST_REASON]
    if line and isinstance(error, (OSError, ValueError, ImportError, NotImplementedError)):
        return line
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
