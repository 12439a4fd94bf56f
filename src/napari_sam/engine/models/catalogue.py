"""The known models: their use, where their weights are, and whether these are intact.

Folders, in this order: `NAPARI_SAM_MODELS` (a laboratory's shared folder, may be read-only), the
user's own cache, and, only read, what other tools have already downloaded. New files go into the
first of the two that can be written to.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pooch

from napari_sam.engine.errors import ModelError

from .download import Download, Progress, disk_error, download, readable_size
from .hashes import (
    algorithm_of,
    content_hash,
    known_hash_of,
    record_hash,
    recorded_hash,
    user_folder,
)

ModelState = Literal["embedded", "here", "elsewhere", "to fetch"]

SUFFIXES = (".safetensors", ".pth", ".pt")
META = "https://dl.fbaipublicfiles.com/segment_anything"
BIOIMAGE = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io"


@dataclass(frozen=True)
class ModelEntry:
    """One model: a network and its weights."""

    name: str
    config: str  # the network's name in napari_sam.model; "" for the user's own, until read
    suits: str  # which images, in one sentence
    size_bytes: int  # of the file, approximate where nobody published it
    licence: str
    file_name: str
    hash: str | None = None  # as published: "sha256:…" or "xxh128:…"
    url: str | None = None

    @property
    def size(self) -> str:
        """The file's size as people read it: "375 MB"."""
        return readable_size(self.size_bytes)


CATALOGUE = (
    ModelEntry(
        name="pocket",
        config="pocket",
        suits="Cells and nuclei, offline. On sources kept out: IoU 0.62 after one click, "
        "0.78 after three, 0.82 for a box.",
        size_bytes=8_000_000,
        licence="BSD-3-Clause",
        file_name="pocket.safetensors",
    ),
    ModelEntry(
        name="vit_b_lm",
        config="vit_b",
        suits="Light microscopy: cells and nuclei in fluorescence, phase contrast, brightfield.",
        size_bytes=375_000_000,
        licence="CC-BY-4.0",
        file_name="vit_b_lm.pt",
        hash="xxh128:fe9252a29f3f4ea53c15a06de471e186",
        url=f"{BIOIMAGE}/diplomatic-bug/1.2/files/vit_b.pt",
    ),
    ModelEntry(
        name="vit_l_lm",
        config="vit_l",
        suits="Light microscopy where vit_b_lm misses fine borders; slower, needs a GPU.",
        size_bytes=1_250_000_000,
        licence="CC-BY-4.0",
        file_name="vit_l_lm.pt",
        hash="xxh128:017f20677997d628426dec80a8018f9d",
        url=f"{BIOIMAGE}/idealistic-rat/1.2/files/vit_l.pt",
    ),
    ModelEntry(
        name="vit_t_lm",
        config="vit_t",
        suits="Light microscopy on a laptop without a GPU.",
        size_bytes=40_700_000,
        licence="CC-BY-4.0",
        file_name="vit_t_lm.pt",
        hash="xxh128:72ec5074774761a6e5c05a08942f981e",
        url=f"{BIOIMAGE}/faithful-chicken/1.1/files/vit_t.pt",
    ),
    ModelEntry(
        name="vit_b_em_organelles",
        config="vit_b",
        suits="Electron microscopy: mitochondria, nuclei and other roundish organelles.",
        size_bytes=375_000_000,
        licence="CC-BY-4.0",
        file_name="vit_b_em_organelles.pt",
        hash="xxh128:f3bf2ed83d691456bae2c3f9a05fb438",
        url=f"{BIOIMAGE}/noisy-ox/1.2/files/vit_b.pt",
    ),
    ModelEntry(
        name="vit_l_em_organelles",
        config="vit_l",
        suits="Electron microscopy where vit_b_em_organelles misses borders; needs a GPU.",
        size_bytes=1_250_000_000,
        licence="CC-BY-4.0",
        file_name="vit_l_em_organelles.pt",
        hash="xxh128:810b084b6e51acdbf760a993d8619f2d",
        url=f"{BIOIMAGE}/humorous-crab/1.2/files/vit_l.pt",
    ),
    ModelEntry(
        name="vit_t_em_organelles",
        config="vit_t",
        suits="Electron microscopy on a laptop without a GPU.",
        size_bytes=40_700_000,
        licence="CC-BY-4.0",
        file_name="vit_t_em_organelles.pt",
        hash="xxh128:253474720c497cce605e57c9b1d18fd9",
        url=f"{BIOIMAGE}/greedy-whale/1/files/vit_t.pt",
    ),
    ModelEntry(
        name="vit_t",
        config="vit_t",
        suits="Photographs and large, clear structures on a laptop without a GPU (MobileSAM).",
        size_bytes=40_728_226,
        licence="Apache-2.0",
        file_name="mobile_sam.pt",
        hash="sha256:6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        url="https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
    ),
    ModelEntry(
        name="vit_b",
        config="vit_b",
        suits="Photographs, and structures no microscopy model was trained for.",
        size_bytes=375_042_383,
        licence="Apache-2.0",
        file_name="sam_vit_b_01ec64.pth",
        hash="sha256:ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        url=f"{META}/sam_vit_b_01ec64.pth",
    ),
    ModelEntry(
        name="vit_l",
        config="vit_l",
        suits="Photographs with fine detail; needs a GPU.",
        size_bytes=1_249_524_607,
        licence="Apache-2.0",
        file_name="sam_vit_l_0b3195.pth",
        hash="sha256:3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        url=f"{META}/sam_vit_l_0b3195.pth",
    ),
    ModelEntry(
        name="vit_h",
        config="vit_h",
        suits="Photographs at the highest quality; no advantage over vit_b_lm on microscopy.",
        size_bytes=2_564_550_879,
        licence="Apache-2.0",
        file_name="sam_vit_h_4b8939.pth",
        hash="sha256:a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        url=f"{META}/sam_vit_h_4b8939.pth",
    ),
)


@dataclass(frozen=True)
class FileCheck:
    """One weights file, hashed again from its first to its last byte."""

    name: str
    path: Path
    hash: str
    whole: bool  # the hash is the published one, or for the user's own the one of its first use


def model_folders() -> tuple[Path, ...]:
    """Folders of models: the shared one of `NAPARI_SAM_MODELS`, where set, then the user's."""
    shared = os.environ.get("NAPARI_SAM_MODELS", "")
    folders = (Path(shared).expanduser(), user_folder()) if shared else (user_folder(),)
    return tuple(dict.fromkeys(folders))


def writable_folder() -> Path:
    """The first of the model folders that a file can be written to, made where missing.

    Raises
    ------
    ModelError
        None can be written to.
    """
    refusal = OSError("no folder")
    for folder in model_folders():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            refusal = error
    raise disk_error(refusal, model_folders()[-1]) from refusal


def known_models() -> tuple[ModelEntry, ...]:
    """The catalogue, then the user's own: every other weights file in the model folders."""
    published = {Path(entry.file_name).stem for entry in CATALOGUE}
    published |= {entry.name for entry in CATALOGUE}
    own = {
        path.stem: ModelEntry(
            name=path.stem,
            config="",
            suits="Your own model.",
            size_bytes=path.stat().st_size,
            licence="your own",
            file_name=path.name,
        )
        for folder in reversed(model_folders())
        for path in sorted(folder.glob("*"))
        if path.suffix in SUFFIXES and path.stem not in published and path.is_file()
    }
    return CATALOGUE + tuple(own[name] for name in sorted(own))


def find_model(name: str) -> ModelEntry:
    """The entry of that name in the catalogue or among the user's own models.

    Raises
    ------
    ModelError
        There is none.
    """
    for entry in known_models():
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in known_models())
    raise ModelError(f"There is no model {name!r}. Choose one of: {names}; or give a file's path.")


def model_state(entry: ModelEntry) -> ModelState:
    """Where the weights are, without reading them: files known to be damaged do not count."""
    for state, path in _local_files(entry):
        known = known_hash_of(path, algorithm_of(entry.hash)) if entry.hash else None
        if known in (None, entry.hash):
            return state
    return "to fetch"


def whole_file(entry: ModelEntry) -> Path:
    """The model's weights on this computer, verified once for each file.

    Raises
    ------
    ModelError
        They are not here, or damaged.
    """
    damaged = ""
    for _, path in _local_files(entry):
        if entry.hash is None or recorded_hash(path, algorithm_of(entry.hash)) == entry.hash:
            return path
        damaged += f"{path} is damaged or another file: its hash is not {entry.hash}. "
    if entry.url is None:
        raise ModelError(
            f"{entry.file_name} is missing from the installation. Install napari-sam-annotator "
            "again, or choose another model."
        )
    raise ModelError(
        f"{damaged}The model {entry.name} is not on this computer yet. Fetch it ({entry.size}): "
        f"napari-sam models get {entry.name}"
    )


def fetch(
    name: str,
    *,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Weights of a model of the catalogue, downloaded only where no whole file is here already.

    Parameters
    ----------
    name : str
        A name of the catalogue.
    progress : callable
        Called with (bytes done, bytes in all) after each chunk.
    cancelled : callable
        Asked after each chunk; true stops the download, which a later call resumes.

    Raises
    ------
    ModelError
        The model is unknown, or cannot be fetched: the message says why and what helps.
    Cancelled
        `cancelled()` was true.
    """
    entry = find_model(name)
    if entry.url is None or entry.hash is None or _is_whole(entry):
        return whole_file(entry)
    target = writable_folder() / entry.file_name
    by_hand = f"download {entry.url} in a browser and run: napari-sam models add PATH --name {name}"
    job = Download(entry.url, target, entry.hash, entry.size_bytes, by_hand)
    download(job, progress, cancelled)
    record_hash(target, entry.hash)
    return target


def check() -> Iterator[FileCheck]:
    """Hash every weights file on this computer again, one result a file."""
    for entry in known_models():
        for _, path in _local_files(entry):
            expected = entry.hash or known_hash_of(path)
            algorithm = algorithm_of(expected or "sha256")
            found = content_hash(path, algorithm)
            if entry.hash is not None or expected is None:
                record_hash(path, found)
            yield FileCheck(entry.name, path, found, whole=expected in (None, found))


def _is_whole(entry: ModelEntry) -> bool:
    with contextlib.suppress(ModelError):
        return whole_file(entry).is_file()
    return False


def _local_files(entry: ModelEntry) -> Iterator[tuple[ModelState, Path]]:
    """Every readable file under one of the model's names, the nearest first."""
    for state, path in _places(entry):
        if os.access(path, os.R_OK) and path.is_file():
            yield state, path


def _places(entry: ModelEntry) -> Iterator[tuple[ModelState, Path]]:
    if entry.name == "pocket":
        weights = importlib.resources.files("napari_sam") / "weights" / entry.file_name
        yield "embedded", Path(str(weights))
        return
    for folder in model_folders():
        yield "here", folder / entry.file_name
    if entry.url is not None:
        yield "elsewhere", Path.home() / ".cache" / "napari-segment-anything" / entry.file_name
        yield "elsewhere", _micro_sam_cache() / "models" / entry.name
        yield "elsewhere", _torch_hub_cache() / "checkpoints" / entry.file_name


def _micro_sam_cache() -> Path:
    return Path(os.environ.get("MICROSAM_CACHEDIR") or pooch.os_cache("micro_sam"))


def _torch_hub_cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or cache / "torch") / "hub"
