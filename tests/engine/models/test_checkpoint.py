"""Checkpoints as they come: wrapped, prefixed, cut off, hostile."""

from __future__ import annotations

import math
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from checkpoints import SMALL, WRAPPINGS, State, Wrapping, small_state
from napari_sam.engine import ModelError
from napari_sam.engine.models import checkpoint
from napari_sam.engine.models.checkpoint import read_network, recognise
from napari_sam.model import (
    POCKET,
    VIT_B,
    VIT_H,
    VIT_L,
    VIT_T,
    PocketConfig,
    PromptTensors,
    SamConfig,
    ViTConfig,
    build_network,
)

ANOTHER = SamConfig("vit", ViTConfig(24, 2, heads=3, global_blocks=(), window_size=5), 96)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config", [VIT_B, VIT_L, VIT_H, VIT_T, POCKET, SMALL, ANOTHER], ids=lambda config: config.name
)
def test_the_network_is_recognised_by_its_keys(config: SamConfig | PocketConfig) -> None:
    with torch.device("meta"):
        state = build_network(config).state_dict()
    assert recognise(state, Path("weights.pth")) == config


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=lambda wrapping: wrapping.name)
def test_every_wrapping_gives_the_same_network(wrapping: Wrapping, tmp_path: Path) -> None:
    state = small_state()
    network = read_network(wrapping.save(state, tmp_path))
    assert network.config == SMALL
    read = network.state_dict()
    assert read.keys() == state.keys()
    tolerance = 1e-3 if wrapping.name == "half precision" else 0.0
    for key, value in state.items():
        torch.testing.assert_close(read[key], value, rtol=tolerance, atol=tolerance)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=lambda wrapping: wrapping.name)
def test_the_image_encoder_in_half_precision_portion_by_portion(
    wrapping: Wrapping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "PORTION", 4096)  # dozens of portions
    path = wrapping.save(small_state(), tmp_path)
    whole = read_network(path).state_dict()
    for key, value in read_network(path, torch.bfloat16).state_dict().items():
        halved = key.startswith("image_encoder.")
        assert value.dtype == (torch.bfloat16 if halved else torch.float32)
        assert torch.equal(value, whole[key].to(value.dtype))


@pytest.mark.parametrize("config", [VIT_T, POCKET], ids=lambda config: config.name)
def test_nothing_of_a_network_is_left_without_memory(
    config: SamConfig | PocketConfig, tmp_path: Path
) -> None:
    state = build_network(config).state_dict()
    network = read_network(Wrapping("official").save(state, tmp_path))
    assert isinstance(network, torch.nn.Module)
    assert {tensor.device.type for tensor in (*network.parameters(), *network.buffers())} == {"cpu"}


@pytest.mark.parametrize(
    "config",
    [SMALL, POCKET, replace(POCKET, maps_width=0)],
    ids=["sam", "pocket", "second version of pocket"],
)
def test_a_network_computes_once_read(config: SamConfig | PocketConfig, tmp_path: Path) -> None:
    state = build_network(config).state_dict()
    network = read_network(Wrapping("official").save(state, tmp_path))
    assert network.config == config
    image = torch.full((1, 3, config.input_size, config.input_size // 4), 90.0)
    prompts = PromptTensors(torch.tensor([[[30.0, 40.0]]]), torch.tensor([[1]]), None, None)
    with torch.inference_mode():
        features = network.encode(network.preprocess(image))
        logits, iou_predictions = network.decode(features, prompts)
    assert torch.isfinite(logits).all()
    assert iou_predictions.shape == (1, 4)


class Harm:
    """What a hostile pickle asks for: any call at all."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.proof),)


@dataclass(frozen=True)
class Unusable:
    name: str
    write: Callable[[Path], object]
    message: str
    file_name: str = "weights.pth"


def cut(fraction: float, file_name: str) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        whole = Wrapping("", file_name="whole" + path.suffix).save(small_state(), path.parent)
        content = whole.read_bytes()
        path.write_bytes(content[: int(fraction * len(content))])

    return write


def saved(change: Callable[[State], object]) -> Callable[[Path], object]:
    return lambda path: torch.save(change(small_state()), path)


def without(state: State, key: str) -> State:
    return {name: value for name, value in state.items() if name != key}


IOU_TOKEN = "mask_decoder.iou_token.weight"
POS_EMBED = "image_encoder.pos_embed"


def changed(key: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Path], object]:
    """One weight that is another one."""
    return saved(lambda state: {**state, key: change(state[key])})


def with_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor.flatten()[0] = value
        return tensor

    return change


def one_number(*shape: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """A tensor of a shape of which one number is stored."""
    return lambda tensor: torch.zeros(1).expand(shape)


def deflated(path: Path) -> None:
    whole = Wrapping("", file_name="whole.pth").save(small_state(), path.parent)
    with (
        zipfile.ZipFile(whole) as read,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written,
    ):
        for entry in read.infolist():
            written.writestr(entry.filename, read.read(entry))


class Bytes:
    """A bytearray of any length, in a few bytes of pickle."""

    def __reduce__(self) -> tuple[type[bytearray], tuple[int]]:
        return bytearray, (10**12,)


NOT_WHOLE = r"is not a complete checkpoint.*Fetch it again"
NO_NUMBERS = r"not finite numbers, for example in mask_decoder\.iou_token.*earlier checkpoint"
UNKNOWN = r"holds no network known here.*SAM 2"
NO_FIT = r"nearly a vit network, but its weights do not fit: .*"

UNUSABLE = [
    *(
        Unusable(f"{name}, {fraction:.0%} of it", cut(fraction, name), NOT_WHOLE, name)
        for name in ("weights.pth", "weights.safetensors")
        for fraction in (0.001, 0.5, 0.99)
    ),
    Unusable("empty", lambda path: path.touch(), NOT_WHOLE),
    Unusable("a login page", lambda path: path.write_text("<html>Log in</html>"), NOT_WHOLE),
    Unusable("a folder", lambda path: path.mkdir(), r"cannot be read"),
    Unusable("missing", lambda path: None, r"cannot be read \(No such file"),
    Unusable(
        "code in a pickle",
        lambda path: torch.save({"model": small_state(), "init": Harm(path.parent / "harm")}, path),
        r"code in it could do harm: it was not loaded.*export_custom_sam_model",
    ),
    Unusable(
        "code in a plain pickle",
        lambda path: path.write_bytes(pickle.dumps(Harm(path.parent / "harm"))),
        NOT_WHOLE,
    ),
    Unusable(
        "PyTorch's old format",
        lambda path: torch.save(small_state(), path, _use_new_zipfile_serialization=False),
        r"format of before 2020.*save it again",
    ),
    Unusable("not a state dict", saved(lambda state: torch.zeros(3)), UNKNOWN),
    Unusable("another network", saved(lambda state: {"trunk.pos_embed": torch.zeros(3)}), UNKNOWN),
    Unusable(
        "an encoder without blocks",
        saved(lambda state: {key: state[key] for key in state if "blocks" not in key}),
        UNKNOWN,
    ),
    Unusable(
        "a flat position embedding",
        saved(lambda state: {**state, "image_encoder.pos_embed": torch.zeros(3)}),
        UNKNOWN,
    ),
    Unusable(
        "a weight too few",
        saved(lambda state: without(state, IOU_TOKEN)),
        NO_FIT + r"Missing.*iou_token",
    ),
    Unusable(
        "a weight too many, as HQ-SAM's",
        saved(lambda state: {**state, "mask_decoder.hf_token.weight": torch.zeros(1, 32)}),
        NO_FIT + r"Unexpected.*hf_token",
    ),
    Unusable("not a number", changed(IOU_TOKEN, with_value(math.nan)), NO_NUMBERS),
    Unusable("infinite", changed(IOU_TOKEN, with_value(-math.inf)), NO_NUMBERS),
    Unusable(
        "infinite once it is single",
        changed(IOU_TOKEN, lambda t: torch.full(t.shape, 1e300, dtype=torch.float64)),
        NO_NUMBERS,
    ),
    Unusable("one number said to be many", changed(IOU_TOKEN, one_number(1, 32)), NOT_WHOLE),
    Unusable("one number said to be 4 TB", changed(IOU_TOKEN, one_number(10**6, 10**6)), NOT_WHOLE),
    Unusable(
        "tensors without memory", changed(IOU_TOKEN, lambda t: t.to(device="meta")), NOT_WHOLE
    ),
    Unusable("sparse tensors", changed(IOU_TOKEN, lambda t: t.to_sparse()), NOT_WHOLE),
    Unusable("integers", changed(IOU_TOKEN, lambda t: t.int()), NO_FIT + "another type: mask_d"),
    Unusable("complex", changed(IOU_TOKEN, lambda t: t.cfloat()), NO_FIT + "another type: mask_d"),
    Unusable(
        "for an image of 9600 pixels",
        changed(POS_EMBED, lambda t: torch.zeros(1, 600, 600, 32, dtype=torch.float16)),
        UNKNOWN,
    ),
    Unusable("no channels", changed(POS_EMBED, lambda t: torch.zeros(1, 8, 8, 0)), UNKNOWN),
    Unusable("compressed", deflated, NOT_WHOLE),
    Unusable("bytes without end", saved(lambda state: {"model": state, "": Bytes()}), "do harm"),
    Unusable("keys that are none", saved(lambda s: {(1, key): s[key] for key in s}), UNKNOWN),
    Unusable(
        "a weight of another shape",
        saved(lambda state: {**state, IOU_TOKEN: torch.zeros(1, 33)}),
        NO_FIT + r"iou_token",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize("case", UNUSABLE, ids=lambda case: case.name)
def test_what_cannot_be_used_is_explained(case: Unusable, tmp_path: Path) -> None:
    path = tmp_path / case.file_name
    case.write(path)
    with pytest.raises(ModelError, match=case.message):
        read_network(path)
    assert not (tmp_path / "harm").exists()


def test_the_hostile_pickle_would_do_harm(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Harm(tmp_path / "harm")))
    assert (tmp_path / "harm").is_dir()
