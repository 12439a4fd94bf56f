"""Features pooled over masks: against what is known of maps made by hand, and of the network's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.engine import Embedding, Predictor, load_model, pooled_features

WHOLE = np.ones((2, 2), bool)


def embedding(*tensors: torch.Tensor, frame_shape: tuple[int, int] = (64, 96)) -> Embedding:
    return Embedding(tensors, frame_shape, (64, 96), "hash")


def columns_and_rows(h: int, w: int) -> torch.Tensor:
    """(1, 2, h, w): of each pixel its column and its row."""
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return torch.stack([columns, rows])[None].half()


@pytest.mark.parametrize(
    ("window", "mask", "expected"),
    [
        ((0, 0, 2, 2), WHOLE, (0, 0)),
        ((62, 94, 64, 96), WHOLE, (5, 3)),
        ((15, 31, 17, 33), WHOLE, (1.5, 0.5)),  # a quarter of it in each of four pixels
        ((15, 31, 17, 33), np.array([[False, True], [False, True]]), (2, 0.5)),
        ((15, 31, 17, 33), ~WHOLE, (0, 0)),
    ],
)
def test_the_mean_of_each_channel(window, mask, expected) -> None:
    pooled = pooled_features(embedding(columns_and_rows(4, 6)), [(window, mask)])
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, [expected])


def test_of_a_frame_twice_as_large_as_the_input() -> None:
    seen = embedding(columns_and_rows(4, 6), frame_shape=(128, 192))
    masks = [((62, 94, 66, 98), np.ones((4, 4), bool)), ((0, 190, 2, 192), WHOLE)]
    np.testing.assert_allclose(pooled_features(seen, masks), [(2.5, 1.5), (5, 0)])


def test_every_scale_of_the_embedded_model_tells_discs_from_background() -> None:
    image = np.full((96, 160), 30, np.uint8)
    disc = np.hypot(*np.mgrid[-14:15, -14:15]) < 14
    corners = [(10, 10), (50, 20), (20, 110), (10, 60), (60, 70), (60, 120)]
    for y, x in corners[:3]:
        image[y : y + 29, x : x + 29][disc] = 150
    predictor = Predictor(load_model("pocket", device="cpu", precision="fp32"))
    masks = [((y, x, y + 29, x + 29), disc) for y, x in corners]
    pooled = pooled_features(predictor.encode(image), masks)
    widths = 3 * (128, 64, 32)
    assert pooled.shape == (6, sum(widths))
    for scale in np.split(pooled, np.cumsum(widths)[:-1], 1)[:6]:
        between = np.linalg.norm(scale[:, None] - scale, axis=2)
        assert between[:3, :3].max() < between[:3, 3:].min()


def test_no_mask_no_row() -> None:
    assert pooled_features(embedding(columns_and_rows(4, 6)), []).shape == (0, 2)
