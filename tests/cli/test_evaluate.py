"""`napari-sam evaluate …`: from a folder to figures and a page, and how it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tifffile

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused

KEYS = {"iou_click_1", "iou_box", "iou_click_3", "iou_click_5", "noc_80"}


@pytest.fixture
def evaluate(napari_sam: NapariSam) -> NapariSam:
    """Run `napari-sam evaluate` in this process."""
    return lambda arguments: napari_sam(f"evaluate {arguments}")


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """A working folder with disks, grey and as a short movie, and two small models."""
    ys, xs = np.mgrid[:48, :48]
    disk = (ys - 20) ** 2 + (xs - 26) ** 2 < 12**2
    grey = np.where(disk, 180, 30).astype(np.uint8)
    for path, image, labels in (
        ("data/dishes/one", grey, disk),
        ("data/movies/two", np.stack([grey, grey.T]), np.stack([disk, disk.T])),
        ("blank/one", grey, np.zeros_like(disk)),
        ("cut/one", grey, disk[:40]),
    ):
        (working_folder / path).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(working_folder / f"{path}.image.tif", image, photometric="minisblack")
        tifffile.imwrite(
            working_folder / f"{path}.labels.tif", labels.astype(np.uint8), photometric="minisblack"
        )
    (working_folder / "nothing").mkdir()
    for seed in (0, 1):
        (working_folder / str(seed)).mkdir()
        safetensors.torch.save_file(
            small_state(seed), working_folder / str(seed) / "small.safetensors"
        )
    return working_folder


@pytest.mark.slow
def test_one_model(evaluate: NapariSam, folder: Path) -> None:
    ended = evaluate("data --model 0/small.safetensors --max-objects 1 --json --report page")
    assert ended.code == 0, ended.err
    figures = json.loads(ended.out)
    assert set(figures["macro"]) > KEYS
    assert set(figures["per_source"]) == {"dishes", "movies"}
    assert [source["n_objects"] for source in figures["per_source"].values()] == [1, 2]
    for key in KEYS:
        mean = np.mean([source[key] for source in figures["per_source"].values()])
        assert figures["macro"][key] == pytest.approx(mean, abs=1e-4)
    assert figures["classical"]["macro"]["iou_click_1"] > 0.9  # a bright disk is Otsu's best case
    assert {"encode_ms", "click_ms", "device", "precision"} < set(figures["timing"])
    assert json.loads(Path("page/scores.json").read_text()) == figures
    html = Path("page/index.html").read_text("utf-8")
    assert "dishes" in html
    assert "movies/two, frame 1" in html
    assert "page/index.html" in ended.err


@pytest.mark.slow
def test_two_models_of_one_name(evaluate: NapariSam, folder: Path) -> None:
    """They are compared, and called as they were given; the embedded one by its name."""
    shutil.rmtree(folder / "data" / "movies")
    ended = evaluate(
        "data --model 0/small.safetensors --model pocket --model 1/small.safetensors --json"
    )
    figures = json.loads(ended.out)
    assert list(figures) == ["0/small.safetensors", "pocket", "1/small.safetensors"]
    assert figures["pocket"]["macro"] != figures["0/small.safetensors"]["macro"]


def test_a_table(evaluate: NapariSam, folder: Path) -> None:
    shutil.copytree(folder / "blank", folder / "data" / "blank")
    ended = evaluate("data --model 0/small.safetensors --max-objects 1")
    lines = ended.out.splitlines()
    assert lines[0] == "small"
    assert [line.split()[0] for line in lines[1:5]] == ["source", "dishes", "movies", "mean"]
    assert lines[6] == "classical tools"
    assert "blank/one.labels.tif holds no object" in ended.err


@pytest.mark.slow
def test_automatic(evaluate: NapariSam, folder: Path) -> None:
    """The embedded model finds the disks; only if all is labelled, what else it finds is wrong."""
    ended = evaluate("data --automatic --json --report page --min-area 40")
    assert ended.code == 0, ended.err
    assert ended.json["method"] == "seeds"
    assert ended.json["macro"]["recall"] == 1
    assert ended.json["macro"]["precision"] is None
    command = "napari-sam evaluate data --model pocket --automatic --min-area 40"
    assert f"<code>{command}</code>" in Path("page/index.html").read_text("utf-8")
    ended = evaluate("data --automatic --complete")
    assert ended.out.splitlines()[0] == "pocket"
    assert "F1 at 0.5" in ended.out
    assert "–" not in ended.out


@pytest.mark.slow
def test_the_embedded_model_by_default(evaluate: NapariSam, folder: Path) -> None:
    shutil.rmtree(folder / "data" / "movies")
    ended = evaluate("data --max-objects 1 --json")
    assert ended.code == 0, ended.err
    assert ended.json["model"] == "pocket"


def test_a_damaged_image_is_left_out_and_said(evaluate: NapariSam, folder: Path) -> None:
    (folder / "data" / "dishes" / "one.image.tif").write_bytes(b"II*\0")
    ended = evaluate("data --model 0/small.safetensors --json")
    assert ended.code == 3
    assert set(ended.json["per_source"]) == {"movies"}
    assert "1 of 2 images were left out:" in ended.err.splitlines()[-2]
    assert "one.image.tif could not be read" in ended.err.splitlines()[-1]


def linked_report(folder: Path) -> None:
    (folder / "page").mkdir()
    (folder / "page" / "scores.json").hardlink_to(folder / "data" / "dishes" / "one.labels.tif")


REFUSALS = (
    Refusal("no folder", "no --model pocket", "There is no folder no"),
    Refusal("no images", "nothing --model pocket", "Wanted are NAME.image.tif and NAME.labels.tif"),
    Refusal("other shape", "cut --model pocket", "(40, 48), its image (48, 48)"),
    Refusal("empty labels", "blank --model 0/small.safetensors", "Annotate some objects first"),
    Refusal("unknown model", "data --model nix", "no model 'nix'"),
    Refusal("second one unknown", "data --model pocket --model nix", "no model 'nix'"),
    Refusal("report is a file", "data --model pocket --report 0/small.safetensors", "report"),
    Refusal(
        "report over the labels",
        "data --model 0/small.safetensors --report page",
        "an input of this command, and would be overwritten",
        linked_report,
    ),
    Refusal("no objects", "data --model pocket --max-objects 0", "max_objects is 0"),
    Refusal(
        "no seeds", "data --model 0/small.safetensors --automatic --method seeds", "maps no objects"
    ),
    Refusal("no area", "data --automatic --min-area 9 --max-area 3", "No object is of 9 pixels"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, evaluate: NapariSam, folder: Path) -> None:
    assert_refused(case, evaluate, folder)
