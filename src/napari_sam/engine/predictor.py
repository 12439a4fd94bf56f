"""One frame and one prompt to masks: ``encode`` once, ``predict`` at every click.

The frame's coordinates are yx with integer pixel centres. They become the network's xy in exactly
one place, :meth:`Predictor._prompt_tensors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from napari_sam.engine.models.zoo import LoadedModel, is_out_of_memory, on_cpu
from napari_sam.model import NetworkConfig, PromptTensors, fitness, prepare

from .contrast import resize_longest_side
from .errors import FrameError, PromptError
from .frames import FrameStack
from .prediction import Prediction, upscale_logits
from .prompts import Prompts, checked_diameter

MASK_PROMPT_LOGIT = 6.9  # logit(0.999): how sure a drawn mask is, as a network's own would be
MEMO_STEPS = 16  # decoded steps kept with an embedding; up to 4 MB each
TOKEN_STRIDE = 16  # input pixels to a token of the embedding, in every network here
OBJECTS_AT_ONCE = {"cpu": 2, "cuda": 16, "mps": 8}  # as many as keep the device busy, in fp32
KEPT_BYTES = 31 * 2**20  # glibc keeps twice of this for the next prompt instead of giving it back

ONE_CLICK = (1, False, False)  # of this kind are ambiguous prompts

Progress: TypeAlias = Callable[[int, int], None]
Memo: TypeAlias = MutableMapping[tuple[Prompts, int | None, float | None], "Prediction"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """An encoded frame: what every prompt in it is decoded against."""

    tensors: tuple[torch.Tensor, ...]
    frame_shape: tuple[int, int]  # (H, W) of the frame that prompts and masks refer to
    input_shape: tuple[int, int]  # (h, w) of the network's input that the frame fills
    model_hash: str
    prepared: list[torch.Tensor] = field(default_factory=list, init=False, repr=False)
    """What all prompts share, filled by the first one; up to three times the tensors."""

    @property
    def features(self) -> torch.Tensor:
        """The image embedding, ``(1, C, h, w)``."""
        return self.tensors[0]

    @property
    def nbytes(self) -> int:
        """Bytes held by the tensors."""
        return sum(tensor.nbytes for tensor in {*self.tensors, *self.prepared})


class Predictor:
    """Encodes frames and decodes prompts with one loaded model.

    ``model`` is that model. When the GPU's memory is full it moves to the CPU and says so in its
    notices.
    """

    def __init__(self, model: LoadedModel) -> None:
        self.model = model
        self._pause: Callable[[], None] = lambda: None
        _keep_freed_memory()

    def pausing(self, pause: Callable[[], None]) -> Predictor:
        """The same, but before each few objects it calls ``pause``, which may raise to stop."""
        other = copy(self)
        other._pause = pause
        return other

    @property
    def _objects_at_once(self) -> int:
        return OBJECTS_AT_ONCE[self.model.device.type] * (1 + (self.model.precision == "bf16"))

    @torch.inference_mode()
    def encode(
        self,
        image: NDArray[np.generic],
        *,
        frame_shape: tuple[int, int] | None = None,
        input_side: int | None = None,
        progress: Progress | None = None,
    ) -> Embedding:
        """Encode one frame.

        Parameters
        ----------
        image
            ``(H, W, 3)`` uint8 RGB, taken as it is; or one grey frame ``(H, W)`` of any type,
            brought to 8 bit by its robust limits.
        frame_shape
            ``(H, W)`` of the frame that prompts refer to, if ``image`` is a smaller level of it.
        input_side
            Pixels that its longer side becomes; ``None``: all that the input has.
        progress
            Called as ``progress(done, total)`` after every block. What it raises stops the encoder.

        Raises
        ------
        FrameError
            If the image is not a single frame.
        """
        rgb = _as_rgb(image)
        resized = resize_longest_side(rgb, input_side or self.model.network.config.input_size)
        try:
            tensors = self._encode(resized, progress)
        except RuntimeError as error:
            if self.model.device.type == "cpu" or not is_out_of_memory(error):
                raise
            self.model = on_cpu(self.model)
            tensors = self._encode(resized, progress)
        (h, w), (height, width) = resized.shape[:2], frame_shape or image.shape[:2]
        return Embedding(tensors, (height, width), (h, w), self.model.hash)

    def _encode(
        self, resized: NDArray[np.uint8], progress: Progress | None
    ) -> tuple[torch.Tensor, ...]:
        network = self.model.network
        pixels = torch.as_tensor(resized, device=self.model.device)
        input = network.preprocess(pixels.permute(2, 0, 1)[None])  # (1, 3, S, S)
        encoded = network.encode(input, progress)
        return tuple(t if t.dtype == torch.float16 else t.float() for t in encoded)

    def predict(
        self,
        embedding: Embedding,
        prompts: Prompts,
        *,
        multimask: bool | None = None,
        seed: NDArray[np.float32] | None = None,
        diameter: float | None = None,
    ) -> Prediction:
        """Decode the prompts of one object.

        Parameters
        ----------
        embedding
            The frame, encoded by this predictor's model.
        prompts
            Points, box and mask of one object, yx in frame pixels.
        multimask
            ``True``: the three candidates of an ambiguous prompt; ``False``: the single mask;
            ``None``: the single mask first and the three behind it, but of a single click only
            the three, of a network that does not merge the masks of a click.
        seed
            Low-res logits ``(m, m)`` of an earlier prediction, refined by these prompts.
        diameter
            Of objects as they are expected, in frame pixels: decides between candidates, and at
            which scale the embedded network looks. ``None``: any size.

        Raises
        ------
        PromptError
            If nothing of the prompts is in the frame, or the embedding is another model's.
        """
        (prediction,) = self._decode(
            embedding, [prompts.fitted(embedding.frame_shape)[0]], multimask, seed, diameter
        )
        return prediction

    def predict_many(
        self,
        embedding: Embedding,
        prompts: Iterable[Prompts],
        *,
        multimask: bool | None = None,
        diameter: float | None = None,
        least_iou: float | None = None,
        at_once: int | None = None,
    ) -> Iterator[Prediction]:
        """Decode the prompts of several objects: what `predict` says of each, in their order.

        A few objects at a time, as long as they have as many points and the same other prompts:
        Segment Anything would see points added to make them equal. Memory does not grow with the
        number of objects, if the predictions are not kept.

        Parameters
        ----------
        embedding
            The frame, encoded by this predictor's model.
        prompts
            One for each object.
        multimask, diameter
            As in :meth:`predict`.
        least_iou
            IoU prediction of one of the three candidates from which on the masks of an object are
            worth the time; others may be empty.
        at_once
            Objects decoded together; ``None``: as many as keep the device busy.

        Raises
        ------
        PromptError
            When its turn comes, if nothing of an object's prompts is in the frame.
        """
        fitted = (each.fitted(embedding.frame_shape)[0] for each in prompts)
        for _, alike in groupby(fitted, key=_kind):
            while chunk := list(islice(alike, at_once or self._objects_at_once)):
                self._pause()
                yield from self._decode(
                    embedding, chunk, multimask, diameter=diameter, least_iou=least_iou
                )

    @torch.inference_mode()
    def _decode(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        multimask: bool | None,
        seed: NDArray[np.float32] | None = None,
        diameter: float | None = None,
        least_iou: float | None = None,
    ) -> list[Prediction]:
        """Predictions for B objects with prompts of one kind; a seed is for one object."""
        if embedding.model_hash != self.model.hash:
            raise PromptError(
                f"This embedding was made by another model than {self.model.name}. "
                "Encode the frame again with this one."
            )
        network = self.model.network
        one_click = seed is None and _kind(prompts[0]) == ONE_CLICK
        merged = network.merges_clicks and one_click and multimask is None
        tensors = self._prompt_tensors(embedding, prompts, seed, diameter)
        tensors = replace(tensors, least_iou=least_iou, merge_clicks=merged)
        logits, scores = network.decode(self._features(embedding), tensors)  # (B, 4, m, m), (B, 4)
        tokens = _tokens(multimask, ambiguous=one_click and not merged)
        stride = network.config.input_size // network.config.mask_size
        upscale = partial(
            upscale_logits,
            stride=stride,
            input_shape=embedding.input_shape,
            frame_shape=embedding.frame_shape,
        )
        logits, scores = logits[:, tokens].float(), scores[:, tokens].float()
        fittest = fitness(logits, scores, stride, tensors.diameter).argmax(1)  # (B,)
        return [
            Prediction(
                low_res_logits=masks,
                iou_predictions=score,
                tokens=tokens,
                best=0 if tokens[0] == 0 else int(best),
                upscale=upscale,
            )
            for masks, score, best in zip(
                logits.cpu().numpy(), scores.cpu().numpy(), fittest, strict=True
            )
        ]

    def _features(self, embedding: Embedding) -> tuple[torch.Tensor, ...]:
        if not embedding.prepared:
            tensors = tuple(tensor.to(self.model.device) for tensor in embedding.tensors)
            embedding.prepared[:] = prepare(self.model.network, tensors)
        return tuple(tensor.to(self.model.device) for tensor in embedding.prepared)

    def refine(
        self,
        embedding: Embedding,
        prompts: Prompts,
        *,
        candidate: int | None = None,
        diameter: float | None = None,
        memo: Memo | None = None,
    ) -> Prediction:
        """Decode the prompts in the order given, each step seeded with the mask before it.

        This is how Segment Anything was trained to be corrected (Kirillov et al. 2023, interactive
        training). The result depends on the prompts alone, not on what was decoded when.

        Parameters
        ----------
        candidate
            The mask token the user chose, held at every step that offers it; ``None``: the best.
        diameter
            Of objects as they are expected, as in :meth:`predict`.
        memo
            Predictions of the steps made already, filled and read by this call. One memo belongs to
            one embedding.
        """
        memo = {} if memo is None else memo
        prompts, _ = prompts.fitted(embedding.frame_shape)
        steps = _steps(prompts)
        keys = [(step, candidate, diameter) for step in steps]
        n_known = next((n for n in range(len(steps), 0, -1) if keys[n - 1] in memo), 0)
        prediction = memo[keys[n_known - 1]] if n_known else None
        for step, key in zip(steps[n_known:], keys[n_known:], strict=True):
            seed = None if prediction is None else prediction.low_res_logits[prediction.best]
            prediction = self.predict(embedding, step, seed=seed, diameter=diameter)
            memo[key] = prediction = prediction.with_token(candidate)
        for oldest in list(memo)[:-MEMO_STEPS]:
            del memo[oldest]
        if prediction is None:
            raise PromptError("No prompt was given. Click an object, or draw a box around it.")
        return prediction

    def _prompt_tensors(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompts],
        seed: NDArray[np.float32] | None,
        diameter: float | None,
    ) -> PromptTensors:
        scale_y, scale_x = (
            new / old for new, old in zip(embedding.input_shape, embedding.frame_shape, strict=True)
        )
        # From here on coordinates are xy in input pixels.
        points_xy_input = [[(x * scale_x, y * scale_y) for y, x in each.points] for each in prompts]
        boxes_xy_input = [
            (x0 * scale_x, y0 * scale_y, x1 * scale_x, y1 * scale_y)
            for y0, x0, y1, x1 in (each.box for each in prompts if each.box is not None)
        ]
        checked_diameter(diameter)
        config = self.model.network.config
        drawn = [
            _mask_logits(each.mask, embedding, config) for each in prompts if each.mask is not None
        ]
        masks = drawn if seed is None else [seed]
        tensor = partial(torch.tensor, device=self.model.device)
        return PromptTensors(
            points=tensor(points_xy_input) if prompts[0].points else None,
            labels=tensor([each.labels for each in prompts]) if prompts[0].points else None,
            boxes=tensor(boxes_xy_input) if boxes_xy_input else None,
            masks=tensor(np.stack(masks)).unsqueeze(1) if masks else None,
            diameter=None if diameter is None else diameter * (scale_y * scale_x) ** 0.5,
        )


def _keep_freed_memory() -> None:
    """Let glibc keep what a decoder frees: else every prompt is given new pages, for 10 ms more.

    It gives back less as soon as one large block was freed; no page of this one is ever touched.
    """
    torch.empty(KEPT_BYTES, dtype=torch.uint8)


def _kind(prompts: Prompts) -> tuple[int, bool, bool]:
    """Number of points, whether there is a box, whether a mask."""
    return len(prompts.points), prompts.box is not None, prompts.mask is not None


def _tokens(multimask: bool | None, ambiguous: bool) -> tuple[int, ...]:
    if multimask is None:
        return (1, 2, 3) if ambiguous else (0, 1, 2, 3)
    return (1, 2, 3) if multimask else (0,)


def _steps(prompts: Prompts) -> list[Prompts]:
    """The prompts known after each click: box and mask first, then one more point each time."""
    counts = range(len(prompts.points) + 1)
    steps = [
        Prompts(prompts.points[:n], prompts.labels[:n], prompts.box, prompts.mask) for n in counts
    ]
    return [
        step for step in steps if step.box is not None or step.mask is not None or 1 in step.labels
    ]


def _as_rgb(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    if not isinstance(image, np.ndarray):
        raise FrameError(
            f"encode takes an array, not {type(image).__name__}. Give one frame, (H, W) or "
            "(H, W, 3), as numpy.asarray(image)."
        )
    if image.ndim == 3 and image.shape[-1] == 3 and image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    stack = FrameStack.from_array(image)
    if stack.ndim != 2:
        raise FrameError(
            f"encode takes one frame, (H, W) or (H, W, 3), not an array of shape {image.shape}. "
            "Take one frame of a stack with FrameStack.from_array(stack).frame(index)."
        )
    return stack.frame(stack.index())


def _mask_logits(
    mask: NDArray[np.bool_], embedding: Embedding, config: NetworkConfig
) -> NDArray[np.float32]:
    """A drawn mask ``(H, W)`` as low-res logits ``(m, m)``, as if the network had drawn it."""
    scale = config.mask_size / config.input_size
    filled = [max(1, round(side * scale)) for side in embedding.input_shape]
    padded = [round(TOKEN_STRIDE * n * scale) for n in embedding.features.shape[-2:]]
    coverage = F.interpolate(
        torch.tensor(mask, dtype=torch.float32)[None, None],
        size=filled,
        mode="bilinear",
        antialias=True,
    )[0, 0].numpy()
    logits = np.full(padded, -MASK_PROMPT_LOGIT, np.float32)
    logits[: filled[0], : filled[1]] = (2 * coverage - 1) * MASK_PROMPT_LOGIT
    return logits
