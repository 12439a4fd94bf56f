"""`napari-sam segment --text` and `napari-sam detectors`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage import data

from commands import NapariSam


@pytest.fixture
def folder(working_folder: Path, detector_folders: dict[str, Path]) -> Path:
    """A folder with an image of some coins, and two detectors."""
    tifffile.imwrite(working_folder / "coins.tif", data.coins()[:90, :90].astype(np.uint16) * 7)
    for kind, place in detector_folders.items():
        working_folder.joinpath(kind).symlink_to(place)
    return working_folder


@pytest.mark.slow
@pytest.mark.parametrize("detector", ["owlv2", "grounding-dino"])
def test_masks_of_what_words_name(detector: str, napari_sam: NapariSam, folder: Path) -> None:
    asked = f"segment coins.tif --text nucleus --text cell --detector {detector} --out out.tif"
    all_of_them = napari_sam(f"{asked} --json")
    assert all_of_them.code == 0, all_of_them.err
    objects = json.loads(all_of_them.out)["objects"]
    assert {each["class"] for each in objects} <= {"nucleus", "cell"}
    assert all("box" in each["prompts"] for each in objects)
    labels = tifffile.imread("out.tif")
    assert set(np.unique(labels)) - {0} == {e["object_id"] for e in objects if e["area"]}
    assert f"{detector}: {len(objects)} objects" in all_of_them.err
    sure = napari_sam(f"{asked} --text-threshold 0.9 --json")
    assert sure.code == 1 or len(json.loads(sure.out)["objects"]) < len(objects)


def test_nothing_that_is_sure_enough(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(
        "segment coins.tif --text nucleus --detector owlv2 --text-threshold 1 --out out.tif"
    )
    assert ended.code == 1
    assert "found nothing that it calls nucleus with a score of 1 or more; the highest" in ended.err
    assert not folder.joinpath("out.tif").exists()


def test_a_detector_that_is_not_here_is_not_downloaded(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("segment coins.tif --text nucleus --out out.tif")
    assert ended.code == 1
    assert "(620 MB; licence: Apache-2.0): napari-sam detectors get owlv2-base" in ended.err


def test_without_the_extra(
    napari_sam: NapariSam, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    ended = napari_sam("segment coins.tif --text nucleus --detector owlv2 --out out.tif")
    assert ended.code == 1
    assert "pip install 'napari-sam-annotator[text]'" in ended.err


def test_detectors_are_listed(napari_sam: NapariSam, folder: Path) -> None:
    listed = napari_sam("detectors list")
    assert listed.code == 0
    assert "owlv2-base           to fetch  620 MB  Apache-2.0" in listed.out
    states = {
        row["name"]: row["state"] for row in json.loads(napari_sam("detectors list --json").out)
    }
    assert states == {"owlv2-base": "to fetch", "grounding-dino-tiny": "to fetch"}


def test_a_name_that_is_none(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam("detectors get owl")
    assert ended.code == 1
    assert "There is no detector 'owl'" in ended.err
