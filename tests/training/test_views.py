"""Views of frames as a frozen encoder sees them, kept on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoints import SMALL
from napari_sam.engine import FrameError, Predictor
from napari_sam.training.data import AnnotatedFrame
from napari_sam.training.views import encode_views, random_part
from small_runs import disks, tiny_sam


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(tiny_sam())


def test_the_first_view_is_the_frame(predictor: Predictor, tmp_path: Path) -> None:
    """Its embedding is the predictor's, its labels lie where the input shows them."""
    frame = disks(0)
    wide = replace(frame, image=frame.image[:40], labels=frame.labels[:40])
    view, *others = encode_views(predictor, [wide], tmp_path / "views")
    embedding, labels = view.load(torch.device("cpu"))
    expected = predictor.encode(wide.image).features
    torch.testing.assert_close(embedding, expected, atol=2e-3, rtol=2e-3)
    assert labels.shape == (SMALL.input_size, SMALL.input_size)
    assert np.array_equal(labels[:80:2, ::2], wide.labels)
    assert labels[80:].max() == 0
    assert view.ids == (1,)
    assert len(others) <= 3


def test_nothing_is_encoded_twice(predictor: Predictor, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    frames = [disks(0), disks(1)]
    first = encode_views(predictor, frames, tmp_path, progress=lambda *at: told.append(at))
    assert told == [(n, 8) for n in range(1, 9)]
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert encode_views(predictor, frames, tmp_path) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
    other = encode_views(Predictor(tiny_sam(1)), frames, tmp_path)
    assert not {view.path for view in other} & set(written)


def test_parts_keep_image_and_labels_together() -> None:
    """Wherever a part comes from, however it is lit: its disk is told apart by its labels."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        part = random_part(disks(seed), rng)
        side = part.labels.shape[0]
        assert part.image.shape == (side, side, 3)
        assert 32 <= side <= 64
        inside = part.labels > 0
        assert inside.any()
        if inside.sum() > 50 and (~inside).sum() > 50:
            grey = part.image.mean(-1)
            assert abs(grey[inside].mean() - grey[~inside].mean()) > grey.std() / 2


def test_objects_too_small_for_the_network(predictor: Predictor, tmp_path: Path) -> None:
    """20 px in a frame of 512 are 1 px in an input of 128."""
    labels = np.zeros((512, 512), np.int32)
    labels[100:104, 100:105] = 1
    frame = AnnotatedFrame("specks", np.zeros((512, 512, 3), np.uint8), labels)
    with pytest.raises(FrameError, match=r"smaller than 64 pixels once .* Cut the images"):
        encode_views(predictor, [frame], tmp_path)
