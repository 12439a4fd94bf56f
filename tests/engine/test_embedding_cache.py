"""An embedding is found by content, preprocessing and model, and by nothing less."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam.engine import EmbeddingCache, FrameStack, LoadedModel, Predictor, Prompts
from napari_sam.model import Sam
from oracles import SMALL

FIRST, SECOND = (0, None, None), (1, None, None)


def new_predictor(model_hash: str, precision: str = "fp32") -> Predictor:
    torch.manual_seed(0)
    model = LoadedModel(Sam(SMALL).eval(), "small", model_hash, torch.device("cpu"), precision)
    return Predictor(model)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return new_predictor("sha256:1")


def new_stack(seed: int = 0, **options) -> FrameStack:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    return FrameStack.from_array(pixels, rgb=False, **options)


def count_encodes(cache: EmbeddingCache, predictor: Predictor, stack: FrameStack, index) -> int:
    blocks = []
    cache.embed(predictor, stack, index, lambda done, total: blocks.append(done))
    return len(blocks) // 4


def test_the_same_frame_is_encoded_once(predictor: Predictor) -> None:
    cache, stack = EmbeddingCache(), new_stack()
    assert count_encodes(cache, predictor, stack, FIRST) == 1
    assert count_encodes(cache, predictor, stack, SECOND) == 1
    assert count_encodes(cache, predictor, stack, FIRST) == 0
    assert count_encodes(cache, predictor, new_stack(), FIRST) == 0, "equal pixels, other array"
    assert cache.embed(predictor, stack, FIRST) is cache.embed(predictor, stack, FIRST)


@pytest.mark.parametrize(
    ("stack", "predictor_too"),
    [
        (new_stack(seed=1), False),
        (new_stack(limits=(0, 100)), False),
        (new_stack(), True),
    ],
    ids=["other pixels", "other limits", "other model"],
)
def test_nothing_stale_is_found(predictor: Predictor, stack, predictor_too: bool) -> None:
    cache = EmbeddingCache()
    cache.embed(predictor, new_stack(), FIRST)
    other = new_predictor("sha256:2") if predictor_too else predictor
    assert count_encodes(cache, other, stack, FIRST) == 1


def test_a_view_from_the_side_is_another_frame(predictor: Predictor) -> None:
    cache, stack = EmbeddingCache(), new_stack()
    cache.embed(predictor, stack, FIRST)
    side = cache.embed(predictor, stack, (None, 0, None)).embedding
    assert side.frame_shape == (3, 50)


def test_precision_is_part_of_the_key(predictor: Predictor) -> None:
    cache, stack = EmbeddingCache(), new_stack()
    cache.embed(predictor, stack, FIRST)
    assert count_encodes(cache, new_predictor("sha256:1", "bf16"), stack, FIRST) == 1


def test_the_least_recently_used_goes_first(predictor: Predictor) -> None:
    stack = new_stack()
    one = EmbeddingCache().embed(predictor, stack, FIRST).nbytes
    cache = EmbeddingCache(limit_bytes=2 * one)
    for index in (0, 1, 0, 2):
        cache.embed(predictor, stack, (index, None, None))
    assert len(cache) == 2
    assert cache.nbytes == 2 * one
    assert count_encodes(cache, predictor, stack, FIRST) == 0
    assert count_encodes(cache, predictor, stack, SECOND) == 1
    tiny = EmbeddingCache(limit_bytes=1)
    tiny.embed(predictor, stack, FIRST)
    assert len(tiny) == 1, "the one in use is kept"


def test_predictions_count_as_memory(predictor: Predictor) -> None:
    cache = EmbeddingCache()
    cached = cache.embed(predictor, new_stack(), FIRST)
    before = cache.nbytes
    prompts = Prompts.from_points([(5, n) for n in range(40)])
    predictor.refine(cached.embedding, prompts, memo=cached.memo)
    assert cache.nbytes > before
    assert len(cached.memo) <= 16, "long corrections do not pile up"


def test_a_stopped_encoder_stores_nothing(predictor: Predictor) -> None:
    cache = EmbeddingCache()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.embed(predictor, new_stack(), FIRST, stop)
    assert len(cache) == 0
    assert count_encodes(cache, predictor, new_stack(), FIRST) == 1


def test_the_picture_lies_under_the_logits(predictor: Predictor) -> None:
    cached = EmbeddingCache().embed(predictor, new_stack(), FIRST)
    assert cached.picture.shape == (SMALL.mask_size * 4 // 5, SMALL.mask_size, 3)
