"""A folder annotated image by image: each is saved on the way, and continued where it was left."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Layer

from napari_sam.engine import SamError
from napari_sam.plugin.layers import LayerBridge, remove_layers
from napari_sam.plugin.layers.network_input import stack_of
from napari_sam.plugin.panels.folder import ALL, FolderPanel
from napari_sam.plugin.sessions.folder import FolderImage, look_at, look_at_session, look_through
from napari_sam.plugin.sessions.images import image_arguments, limits_in
from napari_sam.plugin.sessions.places import source_of
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import BULK, EMBED, PREFETCH, Job, Worker

from .controller import Controller, Window

if TYPE_CHECKING:
    from collections.abc import Callable

LOOK, READ, READ_AHEAD, EMBED_AHEAD = "folder", "folder image", "next image", "embed next image"
BUSY = "Objects of this image are still being computed. Wait for them, or cancel."
NOT_SAVED = "{} So “{}” stays open. Mend this, or choose “Save as …” first."


class FolderBrowser(Controller):
    """Opens the images of a folder one after the other.

    Parameters
    ----------
    panel
        Shows them.
    reader
        Reads files and pictures beside the window.
    settle
        Saves what is left of the current session; returns why that cannot be done, or nothing.
    """

    def __init__(
        self, window: Window, panel: FolderPanel, reader: Worker, settle: Callable[[], str]
    ) -> None:
        super().__init__(window)
        self.images: list[FolderImage] = []
        self.is_busy: Callable[[], bool] = lambda: False  # with objects of the image shown
        self._folder = Path()
        self._panel, self._reader, self._settle = panel, reader, settle
        self._opening: Path | None = None  # the image being read
        self._ahead: tuple[Path, Image] | None = None  # the next one, read already
        self._own: list[Layer] = []  # the image that was opened from here, and its labels
        panel.image_chosen.connect(self.open)
        panel.next_clicked.connect(self.next)
        panel.previous_clicked.connect(self.previous)
        panel.done_clicked.connect(self.finish)
        panel.filter_chosen.connect(self._show_some)

    # The folder

    def choose(self, folder: Path) -> None:
        """Look through a folder, and open the first image that is not done."""
        self._folder, self.images, self._ahead, self._opening = folder, [], None, None
        self._panel.show_images([])
        self._panel.text.say(f"Looking through {folder.name} …")
        work = partial(look_through, folder)
        job = Job(LOOK, work, self._on_looked, self._tell, priority=BULK, each=self._on_found)
        self._reader.submit(job)

    def close(self) -> None:
        """Stop reading, and let go of the folder."""
        for slot in (LOOK, READ, READ_AHEAD):
            self._reader.cancel(slot)
        self._worker.cancel(EMBED_AHEAD)
        self.images, self._ahead, self._opening = [], None, None

    def release(self) -> None:
        """Keep no image alive."""
        self._ahead, self._own = None, []
        super().release()

    def _on_found(self, found: Any) -> None:
        if isinstance(found, list):
            self.images = found
            self._panel.show_images([each.path for each in found])
            self._count()
            if not found:
                self._panel.text.say(f"There is no image in {self._folder.name}.")
            return
        image, picture = found
        if (at := self._at(image.path)) is not None:
            self._note(at, image)
            if picture is not None:
                self._panel.show_picture(at, picture, image.status)

    def _on_looked(self, _: object) -> None:
        at = next((n for n, each in enumerate(self.images) if each.status != "done"), 0)
        if self.images and self.current is None and self._opening is None:
            self.open(at)

    def _note(self, at: int, image: FolderImage) -> None:
        self.images[at] = image
        n = image.n_objects
        about = image.problem or (f"{image.status}, {n} object{'s' * (n != 1)}" if n else "")
        short = "cannot be read" if image.problem else about or image.status
        tip = ": ".join(filter(None, (image.path.name, about)))
        self._panel.show_image(at, f"{image.path.name}\n{short}", tip, image.status)
        self._count()

    def _count(self) -> None:
        counts: Counter[str] = Counter(each.status for each in self.images)
        text = f"{self._folder.name}: {counts['done']} of {len(self.images)} done"
        self._panel.show_counts(text, str(self._folder), counts)

    def _show_some(self, status: str) -> None:
        current = self.current
        self._panel.show_only(
            [n == current or status in (ALL, each.status) for n, each in enumerate(self.images)]
        )

    # One image after the other

    @property
    def current(self) -> int | None:
        """The position of the image that is annotated, if it is one of the folder's."""
        path = None if self._bridge is None else source_of(self._bridge.image)
        return None if path is None else self._at(path)

    def next(self) -> None:
        """Open the next image of those shown."""
        self._step(1)

    def previous(self) -> None:
        """Open the image before, of those shown."""
        self._step(-1)

    def finish(self) -> None:
        """Mark the image as finished, and open the next one."""
        at = self.current
        if at is not None and self._bridge is not None:
            self._bridge.session.finish()
            self._note(at, FolderImage(self.images[at].path, "done", self.images[at].n_objects))
            self._step(1)

    def open(self, at: int) -> None:
        """Open an image in place of the one before, whose work is saved first."""
        path = self.images[at].path
        if at == self.current:
            self._opening = None  # the one being read is not wanted any more
            self._count()
            return
        if path == self._opening:
            return
        if self.is_busy():
            self._panel.show_current(self.current)
            self._status.show_idle(BUSY)
            return
        if self._ahead is not None and self._ahead[0] == path:
            self._show(path, self._ahead[1])
            return
        self._opening = path
        self._panel.text.say(f"Opening {path.name} …")
        work = partial(_read, path)
        job = Job(READ, work, partial(self._on_read, path), self._on_failed, priority=EMBED)
        self._reader.submit(job)

    def _step(self, by: int) -> None:
        at = self._neighbour(by)
        if at is None:
            self._status.show_idle("There is no other image in this direction.")
        else:
            self.open(at)

    def _neighbour(self, by: int) -> int | None:
        """The next position in a direction whose picture is shown."""
        status, current = self._panel.which.currentData(), self.current
        at = (len(self.images) if by < 0 else -1) if current is None else current
        while 0 <= (at := at + by) < len(self.images):
            if status in (ALL, self.images[at].status):
                return at
        return None

    def _on_read(self, path: Path, found: tuple[Any, Any, Any]) -> None:
        if path == self._opening:
            self._show(path, Image(**image_arguments(path, *found)))

    def _on_failed(self, error: Exception) -> None:
        self._opening = None
        self._panel.show_current(self.current)
        self._count()
        self._tell(error)

    def _show(self, path: Path, image: Image) -> None:
        self._opening = self._ahead = None
        if not self._leave():
            self._panel.show_current(self.current)
            return
        self._own = [image]
        self._viewer.layers.append(image)
        self._viewer.layers.selection.active = image
        self._viewer.reset_view()
        self._count()

    def _leave(self) -> bool:
        """Save and close the image that was opened from here; whether that could be done."""
        image = None if self._bridge is None else self._bridge.image
        if image in self._own and (problem := self._settle()):
            self._tell(SamError(NOT_SAVED.format(problem, image)))
            return False
        own, self._own = self._own, []
        remove_layers(self._viewer, own)
        return True

    # With the window's image

    def attach(self, bridge: LayerBridge) -> None:
        """Mark the image in the strip, and read the next one ahead."""
        super().attach(bridge)
        for signal in (bridge.session.landed, bridge.session.relabelled):
            signal.connect(self._on_change)
        self._panel.show_current(self.current)
        if bridge.image in self._own:
            self._own.append(bridge.labels)
        if self.current is None or (at := self._neighbour(1)) is None:
            return
        image = self.images[at]
        done = partial(self._on_read_ahead, image)
        work = partial(_read, image.path)
        # A file that cannot be read is told when it is opened
        job = Job(READ_AHEAD, work, done, lambda error: None, priority=PREFETCH)
        self._reader.submit(job)

    def detach(self) -> None:
        """See how far the image that is left has come."""
        at = self.current
        if self._bridge is not None:
            for signal in (self._bridge.session.landed, self._bridge.session.relabelled):
                signal.disconnect(self._on_change)
        super().detach()
        self._panel.show_current(None)
        self._worker.cancel(EMBED_AHEAD)
        if at is not None:
            path = self.images[at].path
            job = Job(path, lambda report: look_at(path), self._on_left, self._tell, priority=EMBED)
            self._reader.submit(job)

    def _on_change(self, *_: object) -> None:
        self._defer(self._show_work)

    def _show_work(self) -> None:
        """How far the image on screen has come."""
        at, bridge = self.current, self._bridge
        if at is not None and bridge is not None:
            self._note(at, look_at_session(self.images[at].path, bridge.session))

    def _on_left(self, image: FolderImage) -> None:
        if (at := self._at(image.path)) is not None:
            self._note(at, image)

    def _on_read_ahead(self, image: FolderImage, found: tuple[Any, Any, Any]) -> None:
        """Keep the next image, and embed the frame it will be continued in."""
        if self._bridge is None or self._at(image.path) != self._neighbour(1):
            return
        layer = Image(**image_arguments(image.path, *found))
        self._ahead = (image.path, layer)
        try:
            stack = stack_of(layer)
        except SamError:
            return  # said when it is opened
        if self.predictor is None:
            return
        frame = image.shown or stack.index()
        work = partial(tasks.embed, self._cache, self.predictor, stack, frame)
        job = Job(EMBED_AHEAD, work, lambda _: None, lambda error: None, priority=PREFETCH)
        self._worker.submit(job)

    def _at(self, path: Path) -> int | None:
        return next((n for n, each in enumerate(self.images) if each.path == path), None)


def _read(path: Path, report: object) -> tuple[Any, str | None, tuple[int, int] | None]:
    from napari_sam.engine import read_image  # brings in zarr, which a new panel need not

    data, axes = read_image(path, series=0)  # of a plate the first field
    return data, axes, limits_in(data, axes)
