"""`napari-sam batch`: what is printed, what is written, how it ends."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from batch_cases import batch_folder
from commands import NapariSam, Refusal, assert_refused


def test_a_batch_and_its_report(napari_sam: NapariSam, working_folder: Path) -> None:
    batch_folder(working_folder, 3)
    ended = napari_sam("batch recipe.yaml")
    assert ended.code == 0, ended.err
    assert "3 done, 0 done before, 0 left out" in ended.out
    page = working_folder.joinpath("results/report/index.html").read_text("utf-8")
    assert page.count("<figure>") == 3
    assert "All 3 images are done." in page
    table = working_folder.joinpath("results/report/images.csv").read_text("utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["status"] for row in rows] == ["done"] * 3
    assert all(Path(row["folder"], "record.json").is_file() for row in rows)
    assert "0 done, 3 done before" in napari_sam("batch recipe.yaml --report there").out
    assert working_folder.joinpath("there/index.html").is_file()


def test_a_broken_image_is_listed(napari_sam: NapariSam, working_folder: Path) -> None:
    batch_folder(working_folder, 1)
    working_folder.joinpath("images/<b>.tif").write_bytes(b"")
    ended = napari_sam("batch recipe.yaml")
    assert ended.code == 3
    assert "1 done, 0 done before, 1 left out" in ended.out
    assert "1 of 2 images were left out:\nnapari-sam: " in ended.err
    page = working_folder.joinpath("results/report/index.html").read_text("utf-8")
    assert "&lt;b&gt;.tif" in page
    assert "<b>.tif" not in page


@pytest.fixture
def no_image(working_folder: Path) -> None:
    batch_folder(working_folder, 0, images="list.csv")
    working_folder.joinpath("list.csv").write_text("image\nnone.tif\n")


@pytest.mark.largest_file(4_000)
def test_what_is_done_is_said_where_the_report_does_not_fit(
    napari_sam: NapariSam, no_image: None
) -> None:
    ended = napari_sam("batch recipe.yaml")
    assert ended.code == 1
    assert "0 done, 0 done before, 1 left out" in ended.out
    first, second, third = ended.err.splitlines()
    assert "1 of 1 images were left out" in first
    assert "none.tif" in second
    assert "index.html could not be written: File too large" in third


def test_nothing_could_be_used(napari_sam: NapariSam, working_folder: Path) -> None:
    batch_folder(working_folder, 1)
    working_folder.joinpath("images/cells_00.tif").write_bytes(b"")
    assert napari_sam("batch recipe.yaml").code == 1


def test_a_dry_run_writes_nothing(napari_sam: NapariSam, working_folder: Path) -> None:
    batch_folder(working_folder, 7)
    ended = napari_sam("batch recipe.yaml --dry-run")
    assert ended.out.count("cells_") == 5
    assert "7 images, automatic" in ended.out
    assert not working_folder.joinpath("results").exists()


def test_the_schema_is_printed(napari_sam: NapariSam) -> None:
    assert "automatic" in json.loads(napari_sam("batch --schema").out)["properties"]


def misspelt(folder: Path) -> None:
    batch_folder(folder, 1)
    with folder.joinpath("recipe.yaml").open("a") as file:
        file.write("modle: pocket\n")


def listed(folder: Path) -> None:
    batch_folder(folder, 1, images="images.csv")
    folder.joinpath("images.csv").write_text("image\nimages/cells_00.tif\n")


REFUSED = [
    Refusal(
        "a report over the list of images",
        "batch recipe.yaml --report .",
        "images.csv is the same file as",
        listed,
    ),
    Refusal("no recipe", "batch", "Give a recipe"),
    Refusal("no such recipe", "batch none.yaml", "none.yaml cannot be read: No such file"),
    Refusal(
        "both",
        "batch recipe.yaml --workers 2 --scheduler tcp://localhost:1",
        "Give --workers or --scheduler",
        lambda folder: batch_folder(folder, 1),
    ),
    Refusal(
        "a key that is none",
        "batch recipe.yaml",
        "recipe.yaml: There is no key modle. Did you mean model?",
        misspelt,
    ),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(case: Refusal, napari_sam: NapariSam, working_folder: Path) -> None:
    assert_refused(case, napari_sam, working_folder)
