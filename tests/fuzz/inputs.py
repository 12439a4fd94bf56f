"""Damaged inputs, each made from its kind and number: files of every kind, and arguments."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import foreign
import numcodecs
import numpy as np
import saved
import tifffile
import zarr
from PIL import Image

FRAME = (np.add.outer(np.arange(32), np.arange(48)) % 251).astype(np.uint8)
STACK = np.stack([np.roll(FRAME, n, 1) for n in range(4)])
IDS = np.kron(np.arange(6, dtype=np.uint16).reshape(2, 3), np.ones((16, 16), np.uint16))

NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
WORDS = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e308",
    "1e-308",
    "9" * 30,
    "",
    " ",
    "\0",
    "é",
    "🙂",
    '"',
    "point",
)

TIFFS: tuple[tuple[np.ndarray, dict], ...] = (
    (FRAME, {}),
    (FRAME, {"compression": "zlib", "predictor": True}),
    (STACK, {"metadata": {"axes": "TYX"}, "compression": "zlib", "photometric": "minisblack"}),
    (STACK, {"imagej": True, "metadata": {"axes": "ZYX"}}),
    (
        STACK.astype(np.uint16),
        {"ome": True, "metadata": {"axes": "CYX"}, "photometric": "minisblack"},
    ),
    (FRAME.astype(np.float32), {"tile": (16, 16), "compression": "zlib"}),
    (np.stack([FRAME] * 3, -1), {"photometric": "rgb"}),
    (IDS, {"bigtiff": True, "byteorder": ">"}),
)
COMPRESSORS = {
    2: ("auto", numcodecs.Blosc(), numcodecs.GZip(), numcodecs.LZ4()),
    3: ("auto", zarr.codecs.BloscCodec(), zarr.codecs.GzipCodec()),
}
TABLES = (
    "object_id,t,kind,y,x,label,y0,x0,y1,x1\n1,0,point,3,4,1,,,,\n2,1,box,,,,1,2,8,9\n",
    "sep=;\nobject_id;kind;y;x\n1;point;3,5;4,25\n",
    "index,axis-0,axis-1,axis-2\n0,0.0,3.5,4.5\n1,1.0,5.5,6.5\n",
)


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """A few changes of every kind: bits, bytes, whole numbers, parts lost, doubled or moved."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = chance.randrange(len(data))
        if chance.random() < 0.5:  # headers are what decides
            at = min(at, chance.randrange(256))
        match chance.randrange(7):
            case 0:
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                data[at] = chance.choice((0, 1, 127, 128, 255))
            case 2:
                order = chance.choice("<>")
                data[at : at + 4] = struct.pack(f"{order}I", chance.choice(NUMBERS))
            case 3:
                del data[at : at + chance.choice((1, 4, 64, 4096))]
            case 4:
                data[at:at] = data[at : at + chance.choice((1, 4, 64))]
            case 5:
                other = chance.randrange(len(data))
                data[at : at + 12] = data[other : other + 12]  # an entry of a directory, in a TIFF
            case _:
                del data[at:]
    return bytes(data)


def damaged_text(text: str, chance: random.Random) -> str:
    """Words, numbers and marks put in place of others."""
    for _ in range(chance.choice((1, 2, 4))):
        at = chance.randrange(len(text) + 1)
        width = chance.choice((0, 1, 1, 3, 9))
        new = chance.choice(
            (*WORDS, *map(str, NUMBERS), ",", ";", "\n", "\t", "=", "[", "{", "null")
        )
        text = text[:at] + new + text[at + width :]
    return text


def tiff(folder: Path, chance: random.Random) -> Path:
    """One of the TIFFs, damaged."""
    pixels, options = chance.choice(TIFFS)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    path = folder / f"a{chance.choice(('.tif', '.tiff', '.lsm', '.svs'))}"
    path.write_bytes(damaged_bytes(file.getvalue(), chance))
    return path


def picture(folder: Path, chance: random.Random) -> Path:
    """A picture, damaged."""
    kind = chance.choice(("png", "jpeg", "bmp", "gif", "webp", "tga", "ppm"))
    mode = chance.choice(("L", "RGB", "P") if kind in ("png", "bmp", "gif") else ("L", "RGB"))
    file = io.BytesIO()
    Image.fromarray(FRAME).convert(mode).save(file, kind)
    path = folder / f"a.{kind}"
    path.write_bytes(damaged_bytes(file.getvalue(), chance))
    return path


def array(folder: Path, chance: random.Random) -> Path:
    """A NumPy file, of numbers or of what Cellpose keeps, damaged."""
    file = io.BytesIO()
    held = {"masks": IDS, "filename": "a.tif", "img": FRAME}
    pixels = chance.choice((FRAME, STACK, np.array(held, object)))
    np.save(file, pixels, allow_pickle=True)
    path = folder / f"a{'_seg' * (pixels.dtype == object)}.npy"
    path.write_bytes(damaged_bytes(file.getvalue(), chance))
    return path


def zarr_image(folder: Path, chance: random.Random) -> Path:
    """A Zarr array or OME-Zarr image, one of its files damaged."""
    path = folder / "a.zarr"
    version = chance.choice((2, 3))
    group = zarr.open_group(path, mode="w", zarr_format=version)
    compressor = chance.choice(COMPRESSORS[version])
    shards = (2, 32, 48) if version == 3 and chance.random() < 0.3 else None
    for level in range(2):
        pixels = STACK[:, :: 2**level, :: 2**level]
        options: dict = {"compressors": compressor, "shards": None if level else shards}
        group.create_array(str(level), data=pixels, chunks=(1, 16, 16), **options)
    axes = [{"name": n, "type": t} for n, t in (("c", "channel"), ("y", "space"), ("x", "space"))]
    image = {"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}
    said = {"multiscales": [{"version": "0.4", **image}]}
    group.attrs.update(said if version == 2 else {"ome": {"version": "0.5", **said}})
    files = sorted(file for file in path.rglob("*") if file.is_file())
    headers = [file for file in files if file.suffix == ".json" or file.name.startswith(".z")]
    victim = chance.choice(headers if chance.random() < 0.7 else files)
    if victim in headers and chance.random() < 0.5:
        victim.write_text(damaged_text(victim.read_text(), chance))
    elif victim in headers:
        victim.write_text(json.dumps(damaged_json(json.loads(victim.read_text()), chance)))
    else:
        victim.write_bytes(damaged_bytes(victim.read_bytes(), chance))
    return path / "0" if chance.random() < 0.3 else path


def damaged_json(value: object, chance: random.Random) -> object:
    """The same structure with one of its values replaced."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        return {**value, key: damaged_json(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        return [*value[:at], damaged_json(value[at], chance), *value[at + 1 :]]
    nested: object = []
    for _ in range(chance.choice((1, 1, 500))):
        nested = [nested]
    return chance.choice((*NUMBERS, *WORDS, -1, 1.5, 10**30, None, True, [], {}, nested))


def table(folder: Path, chance: random.Random) -> Path:
    """A table of prompts, damaged."""
    text = damaged_text(chance.choice(TABLES), chance)
    content = text.encode(chance.choice(("utf-8", "utf-16", "latin-1")), "replace")
    path = folder / "a.csv"
    path.write_bytes(damaged_bytes(content, chance) if chance.random() < 0.3 else content)
    return path


OPTIONS = {
    "segment": ("point", "box", "frame", "channel", "axes", "series", "prompts", "overlay"),
    "propagate": ("frame", "ids", "direction", "frames", "axis", "axes", "scores", "channel"),
    "embed": ("frames", "channel", "axes", "series", "model"),
    "track": ("reach", "axes", "labels-out", "series"),
    "session show": ("json", "scores"),
    "session export": ("tracks", "scores", "labels"),
    "evaluate": ("max-objects", "model", "device"),
    "train": ("from", "minutes", "steps", "device", "seed", "out"),
    "models add": ("name", "json"),
    "cache": ("clear", "json", "model"),
}
TAKE_PATHS = ("prompts", "overlay", "scores", "labels-out", "tracks", "model", "labels", "from")


def arguments(folder: Path, chance: random.Random) -> list[str]:
    """A command with arguments of which some are right."""
    grey: dict = {"photometric": "minisblack", "metadata": {"axes": "TYX"}}
    tifffile.imwrite(folder / "a.tif", STACK[:2], **grey)
    tifffile.imwrite(folder / "ids.tif", np.stack([IDS] * 2), **grey)
    (folder / "p.csv").write_text(TABLES[0])
    numbers = (*WORDS, *map(str, NUMBERS), "3,4", "3,4,1", "3,4,9,12", "0-9999999999", "1,2", "0")
    paths = ("a.tif", "ids.tif", "p.csv", "no.tif", ".", "x" * 300, "o/o.tif", "é.zarr", *WORDS)
    command = chance.choice(sorted(OPTIONS))
    wanted = {
        "segment": ["--out", "out.tif", "--point", "3,4"],
        "propagate": ["--labels", "ids.tif", "--frame", "0", "--out", "out.tif"],
        "track": ["--out", "out.csv"],
        "session export": ["--labels", "out.tif"],
        "train": ["--out", "out.safetensors", "--steps", "0"],  # all else is looked at first
    }.get(command, [])
    image = {"track": "ids.tif", "evaluate": ".", "train": "no", "cache": None}.get(
        command, "a.tif"
    )
    given = command.split()
    if image:
        given.append(image if chance.random() < 0.7 else chance.choice(paths))
    given += wanted
    for _ in range(chance.choice((0, 1, 1, 2, 3))):
        option = chance.choice(OPTIONS[command])
        given += [f"--{option}", chance.choice(paths if option in TAKE_PATHS else numbers)]
    if len(given) > 1 and chance.random() < 0.2:
        given[chance.randrange(1, len(given))] = chance.choice((*numbers, *paths))
    return given


MAKERS: dict[str, Callable[[Path, random.Random], Path | list[str]]] = {
    "TIFF": tiff,
    "Zarr": zarr_image,
    "picture": picture,
    "NumPy": array,
    "table": table,
    "arguments": arguments,
    "command": arguments,  # in a process of its own
    "foreign": foreign.foreign,
    **saved.MAKERS,
}
SHARES = {
    "TIFF": 42,
    "Zarr": 22,
    "picture": 15,
    "NumPy": 8,
    "table": 12,
    "arguments": 16,
    "command": 1,
}
SHARES |= {"foreign": 20, "session": 15, "checkpoint": 6, "download": 6, "embedding": 6}


def make(kind: str, number: int, seed: int, folder: Path) -> Path | list[str]:
    """Input number so-and-so of a kind, in an empty folder: the same whenever it is made."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return MAKERS[kind](folder, random.Random(f"{seed} {kind} {number}"))


def kinds(n_inputs: int) -> list[tuple[str, int]]:
    """The kind and number of every input, in their shares and mixed."""
    cycle = [kind for kind, share in SHARES.items() for _ in range(share)]
    random.Random(0).shuffle(cycle)
    counts = dict.fromkeys(SHARES, 0)
    found = []
    for n in range(n_inputs):
        kind = cycle[n % len(cycle)]
        found.append((kind, counts[kind]))
        counts[kind] += 1
    return found
