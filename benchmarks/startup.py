"""How long it takes until there is something to see.

python benchmarks/startup.py [--repeats N]

The panel is timed from the click in napari's menu to its first drawing, in a new process with a
window on one image; on Linux without a screen that is Xvfb's. What follows, the image's layers and
torch, is timed until the model is loaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from measuring import markdown, screen, seconds

PROGRAMS = {
    "`napari-sam --help`": (
        "import sys; sys.argv[1:] = ['--help']; from napari_sam.cli import main; main()"
    ),
    "`import napari`'s viewer model, for comparison": "import napari.components",
    "the same and the dock widget's module": "import napari.components, napari_sam.plugin.widget",
    "`import torch`, which the plugin does in the background": "import torch",
}
SIDE = 512


def run(program: str) -> None:
    """A Python process from its start to its end."""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def open_panel() -> tuple[float, float]:
    """Seconds to the panel's first drawing, and from then on to the model; in this process."""
    import napari
    import numpy as np
    from qtpy.QtCore import QEvent, QObject
    from qtpy.QtWidgets import QApplication

    class FirstPaint(QObject):
        at = 0.0

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 Qt's name
            if event.type() == QEvent.Type.Paint and not self.at:
                self.at = perf_counter()
            return False

    viewer = napari.Viewer()
    viewer.add_image(np.zeros((SIDE, SIDE), np.uint8))
    for _ in range(100):
        QApplication.processEvents()
    paint = FirstPaint()
    start = perf_counter()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sam-annotator")
    widget.installEventFilter(paint)
    while not paint.at or widget.predictor is None:
        QApplication.processEvents()
    loaded = perf_counter()
    viewer.close()
    return paint.at - start, loaded - paint.at


def panel_times(repeats: int) -> tuple[float, ...]:
    """Medians of :func:`open_panel` in processes of their own."""
    command = [*screen(), sys.executable, str(Path(__file__)), "--panel"]
    lines = [
        subprocess.run(command, check=True, capture_output=True, text=True).stdout
        for _ in range(repeats + 1)
    ]
    times = [json.loads(line) for line in lines[1:]]  # the first one fills the disk's cache
    return tuple(median(column) for column in zip(*times, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--panel", action="store_true", help="open it once, in this process")
    given = parser.parse_args()
    if given.panel:
        sys.stdout.write(json.dumps(open_panel()) + "\n")
        return
    rows = [
        (name, f"{seconds(partial(run, program), given.repeats):.2f} s")
        for name, program in PROGRAMS.items()
    ]
    shown, loaded = panel_times(given.repeats)
    rows += [
        ("napari's window, from the click to the panel on screen", f"{shown:.2f} s"),
        ("from then on until the embedded model is loaded", f"{loaded:.2f} s"),
    ]
    sys.stdout.write(markdown(("a new process", "time"), rows))


if __name__ == "__main__":
    main()
