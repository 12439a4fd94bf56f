"""bfloat16 and single precision agree on real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam.engine import FrameStack, Predictor, Prompts, load_model, read_image

IMAGES = ("yeast_ep", "usiigaci", "axon_sem")


@pytest.mark.slow
@pytest.mark.parametrize("source", IMAGES)
def test_the_embedded_model_says_the_same_in_bf16(data_folder: Path, source: str) -> None:
    """The masks of boxes overlap by 0.98 in the mean, where the encoder computes in bfloat16."""
    image = next((data_folder / source).glob("*.image.tif"))
    labels = np.asarray(read_image(Path(str(image).replace(".image.", ".labels.")))[0])
    stack = FrameStack.from_array(read_image(image)[0])
    prompts = [
        Prompts.from_box((ys.min() - 0.5, xs.min() - 0.5, ys.max() + 0.5, xs.max() + 0.5))
        for ys, xs in (np.nonzero(labels == i) for i in np.unique(labels)[1:7])
    ]
    masks = []
    for precision in ("fp32", "bf16"):
        predictor = Predictor(load_model("pocket", device="cpu", precision=precision))
        embedding = predictor.encode(stack.frame(stack.index()))
        masks.append([predictor.predict(embedding, each).mask() for each in prompts])
    ious = [(a & b).sum() / (a | b).sum() for a, b in zip(*masks, strict=True)]
    assert np.mean(ious) >= 0.98
