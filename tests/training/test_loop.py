"""The training loop on a tiny network: it learns, and it resumes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.model import PocketConfig
from napari_sam.training.augment import Source, random_crop
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.loop import Training, TrainingConfig, draw_batch

TINY = PocketConfig(name="tiny", input_size=64, mask_size=32, widths=(4, 8, 8, 8, 8))
CONFIG = TrainingConfig(
    network=TINY, steps=6, crops=2, crop_size=64, objects=2, clicks=4, dense_share=0.5,
    warm_up=2, ema=0.9, bf16=False,
)  # fmt: skip


@pytest.fixture(scope="module")
def sources() -> list[list[Source]]:
    """Bright disks on a dark ground, twice: as real and as synthetic frames."""
    labels = np.zeros((96, 96), np.int32)
    ys, xs = np.mgrid[:96, :96]
    for id_, (y, x, r) in enumerate(((25, 25, 12), (30, 70, 16), (70, 50, 18)), 1):
        labels[(ys - y) ** 2 + (xs - x) ** 2 < r**2] = id_
    image = np.where(labels > 0, 220, 30).astype(np.uint8)[..., None].repeat(3, -1)
    source = Source.from_frame(AnnotatedFrame("disks", image, labels))
    return [[source], [source]]


def trained(config: TrainingConfig, sources: list[list[Source]]) -> Training:
    training = Training(config)
    training.sources = sources
    return training


def test_training_lowers_the_loss(sources: list[list[Source]]) -> None:
    """60 small steps take at least a third off the loss of the prompts."""
    config = replace(CONFIG, steps=60, dense_share=0.0, rate=5e-3, rounds=(1.0,))
    losses = [progress.loss for progress in trained(config, sources).run()]
    assert np.mean(losses[-15:]) < 0.67 * np.mean(losses[:5])


def test_resumed_equals_uninterrupted(sources: list[list[Source]]) -> None:
    whole = trained(CONFIG, sources)
    losses = [progress.loss for progress in whole.run()]

    stopped = trained(CONFIG, sources)
    run = stopped.run()
    first = [next(run).loss for _ in range(4)]
    resumed = trained(CONFIG, sources)
    resumed.load(stopped.state())
    rest = [progress.loss for progress in resumed.run()]

    assert first + rest == losses
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name])


def test_a_run_ends_with_its_minutes(sources: list[list[Source]]) -> None:
    config = replace(CONFIG, steps=None, minutes=1e-9)
    assert len(list(trained(config, sources).run())) == 1


def test_crops_keep_their_objects_in_place(sources: list[list[Source]]) -> None:
    """Without inversion an object's pixels are brighter than the ground in every crop."""
    for seed in range(12):
        image, labels = random_crop(sources[0][0], 64, np.random.default_rng(seed))
        assert image.shape == (3, 64, 64)
        assert image.min() >= 0
        assert image.max() <= 255
        inside, ground = (image.mean(0)[where] for where in (labels > 0, labels == 0))
        if len(inside) > 50 and len(ground) > 50:
            assert abs(inside.mean() - ground.mean()) > 3 * image.std() / 5


def test_batch(sources: list[list[Source]]) -> None:
    batch = draw_batch(CONFIG, sources, np.random.default_rng(0))
    assert batch.images.shape == (2, 3, 64, 64)
    assert batch.crop.tolist() == [0, 0, 1, 1]
    assert batch.masks.shape == (4, 32, 32)
    assert ((batch.masks > 0.5).sum((1, 2)) > 0).all()
