"""Seeds of automatic segmentation: where the maps put them, and how they are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_sam.engine import Predictor
from napari_sam.model import Pocket
from napari_sam.training.pocket.seeds import seed_scores, seeds_of
from small_runs import SIDE, TINY, disks, tiny_pocket


def maps_with_peaks(*peaks: tuple[int, int]) -> Tensor:
    """Probabilities (1, 3, 16, 16) with round objects about the peaks."""
    ys, xs = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    depth = torch.zeros(16, 16)
    for y, x in peaks:
        depth = torch.maximum(depth, 1 - ((ys - y) ** 2 + (xs - x) ** 2).sqrt() / 4)
    return torch.stack([(depth > 0).float(), torch.zeros(16, 16), depth.clamp(min=0)])[None]


class Mapped(Pocket):
    """Maps two objects at its finest level, and none at the other, whatever it is shown."""

    def map_objects(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return maps_with_peaks((3, 4), (11, 12)), torch.zeros(1, 3, 8, 8)


@pytest.fixture
def predictor() -> Predictor:
    return Predictor(replace(tiny_pocket(), network=Mapped(TINY).eval()))


def test_a_seed_is_where_the_depth_is_greatest(predictor: Predictor) -> None:
    """In pixels of the frame, half as many as of the network's input here."""
    frame = np.zeros((SIDE // 2, SIDE // 2, 3), np.uint8)
    points = seeds_of(predictor, predictor.encode(frame))
    assert points.tolist() == [[7, 9], [23, 25]]


def test_seeds_are_counted(predictor: Predictor) -> None:
    """One of two objects has a seed, and one of two seeds is on the background."""
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[10:20, 10:25] = 1
    labels[50:60, 5:15] = 2
    frame = replace(disks(0), labels=labels, complete=True)
    score = seed_scores(predictor, [frame])[frame.source]
    assert (score.found, score.seeds_per_object, score.on_background) == (0.5, 1, 0.5)
    unknown = seed_scores(predictor, [replace(frame, complete=False)])[frame.source]
    assert np.isnan(unknown.on_background)
