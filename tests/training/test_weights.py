"""The weights in the wheel are those of their model card."""

from __future__ import annotations

import hashlib
import importlib.resources
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from napari_sam.engine import load_model
from napari_sam.model import POCKET, Pocket
from napari_sam.training.saving import save_weights

WEIGHTS = Path(str(importlib.resources.files("napari_sam") / "weights"))


def test_the_card_names_this_file() -> None:
    content = (WEIGHTS / "pocket.safetensors").read_bytes()
    (recorded,) = re.findall(r"sha256[^0-9a-f]*([0-9a-f]{64})", (WEIGHTS / "README.md").read_text())
    assert hashlib.sha256(content).hexdigest() == recorded


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
