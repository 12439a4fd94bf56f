"""`napari-sam features`: vectors of objects, as they are pooled from the embedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from commands import NapariSam, Refusal, assert_refused
from napari_sam.engine import FrameStack, Labelled, Predictor, load_model, pooled_features
from napari_sam.headless.features import object_features

REFUSALS = (
    Refusal("another kind of file", "--labels labels.tif --out a.txt", ".npz or .parquet"),
    Refusal(
        "labels of another size",
        "--labels labels.tif --out a.npz",
        "the labels (2, 5, 5)",
        lambda folder: tifffile.imwrite(folder / "labels.tif", np.zeros((2, 5, 5), np.uint16)),
    ),
)


@pytest.fixture
def movie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A movie of two frames, and labels with two objects in the second one."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    image, labels = rng.integers(0, 90, (2, 64, 80), np.uint8), np.zeros((2, 64, 80), np.uint16)
    labels[1, 10:30, 12:40], labels[1, 50:60, 50:60] = 7, 3
    image[labels > 0] += 100
    for name, pixels in (("movie.tif", image), ("labels.tif", labels)):
        tifffile.imwrite(name, pixels, imagej=True, metadata={"axes": "TYX"})
    return image


def expected(movie: np.ndarray) -> np.ndarray:
    """Of object 7."""
    predictor = Predictor(load_model("pocket"))
    frame = FrameStack.from_array(movie, axes="TYX").frame((1, None, None))
    box, mask = (10, 12, 30, 40), np.ones((20, 28), bool)
    return pooled_features(predictor.encode(frame), [(box, mask)])[0]


@pytest.mark.slow
def test_out_as_npz(movie: np.ndarray, napari_sam: NapariSam) -> None:
    ended = napari_sam("features movie.tif --labels labels.tif --out a.npz")
    assert ended.code == 0, ended.err
    assert ended.out.startswith("2 objects, ")
    with np.load("a.npz") as arrays:
        vectors = dict(zip(arrays["object_id"].tolist(), arrays["features"], strict=True))
        assert arrays["frame"].tolist() == [[1], [1]]
        assert (arrays["axes"].tolist(), str(arrays["model"])) == (["t"], "pocket")
    np.testing.assert_allclose(vectors[7], expected(movie), rtol=1e-3, atol=1e-4)
    assert (vectors[3] != vectors[7]).any()


@pytest.mark.slow
def test_out_as_parquet(movie: np.ndarray, napari_sam: NapariSam) -> None:
    pytest.importorskip("pyarrow")
    ended = napari_sam("features movie.tif --labels labels.tif --out a.parquet")
    assert ended.code == 0, ended.err
    table = pd.read_parquet("a.parquet").set_index("object_id")
    assert list(table.columns[:2]) == ["t", "f0"]
    np.testing.assert_allclose(table.loc[7].to_numpy()[1:], expected(movie), rtol=1e-3, atol=1e-4)


def test_without_objects() -> None:
    stack = FrameStack.from_array(np.zeros((9, 9), np.uint8))
    nothing = Labelled.of(np.zeros((9, 9), int))
    found = object_features(nothing, stack, Predictor(load_model("pocket")))
    assert (found.vectors.shape, found.frames.shape) == ((0, 0), (0, 0))


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.name)
def test_refused(case: Refusal, movie, napari_sam: NapariSam, tmp_path: Path) -> None:
    command = f"features movie.tif {case.command}"
    assert_refused(Refusal(case.name, command, case.says, case.before), napari_sam, tmp_path)
