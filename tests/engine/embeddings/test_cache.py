"""An embedding is found by content, preprocessing and model, and by nothing less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_sam.engine import (
    EmbeddingCache,
    EmbeddingStore,
    FrameStack,
    LoadedModel,
    Predictor,
    Prompts,
)
from napari_sam.engine.embeddings import cache as embedding_cache
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


def test_what_is_more_urgent_may_come_in_between(predictor: Predictor) -> None:
    cache, stack = EmbeddingCache(), new_stack()
    urgent = []

    def answer_a_click(done: int, total: int) -> None:
        if not urgent:
            urgent.append(None)
            urgent[:] = [cache.embed(predictor, stack, index) for index in (FIRST, SECOND)]

    assert cache.embed(predictor, stack, FIRST, answer_a_click) is urgent[0], "with its memo"
    assert cache.embed(predictor, stack, SECOND) is urgent[1]
    assert len(cache) == 2


def test_the_picture_lies_under_the_logits(predictor: Predictor) -> None:
    cached = EmbeddingCache().embed(predictor, new_stack(), FIRST)
    assert cached.picture.shape == (SMALL.mask_size * 4 // 5, SMALL.mask_size, 3)


# On disk


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(tmp_path / "embeddings")


@pytest.fixture
def endless_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every embedding is worth keeping, however small the network and fast the computer."""
    monkeypatch.setattr(embedding_cache, "SLOW_DISK", np.inf)


def test_found_again_after_a_restart_with_the_same_answer(
    predictor: Predictor, store: EmbeddingStore, endless_disk: None
) -> None:
    fresh = EmbeddingCache(store=store).embed(predictor, new_stack(), FIRST)
    assert len(store) == 1
    later, again = EmbeddingCache(store=EmbeddingStore(store.folder)), new_predictor("sha256:1")
    assert count_encodes(later, again, new_stack(), FIRST) == 0
    found = later.embed(again, new_stack(), FIRST)
    np.testing.assert_array_equal(found.picture, fresh.picture)
    for prompts in (Prompts.from_points([(20, 30)]), Prompts.from_box((4, 5, 30, 40))):
        before = predictor.refine(fresh.embedding, prompts)
        after = again.refine(found.embedding, prompts)
        np.testing.assert_array_equal(after.low_res_logits, before.low_res_logits)
        np.testing.assert_array_equal(after.mask(), before.mask())
        assert after.iou_predictions.tolist() == before.iou_predictions.tolist()


@pytest.mark.parametrize(("disk", "kept"), [(np.inf, 1), (0.0, 0)], ids=["fast", "slow"])
def test_what_is_made_faster_than_read_is_not_kept(
    predictor: Predictor, store: EmbeddingStore, monkeypatch, disk: float, kept: int
) -> None:
    monkeypatch.setattr(embedding_cache, "SLOW_DISK", disk or 1e-9)
    EmbeddingCache(store=store).embed(predictor, new_stack(), FIRST)
    assert len(store) == kept


OTHER_FRAMES = {
    "limits": new_stack(limits=(0, 100)),
    "pixels": new_stack(seed=1),
    "channel": FrameStack.from_array(
        np.stack([np.arange(2000).reshape(40, 50) % 251, np.arange(2000).reshape(40, 50) % 7]),
        axes="CYX",
        channel=1,
    ),
}


@pytest.mark.parametrize("other", OTHER_FRAMES.values(), ids=OTHER_FRAMES)
def test_another_frame_is_not_found_on_disk(
    predictor: Predictor, store: EmbeddingStore, endless_disk: None, other: FrameStack
) -> None:
    cache = EmbeddingCache(store=store)
    cache.embed(predictor, new_stack(), FIRST)
    index = next(iter(other.indices()))
    assert count_encodes(EmbeddingCache(store=store), predictor, other, index) == 1
    assert len(store) == 2


def test_a_channel_is_another_frame_than_all(
    predictor: Predictor, store: EmbeddingStore, endless_disk: None
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (2, 40, 50)).astype(np.uint16)
    for channel in (None, 0, 1):
        stack = FrameStack.from_array(pixels, axes="CYX", channel=channel)
        assert count_encodes(EmbeddingCache(store=store), predictor, stack, (None, None)) == 1
    assert len(store) == 3


@pytest.mark.parametrize("other", [("sha256:2", "fp32"), ("sha256:1", "bf16")])
def test_another_model_or_precision_is_not_found_on_disk(
    predictor: Predictor, store: EmbeddingStore, endless_disk: None, other: tuple[str, str]
) -> None:
    EmbeddingCache(store=store).embed(predictor, new_stack(), FIRST)
    cache = EmbeddingCache(store=store)
    assert count_encodes(cache, new_predictor(*other), new_stack(), FIRST) == 1


def test_damaged_on_disk_is_encoded_again_and_said_once(
    predictor: Predictor, tmp_path: Path, endless_disk: None
) -> None:
    said: list[str] = []
    store = EmbeddingStore(tmp_path, tell=said.append)
    cache, stack = EmbeddingCache(store=store), new_stack()
    for index in stack.indices():
        cache.embed(predictor, stack, index)
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    later = EmbeddingCache(store=store)
    assert sum(count_encodes(later, predictor, stack, index) for index in stack.indices()) == 3
    assert len(said) == 1
    assert count_encodes(EmbeddingCache(store=store), predictor, stack, FIRST) == 0


def test_without_a_disk_all_goes_on(predictor: Predictor, tmp_path: Path, endless_disk) -> None:
    said: list[str] = []
    (tmp_path / "file").write_text("")
    cache = EmbeddingCache(store=EmbeddingStore(tmp_path / "file", tell=said.append))
    assert count_encodes(cache, predictor, new_stack(), FIRST) == 1
    assert count_encodes(cache, predictor, new_stack(), FIRST) == 0
    assert cache.keep(predictor, new_stack(), SECOND) == (True, 0)
    assert count_encodes(cache, predictor, new_stack(), SECOND) == 0, "in memory at least"
    assert len(said) == 1


def test_kept_without_filling_memory_or_reading_what_is_there(
    predictor: Predictor, store: EmbeddingStore, monkeypatch
) -> None:
    monkeypatch.setattr(embedding_cache, "SLOW_DISK", 1e-9)
    cache, stack = EmbeddingCache(store=store), new_stack()
    cache.embed(predictor, stack, FIRST)
    assert len(store) == 0
    assert cache.keep(predictor, stack, FIRST) == (False, store.nbytes), "it was in memory"
    encoded, nbytes = cache.keep(predictor, stack, SECOND)
    assert (encoded, nbytes > 0, len(cache), len(store)) == (True, True, 1, 2)
    assert cache.keep(predictor, stack, SECOND) == (False, nbytes)
    assert count_encodes(cache, predictor, stack, SECOND) == 0


def test_a_model_that_moves_to_the_cpu_meanwhile_changes_the_key(store, endless_disk) -> None:
    class Moving(Predictor):
        """A predictor whose GPU is full: the precision is another after the first frame."""

        def encode(self, *arguments, **options):
            self.model = replace(self.model, precision="fp32")
            return super().encode(*arguments, **options)

    moving = Moving(new_predictor("sha256:1", "bf16").model)
    cache = EmbeddingCache(store=store)
    first = cache.embed(moving, new_stack(), FIRST)
    assert cache.embed(moving, new_stack(), FIRST) is first
    assert count_encodes(EmbeddingCache(store=store), moving, new_stack(), FIRST) == 0
    other = new_predictor("sha256:1", "bf16")
    assert count_encodes(EmbeddingCache(store=store), other, new_stack(), FIRST) == 1
