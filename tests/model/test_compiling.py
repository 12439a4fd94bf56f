"""Blocks put through PyTorch's compiler say the same; where it fails they go on as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from napari_sam.model import Sam, SamConfig, ViTConfig, compile_blocks
from oracles import fill_with_noise, relative_error

pytestmark = [
    pytest.mark.usefixtures("inference"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script_method.:DeprecationWarning"),  # its own
]


def noise_network(width: int) -> Sam:
    """Blocks of another width are compiled again."""
    encoder = ViTConfig(width, depth=2, heads=2, global_blocks=(1,))
    sam = Sam(SamConfig("small", encoder, input_size=256))
    fill_with_noise(sam, seed=0)
    return sam.eval()


@pytest.mark.slow
@pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "cl"))), reason="there is no C++ compiler here"
)
def test_compiled_blocks_say_the_same(
    noise: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)  # no processes for it
    network = noise_network(width=64)
    image = torch.rand(1, 3, 256, 256, generator=noise)
    (expected,) = network.encode(image)
    keys = set(network.state_dict())
    compile_blocks(network.image_encoder)
    assert set(network.state_dict()) == keys
    for _ in range(3):
        (embedding,) = network.encode(image)
        assert relative_error(embedding, expected) < 1e-5
    assert all(block.forward.compiled for block in network.image_encoder.blocks)


@pytest.mark.slow
def test_without_a_compiler_they_go_on_as_they_are(
    noise: torch.Generator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("/there/is/no/compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # nothing compiled before
    network = noise_network(width=48)
    image = torch.rand(1, 3, 256, 256, generator=noise)
    (expected,) = network.encode(image)
    compile_blocks(network.image_encoder)
    for _ in range(3):
        (embedding,) = network.encode(image)
        assert torch.equal(embedding, expected)
    assert not any(block.forward.compiled for block in network.image_encoder.blocks)


def test_an_encoder_without_such_blocks_stays_as_it_is() -> None:
    encoder = torch.nn.Conv2d(3, 8, 3)
    compile_blocks(encoder)
    assert encoder(torch.zeros(1, 3, 8, 8)).shape == (1, 8, 6, 6)
