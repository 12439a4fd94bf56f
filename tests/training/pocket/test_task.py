"""Crops and objects that the embedded network learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_sam.model import Pocket
from napari_sam.training.augment import Source, random_crop
from napari_sam.training.pocket import task
from napari_sam.training.pocket.task import PocketTask, draw_batch, sources_of
from small_runs import POCKET_RUN, SIDE, TINY, disks, tiny_pocket, training_data


@pytest.fixture(scope="module")
def sources() -> list[list[Source]]:
    return sources_of(training_data().training, n_synthetic=2, seed=0)


def test_sources_are_grouped_and_the_synthetic_ones_last(sources: list[list[Source]]) -> None:
    disks_, synthetic = sources
    assert len(disks_) == 8
    assert len(synthetic) == 2
    assert [len(group) for group in sources_of(training_data().training, 0, seed=0)] == [8, 0]


def test_large_frames_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into pieces of at most so many pixels, those without objects left out."""
    frame = disks(0)
    monkeypatch.setattr(task, "MAX_SIDE", 16)
    (pieces,) = sources_of([frame], 0, seed=0)[:-1]
    assert {piece.labels.shape for piece in pieces} == {torch.Size([16, 16])}
    assert sum(int((piece.labels > 0).sum()) for piece in pieces) == (frame.labels > 0).sum()
    assert len(pieces) < 16


def test_crops_keep_their_objects_in_place(sources: list[list[Source]]) -> None:
    """An object's pixels differ from the ground in every crop."""
    for seed in range(12):
        image, labels, magnified = random_crop(sources[0][0], SIDE, np.random.default_rng(seed))
        assert image.shape == (3, SIDE, SIDE)
        assert image.min() >= 0
        assert image.max() <= 255
        assert magnified > 0
        inside, ground = (image.mean(0)[where] for where in (labels > 0, labels == 0))
        if len(inside) > 50 and len(ground) > 50:
            assert abs(inside.mean() - ground.mean()) > 3 * image.std() / 5


def test_batch(sources: list[list[Source]]) -> None:
    batch = draw_batch(POCKET_RUN, TINY, sources, np.random.default_rng(0))
    assert batch.images.shape == (2, 3, SIDE, SIDE)
    assert batch.crop.tolist() == [0, 0, 1, 1]
    assert batch.masks.shape == (4, SIDE // 2, SIDE // 2)
    assert ((batch.masks > 0.5).sum((1, 2)) > 0).all()
    assert (batch.beyond >= 0).all()


def test_windows_show_their_objects(sources: list[list[Source]]) -> None:
    """A mask is what its window of the crop's labels shows of one object."""
    small = replace(TINY, window=32)
    config = replace(POCKET_RUN, whole_share=0.0)
    batch = draw_batch(config, small, sources, np.random.default_rng(1))
    assert batch.masks.shape == (4, 16, 16)
    for crop, (top, left), mask in zip(batch.crop, batch.windows, batch.masks, strict=True):
        seen = batch.labels[crop, top : top + 32, left : left + 32]
        shares = [
            (seen == id_).float().view(16, 2, 16, 2).mean((1, 3)) for id_ in seen.unique() if id_
        ]
        assert any(torch.equal(share, mask) for share in shares)


def test_a_graduate_is_rounded_as_its_file_is(sources: list[list[Source]]) -> None:
    network = tiny_pocket().network
    assert isinstance(network, Pocket)
    graduate = PocketTask(network, sources, POCKET_RUN).averaged_network(network)
    for name, tensor in graduate.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name].half().float())
