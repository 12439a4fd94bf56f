"""Crops and objects that the embedded network learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.model import Pocket
from napari_sam.training.pocket import crops
from napari_sam.training.pocket.batch import draw_batch
from napari_sam.training.pocket.crops import SourcePool, pool_of, random_crop, source_chances
from napari_sam.training.pocket.task import PocketTask
from small_runs import POCKET_RUN, SIDE, TINY, disks, tiny_pocket, training_data


@pytest.fixture(scope="module")
def pool() -> SourcePool:
    return pool_of(training_data().training, n_synthetic=2, synthetic_share=0.1, seed=0)


def test_sources_are_grouped_beside_the_synthetic_ones() -> None:
    frames = training_data().training
    other = [replace(frame, source="others") for frame in frames[:3]]
    pool = pool_of([*frames, *other], n_synthetic=2, synthetic_share=0.1, seed=0)
    assert [len(group) for group in pool.groups] == [8, 3]
    assert len(pool.synthetic) == 2
    assert pool.chances.sum() == pytest.approx(1)
    drawn = [pool.draw(np.random.default_rng(seed)) for seed in range(300)]
    assert sum(source in pool.synthetic for source in drawn) == pytest.approx(30, abs=15)


def test_rich_sources_and_rare_modalities_are_drawn_more_often() -> None:
    """Ten times the objects: twice as often. A modality of its own: more than one of three."""
    chances = source_chances(["a", "a", "a", "b"], [100, 1000, 100, 100])
    assert chances.sum() == pytest.approx(1)
    assert chances[1] / chances[0] == pytest.approx(10**0.3)
    assert chances[3] > 1.9 * chances[0]
    assert chances[3] < chances[:3].sum()


def test_large_frames_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into pieces of at most so many pixels, those without objects left out."""
    frame = disks(0)
    monkeypatch.setattr(crops, "MAX_SIDE", 16)
    (pieces,) = pool_of([frame], 0, 0, seed=0).groups
    assert {piece.labels.shape for piece in pieces} == {torch.Size([16, 16])}
    assert sum(int((piece.labels > 0).sum()) for piece in pieces) == (frame.labels > 0).sum()
    assert len(pieces) < 16


def test_crops_keep_their_objects_in_place(pool: SourcePool) -> None:
    """An object's pixels differ from the ground in every crop."""
    for seed in range(12):
        image, labels, magnified = random_crop(pool.groups[0][0], SIDE, np.random.default_rng(seed))
        assert image.shape == (3, SIDE, SIDE)
        assert image.min() >= 0
        assert image.max() <= 255
        assert magnified > 0
        inside, ground = (image.mean(0)[where] for where in (labels > 0, labels == 0))
        if len(inside) > 50 and len(ground) > 50:
            assert abs(inside.mean() - ground.mean()) > 3 * image.std() / 5


def test_batch(pool: SourcePool) -> None:
    batch = draw_batch(POCKET_RUN, TINY, pool, np.random.default_rng(0))
    assert batch.images.shape == (2, 3, SIDE, SIDE)
    assert batch.crop.tolist() == [0, 0, 1, 1]
    assert batch.masks.shape == (4, SIDE // 2, SIDE // 2)
    assert ((batch.masks > 0.5).sum((1, 2)) > 0).all()
    assert (batch.beyond >= 0).all()


def test_windows_show_their_objects(pool: SourcePool) -> None:
    """A mask is what its window of the crop's labels shows of one object."""
    small = replace(TINY, window=32)
    config = replace(POCKET_RUN, whole_share=0.0)
    batch = draw_batch(config, small, pool, np.random.default_rng(1))
    assert batch.masks.shape == (4, 16, 16)
    for crop, (top, left), mask in zip(batch.crop, batch.windows, batch.masks, strict=True):
        seen = batch.labels[crop, top : top + 32, left : left + 32]
        shares = [
            (seen == id_).float().view(16, 2, 16, 2).mean((1, 3)) for id_ in seen.unique() if id_
        ]
        assert any(torch.equal(share, mask) for share in shares)


def test_an_averaged_network_is_rounded_as_its_file_is(pool: SourcePool) -> None:
    network = tiny_pocket().network
    assert isinstance(network, Pocket)
    averaged = PocketTask(network, pool, POCKET_RUN).averaged_network(network)
    for name, tensor in averaged.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name].half().float())
