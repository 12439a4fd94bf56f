"""The embedded default: a small promptable network that looks at cells at a size it knows.

An encoder and a decoder of plain convolutions, used at several sizes of the frame: a pyramid. Each
object is decoded in a window of the level at which it is neither tiny nor too large to be seen
whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_sam.model.fitness import fitness
from napari_sam.model.prompt_encoder import PromptTensors

from .decoder import PocketDecoder
from .encoder import POCKET, PocketConfig, PocketEncoder, PocketFeatures
from .maps import MapsHead

PIXEL_MEAN, PIXEL_STD = 127.5, 63.75
STRIDES = (16, 8, 4, 2, 4)  # of the tensors of PocketFeatures
EDGES = 2  # stride of the logits
STEP = 16  # pixels of a level between places where a window may begin
COARSE = 2  # from this level on a click is decoded only if the finer ones are uncertain
OUTSIDE = -16.0  # logit where an object was not looked for
SHARPNESS = 0.06  # of IoU predictions: a mask predicted so much better weighs e times as much


class View(NamedTuple):
    """Where one object is looked at: a window of one level of the pyramid."""

    level: int  # index of the level, the finest is 0
    shape: tuple[int, int]  # (h, w) of the window in pixels of the level
    start: tuple[int, int]  # y, x of its first pixel
    nth: int  # the object


class Pocket(nn.Module):
    """The embedded network: preprocess, encode once a frame, decode once a prompt.

    It sees a frame at several sizes, and each object in a window of the one at which the object has
    a size the network knows. An object of which nothing is known but a click is decoded at the
    finer sizes, and at the coarsest if they are uncertain; the highest IoU prediction is kept. The
    masks of all sizes can also be merged into one, which is better than the one that is kept.
    """

    merges_clicks = True  # the single mask answers a click better than its candidates do

    def __init__(self, config: PocketConfig = POCKET) -> None:
        super().__init__()
        self.config = config
        self.encoder = PocketEncoder(config)
        self.decoder = PocketDecoder(config)
        self.maps = MapsHead(config) if config.maps_width else None

    def preprocess(self, image: Tensor) -> Tensor:
        """Normalise an image and pad it at its bottom and right, so that it halves to all levels.

        Args:
            image: (B, 3, h, w), red first, 0 to 255, its long side already `input_size`.

        Returns:
            the encoder's input (B, 3, H, W).
        """
        h, w = image.shape[-2:]
        stride = self.config.stride * self.config.levels[-1]
        padding = (0, math.ceil(w / stride) * stride - w, 0, math.ceil(h / stride) * stride - h)
        return F.pad(self.normalise(image), padding)

    @staticmethod
    def normalise(image: Tensor) -> Tensor:
        """Levels 0 to 255 → about -2 to 2."""
        return (image.float() - PIXEL_MEAN) / PIXEL_STD

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        """Encode a preprocessed image (B, 3, H, W) at every level of the pyramid.

        Args:
            input: what `preprocess` returned.
            progress: called as `progress(done, total)` after every stage; it may raise to stop.

        Returns:
            the features of all levels, finest first, in half precision. The first tensor is the
            image embedding.
        """
        dtype = next(self.encoder.parameters()).dtype
        n_levels = len(self.config.levels)

        def within(level: int, done: int, total: int) -> None:
            if progress is not None:
                progress(level * total + done, n_levels * total)

        # The last levels are soon done: begin there, so that progress is not told too early
        pyramid: list[Tensor] = []
        for nth, shrink in enumerate(reversed(self.config.levels)):
            level = F.avg_pool2d(input, shrink).to(dtype, memory_format=torch.channels_last)
            features = self.encoder(level, partial(within, nth))
            pyramid = [*(feature.half() for feature in features), *pyramid]
        return tuple(pyramid)

    def map_objects(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Maps of objects at every level, without any prompt.

        Args:
            features: what `encode` returned.

        Returns:
            probabilities (B, 3, h, w) at stride 4 of each level, finest first, none where the
            network has no such head: of objects, of their outlines, and the depth in the object,
            1 where it is greatest.
        """
        if self.maps is None:
            return ()
        dtype = next(self.maps.parameters()).dtype
        levels = (PocketFeatures(*(f.to(dtype) for f in level)) for level in _pyramid(features))
        return tuple(self.maps(level).sigmoid() for level in levels)

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        """Predict the masks of B objects in one image.

        A label of -1, a box of no extent and a mask that is empty count as no prompt, so that
        objects with different prompts fit into one batch.

        Args:
            features: what `encode` returned.
            prompts: the prompts of the B objects.

        Returns:
            low-res logits (B, 4, H / 2, W / 2) and IoU predictions (B, 4), for the single mask
            (index 0) and the three candidates for an ambiguous prompt (1 to 3). Outside of the
            window in which an object was looked at, its logits are `OUTSIDE`. If the prompts say
            that clicks are merged, the single mask of one click is what all of its masks at all
            sizes agree on.
        """
        pyramid = _pyramid(features)
        looks: list[list[_Look]] = [[] for _ in range(prompts.n_objects)]
        alike_in = partial(_order, masked=prompts.masks is not None)
        views = sorted(_views(self.config, pyramid, prompts), key=alike_in)
        for _, alike in groupby(views, key=alike_in):
            open_ = [view for view in alike if not self._is_settled(looks[view.nth])]
            for look in self._look(pyramid, prompts, open_) if open_ else ():
                looks[look.view.nth].append(look)
        chosen = [max(each, key=lambda look: look.score) for each in looks]
        masks = torch.stack([self._whole(look.logits, look.view, pyramid) for look in chosen])
        scores = torch.stack([look.iou_predictions for look in chosen])
        for nth, each in enumerate(looks):
            if prompts.merge_clicks and prompts.masks is None and _n_clicks(prompts, nth) == 1:
                masks[nth, 0], scores[nth, 0] = self._merged(each, pyramid)
        return masks, scores

    def decode_clicks(
        self, features: tuple[Tensor, ...], points: Tensor, level: int
    ) -> tuple[list[View], Tensor, Tensor]:
        """Predict the masks of B objects of one click each, all looked at in one level.

        Args:
            features: what `encode` returned.
            points: (B, 2) x, y in pixels of the input.
            level: which of the pyramid, the finest is 0.

        Returns:
            the windows that the objects were looked at in, low-res logits (B, 4, h, w) of these, at
            stride 2 of the level, and IoU predictions (B, 4).
        """
        pyramid = _pyramid(features)
        prompts = PromptTensors(points[:, None], points.new_ones(len(points), 1, dtype=torch.long))
        views = [
            _view(self.config, pyramid, level, nth, (y, x), large=False)
            for nth, (x, y) in enumerate(points.tolist())
        ]
        looks = list(self._look(pyramid, prompts, views))
        logits = torch.stack([look.logits for look in looks])
        return views, logits, torch.stack([look.iou_predictions for look in looks])

    def _is_settled(self, looks: list[_Look]) -> bool:
        return any(look.score >= self.config.sure for look in looks)

    def _look(
        self, pyramid: list[PocketFeatures], prompts: PromptTensors, views: list[View]
    ) -> Iterator[_Look]:
        """Decode objects in windows of one shape; those with masks in one level."""
        dtype = next(self.decoder.parameters()).dtype
        windows = [
            stack_windows(pyramid[view.level], [0], [view.start], view.shape) for view in views
        ]
        seen = PocketFeatures(*(torch.cat(each).to(dtype) for each in zip(*windows, strict=True)))
        shrinks = [self.config.levels[view.level] for view in views]
        logits, scores = self.decoder(seen, _prompts_in(views, shrinks, prompts))
        for nth, (view, shrink) in enumerate(zip(views, shrinks, strict=True)):
            fits = fitness(logits[nth], scores[nth], EDGES * shrink, prompts.diameter)
            ambiguous = prompts.masks is None and _n_clicks(prompts, view.nth) == 1
            score = fits[1:].max() if ambiguous else fits[0]
            yield _Look(view, logits[nth].float(), scores[nth].float(), fits.float(), float(score))

    def _whole(
        self, maps: Tensor, view: View, pyramid: list[PocketFeatures], outside: float = OUTSIDE
    ) -> Tensor:
        """Maps of a window, (C, h, w) at stride 2, where they are in those of the frame."""
        shrink = self.config.levels[view.level]
        whole = maps.new_full((len(maps), *pyramid[0].edges.shape[-2:]), outside)
        if shrink > 1:
            maps = F.interpolate(
                maps[None], scale_factor=shrink, mode="bilinear", align_corners=False
            )[0]
        y, x = (at * shrink // EDGES for at in view.start)
        whole[:, y : y + maps.shape[1], x : x + maps.shape[2]] = maps
        return whole

    def _merged(self, looks: list[_Look], pyramid: list[PocketFeatures]) -> tuple[Tensor, Tensor]:
        """What all masks of an object agree on: logits (H, W), and an estimate of their IoU.

        A pixel's probability is the mean over the masks, the better ones weighing more. How certain
        the pixels inside are says more about the IoU than the predictions do; its square is right
        on average.
        """
        fits = torch.stack([look.fits for look in looks])
        weights = (fits / SHARPNESS).flatten().softmax(0).view(fits.shape)
        probability = torch.zeros((), device=fits.device)
        for look, each in zip(looks, weights, strict=True):
            mixed = torch.einsum("m,mhw->hw", each, look.logits.sigmoid())
            probability = probability + self._whole(mixed[None], look.view, pyramid, 0.0)[0]
        inside = probability[probability > 0.5]
        certainty = inside.mean() if len(inside) else probability.max()
        return probability.logit(eps=1e-7), certainty**2


def _pyramid(features: tuple[Tensor, ...]) -> list[PocketFeatures]:
    """The features of each level, finest first."""
    n = len(PocketFeatures._fields)
    return [PocketFeatures(*features[i : i + n]) for i in range(0, len(features), n)]


class _Look(NamedTuple):
    """One object in one view."""

    view: View
    logits: Tensor  # (4, h, w) of the window
    iou_predictions: Tensor  # (4,)
    fits: Tensor  # (4,) the fitness of each
    score: float  # the fitness by which views compare


def _order(view: View, *, masked: bool) -> tuple[int, ...]:
    """Views that are alike in this are decoded together, coarse levels last."""
    return view.level if masked else int(view.level >= COARSE), *view.shape


def _views(
    config: PocketConfig, pyramid: list[PocketFeatures], prompts: PromptTensors
) -> Iterator[View]:
    """Where to look at each object: at the level where it has a known size, or at all of them."""
    for nth, (y0, x0, y1, x1, is_known) in enumerate(_extents(prompts)):
        extent = max(y1 - y0, x1 - x0)
        fits = [i for i, shrink in enumerate(config.levels) if extent <= config.fit * shrink]
        last = len(config.levels) - 1
        for level in fits[:1] or [last] if is_known else fits or [last]:
            large = level == last and (is_known or level not in fits)
            yield _view(config, pyramid, level, nth, ((y0 + y1) / 2, (x0 + x1) / 2), large=large)


def _view(
    config: PocketConfig,
    pyramid: list[PocketFeatures],
    level: int,
    nth: int,
    middle: tuple[float, float],
    *,
    large: bool,
) -> View:
    """A window of a level around a place, y and x in input pixels, or if large all of the level."""
    extents = [side * EDGES for side in pyramid[level].edges.shape[-2:]]
    shape = extents if large else [min(side, config.window) for side in extents]
    y, x = (
        min(
            max(0, round(((at + 0.5) / config.levels[level] - side / 2) / STEP) * STEP),
            whole - side,
        )
        for at, side, whole in zip(middle, shape, extents, strict=True)
    )
    return View(level, (shape[0], shape[1]), (y, x), nth)


def _extents(prompts: PromptTensors) -> Iterator[tuple[float, float, float, float, bool]]:
    """y0, x0, y1, x1 in input pixels around all that is known of each object, and whether that
    says how large the object is, as a box or a mask does and a click does not."""
    for nth in range(prompts.n_objects):
        corners, is_known = [], False
        if prompts.points is not None and prompts.labels is not None:
            corners += prompts.points[nth, prompts.labels[nth] >= 0].tolist()
        if prompts.boxes is not None and prompts.boxes[nth, 2] > prompts.boxes[nth, 0]:
            box = prompts.boxes[nth].tolist()
            corners += [box[:2], box[2:]]
            is_known = True
        if prompts.masks is not None and (inside := prompts.masks[nth, 0] > 0).any():
            rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
            corners += [[float(EDGES * columns[i]), float(EDGES * rows[i])] for i in (0, -1)]
            is_known = True
        xs, ys = zip(*corners or [(0.0, 0.0)], strict=True)
        yield min(ys), min(xs), max(ys), max(xs), is_known


def _n_clicks(prompts: PromptTensors, nth: int) -> int:
    """How many clicks an object was given, if nothing else."""
    boxed = prompts.boxes is not None and bool(prompts.boxes[nth, 2] > prompts.boxes[nth, 0])
    if prompts.labels is None or boxed:
        return 0
    return int((prompts.labels[nth] >= 0).sum())


def _prompts_in(views: list[View], shrinks: list[int], prompts: PromptTensors) -> PromptTensors:
    """The prompts of the views' objects in pixels of their windows."""
    nth = [view.nth for view in views]
    device = prompts.given[0].device
    starts = torch.tensor([view.start[::-1] for view in views], device=device)[:, None]  # x, y
    shrunk = torch.tensor(shrinks, device=device)[:, None, None]

    def moved(points: Tensor) -> Tensor:
        return (points.float() + 0.5) / shrunk - 0.5 - starts

    masks = None
    if prompts.masks is not None:
        # The mask is at stride 2 of the input, which is as fine or finer than the window's own
        shrink = shrinks[0]
        h, w = (side * shrink // EDGES for side in views[0].shape)
        cut = []
        for view in views:
            y, x = (at * shrink // EDGES for at in view.start)
            cut.append(prompts.masks[view.nth, :, y : y + h, x : x + w])
        masks = torch.stack(cut)
    return PromptTensors(
        points=None if prompts.points is None else moved(prompts.points[nth]),
        labels=None if prompts.labels is None else prompts.labels[nth],
        boxes=None
        if prompts.boxes is None
        else moved(prompts.boxes[nth].view(-1, 2, 2)).flatten(1),
        masks=masks,
    )


def stack_windows(
    features: PocketFeatures,
    images: list[int],
    starts: list[tuple[int, int]],
    shape: tuple[int, int],
) -> PocketFeatures:
    """Stack B windows of features, one for each object.

    Args:
        features: of one or more images.
        images: (B,) which of them each window is in.
        starts: (B, 2) y, x of the first pixel of each window, multiples of 16.
        shape: (h, w) of the windows in pixels, multiples of 32.

    Returns:
        features (B, C, h / stride, w / stride).
    """
    stacked = []
    for feature, stride in zip(features, STRIDES, strict=True):
        last = feature.permute(0, 2, 3, 1)
        h, w = (side // stride for side in shape)
        cuts = [
            last[image, y // stride : y // stride + h, x // stride : x // stride + w]
            for image, (y, x) in zip(images, starts, strict=True)
        ]
        stacked.append(torch.stack(cuts).permute(0, 3, 1, 2))
    return PocketFeatures(*stacked)
