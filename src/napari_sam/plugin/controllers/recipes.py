"""A recipe from what the user just did, for all images of the folder; run beside the window."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QProcess

from napari_sam.engine import EncodingChoice, ImageChoice, ModelName, SamError
from napari_sam.plugin.layers.network_input import NetworkInput, input_of
from napari_sam.plugin.panels.automatic import AutomaticPanel, PageOptions
from napari_sam.plugin.panels.recipe import RecipePanel

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.batch import Recipe
    from napari_sam.plugin.layers.bridge import LayerBridge

NO_FILE = (
    "This image was not opened from a file, so its folder is not known. Save it as TIFF, and open "
    "it from there."
)
NO_MODEL = "No model is loaded yet. Wait for it, or choose one above."
EXAMPLES = (
    "Examples are in this image only. Export their labels, and write the recipe as the page "
    "“Many images” of the documentation shows; or choose Find: everything."
)
LEFT_OUT = "Not in the recipe: {}."
ENDED = {0: "All images are done.", 3: "Some images could not be used: see the report."}


class Recipes(Controller):
    """Writes what the page Automatic says, and runs it.

    Parameters
    ----------
    panel
        Where that is asked for.
    page
        What is looked for, and which objects stand.
    """

    def __init__(self, window: Window, panel: RecipePanel, page: AutomaticPanel) -> None:
        super().__init__(window)
        self._panel, self._page = panel, page
        self.path: Path | None = None  # of the recipe saved last
        self.process = QProcess(self)
        self.process.finished.connect(self._on_finished)
        self.process.errorOccurred.connect(self._on_error)
        panel.save_chosen.connect(self.save)
        panel.run_clicked.connect(self.run_or_stop)

    def attach(self, bridge: LayerBridge) -> None:
        """Suggest a name beside an image."""
        super().attach(bridge)
        if bridge.image.source.path:
            self._panel.suggested = Path(bridge.image.source.path).with_name("recipe.yaml")

    def release(self) -> None:
        """End with the window what runs: the same command goes on with it later."""
        super().release()
        if self.is_running:
            self.process.kill()
            self.process.waitForFinished(2000)

    @property
    def is_running(self) -> bool:
        """Whether a recipe runs."""
        return bool(self.process.state() != QProcess.ProcessState.NotRunning)

    def save(self, path: str) -> None:
        """Write the recipe."""
        from napari_sam.batch import write_recipe

        target = Path(path)
        try:
            recipe, lost = self._recipe(target)
            write_recipe(target, recipe)
        except SamError as error:
            self._tell(error)
            return
        self.path = target
        self._panel.run.setEnabled(True)
        notice = LEFT_OUT.format(", ".join(lost)) if lost else ""
        self._panel.text.say(f"{target.name} is saved, for {recipe.images[0]}. {notice}".rstrip())

    def _recipe(self, target: Path) -> tuple[Recipe, list[str]]:
        """The recipe, and what of the page it does not hold.

        Raises
        ------
        SamError
            If the page contradicts itself, or image or model are not known by name.
        """
        from napari_sam.batch import parse_recipe

        if self._bridge is None or not self._bridge.image.source.path:
            raise SamError(NO_FILE)
        if self.predictor is None:
            raise SamError(NO_MODEL)
        options = self._page.options()
        if options.what == "alike":
            raise SamError(EXAMPLES)
        image = Path(self._bridge.image.source.path).absolute()
        beside = image.parent == target.absolute().parent
        given = input_of(self._bridge.image)
        record: dict[str, Any] = {
            "images": f"*{image.suffix}" if beside else str(image.with_name(f"*{image.suffix}")),
            "reading": ImageChoice(channel=given.channels or None),
            "model": EncodingChoice(
                model=ModelName(self.predictor.model.name), frames=_frames(options)
            ),
            "automatic": options.automatic,
            "link": options.where == "stack" and self._page.link.isChecked(),
            "measure": {},
            "out": "results" if beside else str(image.with_name("results")),
        }
        return parse_recipe(record), list(_lost(options, given))

    def run_or_stop(self) -> None:
        """Run the recipe saved last, or stop it: it goes on there the next time."""
        if self.is_running:
            self.process.kill()
        elif self.path is not None:
            command = ["-m", "napari_sam", "batch", str(self.path)]
            self.process.start(sys.executable, command)
            self._panel.show_running(True)
            self._panel.text.say(f"{self.path.name} runs. You can go on annotating meanwhile.")

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._panel.show_running(False)
        if status == QProcess.ExitStatus.CrashExit:
            self._panel.text.say("Stopped. What is finished stays: run it again to go on.")
            return
        out, said = (
            bytes(read().data()).decode(errors="replace").split("\n")
            for read in (self.process.readAllStandardOutput, self.process.readAllStandardError)
        )
        if code in ENDED:
            self._panel.text.say(" ".join([ENDED[code], *filter(None, out)]))
        else:
            self._panel.text.say(" ".join(filter(None, [*out, *said])))

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._panel.show_running(False)
            self._tell(SamError(f"{sys.executable} could not be started to run the recipe."))


def _frames(options: PageOptions) -> str:
    """The frames of a search through the stack; else all, since other images have others."""
    first, last = options.first_frame, options.last_frame
    if options.where != "stack" or last is None:
        return "all"
    return f"{first or 0}-{last}"


def _lost(options: PageOptions, given: NetworkInput) -> list[str]:
    """What the page says and a recipe has no key for, in words."""
    said = {
        "the box drawn": options.where == "area",
        "frames from the first one named": bool(options.first_frame) and options.last_frame is None,
        "the mean of channels": given.mean,
        "the contrast of the layer": given.as_shown,
    }
    return [words for words, there in said.items() if there]
