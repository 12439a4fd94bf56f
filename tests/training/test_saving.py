"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from napari_sam.engine import ModelError
from napari_sam.training.saving import (
    is_complete,
    read_arrays,
    read_checkpoint,
    save_checkpoint,
    save_json,
    save_picture,
    save_weights,
    write_arrays,
)
from small_runs import tiny_pocket, tiny_sam


@dataclass(frozen=True)
class Writing:
    """One kind of file."""

    name: str
    write: Callable[[Path], None]


NOISE = np.random.default_rng(0).integers(0, 255, (400, 400, 3), np.uint8)
WRITINGS = (
    Writing("weights", lambda path: save_weights(tiny_sam().network, path)),
    Writing("checkpoint", lambda path: save_checkpoint({"a": torch.zeros(9999)}, path)),
    Writing("log", lambda path: save_json({"a": ["b" * 40000]}, path)),
    Writing("picture", lambda path: save_picture(Image.fromarray(NOISE), path)),
    Writing("arrays", lambda path: write_arrays(path, noise=NOISE)),
)


@pytest.mark.largest_file(20_000)
@pytest.mark.parametrize("case", WRITINGS, ids=lambda c: c.name)
def test_a_full_disk_leaves_what_was_there(case: Writing, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("the one before")
    with pytest.raises(ModelError, match=r"file could not be written: .* Make room on the disk"):
        case.write(path)
    assert path.read_text() == "the one before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("case", WRITINGS, ids=lambda c: c.name)
def test_a_folder_that_is_gone(case: Writing, tmp_path: Path) -> None:
    if case.name == "arrays":
        case.write(tmp_path / "no" / "file")  # this folder is made
        (noise,) = read_arrays(tmp_path / "no" / "file", "noise")
        assert np.array_equal(noise, NOISE)
        return
    with pytest.raises(ModelError, match=os.strerror(errno.ENOENT)):
        case.write(tmp_path / "no" / "file")


def test_weights(tmp_path: Path) -> None:
    """The embedded network's are halved, Segment Anything's stay as they are."""
    for model, dtype in ((tiny_pocket(), torch.float16), (tiny_sam(), torch.float32)):
        save_weights(model.network, tmp_path / "a.safetensors")
        saved = load_file(tmp_path / "a.safetensors")
        expected = model.network.state_dict()
        assert saved.keys() == expected.keys()
        for name, tensor in saved.items():
            assert tensor.dtype == dtype
            assert torch.equal(tensor, expected[name].to(dtype))


def test_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "a.checkpoint"
    save_checkpoint({"step": 3, "weights": torch.ones(2), "list": [{"loss": 0.1}]}, path)
    assert read_checkpoint(path)["list"] == [{"loss": 0.1}]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="not a complete checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("text", "complete"),
    [('{"complete": true}', True), ('{"complete": false}', False), ("{", False), ("[]", False)],
)
def test_is_complete(text: str, complete: bool, tmp_path: Path) -> None:
    log = tmp_path / "a.json"
    assert not is_complete(log)
    log.write_text(text)
    assert is_complete(log) == complete
