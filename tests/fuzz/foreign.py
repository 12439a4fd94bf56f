"""Files of other programs, damaged: each format that is imported, and prompts of it."""

from __future__ import annotations

import contextlib
import functools
import random
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from napari_sam.engine import FrameStack, Labelled, Review, SamError
from napari_sam.formats import FORMATS, Canvas, export, import_objects, read_prompt_file
from tampering import ODD, damaged, tampered_json

SHAPE = (3, 40, 48)
IMPORTED = tuple(name for name, each in FORMATS.items() if each.reads)
JSONS = (".json", ".geojson", ".zattrs", ".zgroup")
TEXTS = (".xml", ".csv", ".txt")


@functools.cache
def objects() -> Labelled:
    """Objects with a hole, in two pieces, with a mother, a class, a review."""
    labels = np.zeros(SHAPE, np.uint16)
    labels[:, 2:14, 3:15] = 1
    labels[:, 6:9, 7:10] = 0
    labels[:2, 20:30, 20:24], labels[:2, 20:30, 30:34] = 2, 2
    labels[2, 20:30, 20:24], labels[2, 20:30, 30:34] = 7, 300
    return Labelled.of(
        labels,
        axes="TYX",
        scale=(60, 0.5, 0.5),
        units=("second", "micrometer", "micrometer"),
        classes={1: "nucleus", 7: "cell"},
        parents={7: (2,), 300: (2,)},
        reviews={1: Review("approved", "me", "2026-01-01T00:00:00+00:00", "round")},
    )


@functools.cache
def files_of(name: str) -> dict[str, bytes]:
    """The files of a format as they are written, by their paths."""
    with tempfile.TemporaryDirectory() as folder:
        export(objects(), Path(folder, f"a{FORMATS[name].suffixes[0]}"), name)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def foreign(folder: Path, chance: random.Random) -> Path:
    """A file, or a folder, of which one or two files are changed or lost."""
    name = chance.choice(IMPORTED)
    files = dict(files_of(name))
    for which in chance.sample(sorted(files), min(len(files), chance.choice((1, 1, 2)))):
        if len(files) > 2 and chance.random() < 0.1:
            del files[which]
        else:
            files[which] = _damaged(which, files[which], chance)
    for each, content in files.items():
        (folder / each).parent.mkdir(parents=True, exist_ok=True)
        (folder / each).write_bytes(content)
    return folder / f"a{FORMATS[name].suffixes[0]}"


def _damaged(name: str, content: bytes, chance: random.Random) -> bytes:
    """A value of a text in another's place, or bytes."""
    if name.endswith(JSONS):
        return tampered_json(content, chance)
    if not name.endswith(TEXTS) or chance.random() < 0.2:
        return damaged(content, chance)
    text = content.decode()
    for _ in range(chance.choice((1, 2, 4))):
        if words := list(re.finditer(r"[-\w.]+", text)):
            word = chance.choice(words)
            new = chance.choice((*map(str, ODD), "nan", "9" * 30, "\n", '"', "<", "-"))
            text = text[: word.start()] + new + text[word.end() :]
    return text.encode("utf-8", "replace")


def read(path: Path) -> None:
    """All that the program does with such a file: as prompts, and as labels."""
    image = FrameStack.from_array(np.zeros(SHAPE, np.uint8), axes="TYX")
    with contextlib.suppress(SamError):
        read_prompt_file(path, image).fitted(image)
    for _ in import_objects(path, canvas=Canvas(SHAPE, "TYX")).frames():
        pass
