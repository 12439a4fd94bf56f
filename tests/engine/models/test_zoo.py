"""Models by name and by path, on the devices there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from checkpoints import SMALL, WRAPPINGS, Wrapping, small_state
from napari_sam.engine import ModelError, Predictor, Prompts, load_model
from napari_sam.engine.models import catalogue
from napari_sam.engine.models.catalogue import CATALOGUE, ModelEntry, check, find_model
from napari_sam.engine.models.zoo import (
    LoadedModel,
    choose_device,
    is_out_of_memory,
    on_cpu,
    register,
)
from napari_sam.model import POCKET, build_network

OFFICIAL = WRAPPINGS[0]


@pytest.fixture
def checkpoint(tmp_path: Path, user_folder: Path) -> Path:
    """A small checkpoint somewhere on the disk, outside the models folder."""
    return OFFICIAL.save(small_state(), tmp_path)


@pytest.fixture
def published(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelEntry]:
    """A catalogue in which the small checkpoint is the published `vit_x`, not here yet."""
    entry = ModelEntry(
        name="vit_x",
        config="vit_b",
        suits="Tests.",
        size_bytes=checkpoint.stat().st_size,
        licence="MIT",
        file_name="sam_vit_x.pth",
        hash=sha256(checkpoint),
        url="https://example.org/sam_vit_x.pth",
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (*CATALOGUE, entry))
    return entry


def sha256(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def predicts(model: LoadedModel) -> bool:
    """Whether a click in an image gives finite masks and scores in float32."""
    predictor = Predictor(model)
    image = torch.arange(64 * 48 * 3, dtype=torch.uint8).reshape(64, 48, 3).numpy()
    prediction = predictor.predict(predictor.encode(image), Prompts.from_points([(20, 30)]))
    finite = torch.isfinite(torch.as_tensor(prediction.low_res_logits)).all()
    return bool(finite) and prediction.masks.shape[1:] == (64, 48)


def test_by_path(checkpoint: Path) -> None:
    for name_or_path in (checkpoint, str(checkpoint)):
        model = load_model(name_or_path, device="cpu", precision="fp32")
        assert (model.name, model.hash) == ("weights", sha256(checkpoint))
        assert (model.device, model.precision) == (torch.device("cpu"), "fp32")
        assert model.network.config == SMALL
        assert model.notices == ()
        assert predicts(model)


def test_a_model_that_is_not_here_says_how_to_get_it(published: ModelEntry) -> None:
    with pytest.raises(
        ModelError, match=r"vit_x is not on this computer yet.*2 MB.*napari-sam models get vit_x"
    ):
        load_model("vit_x")


def test_a_download_by_hand_is_as_good_as_one_made_here(
    published: ModelEntry, checkpoint: Path, user_folder: Path
) -> None:
    assert register(checkpoint, "vit_x") == user_folder / "sam_vit_x.pth"
    checkpoint.unlink()
    model = load_model("vit_x", device="cpu")
    assert (model.name, model.hash) == ("vit_x", published.hash)
    assert [path.name for path in user_folder.glob("sam*")] == ["sam_vit_x.pth"]


def test_another_file_cannot_take_a_published_name(
    published: ModelEntry, tmp_path: Path, user_folder: Path
) -> None:
    other = Wrapping("", file_name="other.pth").save(small_state(seed=1), tmp_path)
    with pytest.raises(ModelError, match=r"other\.pth is not the published vit_x.*another name"):
        register(other, "vit_x")
    assert not list(user_folder.glob("*.pth"))


@pytest.mark.slow
@pytest.mark.parametrize("wrapping", WRAPPINGS, ids=lambda wrapping: wrapping.name)
def test_an_own_model_under_a_name(wrapping: Wrapping, tmp_path: Path, user_folder: Path) -> None:
    path = wrapping.save(small_state(), tmp_path)
    kept = register(path, "hela-2.1")
    path.unlink()
    assert kept == user_folder / "hela-2.1.safetensors"
    assert safetensors.torch.load_file(kept).keys() == small_state().keys()
    model = load_model("hela-2.1", device="cpu")
    assert (model.name, model.hash) == ("hela-2.1", sha256(kept))
    assert ("hela-2.1", True) in [(result.name, result.whole) for result in check()]


@pytest.mark.parametrize("name", ["", "a/b", "../hela", ".hidden", "he la"])
def test_what_is_no_name(name: str, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"is not a name for a model. Use letters"):
        register(checkpoint, name)


def test_a_name_is_given_once(checkpoint: Path, tmp_path: Path, user_folder: Path) -> None:
    kept = register(checkpoint, "hela")
    before = kept.read_bytes()
    other = Wrapping("", file_name="other.pth").save(small_state(seed=1), tmp_path)
    for taken in ("hela", "pocket"):
        with pytest.raises(ModelError, match=f"There is a model {taken} already"):
            register(other, taken)
    assert kept.read_bytes() == before


def test_what_cannot_be_loaded_is_not_kept(tmp_path: Path, user_folder: Path) -> None:
    path = tmp_path / "notes.pth"
    path.write_text("weights: see the other computer")
    with pytest.raises(ModelError, match="not a complete checkpoint"):
        register(path, "notes")
    assert not user_folder.exists()


@pytest.mark.largest_file(300_000)
def test_registering_on_a_disk_that_fills_up(checkpoint: Path, user_folder: Path) -> None:
    assert checkpoint.stat().st_size > 300_000
    with pytest.raises(ModelError, match=r"disk of .* is full"):
        register(checkpoint, "hela")
    assert not list(user_folder.glob("*hela*"))


@pytest.mark.largest_file(300_000)
def test_keeping_a_download_on_a_disk_that_fills_up(
    published: ModelEntry, checkpoint: Path, user_folder: Path
) -> None:
    with pytest.raises(ModelError, match=r"disk of .* is full"):
        register(checkpoint, "vit_x")
    assert not list(user_folder.glob("*vit_x*"))


def test_registering_a_file_that_is_not_there(tmp_path: Path, user_folder: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no file .*best\.pt. Check the path"):
        register(tmp_path / "best.pt", "hela")


@pytest.mark.parametrize(
    ("name_or_path", "message"),
    [
        ("vit_q", r"There is no model 'vit_q'. Choose one of: pocket, .*; or give a file's path"),
        ("nowhere.pth", r"There is no file nowhere\.pth"),
        ("no/where", r"There is no file no.where"),
        (Path("no") / "where.pt", r"There is no file no.where\.pt"),
    ],
)
def test_neither_name_nor_path(name_or_path: str | Path, message: str, user_folder: Path) -> None:
    with pytest.raises(ModelError, match=message):
        load_model(name_or_path)


@pytest.mark.parametrize("device", ["gpu", "tpu", "cuda:7", "", "mps:3"])
def test_a_device_that_is_not_there(device: str, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"no device .* on this computer, only cpu.*or auto"):
        load_model(checkpoint, device=device)


def test_the_automatic_device_is_the_fastest_there_is() -> None:
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    assert (choose_device("auto").type != "cpu") == gpu


@pytest.mark.parametrize("precision", ["fp16", "float32", "fp64", ""])
def test_a_precision_that_does_not_exist(precision: str, checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no precision .* auto, fp32 or bf16"):
        load_model(checkpoint, precision=precision)


def test_only_the_image_encoder_is_in_bf16(checkpoint: Path) -> None:
    model = load_model(checkpoint, device="cpu", precision="bf16")
    dtypes = {
        (key.partition(".")[0], value.dtype) for key, value in model.network.state_dict().items()
    }
    assert dtypes == {
        ("image_encoder", torch.bfloat16),
        ("prompt_encoder", torch.float32),
        ("mask_decoder", torch.float32),
    }
    assert model.precision == "bf16"
    assert predicts(model)


def test_automatic_precision_needs_units_for_it(checkpoint: Path) -> None:
    model = load_model(checkpoint, device="cpu")
    flags = Path("/proc/cpuinfo")
    if not (flags.exists() and hasattr(torch.cpu, "get_capabilities")):
        pytest.skip("what the CPU can do is read from /proc/cpuinfo, and by a newer PyTorch")
    has_units = {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split())
    assert model.precision == ("bf16" if has_units else "fp32")


@pytest.mark.slow
def test_the_embedded_network_keeps_fp32_unless_asked(tmp_path: Path, user_folder: Path) -> None:
    path = OFFICIAL.save(build_network(POCKET).state_dict(), tmp_path)
    assert load_model(path, device="cpu").precision == "fp32"
    assert predicts(load_model(path, device="cpu", precision="bf16"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_full_gpu_falls_back_to_the_cpu_and_says_so(precision: str, checkpoint: Path) -> None:
    small = load_model(checkpoint, device="cpu", precision=precision)
    with torch.inference_mode():  # as in the middle of an encode
        model = on_cpu(replace(small, device=torch.device("cuda")))
    assert model.device == torch.device("cpu")
    assert model.notices == (
        "The memory of cuda is full: weights runs on the CPU now, more slowly. "
        "Close other programs that use the GPU, or choose a smaller model.",
    )
    assert predicts(model)


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.9 GB)"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_what_a_full_gpu_says(error: RuntimeError, full: bool) -> None:
    assert is_out_of_memory(error) == full


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
class TestCuda:
    def test_loads_and_predicts(self, checkpoint: Path) -> None:
        model = load_model(checkpoint)
        assert model.device.type == "cuda"
        assert predicts(model)

    def test_too_little_memory(self, tmp_path: Path, user_folder: Path) -> None:
        path = OFFICIAL.save(build_network(POCKET).state_dict(), tmp_path)
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1e-6)
        try:
            model = load_model(path)
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        assert model.device.type == "cpu"
        assert "memory of cuda is full" in model.notices[0]
        assert predicts(model)


def test_the_embedded_model_of_the_package_loads(user_folder: Path) -> None:
    if not [*catalogue._local_files(find_model("pocket"))]:
        pytest.skip("the weights of pocket are not in this checkout")
    model = load_model("pocket", device="cpu")
    assert model.network.config == POCKET
    assert predicts(model)
