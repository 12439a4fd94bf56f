"""The training loop on a tiny network: it learns, resumes, and stops at what is no number."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.engine import ModelError
from napari_sam.model import Pocket
from napari_sam.training import TrainingConfig
from napari_sam.training.loop import Training
from napari_sam.training.pocket.crops import SourcePool, pool_of
from napari_sam.training.pocket.task import PocketTask
from small_runs import POCKET_RUN, tiny_pocket, training_data


@pytest.fixture(scope="module")
def pool() -> SourcePool:
    return pool_of(training_data().training, n_synthetic=2, synthetic_share=0.1, seed=0)


def training(config: TrainingConfig, pool: SourcePool) -> Training:
    network = tiny_pocket().network
    assert isinstance(network, Pocket)
    return Training(PocketTask(network, pool, config), config)


@pytest.mark.slow
def test_training_lowers_the_loss(pool: SourcePool) -> None:
    """60 small steps take at least a third off the loss of the prompts."""
    config = replace(POCKET_RUN, steps=60, dense_share=0.0, rounds=(1.0,), synthetic_share=0.0)
    losses = [progress.loss for progress in training(config, pool).run()]
    assert np.mean(losses[-15:]) < 0.67 * np.mean(losses[:5])


def test_resumed_equals_uninterrupted(pool: SourcePool) -> None:
    whole = training(POCKET_RUN, pool)
    losses = [progress.loss for progress in whole.run()]

    stopped = training(POCKET_RUN, pool)
    run = stopped.run()
    first = [next(run).loss for _ in range(4)]
    resumed = training(POCKET_RUN, pool)
    resumed.load(stopped.state())
    rest = [progress.loss for progress in resumed.run()]

    assert first + rest == losses
    for name, tensor in whole.average.state_dict().items():
        assert torch.equal(tensor, resumed.average.state_dict()[name])


def test_a_run_ends_with_its_minutes(pool: SourcePool) -> None:
    config = replace(POCKET_RUN, steps=None, minutes=0.01)
    *before, last = training(config, pool).run()
    assert last.done >= 1
    assert all(step.done < 1 for step in before)


def test_a_loss_that_is_no_number_stops_before_it_does_harm(pool: SourcePool) -> None:
    config = replace(POCKET_RUN, rate=1e30, warm_up=1, dense_share=0.0, clip=1e30, steps=50)
    broken = training(config, pool)
    with pytest.raises(ModelError, match=r"failed in step \d+: .* --resume and another --seed"):
        list(broken.run())
    assert 0 < broken.step < 50
    assert all(tensor.isfinite().all() for tensor in broken.trained.parameters())
