"""`napari-sam models`: list, add, check; and how it refuses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import safetensors.torch
import tifffile
from skimage import data

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """A working folder with one picture."""
    tifffile.imwrite(working_folder / "coins.tif", data.coins())
    return working_folder


def test_models_are_listed_with_their_states(napari_sam: NapariSam, folder: Path) -> None:
    table = napari_sam("models list")
    listed = {entry["name"]: entry for entry in napari_sam("models list --json").json}
    assert listed["pocket"]["state"] == "embedded"
    assert listed["vit_b"]["state"] == "to fetch"
    assert all(name in table.out for name in listed)


def test_an_own_model_is_added_listed_checked_and_used(napari_sam: NapariSam, folder: Path) -> None:
    safetensors.torch.save_file(small_state(), folder / "weights.safetensors")
    added = napari_sam("models add weights.safetensors --name mine")
    path = Path(added.out.strip())
    assert path.parent == folder / "models"
    assert "mine" in napari_sam("models list").out
    assert napari_sam("models get mine").out.strip() == str(path)
    assert napari_sam("models check").code == 0
    used = napari_sam("segment coins.tif --point 54,45 --model mine --out o.tif --json")
    assert used.json["model"] == "mine"

    before = path.stat()
    path.write_bytes(path.read_bytes()[:-4] + b"ouch")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # as when a disk goes bad
    checked = napari_sam("models check --json")
    assert checked.code == 1
    assert [c["name"] for c in checked.json if not c["whole"]] == ["mine"]
    assert "Delete it" in checked.err


REFUSALS = (
    Refusal("no such catalogue entry", "models get nix", "no model 'nix'"),
    Refusal("no checkpoint", "models add no.pth --name mine", "There is no file no.pth"),
    Refusal("not a checkpoint", "models add coins.tif --name mine", "coins.tif"),
)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, folder: Path) -> None:
    assert_refused(case, napari_sam, folder)
