"""What the pages say is so: code runs, commands are accepted, links lead somewhere."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tifffile
from skimage import data
from typer.main import get_command

import napari_sam
from checkpoints import small_state
from commands import NapariSam
from napari_sam import (
    FrameStack,
    Predictor,
    Prompts,
    Session,
    load_model,
    read_image,
    write_labels,
)
from napari_sam.cli import app
from napari_sam.engine import Labelled
from napari_sam.formats import export
from napari_sam.session import save
from napari_sam.session.classes import add_class, give_class
from small_runs import write_folder

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(REPOSITORY.glob("docs/*.md")),
]
COINS = ((54, 45), (57, 100), (51, 156))
SLOW = ("batch recipe.yaml --", "train", "evaluate", "bench", "demo", "page")
SLOW += ("models get", "models add", "models onnx", "detectors get", "segment cells.tif --text")
SLOW_LINES = tuple(f"napari-sam {command}" for command in SLOW)  # accepted, but not run


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str


def blocks(language: str) -> Iterator[Block]:
    """All blocks in a language, page by page."""
    for path in PAGES:
        text = path.read_text("utf-8")
        for found in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            if found[1] == language:
                line = text.count("\n", 0, found.start(2)) + 1
                yield Block(path.name, line, language, found[2])


def commands() -> list[str]:
    """Every `napari-sam …` of the pages, each once."""
    lines = [line for block in blocks("sh") for line in block.text.replace("\\\n", "").splitlines()]
    found = (shlex.join(shlex.split(line, comments=True)) for line in lines)
    return list(dict.fromkeys(line for line in found if line.startswith("napari-sam ")))


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages name."""
    folder = tmp_path_factory.mktemp("named")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_named(folder)
    return folder


@pytest.fixture
def folder(named: Path, working_folder: Path) -> Path:
    """A working folder with these files."""
    return Path(shutil.copytree(named, working_folder, dirs_exist_ok=True))


def write_named(folder: Path) -> None:
    """Write them."""
    coins = data.coins()
    movie = np.stack([coins, np.roll(coins, 2, axis=0), np.roll(coins, 4, axis=0)])
    first = np.zeros(coins.shape, np.uint16)
    for object_id, (y, x) in enumerate(COINS, start=1):
        first[y - 15 : y + 15, x - 15 : x + 15] = object_id
    write_labels(folder / "first.tif", first)
    tracked = np.stack([first, first, first])
    for name in ("labels.tif", "segmentation.tif"):
        write_labels(folder / name, tracked, "TYX")
    export(Labelled.of(tracked, axes="TYX"), folder / "tracks.geff")
    export(Labelled.of(first), folder / "objects.geojson")
    tifffile.imwrite(folder / "cells.tif", coins)
    tifffile.imwrite(folder / "movie.tif", movie, imagej=True, metadata={"axes": "TYX"})
    write_folder(folder / "my_cells", 6)
    save(worked_on(), folder / "movie.tif.napari-sam", image_path="movie.tif")
    save(classified(first), folder / "cells.tif.napari-sam", image_path="cells.tif")
    safetensors.torch.save_file(small_state(), folder / "my_cells.safetensors")
    (folder / "images").mkdir()
    tifffile.imwrite(folder / "images" / "cells.tif", coins[:120, :120])
    recipe = "images: images/*.tif\nautomatic: {}\nout: results\n"
    folder.joinpath("recipe.yaml").write_text(recipe)


def worked_on() -> Session:
    """A session of 21 small frames in which the objects 3, 5, 6 and 7 are, and in one of them 9."""
    labels = np.zeros((21, 40, 50), np.uint16)
    for n, object_id in enumerate((3, 5, 6, 7)):
        labels[:, 4:12, 10 * n : 10 * n + 8] = object_id
    labels[20, 20:30, 20:30] = 9
    return Session(FrameStack.from_array(np.zeros(labels.shape, np.uint8)), labels)


def classified(labels: np.ndarray) -> Session:
    """A session of the coins, in which two have a class."""
    session = Session(FrameStack.from_array(data.coins()), labels)
    for object_id, name in ((1, "small"), (2, "large")):
        add_class(session, name)
        give_class(session, [object_id], name)
    return session


def names_of_classes() -> dict[str, Any]:
    session = Session(FrameStack.from_array(data.coins()), read_image("first.tif")[0])
    return {"session": session, "predictor": Predictor(load_model("pocket"))}


def names_of_headless() -> dict[str, Any]:
    image, outline = data.coins(), [(40, 30), (40, 60), (70, 60), (70, 30)]
    return {
        "image": image,
        "movie": np.stack([image] * 6),
        "outline": outline,
        "previous_mask": Prompts.from_polygon(outline, image.shape).mask,
    }


def names_of_measure() -> dict[str, Any]:
    image, labels = data.coins(), read_image("first.tif")[0]
    movie, movie_labels = np.stack([image] * 3), read_image("labels.tif")[0]
    return {"image": image, "labels": labels, "movie": movie, "movie_labels": movie_labels}


def names_of_alike() -> dict[str, Any]:
    return {"image": data.coins(), "labels": read_image("first.tif")[0]}


def names_of_prompts() -> dict[str, Any]:
    stack = FrameStack.from_array(data.coins())
    labels = read_image("first.tif")[0]
    return {"stack": stack, "labels": labels, "predictor": Predictor(load_model("pocket"))}


def names_of_sessions() -> dict[str, Any]:
    shutil.rmtree("movie.tif.napari-sam")  # the page saves its own there
    session = worked_on()
    return {"session": session, "stack": session.stack}


GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "README.md": lambda: {"image": data.coins()},
    "alike.md": names_of_alike,
    "automatic.md": lambda: {"image": data.coins()},
    "classes.md": names_of_classes,
    "export.md": lambda: {"labels": read_image("first.tif")[0]},
    "headless.md": names_of_headless,
    "large-images.md": lambda: {"image": data.coins()},
    "measure.md": names_of_measure,
    "prompts-from-anywhere.md": names_of_prompts,
    "sessions.md": names_of_sessions,
}
SLOW_PAGES = ("evaluate.md", "train.md")
OWL = "google/owlv2-base-patch16-ensemble"
QUICKER = {"train.md": ("minutes=10", "minutes=0.02")}


PYTHON_PAGES = [
    pytest.param(page, marks=[pytest.mark.slow] if page in SLOW_PAGES else [])
    for page in dict.fromkeys(block.page for block in blocks("python"))
]


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES)
def test_python_runs(page: str, folder: Path, request: pytest.FixtureRequest) -> None:
    """All blocks of a page, one after the other, with what the page takes as given."""
    if page == "prompts-from-anywhere.md":  # as if it were downloaded
        owl = request.getfixturevalue("detector_folders")["owlv2"]
        shutil.copytree(owl, folder / "models" / "detectors" / OWL)
    names = GIVEN.get(page, dict)()
    for block in blocks("python"):
        if block.page == page:
            text = block.text.replace(*QUICKER.get(page, ("", "")))
            exec(compile("\n" * (block.line - 1) + text, page, "exec"), names)


@pytest.fixture(scope="module")
def parser() -> Any:
    """That of the command line."""
    return get_command(app)


@pytest.mark.parametrize("line", commands())
def test_commands_are_accepted(line: str, parser: Any) -> None:
    """By the parser of the real command; those that are quick are run, too."""
    command, (_, *arguments) = parser, shlex.split(line)
    while subcommands := getattr(command, "commands", None):
        command = subcommands[arguments.pop(0)]
    command.make_context("napari-sam", arguments)


@pytest.mark.slow
@pytest.mark.parametrize("line", [c for c in commands() if not c.startswith(SLOW_LINES)])
def test_commands_run(line: str, napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(line.removeprefix("napari-sam "))
    assert ended.code == 0, ended.err


def referenced() -> dict[str, list[str]]:
    """The names on the page of the reference, by module."""
    names: dict[str, list[str]] = {}
    text = REPOSITORY.joinpath("docs", "api.md").read_text("utf-8")
    for directive, name in re.findall(r"^\.\. (\w+):: ([\w.]+)$", text, re.MULTILINE):
        if directive == "currentmodule":
            current = names.setdefault(name, [])
        else:
            current.append(name)
    return names


def test_the_reference_has_every_public_name() -> None:
    names = referenced()
    assert sorted(names["napari_sam"]) == sorted(napari_sam.__all__)
    for module, members in names.items():
        for name in members:
            assert attrgetter(name)(import_module(module)) is not None


def test_every_page_is_on_the_first_one() -> None:
    """From its lists the website takes the table of contents."""
    text = REPOSITORY.joinpath("docs", "index.md").read_text("utf-8")
    listed = re.findall(r"^- \[[^]]+\]\(([^)]+\.md)\)", text, re.MULTILINE)
    assert {path.name for path in REPOSITORY.glob("docs/*.md")} <= {*listed, "index.md"}


def anchors(path: Path) -> set[str]:
    """What `PAGE.md#…` may name: the headings, as GitHub and Sphinx call them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def on_the_website() -> set[Path]:
    """The pages that docs/conf.py names."""
    settings = REPOSITORY.joinpath("docs", "conf.py").read_text("utf-8")
    (patterns,) = re.findall(r"^include_patterns = (\[.*?\])", settings, re.MULTILINE | re.DOTALL)
    return {path for each in ast.literal_eval(patterns) for path in REPOSITORY.glob(each)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    text, website = path.read_text("utf-8"), on_the_website()
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            continue
        found = path.parent / target if target else path
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link
        if path in website and found.suffix == ".md":
            assert found.resolve() in website, f"{link}: name it in docs/conf.py"
