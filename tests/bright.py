"""A network whose masks are known, and a gate to hold it at."""

from __future__ import annotations

import threading
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_sam.model import PocketConfig, PromptTensors

SIDE = 64
BRIGHT = 128


class Bright(nn.Module):
    """A network whose masks are what is bright in and about the box, mask or points.

    ``on_block`` is called in the middle of every encoding: there a test can do what it likes.
    """

    merges_clicks = False
    iou_prediction = 0.9
    config = PocketConfig("bright", input_size=SIDE, mask_size=SIDE)

    def __init__(self) -> None:
        super().__init__()
        self.n_encoded = 0
        self.on_block: Callable[[], None] = lambda: None

    def preprocess(self, image: Tensor) -> Tensor:
        return image.float()

    def encode(
        self, input: Tensor, progress: Callable[[int, int], None] | None = None
    ) -> tuple[Tensor, ...]:
        self.on_block()
        if progress is not None:
            progress(1, 2)
            progress(2, 2)
        self.n_encoded += 1
        return torch.zeros(1, 1, SIDE // 16, SIDE // 16), input

    def decode(self, features: tuple[Tensor, ...], prompts: PromptTensors) -> tuple[Tensor, Tensor]:
        bright = features[1][0, 0] > BRIGHT
        ys, xs = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
        given = (prompts.boxes, prompts.points, prompts.masks)
        n = max(len(each) for each in given if each is not None)
        logits = torch.full((n, 4, SIDE, SIDE), -9.0)
        for i in range(n):
            near = torch.zeros((SIDE, SIDE), dtype=torch.bool)
            if prompts.boxes is not None:
                x0, y0, x1, y1 = prompts.boxes[i]
                near |= (ys >= y0 - 3) & (ys <= y1 + 3) & (xs >= x0 - 3) & (xs <= x1 + 3)
            elif prompts.points is None and prompts.masks is not None:
                grown = functional.max_pool2d((prompts.masks[i] > 0).float(), 7, 1, 3)
                near |= grown[0] > 0
            if prompts.points is not None and prompts.labels is not None:
                for (x, y), label in zip(prompts.points[i], prompts.labels[i], strict=True):
                    around = ((ys - y).abs() <= 8) & ((xs - x).abs() <= 8)
                    near = near | around if label == 1 else near & ~around if label == 0 else near
            logits[i, :, bright & near] = 9.0
        return logits, torch.full((n, 4), self.iou_prediction)

    def upscale(
        self, low_res_logits: Tensor, input_shape: tuple[int, int], frame_shape: tuple[int, int]
    ) -> Tensor:
        return low_res_logits


class Gate:
    """Where the worker's thread waits for the test."""

    def __init__(self) -> None:
        self.entered, self.released = threading.Semaphore(0), threading.Semaphore(0)
        self.is_open = False

    def wait(self) -> None:
        """In the worker's thread."""
        self.entered.release()
        assert self.is_open or self.released.acquire(timeout=60)

    def let(self, n: int) -> None:
        """Let frames go on, and meet the one after them."""
        for _ in range(n):
            self.released.release()
            assert self.entered.acquire(timeout=60)

    def open(self) -> None:
        """Hold nothing any more."""
        self.is_open = True
        self.released.release()
