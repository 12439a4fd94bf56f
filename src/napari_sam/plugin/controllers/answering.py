"""The frame on screen embedded, and what the session asks for decoded."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer

from napari_sam.engine import Crop, FrameIndex, FrameStack, SamError
from napari_sam.plugin.layers.image_view import camera_of
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import EMBED, Job
from napari_sam.session import Answer, Region, Request, Session
from napari_sam.session.ownership import owner_of_point

from .controller import Controller, Window
from .embeddings import EmbeddingAhead

if TYPE_CHECKING:
    from napari_sam.engine import CachedEmbedding, Predictor
    from napari_sam.plugin.layers.bridge import LayerBridge

OUT_OF_SIGHT = "Show the image in 2D, inside its range, to annotate it."
DRAG_A_BOX = "Drag a box over the image."
# Of the clicks of the embedded model with a lower IoU prediction, 7 in 10 have a lower IoU
UNSURE = 0.5
SETTLE_MS = 150  # the slider rests this long before its frame is embedded
FRAME = "frame"  # job slot; a request's own key is that of its job
DEVICES = {"cpu": "processor", "cuda": "graphics card", "mps": "graphics processor"}


class Answering(Controller):
    """Has frames embedded and requests decoded in the worker, and lets the answers land.

    Parameters
    ----------
    ahead
        Goes on with the neighbours of a frame that is embedded.
    """

    def __init__(self, window: Window, ahead: EmbeddingAhead) -> None:
        super().__init__(window)
        self._ahead = ahead
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLE_MS)
        self._settled.timeout.connect(self.embed_shown)

    def attach(self, bridge: LayerBridge) -> None:
        """Answer the session of an image, including earlier requests."""
        self._bridge = bridge
        bridge.frame_changed.connect(self._on_frame)
        bridge.session.requested.connect(self.answer)
        bridge.session.active_changed.connect(self.show_ready)
        bridge.tools.changed.connect(self.show_ready)
        bridge.look_at_screen()
        camera_of(self._viewer).events.connect(self._on_camera)
        self.show_ready()
        self.answer_all()
        self.embed_shown()

    def detach(self) -> None:
        """Disconnect: pending requests are dropped."""
        bridge, self._bridge = self._bridge, None
        self._settled.stop()
        self._ahead.stop()
        if bridge is not None:
            bridge.frame_changed.disconnect(self._on_frame)
            bridge.session.requested.disconnect(self.answer)
            bridge.session.active_changed.disconnect(self.show_ready)
            bridge.tools.changed.disconnect(self.show_ready)
            camera_of(self._viewer).events.disconnect(self._on_camera)
            for slot in (FRAME, *(request.key for request in bridge.session.pending())):
                self._worker.cancel(slot)

    def use(self, predictor: Predictor) -> None:
        """Answer with another model from now on."""
        self._ahead.stop()
        self.predictor = predictor
        self.answer_all()
        self.embed_shown()

    def _on_frame(self, frame: FrameIndex | None) -> None:
        self.show_ready()
        self._settled.start()

    def _on_camera(self, event: object = None) -> None:
        """Of a large frame another part is on screen."""
        if self._bridge is not None and self._bridge.is_large:
            self._bridge.look_at_screen()
            self._settled.start()

    def look_again(self, _: object = None) -> None:
        """Embed what is on screen at another size, if cells are expected to have another one."""
        if self._bridge is not None and self._bridge.is_large:
            self._settled.start()

    def embed_shown(self) -> None:
        """Embed the frame on screen, so that the first click in it is answered at once."""
        if self._bridge is None or self.predictor is None:
            return
        frame = self._bridge.frame
        if frame is None:
            self._status.show_idle(OUT_OF_SIGHT)
            return
        self._bridge.look_at_screen()
        stack, crop = self._bridge.session.stack, self._bridge.crop_on_screen
        job = Job(
            FRAME,
            partial(tasks.embed, self._cache, self.predictor, stack, frame, crop=crop),
            done=partial(self._on_embedded, self.predictor, stack, frame),
            failed=self._tell,
            progress=partial(self._show_embedding, self.predictor, frame, crop),
            priority=EMBED,
            subject=(stack, frame, crop),
        )
        self._worker.submit(job)

    def embed_all(self) -> None:
        """Embed all frames of the image, of large ones the part on screen."""
        bridge = self._bridge
        if bridge is not None and self.predictor is not None:
            bridge.look_at_screen()
            stack, crop = bridge.session.stack, bridge.crop_on_screen
            self._ahead.embed_all(self.predictor, stack, bridge.frame, crop)

    def _on_embedded(
        self, predictor: Predictor, stack: FrameStack, frame: FrameIndex, cached: CachedEmbedding
    ) -> None:
        if not self._status.bar.isHidden():  # else what the user was told last stays
            self.show_ready()
        bridge = self._bridge
        if bridge is not None and bridge.frame == frame and predictor is self.predictor:
            self._ahead.look_ahead(predictor, stack, frame, cached.crop, bridge.crops_beside)

    def answer_all(self) -> None:
        """Decode requests that were made before there was a model or an open panel."""
        if self._bridge is not None:
            for request in self._bridge.session.pending():
                self.answer(request)

    def answer(self, request: Request) -> None:
        """Have a request decoded; its frame is embedded first where that is not done yet."""
        if self._bridge is None or self.predictor is None:
            return
        session, crop = self._bridge.session, next(iter(request.crops), None)
        job = Job(
            request.key,
            partial(tasks.answer, self._cache, self.predictor, session.stack, request),
            done=partial(self._land, session),
            failed=partial(self._on_unanswered, session, request),
            progress=partial(self._show_embedding, self.predictor, request.frame, crop),
            subject=(session.stack, request.frame, crop),
        )
        self._worker.submit(job)

    def _land(self, session: Session, answer: Answer) -> None:
        if self._bridge is not None:
            self._bridge.show_preview(Region.empty())
        self.show_ready()
        try:
            session.land(answer)
        except SamError as error:
            self._tell(error)
        else:
            self._tell_if_unsure(session, answer)
        self.look_again()

    def _tell_if_unsure(self, session: Session, answer: Answer) -> None:
        request, predicted = answer.request, answer.iou_prediction
        landed = session.current(*request.key)
        if landed is None or landed.iou_prediction != predicted:
            return
        owner = owner_of_point(session.labels, request)
        if owner:
            self._status.show_idle(
                f"⚠ This click is in object {owner}, and was added to object {request.object_id}. "
                f"Ctrl+Z takes it back; Shift+click continues with object {owner}."
            )
        elif predicted < UNSURE:
            self._status.show_idle(
                f"⚠ Unsure of this mask ({predicted:.2f}). Look at the candidates, or add a prompt."
            )

    def _on_unanswered(self, session: Session, request: Request, error: Exception) -> None:
        session.fail(request)
        self._tell(error)

    def give_up(self) -> None:
        """Forget what is waiting. Its prompts are decoded with the next click."""
        self._worker.cancel()
        if self._bridge is not None:
            for request in self._bridge.session.pending():
                self._bridge.session.fail(request)

    def _show_embedding(
        self,
        predictor: Predictor,
        frame: FrameIndex,
        crop: Crop | None,
        done: int,
        total: int,
    ) -> None:
        at = ", ".join(str(i) for i in frame if i is not None)
        what = f"frame {at}" if at else "the image"
        part = "" if crop is None else "a part of "
        text = f"Embedding {part}{what} with {predictor.model.name} …"
        self._status.show_busy(text, done, total)

    def show_ready(self, _: object = None) -> None:
        """Say what the user can do now, unless there is something to wait for."""
        if self._worker.is_waited_for or self.predictor is None:
            return
        model = self.predictor.model
        where = DEVICES.get(model.device.type, model.device.type)
        text, bridge = f"Ready: {model.name} runs on the {where}.", self._bridge
        if bridge is not None and not bridge.is_begun:
            text = f"Ready: click on an object. {model.name} runs on the {where}."
        if bridge is not None and bridge.frame is None:
            text = OUT_OF_SIGHT
        elif bridge is not None and (unseen := bridge.obstacle):
            text = f"⚠ {unseen}"
        elif bridge is not None and not bridge.tools.active:
            text = DRAG_A_BOX if bridge.area.is_drawing else "Choose a tool to continue."
        self._status.show_idle(text)
