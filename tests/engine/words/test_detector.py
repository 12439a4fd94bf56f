"""Detectors of transformers: the same boxes as the library's own, one phrase each."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_sam import Cancelled, ModelError, PromptError, SamError
from napari_sam.engine import TextDetector, load_text_detector

KINDS = ("owlv2", "grounding-dino")
PHRASES = ("nucleus", "dividing cell")


@pytest.fixture(params=KINDS)
def detector(request: pytest.FixtureRequest, detector_folders: dict[str, Path]) -> TextDetector:
    return load_text_detector(detector_folders[request.param], device="cpu")


def picture(height: int = 70, width: int = 110) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def by_transformers(detector: TextDetector, seen: np.ndarray) -> Callable[..., dict[str, Any]]:
    """What the library makes of a picture at some thresholds, step by step as in its manual."""
    import transformers as hf

    folder = detector.network.name_or_path
    network = hf.AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = hf.AutoProcessor.from_pretrained(folder)
    inputs = processor(images=Image.fromarray(seen), text=[list(PHRASES)], return_tensors="pt")
    with torch.no_grad():
        outputs = network(**inputs)
    more = {"text_labels": [list(PHRASES)]} if detector.kind == "owlv2" else {}

    def found(**thresholds: float) -> dict[str, Any]:
        (found,) = processor.post_process_grounded_object_detection(
            outputs, target_sizes=[seen.shape[:2]], **thresholds, **more
        )
        return dict(found)

    return found


def test_boxes_and_scores_are_those_of_transformers(detector: TextDetector) -> None:
    found = detector.look(picture(), PHRASES)
    wanted_at = by_transformers(detector, picture())
    for threshold in (0.0, 0.4, 0.6):
        wanted = wanted_at(threshold=threshold)
        kept = found.scores > threshold
        x0, y0, x1, y1 = wanted["boxes"].numpy().astype(float).T
        np.testing.assert_allclose(found.boxes[kept], np.stack([y0, x0, y1, x1], axis=-1) - 0.5)
        np.testing.assert_allclose(found.scores[kept], wanted["scores"].numpy())
        assert kept.any()


def test_owlv2_names_each_box_as_transformers_does(detector_folders: dict[str, Path]) -> None:
    detector = load_text_detector(detector_folders["owlv2"], device="cpu")
    found = detector.look(picture(), PHRASES)
    wanted = by_transformers(detector, picture())(threshold=-1.0)["text_labels"]
    assert [PHRASES[n] for n in found.phrases] == wanted
    assert set(wanted) == set(PHRASES)


def test_grounding_dino_names_each_box_by_its_most_likely_word(
    detector_folders: dict[str, Path],
) -> None:
    detector = load_text_detector(detector_folders["grounding-dino"], device="cpu")
    found = detector.look(picture(), PHRASES)
    wanted_at, named = by_transformers(detector, picture()), 0
    for n, score in enumerate(found.scores):
        labels = wanted_at(threshold=-1.0, text_threshold=float(score) - 1e-6)["text_labels"]
        word = labels[n].strip()
        if any(word in phrase.split() for phrase in PHRASES):  # neither [SEP] nor "."
            assert word in PHRASES[found.phrases[n]].split()
            named += 1
    assert named > 1


def test_a_large_picture_is_reduced_first_and_its_boxes_are_not(detector: TextDetector) -> None:
    small = picture(40, 60)
    side = 5 * detector.input_side
    large = np.asarray(Image.fromarray(small).resize((side, side * 2 // 3), Image.Resampling.BOX))
    found = detector.look(large, PHRASES)
    assert np.isfinite(found.boxes).all()
    assert found.boxes.max() > side / 4


CASES = {  # kind, phrases → error
    "none": ("owlv2", (), "Say what is looked for"),
    "only spaces": ("owlv2", ("nucleus", "  "), "Say what is looked for"),
    "only a full stop": ("grounding-dino", ("nucleus", " . "), "Say what is looked for"),
    "too long for OWLv2": ("owlv2", ("mitochondrion of a yeast",), "23 tokens, of at most 16"),
    "together too long": (
        "grounding-dino",
        ("a", "cell" * 9) * 9 + ("cell " * 33,),
        "of at most 32",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_phrases_that_cannot_be_looked_for(case: str, detector_folders: dict[str, Path]) -> None:
    kind, phrases, message = CASES[case]
    detector = load_text_detector(detector_folders[kind], device="cpu")
    with pytest.raises(PromptError, match=message):
        detector.checked(phrases)


def test_phrases_are_tidied(detector: TextDetector) -> None:
    assert detector.checked((" the  cell ", "nucleus", "the cell")) == ("the cell", "nucleus")


def test_a_full_stop_within_a_phrase_ends_no_phrase(detector_folders: dict[str, Path]) -> None:
    detector = load_text_detector(detector_folders["grounding-dino"], device="cpu")
    (dotted, plain) = ("the. dividing? cell.", "the dividing cell")
    asked = detector.look(picture(), detector.checked([dotted, "nucleus"]))
    np.testing.assert_array_equal(
        asked.phrases, detector.look(picture(), [plain, "nucleus"]).phrases
    )


def test_a_look_can_be_stopped_within_the_network(detector: TextDetector) -> None:
    heard = 0

    def report() -> None:
        nonlocal heard
        heard += 1
        if heard == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        detector.look(picture(), PHRASES, report)
    detector.look(picture(), PHRASES)
    assert heard == 2, "the hooks are taken away"


def test_usual_thresholds_are_those_of_transformers(detector: TextDetector) -> None:
    import inspect

    signature = inspect.signature(detector.processor.post_process_grounded_object_detection)
    assert detector.usual_threshold == signature.parameters["threshold"].default


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"pip install 'napari-sam-annotator\[text\]'"):
        load_text_detector("owlv2-base")


def test_a_model_of_another_kind(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match=r"of the kind bert. Choose a detector of the kinds owlv2"):
        load_text_detector(tmp_path)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "merges.txt"])
def test_a_damaged_or_incomplete_folder(
    broken: str, tmp_path: Path, detector_folders: dict[str, Path]
) -> None:
    folder = shutil.copytree(detector_folders["owlv2"], tmp_path / "mine")
    (folder / broken).write_bytes(b"\x00\xff{")
    with pytest.raises(SamError, match="Loading the detector mine failed"):
        load_text_detector(folder)
    (folder / broken).unlink()
    with pytest.raises(SamError, match=r"has no config.json|Loading the detector mine failed"):
        load_text_detector(folder)
