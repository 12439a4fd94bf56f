"""Models as ONNX: what onnxruntime computes is what PyTorch computes, and who is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.torch
import torch

from checkpoints import SMALL, small_state
from commands import NapariSam
from napari_sam.engine import Predictor, Prompts, SamError, load_model, resize_longest_side
from napari_sam.graphs import export_onnx, sam_inputs
from napari_sam.graphs.options import Weights
from napari_sam.graphs.storing import save, store
from oracles import import_oracle, reference_sam

pytestmark = pytest.mark.slow

SHAPE = (90, 128)  # of an image that is not square


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with the layout of the official ones."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    safetensors.torch.save_file(small_state(), path)
    return path


@pytest.fixture(scope="module")
def graphs(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of that network as ONNX."""
    folder = tmp_path_factory.mktemp("onnx") / "small"
    found = export_onnx(load_model(weights, device="cpu", precision="fp32"), folder)
    assert found.error < 1e-3
    assert found.iou > 0.995
    return folder


CASES: dict[str, Prompts] = {
    "one click": Prompts.from_points([(20, 30)]),
    "clicks": Prompts.from_points([(20, 30), (25, 100)]).with_point((80, 7), 0),
    "box": Prompts.from_box((10, 20, 60, 90)),
    "box and clicks": Prompts.from_box((10, 20, 60, 90)).with_point((40, 50), 1),
}


@pytest.mark.parametrize("prompts", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("seeded", [False, True])
def test_masks_are_those_of_the_predictor(
    prompts: Prompts, seeded: bool, weights: Path, graphs: Path
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    predictor = Predictor(load_model(weights, device="cpu", precision="fp32"))
    embedding = predictor.encode(image)
    seed = predictor.predict(embedding, prompts).low_res_logits[0] if seeded else None
    expected = predictor.predict(embedding, prompts, seed=seed, multimask=True)

    encoder, decoder = (
        onnxruntime.InferenceSession(graphs / f"{name}.onnx") for name in ("encoder", "decoder")
    )
    (found,) = encoder.run(None, {"image": resize_longest_side(image, SMALL.input_size)})
    mask = np.zeros((SMALL.mask_size,) * 2, np.float32) if seed is None else seed
    inputs = sam_inputs(prompts, SHAPE, SMALL.input_size, mask)
    outputs = decoder.run(("masks", "iou_predictions"), {"image_embeddings": found, **inputs})
    masks, scores = (each[0, 1:] for each in outputs)
    assert (masks > 0).shape == expected.masks.shape
    assert ((masks > 0) != expected.masks).mean() < 1e-3
    np.testing.assert_allclose(scores, expected.iou_predictions, atol=1e-4)


def test_onnxruntime_makes_one_step_of_gelu(graphs: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(graphs / "decoder.onnx", options)
    steps = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert steps.count("Gelu") == 4
    assert "Erf" not in steps


@pytest.mark.parametrize("prompts", CASES.values(), ids=CASES.keys())
def test_the_decoder_is_the_one_that_the_reference_exports(prompts: Prompts, graphs: Path) -> None:
    reference = reference_sam(SMALL)
    reference.load_state_dict(small_state())
    exported = import_oracle("segment_anything.utils.onnx").SamOnnxModel(reference, False)
    random = np.random.default_rng(0)
    side, mask = SMALL.embedding_size, SMALL.mask_size
    embedding = random.normal(size=(1, SMALL.embedding_dim, side, side)).astype(np.float32)
    inputs = sam_inputs(prompts, SHAPE, SMALL.input_size, random.normal(size=(mask, mask)))
    inputs["image_embeddings"] = embedding
    with torch.no_grad():
        expected = exported(**{name: torch.as_tensor(each) for name, each in inputs.items()})
    decoder = onnxruntime.InferenceSession(graphs / "decoder.onnx")
    found = decoder.run(("masks", "iou_predictions", "low_res_masks"), inputs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3 * float(other.abs().max()))


def test_the_signature_is_that_of_the_reference(graphs: Path) -> None:
    decoder = onnx.load(graphs / "decoder.onnx").graph
    assert {each.name for each in decoder.input} == {
        "image_embeddings",
        "point_coords",
        "point_labels",
        "mask_input",
        "has_mask_input",
        "orig_im_size",
    }
    assert {each.name for each in decoder.output} == {"masks", "iou_predictions", "low_res_masks"}
    assert "opset 18" in (graphs / "README.md").read_text().lower()


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_weights_of_fewer_bits(kind: Weights, graphs: Path, tmp_path: Path) -> None:
    graph = onnx.load(graphs / "encoder.onnx")
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    outputs = []
    each: tuple[Weights, ...] = ("fp32", kind)
    for weights in each:
        store(graph, weights)
        save(graph, tmp_path / f"{weights}.onnx")
        session = onnxruntime.InferenceSession(tmp_path / f"{weights}.onnx")
        outputs.append(session.run(None, {"image": image})[0])
    before, after = ((tmp_path / f"{weights}.onnx").stat().st_size for weights in each)
    assert after < 0.8 * before
    error = np.abs(outputs[0] - outputs[1]).max() / np.abs(outputs[0]).max()
    assert 0 < error < 0.05


def test_weights_beside_a_graph_that_is_too_large(graphs: Path, tmp_path: Path) -> None:
    save(onnx.load(graphs / "encoder.onnx"), tmp_path / "encoder.onnx", largest=1000)
    assert (tmp_path / "encoder.onnx.data").stat().st_size > 10_000
    modes = {(tmp_path / name).stat().st_mode for name in ("encoder.onnx", "encoder.onnx.data")}
    assert len(modes) == 1, "who may read the graph may read its weights"
    image = {"image": np.zeros((64, 128, 3), np.uint8)}
    inside, beside = (
        onnxruntime.InferenceSession(folder / "encoder.onnx").run(None, image)[0]
        for folder in (graphs, tmp_path)
    )
    np.testing.assert_array_equal(inside, beside)


def test_a_folder_that_is_there_stays(weights: Path, graphs: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    model = load_model(weights, device="cpu", precision="fp32")
    with pytest.raises(SamError, match="is there already"):
        export_onnx(model, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_embedded_model_by_the_command(napari_sam: NapariSam, working_folder: Path) -> None:
    ended = napari_sam("models onnx pocket --out onnx --weights fp16")
    assert ended.code == 0
    assert "lowest IoU" in ended.out
    files = {path.name for path in (working_folder / "onnx").iterdir()}
    assert files == {"encoder.onnx", "decoder.onnx", "README.md"}


def test_another_precision_is_refused(weights: Path, tmp_path: Path) -> None:
    model = load_model(weights, device="cpu", precision="bf16")
    with pytest.raises(SamError, match="fp32"):
        export_onnx(model, tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()
