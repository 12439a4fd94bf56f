"""Maps of objects: what they should be, and that they learn alone."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.engine import ModelError
from napari_sam.model import Pocket, PromptTensors
from napari_sam.training.loop import Training
from napari_sam.training.pocket.crops import SourcePool, pool_of
from napari_sam.training.pocket.maps_task import MapsTask, map_targets
from small_runs import POCKET_RUN, SIDE, TINY, disks, tiny_pocket, training_data


@pytest.fixture(scope="module")
def pool() -> SourcePool:
    frames = [replace(frame, complete=True) for frame in training_data().training]
    return pool_of(frames, n_synthetic=2, synthetic_share=0.1, seed=0)


def test_map_targets() -> None:
    """A square of 16 pixels: inside, outline, depth; no weight where more may be unlabelled."""
    labels = torch.zeros(2, 48, 48, dtype=torch.int32)
    labels[:, 16:32, 16:32] = 5
    maps, weights = map_targets(labels, torch.tensor([True, False]))
    assert maps.shape == (2, 3, 12, 12)
    inside, outline, depth = maps[0]
    assert inside[4:8, 4:8].eq(1).all()
    assert inside.sum() == 16
    assert outline[4, 4] > 0.5
    assert outline[5:7, 5:7].eq(0).all()
    assert depth.max() == depth[5:7, 5:7].max() > 0.8
    assert depth[inside == 0].eq(0).all()
    assert weights.flatten().tolist() == [1, 0]


def test_maps_alone_learn_without_changing_a_mask(pool: SourcePool) -> None:
    """After some steps the maps differ; masks and their scores do not, but for rounding."""
    network = tiny_pocket().network
    assert isinstance(network, Pocket)
    before = copy.deepcopy(network)
    training = Training(MapsTask(network, pool, POCKET_RUN), POCKET_RUN)
    losses = [progress.loss for progress in training.run()]
    assert all(np.isfinite(losses))
    after = training.task.averaged_network(training.average)
    assert isinstance(after, Pocket)
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) * 255
    prompts = PromptTensors(points=torch.tensor([[[30.0, 30.0]]]), labels=torch.tensor([[1]]))
    with torch.inference_mode():
        features = [net.encode(net.preprocess(image)) for net in (before, after)]
        answers = [net.decode(f, prompts) for net, f in zip((before, after), features, strict=True)]
        maps = [net.map_objects(f) for net, f in zip((before, after), features, strict=True)]
    torch.testing.assert_close(answers[0][0], answers[1][0], atol=0.05, rtol=0.05)
    torch.testing.assert_close(answers[0][1], answers[1][1], atol=0.01, rtol=0.01)
    assert [m.shape for m in maps[1]] == [(1, 3, 16, 16), (1, 3, 8, 8)]
    assert not torch.allclose(maps[0][0], maps[1][0], atol=1e-3)


def test_maps_find_disks(pool: SourcePool) -> None:
    """Random features are enough to tell disks never seen from the ground."""
    network = tiny_pocket().network
    assert isinstance(network, Pocket)
    config = replace(POCKET_RUN, steps=60, rate=1e-2)
    training = Training(MapsTask(network, pool, config), config)
    assert abs(contrast(training)) < 0.03
    assert [progress.step for progress in training.run()][-1] == 60
    assert contrast(training) > 0.12


def contrast(training: Training) -> float:
    """How much more of an object the maps see inside of disks than outside, on average."""
    network = training.task.averaged_network(training.average)
    assert isinstance(network, Pocket)
    differences = []
    for frame in map(disks, range(100, 106)):
        image = torch.from_numpy(frame.image).permute(2, 0, 1)[None]
        with torch.inference_mode():
            objects = network.map_objects(network.encode(network.preprocess(image)))[0][0, 0]
        inside = torch.from_numpy(frame.labels > 0)[2::4, 2::4]
        differences.append(float(objects[inside].mean() - objects[~inside].mean()))
    return float(np.mean(differences))


def test_an_earlier_version_has_no_maps(pool: SourcePool) -> None:
    old = Pocket(replace(TINY, maps_width=0))
    assert old.map_objects(old.encode(torch.zeros(1, 3, SIDE, SIDE))) == ()
    with pytest.raises(ModelError, match="maps no objects"):
        MapsTask(old, pool, POCKET_RUN)
