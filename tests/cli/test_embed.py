"""`napari-sam embed` and `napari-sam cache`: what the window will find in the morning."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tifffile
import zarr

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused
from napari_sam import EmbeddingCache, FrameStack, Predictor, load_model, read_image
from napari_sam.engine import EmbeddingStore, pooled_features
from napari_sam.headless import write_embeddings

MODEL = "--model small.safetensors"


@pytest.fixture
def folder(working_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a picture, a movie, a movie of volumes, a small model; no embedding."""
    rng = np.random.default_rng(0)
    for name, shape, axes in [
        ("picture", (20, 30), "YX"),
        ("movie", (5, 20, 30), "TYX"),
        ("volumes", (3, 2, 20, 30), "TZYX"),
        ("colours", (2, 20, 30), "CYX"),
    ]:
        pixels = rng.integers(0, 255, shape).astype(np.uint8)
        tifffile.imwrite(working_folder / f"{name}.tif", pixels, metadata={"axes": axes})
    np.save(working_folder / "movie.npy", np.zeros((5, 20, 30), np.uint8))
    (working_folder / "broken.tif").write_bytes(b"no TIFF")
    safetensors.torch.save_file(small_state(), working_folder / "small.safetensors")
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS", str(working_folder / "embeddings"))
    monkeypatch.delenv("NAPARI_SAM_EMBEDDINGS_GB", raising=False)
    return working_folder


def test_what_was_embedded_is_found_by_everyone_else(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(f"embed picture.tif movie.tif {MODEL} --json")
    assert (ended.code, ended.err) == (0, "")
    done = {image["image"]: (image["encoded"], image["found"]) for image in ended.json["images"]}
    assert done == {"picture.tif": (1, 0), "movie.tif": (5, 0)}
    assert ended.json["cache"]["embeddings"] == 6
    assert ended.json["cache"]["folder"] == str(folder / "embeddings")

    def refuse(*_: int) -> None:
        raise AssertionError("encoded again")

    cache = EmbeddingCache(store=EmbeddingStore(folder / "embeddings"))
    predictor = Predictor(load_model(folder / "small.safetensors"))
    pixels, _ = read_image(folder / "movie.tif")
    as_napari_opens_it = FrameStack.from_array(pixels, rgb=False)
    for index in as_napari_opens_it.indices():
        cache.embed(predictor, as_napari_opens_it, index, refuse)


def test_frames_that_are_looked_at_in_parts(napari_sam: NapariSam, folder: Path) -> None:
    tifffile.imwrite("large.tif", np.zeros((1600, 900), np.uint8))
    tifffile.imwrite("wide.tif", np.zeros((700, 1500), np.uint8))
    ended = napari_sam(f"embed large.tif wide.tif {MODEL}")
    assert ended.code == 3
    assert re.search(r"large\.tif: A frame of 1600 × 900 pixels .*Embed all frames", ended.err)
    assert re.search(r"wide\.tif +1 +1 +0 ", ended.out)


def test_stopped_it_goes_on_from_there(napari_sam: NapariSam, folder: Path) -> None:
    first = napari_sam(f"embed movie.tif {MODEL} --frames 0-2")
    assert re.search(r"movie\.tif +3 +3 +0 ", first.out)
    second = napari_sam(f"embed movie.tif {MODEL}")
    assert re.search(r"movie\.tif +5 +2 +3 ", second.out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("image", "frames", "n"),
    [
        ("movie.tif", "all", 5),
        ("movie.tif", "3", 1),
        ("movie.tif", "0-4", 5),
        ("movie.tif", "0-1,3", 3),
        ("volumes.tif", "all", 6),
        ("volumes.tif", "1-2", 4),
        ("picture.tif", "0", 1),
    ],
)
def test_frames(napari_sam: NapariSam, folder: Path, image: str, frames: str, n: int) -> None:
    ended = napari_sam(f"embed {image} {MODEL} --frames {frames} --json")
    assert [i["frames"] for i in ended.json["images"]] == [n]
    assert ended.json["cache"]["embeddings"] == n


def test_each_channel_is_another_frame(napari_sam: NapariSam, folder: Path) -> None:
    for n, option in enumerate(("", "--channel 0", "--channel 1"), start=1):
        ended = napari_sam(f"embed colours.tif {MODEL} {option} --json")
        assert ended.json["cache"]["embeddings"] == n


REFUSALS = (
    Refusal("words for frames", f"embed movie.tif {MODEL} --frames x", "Write all, 7, 0-20"),
    Refusal("backwards", f"embed movie.tif {MODEL} --frames 4-2", "Write all, 7, 0-20"),
    Refusal("outside", f"embed movie.tif {MODEL} --frames 3-7", "Frame 7 is outside a stack of 5"),
    Refusal("second of one", f"embed picture.tif {MODEL} --frames 1", "a stack of 1 frame ("),
    Refusal("missing image", f"embed no.tif {MODEL}", "There is no file no.tif"),
    Refusal("broken image", f"embed broken.tif {MODEL}", "broken.tif"),
    Refusal("no channel", f"embed movie.tif {MODEL} --channel 1", "channel"),
    Refusal("no model", "embed movie.tif --model nix", "no model 'nix'"),
    Refusal("out as another kind", f"embed movie.tif {MODEL} --out a.txt", ".npy or .zarr"),
    Refusal("out over its input", f"embed movie.npy {MODEL} --out movie.npy", "an input of this"),
    Refusal("two images in one", f"embed movie.tif picture.tif {MODEL} --out a.npy", "for one"),
    Refusal(
        "a Zarr that is there",
        f"embed movie.tif {MODEL} --out a.zarr",
        "there already",
        lambda folder: (folder / "a.zarr").mkdir(),
    ),
    Refusal("out in no folder", f"embed movie.tif {MODEL} --out no/a.npy", "There is no folder no"),
)


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, napari_sam: NapariSam, folder: Path) -> None:
    assert_refused(case, napari_sam, folder)
    assert not (folder / "embeddings").exists()


def test_what_cannot_be_read_is_left_out(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(f"embed no.tif picture.tif broken.tif movie.tif {MODEL} --json")
    assert ended.code == 3
    assert [image["image"] for image in ended.json["images"]] == ["picture.tif", "movie.tif"]
    listed = ended.err.splitlines()
    assert "2 of 4 images were left out" in listed[-3]
    assert "There is no file no.tif" in listed[-2]
    assert "broken.tif" in listed[-1]


@pytest.mark.parametrize("frames", ["0-9999999999", "0,99999999999999999999", "1-2,0-9999999999"])
def test_frames_beyond_all_bounds_take_no_memory(
    napari_sam: NapariSam, folder: Path, frames: str
) -> None:
    ended = napari_sam(f"embed movie.tif {MODEL} --frames {frames}")
    assert ended.code == 1
    assert "is outside a stack of 5 frames (0 to 4)" in ended.err


def test_a_folder_that_cannot_hold_them_is_said_at_once(napari_sam: NapariSam, folder) -> None:
    (folder / "embeddings").write_text("a file")
    ended = napari_sam(f"embed movie.tif {MODEL}")
    assert ended.code == 1
    assert "cannot be written to" in ended.err
    assert "useless" in ended.err


def test_more_than_fits_is_said_after_the_first_frame(
    napari_sam: NapariSam, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = napari_sam(f"embed picture.tif {MODEL} --json").json["cache"]["bytes"]
    monkeypatch.setenv("NAPARI_SAM_EMBEDDINGS_GB", str(3.5 * one / 1e9))
    ended = napari_sam(f"embed movie.tif {MODEL}")
    assert ended.code == 1
    assert "5 frames take about" in ended.err
    assert "NAPARI_SAM_EMBEDDINGS_GB" in ended.err
    assert len(EmbeddingStore(folder / "embeddings")) == 2
    both = napari_sam(f"embed picture.tif movie.tif {MODEL} --frames 0")
    assert both.code == 0


def test_a_log_hears_how_long_it_takes(
    napari_sam: NapariSam, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["napari_sam.cli.embed"], "TOLD_EVERY_S", 0)
    ended = napari_sam(f"embed movie.tif {MODEL}")
    lines = ended.err.splitlines()
    assert re.fullmatch(
        r"napari-sam: movie.tif: 1 of 5 frames are done, about \d+ s left.", lines[0]
    )
    assert len(lines) == 4, "nothing to say at the end"


def test_cache(napari_sam: NapariSam, folder: Path) -> None:
    empty = napari_sam("cache")
    assert (empty.code, "0 MB" in empty.out) == (0, True)
    napari_sam(f"embed movie.tif {MODEL}")
    about = napari_sam("cache --json").json
    assert about["embeddings"] == 5
    assert 0 < about["bytes"] < about["limit_bytes"] <= 10_000_000_000
    shown = napari_sam("cache").out
    assert str(folder / "embeddings") in shown
    assert napari_sam("cache --clear --json").json["embeddings"] == 0
    assert list((folder / "embeddings").iterdir()) == []


@pytest.mark.slow
def test_killed_in_the_night_it_goes_on_in_the_morning(napari_sam: NapariSam, folder: Path) -> None:
    code = """
import sys
from napari_sam import cli, engine
embed_all = engine.embed_all
def slowly(*arguments):
    for n, embedded in enumerate(embed_all(*arguments)):
        yield embedded
        print(n, flush=True)
        sys.stdin.readline()
engine.embed_all = slowly
cli.main()
"""
    command = [sys.executable, "-c", code, "embed", "movie.tif", *MODEL.split()]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    for n in range(2):
        assert process.stdout.readline().strip() == str(n)
        process.stdin.write("\n")
        process.stdin.flush()
    assert process.stdout.readline().strip() == "2"
    process.kill()
    process.communicate(timeout=60)
    ended = napari_sam(f"embed movie.tif {MODEL} --json")
    (image,) = ended.json["images"]
    assert (image["encoded"], image["found"]) == (2, 3)


def test_out_as_npy(napari_sam: NapariSam, folder: Path) -> None:
    ended = napari_sam(f"embed volumes.tif {MODEL} --frames 2,0 --out a.npy")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "4 frames, 32 × 8 × 8 numbers each, in a.npy\n"
    written = np.load("a.npy")
    assert (written.shape, written.dtype) == ((2, 2, 32, 8, 8), np.float32)
    about = json.loads(Path("a.npy.json").read_text())
    assert about["axes"] == ["t", "z", "feature", "y", "x"]
    assert about["frames"] == [0, 2]
    predictor = Predictor(load_model("small.safetensors"))
    assert (about["model"], about["model_hash"]) == (predictor.model.name, predictor.model.hash)
    stack = FrameStack.from_array(read_image("volumes.tif")[0], axes="TZYX")
    for at, frame in (((1, 0), (2, 0)), ((0, 1), (0, 1))):
        expected = predictor.encode(stack.frame(stack.index(*frame))).features[0]
        np.testing.assert_array_equal(written[at], expected)


def test_out_as_zarr(napari_sam: NapariSam, folder: Path) -> None:
    for suffix in ("npy", "zarr"):
        ended = napari_sam(f"embed movie.tif {MODEL} --out a.{suffix} --json")
        assert ended.json["shape"] == [5, 32, 8, 8]
    group = zarr.open_group("a.zarr", mode="r")
    assert group["embedding"].chunks == (1, 32, 8, 8)
    assert group["embedding"].metadata.dimension_names == ("t", "feature", "y", "x")
    np.testing.assert_array_equal(group["embedding"][...], np.load("a.npy"))
    assert dict(group.attrs) == json.loads(Path("a.npy.json").read_text())


@pytest.mark.parametrize("shape", [(20, 30), (300, 170)], ids=["enlarged", "shrunk"])
def test_pixels_are_in_the_cells_that_the_file_says(folder: Path, shape: tuple[int, int]) -> None:
    predictor = Predictor(load_model("small.safetensors"))
    image = np.random.default_rng(1).integers(0, 255, shape).astype(np.uint8)
    assert write_embeddings("a.npy", FrameStack.from_array(image), predictor) == (32, 8, 8)
    written, about = np.load("a.npy"), json.loads(Path("a.npy.json").read_text())
    height, width = shape
    corner = np.floor(np.divide((height - 0.5, width - 0.5), about["pixels_per_cell"]))
    assert (corner + 1).tolist() == about["valid_cells"]
    embedding = predictor.encode(FrameStack.from_array(image).frame((None, None)))
    for y, x in ((0, 0), (height - 1, width - 1), (height // 3, width // 2)):
        row, column = np.floor(np.divide((y + 0.5, x + 0.5), about["pixels_per_cell"])).astype(int)
        (pooled,) = pooled_features(embedding, [((y, x, y + 1, x + 1), np.ones((1, 1), bool))])
        np.testing.assert_allclose(written[:, row, column], pooled, rtol=1e-6)


@pytest.mark.largest_file(4_000)
@pytest.mark.parametrize("name", ["a.npy", "a.zarr"])
def test_out_on_a_full_disk(napari_sam: NapariSam, folder: Path, name: str) -> None:
    before = set(folder.iterdir())
    ended = napari_sam(f"embed movie.tif {MODEL} --out {name}")
    assert ended.code == 1
    assert f"{name} could not be written" in ended.err
    assert {path.name for path in set(folder.iterdir()) - before} <= {"cache", "embeddings"}


def test_killed_before_the_array_has_its_name_nothing_wrong_is_said_of_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Path) -> None:
        raise KeyboardInterrupt

    predictor = Predictor(load_model("small.safetensors"))
    Path("a.npy").write_bytes(b"of an older model")
    Path("a.npy.json").write_text("the older model")
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_embeddings("a.npy", FrameStack.from_array(np.eye(20, dtype=np.uint8)), predictor)
    assert Path("a.npy").read_bytes() == b"of an older model"
    assert not Path("a.npy.json").exists()


@pytest.mark.parametrize("name", ["a.npy", "a.zarr"])
def test_out_beyond_the_room_on_disk(
    napari_sam: NapariSam, folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 30_000))
    ended = napari_sam(f"embed movie.tif {MODEL} --out {name}")
    assert ended.code == 1
    assert f"{name} takes 1 MB" in ended.err
    assert not list(folder.glob(f"*{name}*"))
