"""From a frame and prompts to masks, against the reference's own predictor where it has one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from napari_sam.engine import (
    FrameError,
    FrameStack,
    LoadedModel,
    Predictor,
    PromptError,
    Prompts,
    load_model,
)
from oracles import SMALL, Pair, import_oracle, make_pair, relative_error

SHAPES = [(320, 320), (200, 320), (320, 111), (97, 41), (640, 500), (33, 700)]


@pytest.fixture(scope="module")
def small() -> Pair:
    return make_pair(SMALL)


@pytest.fixture(scope="module")
def predictor(small: Pair) -> Predictor:
    return Predictor(LoadedModel(small.ours, "small", "sha256:0", torch.device("cpu"), "fp32"))


@pytest.fixture(scope="module")
def pocket() -> Predictor:
    return Predictor(load_model("pocket", device="cpu", precision="fp32"))


def picture(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*shape, 3), np.uint8)


@dataclass(frozen=True)
class PromptCase:
    name: str
    points: tuple[tuple[float, float], ...] = ()  # yx, in shares of the frame
    labels: tuple[int, ...] = ()
    box: tuple[float, float, float, float] | None = None

    def ours(self, shape: tuple[int, int]) -> Prompts:
        prompts = Prompts(tuple((y * shape[0], x * shape[1]) for y, x in self.points), self.labels)
        return prompts if self.box is None else prompts.with_box(np.multiply(self.box, shape * 2))

    def reference(self, shape: tuple[int, int]) -> dict[str, np.ndarray | None]:
        prompts = self.ours(shape)
        return {
            "point_coords": np.array(prompts.points)[:, ::-1] if prompts.points else None,
            "point_labels": np.array(prompts.labels) if prompts.points else None,
            "box": None if prompts.box is None else np.array(prompts.box)[[1, 0, 3, 2]],
        }


PROMPT_CASES = [
    PromptCase("one click", ((0.5, 0.25),), (1,)),
    PromptCase("three clicks", ((0.5, 0.25), (0.1, 0.9), (0.7, 0.7)), (1, 0, 1)),
    PromptCase("box", box=(0.1, 0.2, 0.6, 0.9)),
    PromptCase("box and click", ((0.3, 0.3),), (0,), (0.1, 0.2, 0.6, 0.9)),
]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_equal_to_the_reference_predictor(small: Pair, predictor: Predictor, shape) -> None:
    """Same picture, same prompts: resizing, padding, coordinates and upscaling included."""
    reference = import_oracle("segment_anything.predictor").SamPredictor(small.reference)
    image = picture(shape)
    reference.set_image(image)
    embedding = predictor.encode(image)
    assert relative_error(embedding.features, reference.features) < 1e-5
    for case in PROMPT_CASES:
        for multimask in (True, False):
            masks, iou, low_res = reference.predict(
                **case.reference(shape), multimask_output=multimask
            )
            ours = predictor.predict(embedding, case.ours(shape), multimask=multimask)
            assert relative_error(torch.tensor(ours.low_res_logits), torch.tensor(low_res)) < 1e-5
            np.testing.assert_allclose(ours.iou_predictions, iou, rtol=1e-5, atol=1e-6)
            assert ours.masks.shape == masks.shape == (3 if multimask else 1, *shape)
            assert (ours.masks != masks).mean() <= 1e-4


def test_a_seed_is_the_references_mask_input(small: Pair, predictor: Predictor) -> None:
    reference = import_oracle("segment_anything.predictor").SamPredictor(small.reference)
    image, case = picture((200, 320)), PROMPT_CASES[1]
    reference.set_image(image)
    seed = np.random.default_rng(1).normal(size=(80, 80)).astype(np.float32)
    _, _, low_res = reference.predict(
        **case.reference((200, 320)), mask_input=seed[None], multimask_output=False
    )
    ours = predictor.predict(
        predictor.encode(image), case.ours((200, 320)), seed=seed, multimask=False
    )
    assert relative_error(torch.tensor(ours.low_res_logits), torch.tensor(low_res)) < 1e-5


def test_one_click_of_the_embedded_network(pocket: Predictor) -> None:
    """First what all masks of all sizes agree on, the candidates behind it, unless these alone."""
    embedding = pocket.encode(picture((200, 320)))
    click = Prompts.from_points([(50, 60)])
    merged = pocket.predict(embedding, click)
    assert (merged.tokens, merged.best) == ((0, 1, 2, 3), 0)
    three = pocket.predict(embedding, click, multimask=True)
    assert three.tokens == (1, 2, 3)
    assert three.best == three.iou_predictions.argmax()
    np.testing.assert_array_equal(merged.low_res_logits[1:], three.low_res_logits)
    single = pocket.predict(embedding, click, multimask=False)
    assert np.abs(merged.low_res_logits[0] - single.low_res_logits[0]).max() > 1e-3


def test_candidates(predictor: Predictor) -> None:
    """One click has three candidates; more prompts have the single mask, the three behind it."""
    embedding = predictor.encode(picture((200, 320)))
    one = predictor.predict(embedding, Prompts.from_points([(50, 60)]))
    assert one.tokens == (1, 2, 3)
    assert one.best == one.iou_predictions.argmax()
    assert one.with_token(2).best == 1
    several = predictor.predict(embedding, Prompts.from_points([(50, 60), (90, 100)]))
    assert several.tokens == (0, 1, 2, 3)
    assert several.best == 0
    assert several.with_token(3).best == 3
    assert several.with_token(None).best == 0
    np.testing.assert_array_equal(several.mask(2), several.masks[2])
    assert several.stability_scores.shape == (4,)
    assert ((several.stability_scores >= 0) & (several.stability_scores <= 1)).all()


def test_refining_depends_on_the_prompts_alone(predictor: Predictor) -> None:
    embedding = predictor.encode(picture((200, 320)))
    prompts = Prompts.from_points([(50, 60), (90, 100), (20, 30)], [1, 0, 1])
    memo = {}
    for n in (1, 2):  # as clicks come in
        first = Prompts(prompts.points[:n], prompts.labels[:n])
        predictor.refine(embedding, first, memo=memo)
    grown = predictor.refine(embedding, prompts, memo=memo)
    at_once = predictor.refine(embedding, prompts)
    np.testing.assert_array_equal(grown.low_res_logits, at_once.low_res_logits)
    unseeded = predictor.predict(embedding, prompts)
    assert not np.array_equal(grown.low_res_logits, unseeded.low_res_logits)
    assert len(memo) == 3


def test_a_choice_decides_what_the_next_click_refines(predictor: Predictor) -> None:
    embedding = predictor.encode(picture((200, 320)))
    prompts = Prompts.from_points([(50, 60), (90, 100)])
    logits = [predictor.refine(embedding, prompts, candidate=c).low_res_logits for c in (1, 3)]
    assert not np.array_equal(*logits)
    assert predictor.refine(embedding, prompts, candidate=3).tokens.index(3) == 3


MANY = [
    *(Prompts.from_box((y, 20, y + 60, 90)) for y in (5, 15, 25, 35, 45)),
    Prompts.from_points([(50, 60)]),
    Prompts.from_points([(90, 100)]),
    Prompts.from_points([(50, 60), (90, 100)], [1, 0]),
    Prompts.from_box((10, 20, 60, 90)).with_point((30, 40)),
    Prompts.from_mask(np.eye(200, 320) > 0),
    Prompts.from_box((50, 60, 120, 150)),
]


@pytest.mark.parametrize("multimask", [None, True, False])
def test_many_equal_one_by_one(predictor: Predictor, multimask: bool | None) -> None:
    embedding = predictor.encode(picture((200, 320)))
    predictions = list(predictor.predict_many(embedding, MANY, multimask=multimask))
    assert len(predictions) == len(MANY)
    for prompts, ours in zip(MANY, predictions, strict=True):
        alone = predictor.predict(embedding, prompts, multimask=multimask)
        assert (ours.tokens, ours.best) == (alone.tokens, alone.best)
        ours_logits, logits = (torch.tensor(p.low_res_logits) for p in (ours, alone))
        assert relative_error(ours_logits, logits) < 1e-5
        np.testing.assert_allclose(ours.iou_predictions, alone.iou_predictions, rtol=1e-5)


def test_many_are_decoded_as_they_are_asked_for(predictor: Predictor) -> None:
    """So that memory is that of a few objects: neither prompts nor predictions pile up."""
    embedding = predictor.encode(picture((200, 320)))
    asked = []

    def prompts() -> Iterator[Prompts]:
        for index in range(100):
            asked.append(index)
            yield Prompts.from_box((index, 20, index + 60, 90))

    predictions = predictor.predict_many(embedding, prompts())
    assert not asked
    next(predictions)
    assert len(asked) <= 4


def test_a_prediction_does_not_hold_the_embedding(predictor: Predictor) -> None:
    embedding = predictor.encode(picture((200, 320)))
    encoded = embedding.nbytes
    prediction = predictor.predict(embedding, Prompts.from_points([(50, 60)]))
    assert embedding.nbytes > encoded, "what all prompts share is kept, and counted"
    prepared = [id(tensor) for tensor in embedding.prepared]
    predictor.predict(embedding, Prompts.from_points([(60, 50)]))
    assert [id(tensor) for tensor in embedding.prepared] == prepared
    alive = weakref.ref(embedding)
    del embedding
    assert alive() is None
    assert prediction.mask().shape == (200, 320)


@pytest.mark.slow
def test_a_drawn_mask_is_a_prompt_in_its_place(pocket: Predictor) -> None:
    """A disk drawn on a bright disk comes back as about that disk, whatever the frame's shape."""
    for shape in [(120, 200), (200, 120), (150, 150)]:
        rows, columns = np.ogrid[: shape[0], : shape[1]]
        disk = (rows - 60) ** 2 + (columns - 80) ** 2 < 25**2
        image = np.repeat(np.where(disk, 190, 40).astype(np.uint8)[..., None], 3, axis=2)
        box = (34.5, 54.5, 85.5, 105.5)
        prediction = pocket.refine(pocket.encode(image), Prompts.from_mask(disk).with_box(box))
        mask = prediction.mask()
        assert (mask & disk).sum() / (mask | disk).sum() > 0.8


def test_grey_frames_of_any_type_are_frames(pocket: Predictor) -> None:
    image = np.random.default_rng(0).integers(200, 4000, (60, 80)).astype(np.uint16)
    embedding = pocket.encode(image)
    assert embedding.frame_shape == (60, 80)
    large = pocket.encode(np.zeros((40, 4200), np.uint16))
    assert large.frame_shape == (40, 4200), "read smaller, but prompts keep the frame's own pixels"


def test_grey_in_one_channel_is_encoded_as_in_three(pocket: Predictor) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (300, 200), np.uint16)
    stack = FrameStack.from_array(pixels)
    grey = stack.frame(stack.index())
    assert grey.strides[-1] == 0, "three views of one channel"
    in_three = np.ascontiguousarray(grey)
    once, thrice = (pocket.encode(frame).features for frame in (grey, in_three))
    assert torch.equal(once, thrice)


class SinglePrecision(TorchDispatchMode):
    """Refuses what Apple's GPUs refuse: numbers of double precision."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = operator(*args, **(kwargs or {}))
        for tensor in tree_leaves((args, result)):
            if isinstance(tensor, torch.Tensor):
                assert tensor.dtype != torch.float64, f"{operator} in double precision"
        return result


@pytest.mark.parametrize("name", ["predictor", "pocket"])
def test_nothing_is_computed_in_double_precision(name: str, request: pytest.FixtureRequest) -> None:
    network: Predictor = request.getfixturevalue(name)
    drawn = Prompts.from_mask(np.hypot(*np.ogrid[-40:56, -50:78]) < 20)
    clicked = Prompts.from_points([(40, 50), (60.5, 70)], [1, 0]).with_box((20, 30, 80, 90))
    with SinglePrecision():
        embedding = network.encode(picture((96, 128)))
        for prompts in (drawn, clicked):
            network.refine(embedding, prompts, diameter=30.0).mask()


def test_progress_stops_an_encoder(predictor: Predictor) -> None:
    seen = []

    def stop_at_second(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predictor.encode(picture((50, 60)), progress=stop_at_second)
    assert seen == [(1, 4), (2, 4)]


def test_wrong_calls_say_what_helps(predictor: Predictor, pocket: Predictor) -> None:
    embedding = predictor.encode(picture((50, 60)))
    with pytest.raises(PromptError, match="another model than pocket"):
        pocket.predict(embedding, Prompts.from_points([(5, 5)]))
    with pytest.raises(PromptError, match="Click the object itself"):
        predictor.predict(embedding, Prompts.from_points([(5, 5)], [0]))
    with pytest.raises(PromptError, match="No prompt"):
        predictor.refine(embedding, Prompts())
    with pytest.raises(FrameError, match=r"one frame.*FrameStack"):
        predictor.encode(np.zeros((4, 50, 60, 7), np.uint8))


@pytest.mark.parametrize("image", [None, "cells.tif", [[1, 2], [3, 4]], np.zeros(9)])
def test_what_is_no_image_is_explained(predictor, image):
    with pytest.raises(FrameError):
        predictor.encode(image)


@pytest.mark.parametrize("candidate", [99, 3, -4])
def test_a_candidate_that_is_not_there(predictor, candidate):
    embedding = predictor.encode(picture((20, 30)))
    prediction = predictor.predict(embedding, Prompts.from_points([(9, 9)]), multimask=True)
    with pytest.raises(PromptError, match=f"no candidate {candidate}: .* has 3, 0 to 2"):
        prediction.mask(candidate)


def test_the_mask_of_a_very_long_frame_is_that_of_a_shorter_one_drawn_out(predictor, monkeypatch):
    """Beyond a length masks are computed at that, each pixel for several neighbours."""
    embedding = predictor.encode(picture((2, 64)), frame_shape=(8, 4096))
    prompts = Prompts.from_points([(4, 2000)])
    exact = predictor.predict(embedding, prompts).masks
    monkeypatch.setattr("napari_sam.engine.prediction.LONGEST_SIDE", 1024)
    coarse = predictor.predict(embedding, prompts).masks
    assert coarse.shape == exact.shape
    assert exact.any()
    assert np.count_nonzero(coarse != exact) <= 0.01 * exact.size
    assert (coarse[..., ::4] == coarse[..., 3::4]).all()
