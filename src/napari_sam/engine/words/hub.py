"""Detectors of huggingface.co: asked for their size and licence, then downloaded, verified."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from napari_sam.engine.errors import ModelError
from napari_sam.engine.guard import reason
from napari_sam.engine.models.catalogue import writable_folder
from napari_sam.engine.models.download import Download, Progress, check_space, download
from napari_sam.engine.models.hashes import hash_matches

from .catalogue import CONFIG, EXTRA, FOLDER, DetectorEntry, find_detector

WEIGHTS = ".safetensors"  # the one kind of weights that holds no code
KINDS = (WEIGHTS, ".json", ".txt")


@dataclass(frozen=True)
class HubFile:
    """A file of a detector."""

    name: str
    size_bytes: int
    hash: str  # "sha256:…", or "git:…" of small ones
    url: str


@dataclass(frozen=True)
class Offer:
    """What the hub has of a detector, at one revision."""

    entry: DetectorEntry  # with the size and the licence that the hub tells
    files: tuple[HubFile, ...]


def ask_hub(name: str) -> Offer:
    """Ask huggingface.co which files a detector has, how large they are, and their licence.

    Parameters
    ----------
    name
        Of the catalogue, or ``OWNER/NAME``. The environment variable ``HF_ENDPOINT`` may name a
        mirror.

    Raises
    ------
    ModelError
        If the hub cannot be reached, does not have it, or not as safetensors.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise ModelError(f"Detectors need the package transformers. Install it: {EXTRA}") from error
    entry = find_detector(name)
    api = HfApi()
    try:
        info = api.model_info(entry.repository, files_metadata=True, timeout=20.0)
    except Exception as error:  # of the hub, of its client, of the network
        raise ModelError(
            f"{entry.page} cannot be asked ({reason(error)}). Check the name, the network and the "
            f"proxy; or {_by_hand(entry)}"
        ) from error
    files = tuple(
        HubFile(
            each.rfilename,
            each.size or 0,
            f"sha256:{each.lfs.sha256}" if each.lfs else f"git:{each.blob_id}",
            f"{api.endpoint}/{entry.repository}/resolve/{info.sha}/{each.rfilename}",
        )
        for each in info.siblings or ()
        if each.rfilename.endswith(KINDS) and "/" not in each.rfilename
    )
    names = {file.name for file in files}
    if CONFIG not in names or not any(name.endswith(WEIGHTS) for name in names):
        raise ModelError(
            f"{entry.page} has no {CONFIG} with weights as safetensors: other weights may hold "
            "code, and are not used. Choose another detector."
        )
    card = info.card_data
    licence = str((card and card.get("license")) or entry.licence)
    size = sum(file.size_bytes for file in files)
    return Offer(replace(entry, size_bytes=size, licence=licence), files)


def fetch_detector(
    offer: Offer,
    *,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Download a detector into the models folder; what is there already stays.

    Parameters
    ----------
    offer
        As `ask_hub` returns it.
    progress
        Called with (bytes done, bytes in all).
    cancelled
        Asked after each chunk; true stops the download, which a later call resumes.

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    ModelError
        If it cannot be fetched: the message says why and what helps.
    Cancelled
        If `cancelled()` was true.
    """
    folder = writable_folder() / FOLDER / offer.entry.repository
    folder.mkdir(parents=True, exist_ok=True)
    by_hand, total, done = _by_hand(offer.entry), offer.entry.size_bytes, 0
    check_space(folder, total - sum(file.stat().st_size for file in folder.iterdir()))
    for file in sorted(offer.files, key=lambda file: file.name == CONFIG):  # that one last
        target = folder / file.name
        if not (target.is_file() and hash_matches(target, file.hash)):
            job = Download(file.url, target, file.hash, file.size_bytes, by_hand)
            download(job, partial(_report, progress, done, total), cancelled)
        done += file.size_bytes
        progress(done, max(done, total))
    return folder


def _report(progress: Progress, before: int, total: int, done: int, _: int) -> None:
    """One file's progress as that of all files."""
    progress(before + done, max(before + done, total))


def _by_hand(entry: DetectorEntry) -> str:
    return f"download its files from {entry.page}/tree/main into a folder, and give the folder"
