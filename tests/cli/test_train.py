"""`napari-sam train …`: from a folder to a better model, stopped and resumed; how it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import tifffile

from checkpoints import small_state
from commands import NapariSam, Refusal, assert_refused
from napari_sam.engine import load_model
from small_runs import write_folder

STOPS = [signal.SIGTERM] + ([signal.SIGKILL] if hasattr(signal, "SIGKILL") else [])
RUN = "--from nothing.safetensors --steps 6 --device cpu --json"


@pytest.fixture
def train(napari_sam: NapariSam) -> NapariSam:
    """Run `napari-sam train` in this process."""
    return lambda arguments: napari_sam(f"train {arguments}")


@pytest.fixture
def folder(working_folder: Path) -> Path:
    """A working folder with six frames of disks, and a model that finds nothing."""
    write_folder(working_folder / "data", 6)
    state = small_state()
    for name, tensor in state.items():
        if "hypernetworks" in name and ".layers.2." in name:
            tensor.zero_()
    safetensors.torch.save_file(state, working_folder / "nothing.safetensors")
    return working_folder


@pytest.mark.slow
def test_a_better_model(train: NapariSam, folder: Path) -> None:
    ended = train(f"data --out mine.safetensors {RUN}")
    assert ended.code == 0, ended.err
    validations = [json.loads(line) for line in ended.out.splitlines()]
    assert [j["step"] for j in validations] == list(range(7))
    assert validations[0]["mean"] == 0
    assert max(j["mean"] for j in validations) > 0
    assert "10 objects in 5 frames to learn from; 2 objects in 1 frame kept out" in ended.err
    assert "10 objects to learn from are few" in ended.err
    assert "mine.safetensors holds the best weights" in ended.err
    assert load_model("mine.safetensors", device="cpu").name == "mine"
    left = {path.name for path in folder.glob("mine.*")}
    assert left == {"mine.safetensors", "mine.json", "mine.png"}


@pytest.mark.slow
def test_a_table_and_the_exit_code_of_a_run_in_vain(train: NapariSam, folder: Path) -> None:
    """From a network that finds a little, a step makes nothing better; OUT stays as it was."""
    safetensors.torch.save_file(small_state(), folder / "little.safetensors")
    Path("mine.safetensors").write_text("an earlier one")
    ended = train("data --from little.safetensors --out mine.safetensors --steps 1 --device cpu")
    lines = [line.split() for line in ended.out.splitlines()]
    assert lines[0][:3] == ["IoU", "one", "click"]
    assert [line[0] for line in lines[1:]] == ["start", "end"]
    assert lines[2][-1] <= lines[1][-1]
    assert ended.code == 4
    assert "mine.safetensors was not changed" in ended.err
    assert Path("mine.safetensors").read_text() == "an earlier one"


@pytest.mark.slow
def test_stopped_anywhere_it_resumes(train: NapariSam, folder: Path) -> None:
    """Killed in the middle, then resumed, a run ends with the weights of one left alone."""
    assert train(f"data --out whole.safetensors {RUN}").code == 0
    whole = Path("whole.safetensors").read_bytes()
    for stop in STOPS:
        stop_midway(f"train data --out {stop.name}.safetensors {RUN}", stop)
        assert train(f"data --out {stop.name}.safetensors {RUN} --resume").code == 0
        assert Path(f"{stop.name}.safetensors").read_bytes() == whole


def stop_midway(command: str, stop: signal.Signals) -> None:
    """Send a signal to a run after its third validation, and wait for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "napari_sam", *command.split()],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ),
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        judged = [json.loads(process.stdout.readline())["step"] for _ in range(3)]
        assert judged == [0, 1, 2]
        process.send_signal(stop)
        said = process.stderr.read()
    assert process.returncode == (128 + stop if stop == signal.SIGTERM else -stop)
    assert ("--resume continues from there" in said) == (stop == signal.SIGTERM)
    assert "Traceback" not in said


@pytest.mark.slow
def test_two_workers_train_one_network(folder: Path) -> None:
    """As `make pocket` does it; the first one tells and writes, once."""
    torchrun = shutil.which("torchrun", path=Path(sys.executable).parent)
    if torchrun is None:
        pytest.skip("no torchrun beside this Python")
    command = "--standalone --nproc-per-node 2 -m napari_sam train data --out mine.safetensors"
    ended = subprocess.run(
        [torchrun, *command.split(), *RUN.split()],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    steps = [json.loads(line)["step"] for line in ended.stdout.splitlines()]
    assert steps == list(range(7))
    assert load_model("mine.safetensors", device="cpu").name == "mine"


@pytest.mark.slow
def test_a_damaged_image_is_left_out_and_said(train: NapariSam, folder: Path) -> None:
    (folder / "data" / "0.image.tif").write_bytes(b"II*\0")
    ended = train(f"data --out mine.safetensors {RUN}")
    assert ended.code == 3, ended.err
    assert "1 of 6 images were left out:\nnapari-sam: data/0.image.tif could not" in ended.err
    assert (folder / "mine.safetensors").exists()


def float_labels(folder: Path) -> None:
    for path in (folder / "data").glob("*.labels.tif"):
        tifffile.imwrite(path, np.full((64, 64), 0.5, np.float32))


def other_shape(folder: Path) -> None:
    for path in (folder / "data").glob("*.labels.tif"):
        tifffile.imwrite(path, np.ones((64, 60), np.uint8))


def blank(folder: Path) -> None:
    for path in (folder / "data").glob("*.labels.tif"):
        tifffile.imwrite(path, np.zeros((64, 64), np.uint8))


def indexed(folder: Path) -> None:
    names = {"image": "0.image.tif", "labels": "0.labels.tif", "axes": "YX"}
    entries = [{"id": "one", "source": "disks", **names}]
    (folder / "data" / "index.json").write_text(json.dumps(entries))


REFUSALS = (
    Refusal("no data", "no --out a.safetensors", "There is no folder no"),
    Refusal("no out", "data", "--out"),
    Refusal("no folder for OUT", "data --out no/a.safetensors", "There is no folder no"),
    Refusal("OUT of another format", "data --out a.pt", "should end in .safetensors"),
    Refusal("unknown start", "data --out a.safetensors --from nix", "no model 'nix'"),
    Refusal("no such file", "data --out a.safetensors --from b.pt", "There is no file b.pt"),
    Refusal("OUT is the start", "data --out nothing.safetensors --from nothing.safetensors",
            "nothing.safetensors is an input of this command, and would be overwritten"),
    Refusal("log over the index", "data --out data/index.safetensors --from nothing.safetensors",
            "data/index.json is an input of this command", indexed),
    Refusal("no such device", "data --out a.safetensors --from nothing.safetensors --device cuda:9",
            "no device 'cuda:9'"),
    Refusal("no time", "data --out a.safetensors --minutes 0", "minutes is 0"),
    Refusal("fractions", "data --out a.safetensors", "but these hold 0.5", float_labels),
    Refusal("other shape", "data --out a.safetensors", "has the shape (64, 60)", other_shape),
    Refusal("empty labels", "data --out a.safetensors", "are empty. Annotate some", blank),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, train: NapariSam, folder: Path) -> None:
    assert_refused(case, train, folder)
