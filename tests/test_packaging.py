"""What is handed to users: the wheel, the source archive, the editable install, the manifest."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import numpy as np
import pytest
import yaml
from npe2 import PluginManifest
from npe2.manifest.utils import import_python_name
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
DISTRIBUTION = "napari-sam-annotator"
MANIFEST = REPOSITORY.joinpath("napari.yaml").read_text()
MEGABYTE = 1_000_000

pytestmark = pytest.mark.slow  # the fixture builds the wheel


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive of this tree; DIST names those to check."""
    folder = tmp_path_factory.mktemp("dist")
    if given := os.environ.get("DIST"):
        shutil.copytree(given, folder, dirs_exist_ok=True)
    else:
        build(REPOSITORY, "-d", str(folder))
    return folder


@pytest.fixture(scope="module")
def unpacked(dist: Path) -> Path:
    """The source archive, unpacked: a tree without version control."""
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(dist, filter="data")
    return dist / archive.name.removesuffix(".tar.gz")


def build(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "hatchling", "build", *arguments]
    subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)


def open_wheel(folder: Path) -> zipfile.ZipFile:
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_wheel_holds_manifest_weights_and_type_marker(dist: Path) -> None:
    with open_wheel(dist) as wheel:
        names = wheel.namelist()
        assert wheel.read("napari_sam/napari.yaml").decode() == MANIFEST
    assert len(names) == len(set(names))
    assert "napari_sam/py.typed" in names
    assert any(name.startswith("napari_sam/weights/") and ".safetensors" in name for name in names)


def test_wheel_works_by_itself(dist: Path, tmp_path: Path) -> None:
    with open_wheel(dist) as wheel:
        wheel.extractall(tmp_path)
    code = (
        "import napari_sam; print(napari_sam.__file__); print(napari_sam.load_model('pocket').name)"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    file, model = printed.stdout.split()
    assert Path(file).parent == tmp_path / "napari_sam"
    assert model == "pocket"


def test_wheel_stays_small_enough_for_a_slow_line(dist: Path) -> None:
    with open_wheel(dist) as wheel:
        files = wheel.infolist()
    weights = [info for info in files if info.filename.endswith(".safetensors")]
    pages = [info for info in files if info.filename.endswith("web/page.html")]  # by `make web`
    assert sum(info.file_size for info in weights) <= 8 * MEGABYTE
    assert sum(info.file_size for info in pages) <= 25 * MEGABYTE
    assert sum(info.compress_size for info in pages) <= 14 * MEGABYTE
    assert sum(info.compress_size for info in files if info not in pages) <= 9 * MEGABYTE


def test_wheel_says_what_the_plugin_hub_shows(dist: Path) -> None:
    with open_wheel(dist) as wheel:
        (name,) = (n for n in wheel.namelist() if n.endswith("dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["Name"] == DISTRIBUTION
    assert "Framework :: napari" in metadata.get_all("Classifier", [])
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert "# napari-sam-annotator" in str(metadata.get_payload())
    requirements = [r for r in metadata.get_all("Requires-Dist", []) if "extra ==" not in r]
    bindings = {"pyqt5", "pyqt6", "pyside2", "pyside6"}
    assert not bindings.intersection(canonicalize_name(Requirement(r).name) for r in requirements)


def test_source_archive_makes_the_same_wheel(dist: Path, unpacked: Path, tmp_path: Path) -> None:
    build(unpacked, "-t", "wheel", "-d", str(tmp_path))
    with open_wheel(dist) as direct, open_wheel(tmp_path) as indirect:
        assert indirect.namelist() == direct.namelist()


def test_editable_install_has_the_manifest_beside_the_package(
    unpacked: Path, tmp_path: Path
) -> None:
    code = f"import hatchling.build as b; b.build_editable({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=unpacked, check=True, capture_output=True)
    with open_wheel(tmp_path) as wheel:
        (pth,) = (n for n in wheel.namelist() if n.endswith(".pth"))
        package = Path(wheel.read(pth).decode().strip(), "napari_sam")
    assert package.samefile(unpacked / "src" / "napari_sam")
    assert package.joinpath("napari.yaml").read_text() == MANIFEST


def test_manifest_is_copied_where_links_are_not_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = importlib.util.spec_from_file_location("hatch_build", REPOSITORY / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    hatch_build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hatch_build)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("A required privilege is not held by the client")

    monkeypatch.setattr(os, "symlink", refuse)
    for _ in range(2):  # the second time over the first copy
        hatch_build.link_or_copy(REPOSITORY / "napari.yaml", tmp_path / "napari.yaml")
    assert not tmp_path.joinpath("napari.yaml").is_symlink()
    assert tmp_path.joinpath("napari.yaml").read_text() == MANIFEST


def test_this_installation_has_the_entry_points() -> None:
    points = {(e.group, e.name): e.value for e in distribution(DISTRIBUTION).entry_points}
    assert points["napari.manifest", DISTRIBUTION] == "napari_sam:napari.yaml"
    assert points["console_scripts", "napari-sam"] == "napari_sam.cli:main"


def test_manifest_is_valid_and_everything_it_names_can_be_imported() -> None:
    manifest = PluginManifest.from_distribution(DISTRIBUTION)
    manifest.validate_imports()
    assert manifest.name == DISTRIBUTION
    assert {c.id.partition(".")[0] for c in manifest.contributions.commands} == {DISTRIBUTION}


def test_every_sample_opens_offline() -> None:
    manifest = PluginManifest.from_distribution(DISTRIBUTION)
    commands = {c.id: c for c in manifest.contributions.commands}
    for sample in manifest.contributions.sample_data:
        ((image, keywords, kind),) = import_python_name(commands[sample.command].python_name)()
        assert kind == "image"
        assert keywords["name"] == sample.key
        assert np.asarray(image).dtype == np.uint8


def imported_distributions() -> set[str]:
    """What the package imports from others, at the top of a file or inside a function."""
    names: set[str] = set()
    for path in REPOSITORY.joinpath("src").rglob("*.py*"):
        for node in ast.walk(ast.parse(path.read_text())) if path.suffix != ".pyc" else ():
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).partition(".")[0])
    owners = packages_distributions()
    names -= {"napari_sam", *sys.stdlib_module_names}
    return {canonicalize_name(owners[name][0]) for name in names}


def test_citation_names_this_version() -> None:
    citation = yaml.safe_load(REPOSITORY.joinpath("CITATION.cff").read_text())
    project = tomllib.loads(REPOSITORY.joinpath("pyproject.toml").read_text())["project"]
    assert citation["title"] == project["name"]
    assert str(citation["version"]) == project["version"] == distribution(DISTRIBUTION).version
    assert citation["license"] == project["license"]
    assert f"## {project['version']}" in REPOSITORY.joinpath("CHANGELOG.md").read_text()


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    project = tomllib.loads(REPOSITORY.joinpath("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    used = ("formats", "cluster", "remote", "onnx", "text", "video")
    needed = [*project["dependencies"], *(each for name in used for each in extras[name])]
    declared = {canonicalize_name(Requirement(text).name) for text in needed}
    through_others = {"bokeh", "pyarrow", "xxhash"}  # distributed, pandas and pooch import them
    with_napari = {"dask", "npe2", "vispy"}  # in the versions that napari asks for
    with_others = {"geff-spec", "huggingface-hub", "pydantic-core"}
    assert declared - through_others == imported_distributions() - with_napari - with_others


def test_every_pinned_version_satisfies_the_declared_one() -> None:
    lines = REPOSITORY.joinpath("constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    pinned = {canonicalize_name(name): pin for name, pin in pairs}
    project = tomllib.loads(REPOSITORY.joinpath("pyproject.toml").read_text())["project"]
    for requirement in map(Requirement, project["dependencies"]):
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement
