"""A real window in which somebody works until the process is killed.

Run as a process of its own with the path of an image. Says what stands before each save, and when
the save is done.
"""

from __future__ import annotations

import hashlib
import itertools
import sys

import numpy as np

from napari_sam.session import Session

N_OBJECTS = 5


def fingerprint(session: Session) -> str:
    """Labels and prompts of a session in one word."""
    digest = hashlib.blake2b(np.ascontiguousarray(session.labels).tobytes(), digest_size=8)
    drawings = sorted((repr(key), repr(a.drawings)) for key, a in session.annotations())
    digest.update(repr(drawings).encode())
    return digest.hexdigest()


def work(path: str) -> None:
    """Click and paint, save by itself, and so on."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_sam.engine import EmbeddingCache
    from painter import Painter, painting

    viewer = napari.Viewer()
    viewer.open(path)
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    while widget.bridge is None:
        QApplication.processEvents()
    session, labels = widget.bridge.session, widget.bridge.labels
    predictor, cache = painting(Painter(1)), EmbeddingCache()
    for n in itertools.count(1):
        object_id, frame = n % N_OBJECTS + 1, (n % len(labels.data), None, None)
        prompts = session.prompts(object_id, frame).with_point((n * 7 % 32, n * 11 % 32))
        session.annotate(object_id, frame, prompts, predictor, cache)
        with labels.block_history():
            labels.paint((frame[0], n % 32, 31), N_OBJECTS + 1)
        print("stands", fingerprint(session), flush=True)  # noqa: T201 the test reads it
        widget.saving.tick()
        while widget.saving._is_busy:
            QApplication.processEvents()
        print("saved", n, flush=True)  # noqa: T201


if __name__ == "__main__":
    work(sys.argv[1])
