"""The weights in the wheel are those of their model card, and score what it says."""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from napari_sam.engine import CATALOGUE, Predictor, load_model
from napari_sam.model import POCKET, Pocket
from napari_sam.training.data import frames_of, load_index
from napari_sam.training.evaluation.protocol import evaluate, macro
from napari_sam.training.pocket.split import split_items
from napari_sam.training.saving import save_weights

WEIGHTS = Path(str(importlib.resources.files("napari_sam") / "weights"))
CARD = (WEIGHTS / "README.md").read_text()
FIGURE = r"\**(0\.\d+)\**"


def test_the_card_names_this_file() -> None:
    content = (WEIGHTS / "pocket.safetensors").read_bytes()
    (recorded,) = re.findall(r"sha256[^0-9a-f]*([0-9a-f]{64})", CARD)
    assert hashlib.sha256(content).hexdigest() == recorded


@pytest.mark.slow
def test_the_card_gives_these_scores(data_folder: Path) -> None:
    """Two frames, judged again."""
    found = re.search(
        rf"first frames of `(\w+)` and `(\w+)`, (\d) objects each: {FIGURE} after one click, "
        rf"{FIGURE} after three, {FIGURE} for a box",
        CARD,
    )
    assert found is not None
    held_out = split_items(load_index(data_folder))["held out"]
    items = [next(i for i in held_out if i.source == source) for source in found.groups()[:2]]
    frames = [next(frames_of(item)) for item in items]
    predictor = Predictor(load_model("pocket", device="cpu", precision="fp32"))
    overall, _ = macro(list(evaluate(predictor, frames, max_objects=int(found[3]), n_clicks=3)))
    scores = (overall.iou_click_1, overall.iou_click_3, overall.iou_box)
    assert scores == pytest.approx([float(figure) for figure in found.groups()[3:]], abs=0.01)


def test_the_window_says_what_the_card_says() -> None:
    """The one line under the model's name has the card's figures, rounded."""
    (line,) = (entry.suits for entry in CATALOGUE if entry.name == "pocket")
    figures = re.findall(r"0\.\d\d", line)
    (means,) = re.findall(r"\| \*\*macro mean\*\* \| 458 \|(.*)\|", CARD)
    values = [float(value) for value in means.split("|")]
    one_click, three_clicks, box = values[0], values[3], values[6]
    assert figures == [f"{value:.2f}" for value in (one_click, three_clicks, box)]


def test_the_file_fits_the_wheel_and_the_network() -> None:
    path = WEIGHTS / "pocket.safetensors"
    assert path.stat().st_size <= 8_000_000
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"config": POCKET.name}
        names = file.keys()
        assert {file.get_tensor(name).dtype for name in names} == {torch.float16}
    assert isinstance(load_model("pocket", device="cpu").network, Pocket)


def test_saved_weights_come_back(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = Pocket(POCKET)
    save_weights(network, tmp_path / "own.safetensors")
    loaded = load_model(tmp_path / "own.safetensors", device="cpu").network
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(loaded.state_dict(), Pocket(POCKET).state_dict())
