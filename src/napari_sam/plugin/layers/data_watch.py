"""Image and labels that get other pixels while they are annotated."""

from __future__ import annotations

from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam.engine import SamError
from napari_sam.session import Session

from .in_memory import forget_in_memory
from .labels_as_given import taken_labels
from .levels import finest, show_array
from .network_input import stack_of


class DataWatch:
    """Lets a session follow its layers while that is possible."""

    changed = Signal()  # what was embedded or found of the old pixels is not used again
    ended = Signal()  # the layers do not belong together any more
    noticed = Signal(str)

    def __init__(self, image: Image, labels: Labels, session: Session) -> None:
        self._image, self._labels, self._session = image, labels, session
        image.events.data.connect(self.look_at_image)
        labels.events.data.connect(self._on_labels)

    def close(self) -> None:
        """Stop watching."""
        self._image.events.data.disconnect(self.look_at_image)
        self._labels.events.data.disconnect(self._on_labels)

    def look_at_image(self, event: object = None) -> None:
        """Go on with the pixels of the image as they are now, and as the network is given them."""
        try:
            stack = stack_of(self._image)
        except SamError as error:
            self.noticed.emit(str(error))
            self.ended.emit()
            return
        if stack.shape != self._session.stack.shape:
            self.ended.emit()
            return
        self._session.look_at(stack)
        self.changed.emit()

    def _on_labels(self, event: object = None) -> None:
        if finest(self._labels) is self._session.labels:
            return
        try:
            taken = taken_labels(self._labels, self._session.stack)
        except SamError as error:
            forget_in_memory(self._labels)
            self.noticed.emit(f"{error} New labels are made.")
            self.ended.emit()
            return
        self._session.take_labels(taken.array, taken.highest_id)
        if taken.array is not finest(self._labels):
            show_array(self._labels, taken.array, self._session.stack.displayed)
        if taken.notice:
            self.noticed.emit(taken.notice)
        self.changed.emit()
