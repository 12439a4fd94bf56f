"""A session in one ZIP file, as the page for browsers saves it. It may come from someone else."""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from pathlib import Path

from napari_sam.engine import SamError

from .folder import FRAME_FILE, SessionFolder
from .session_file import MANIFEST, SUFFIX, SessionFile

ENDING = f"{SUFFIX}.zip"
MOST_BYTES = 2**30  # of all files together, unpacked
OWN_NAME = re.compile(rf"(?:[^/\\]+{re.escape(SUFFIX)}/)?(?P<name>{MANIFEST}|{FRAME_FILE})")


def is_packed(path: str | Path) -> bool:
    """Whether a file's name is that of a session in a ZIP file."""
    return Path(path).name.lower().endswith(ENDING)


def unpack(archive: str | Path, folder: Path | None = None) -> Path:
    """Unpack a session, and return its folder.

    Parameters
    ----------
    archive
        ``IMAGE.napari-sam.zip``.
    folder
        Where to; by default ``IMAGE.napari-sam`` beside it, where the image finds it.

    Raises
    ------
    SamError
        If the folder is there already, or this is not a session. Nothing is left then.
    """
    archive = Path(archive)
    target = archive.with_suffix("") if folder is None else folder
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _entries(file, archive)
            target.mkdir()
            try:
                _write(file, entries, SessionFolder(target))
                SessionFile(target)
            except BaseException:
                shutil.rmtree(target)
                raise
    except FileExistsError as error:
        raise SamError(
            f"There is a session in {target} already. Move it away, or unpack {archive.name} in "
            "another folder."
        ) from error
    except OSError as error:
        raise SamError(
            f"{archive} cannot be unpacked: {error.strerror or error}. Check both places."
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SamError(
            f"{archive} is damaged or not a ZIP file: {error}. Save the session again."
        ) from error
    return target


def _entries(file: zipfile.ZipFile, archive: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of a session by their names in its folder; no other one is ever written."""
    named = ((OWN_NAME.fullmatch(each.filename), each) for each in file.infolist())
    entries = {match["name"]: each for match, each in named if match is not None}
    if MANIFEST not in entries:
        raise SamError(f"{archive} holds no session. Give IMAGE{ENDING}, as the page saves it.")
    size = sum(each.file_size for each in entries.values())
    if size > MOST_BYTES:
        raise SamError(
            f"{archive} says that it takes {size / 1e9:.1f} GB unpacked, more than a session in a "
            "ZIP file may. Unpack it with another program if you trust it."
        )
    return entries


def _write(
    file: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], folder: SessionFolder
) -> None:
    folder.make_frames()
    for name, entry in entries.items():
        with file.open(entry) as content:  # never more than what it says, which was added up
            folder.write_new(name, content.read(entry.file_size))
