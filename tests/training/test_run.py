"""Whole training runs on small networks: better than the start, resumable, honest."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from commands import contents
from napari_sam.engine import LoadedModel, ModelError, SamError, load_model
from napari_sam.model import POCKET, Pocket, Sam
from napari_sam.training import Report, TrainingConfig, TrainingData, begin_from, config_for, train
from napari_sam.training.run_plot import SIZE
from napari_sam.training.saving import save_checkpoint, save_weights
from napari_sam.training.start import DECODER_ONLY, FINE_TUNING, FROM_SCRATCH
from small_runs import DECODER_RUN, POCKET_RUN, disks, tiny_pocket, tiny_sam, training_data


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.slow
def test_an_embedded_network_learns_within_a_minute(tmp_path: Path) -> None:
    """Random weights find nothing; 50 steps later, masks of disks never seen."""
    config = replace(POCKET_RUN, steps=50, rate=8e-3, ema=0.9)
    first, *_, last = train(training_data(), tiny_pocket(), tmp_path / "a.safetensors", config)
    assert first.start.figures.mean < 0.1
    assert last.best.figures.mean > first.start.figures.mean + 0.3
    assert last.best.kept
    assert last.done == 1
    assert files(tmp_path) == {"a.safetensors", "a.json", "a.png"}


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Report], Path]:
    """A decoder after 110 steps, and the reports of its run."""
    out = tmp_path_factory.mktemp("learned") / "small.safetensors"
    config = replace(DECODER_RUN, steps=110, rate=8e-3, warm_up=5, ema=0.9, rounds=(1.0,))
    return list(train(training_data(), tiny_sam(), out, config)), out


@pytest.mark.slow
def test_a_decoder_learns_from_images_encoded_once(learned: tuple[list[Report], Path]) -> None:
    reports, out = learned
    first, last = reports[0], reports[-1]
    assert last.best.figures.mean > first.start.figures.mean + 0.3
    losses = [report.loss for report in reports if report.loss is not None]
    assert sum(losses[-20:]) < 0.8 * sum(losses[:20])
    assert files(out.parent) == {"small.safetensors", "small.json", "small.png"}


@pytest.mark.slow
def test_only_the_decoder_has_changed(learned: tuple[list[Report], Path]) -> None:
    """What is written is a whole network under the official keys; its encoder is the start's."""
    _, out = learned
    network = load_model(out, device="cpu").network
    assert isinstance(network, Sam)
    before, after = tiny_sam().network.state_dict(), load_file(out)
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"prompt_encoder", "mask_decoder"}
    assert len(changed) > 100


@pytest.mark.slow
def test_reports_and_log_tell_the_same(learned: tuple[list[Report], Path]) -> None:
    reports, out = learned
    log = json.loads(out.with_suffix(".json").read_text())
    assert log["complete"]
    assert log["from"] == "vit"
    assert log["data"] == ["Disks."]
    assert log["config"]["steps"] == 110
    judged = [report.validation for report in reports if report.validation is not None]
    assert log["validations"] == [validation.as_json() for validation in judged]
    assert [validation.step for validation in judged] == [0, *range(11, 111, 11)]
    kept = [validation for validation in judged if validation.kept]
    means = [judged[0].figures.mean, *(validation.figures.mean for validation in kept)]
    assert means == sorted(means)
    assert reports[-1].best == kept[-1]
    with Image.open(out.with_suffix(".png")) as plot:
        assert plot.size == SIZE


@pytest.mark.slow
def test_never_worse_than_the_start(learned: tuple[list[Report], Path], tmp_path: Path) -> None:
    """Steps that are far too long spoil a good model: nothing is written, the reports say so."""
    start = load_model(learned[1], device="cpu", precision="fp32")
    out = tmp_path / "spoilt.safetensors"
    *_, last = train(
        training_data(), start, out, replace(DECODER_RUN, rate=0.3, warm_up=1, steps=5)
    )
    assert last.validation is not None
    assert last.validation.figures.mean < last.start.figures.mean - 0.1
    assert not last.best.kept
    assert last.best == last.start
    assert files(tmp_path) == {"spoilt.json", "spoilt.png"}


@dataclass(frozen=True)
class Kind:
    """What is trained, and how."""

    name: str
    start: Callable[[], LoadedModel]
    config: TrainingConfig


KINDS = (Kind("pocket", tiny_pocket, POCKET_RUN), Kind("decoder", tiny_sam, DECODER_RUN))


@pytest.mark.slow
@pytest.mark.parametrize("case", KINDS, ids=lambda c: c.name)
def test_resumed_equals_uninterrupted(case: Kind, tmp_path: Path) -> None:
    """To the bit: weights, log and figures."""
    config = replace(case.config, steps=6)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole, stopped = (tmp_path / name / "a.safetensors" for name in ("whole", "stopped"))
    *_, expected = train(training_data(4), case.start(), whole, config)

    run = train(training_data(4), case.start(), stopped, config)
    while next(run).step < 3:
        pass
    run.close()
    assert stopped.with_suffix(".checkpoint").exists()
    first, *_, last = train(training_data(4), case.start(), stopped, config, resume=True)
    assert first.step == 3
    assert [j.figures for j in (last.start, last.best)] == [
        j.figures for j in (expected.start, expected.best)
    ]
    assert files(whole.parent) == files(stopped.parent)
    if whole.exists():
        assert whole.read_bytes() == stopped.read_bytes()
    a, b = (json.loads(path.with_suffix(".json").read_text()) for path in (whole, stopped))
    assert [loss["loss"] for loss in a["losses"]] == [loss["loss"] for loss in b["losses"]]


@pytest.mark.slow
def test_resume_begins_where_there_is_nothing_yet(tmp_path: Path) -> None:
    out = tmp_path / "a.safetensors"
    first, *_ = train(training_data(4), tiny_sam(), out, replace(DECODER_RUN, steps=2), resume=True)
    assert first.step == 0


@pytest.mark.slow
def test_minutes_end_a_run(tmp_path: Path) -> None:
    """Even a short one begins, makes a step, and is validated at its end."""
    config = replace(DECODER_RUN, steps=None, minutes=0.01)
    reports = list(train(training_data(4), tiny_sam(), tmp_path / "a.safetensors", config))
    first, *_, last = reports
    assert [report.step for report in reports] == list(range(len(reports)))
    assert (first.done, last.done) == (0, 1)
    assert all(report.done < 1 for report in reports[:-1])
    assert first.validation is not None
    assert last.validation is not None


def stopped_run(out: Path) -> None:
    run = train(training_data(4), tiny_sam(), out, DECODER_RUN)
    next(run)
    run.close()


def nothing(out: Path) -> None:
    pass


def damaged(out: Path) -> None:
    out.with_suffix(".checkpoint").write_bytes(b"no checkpoint")


def earlier_version(out: Path) -> None:
    save_checkpoint({"start": "vit 0", "judged_at": 0.2}, out.with_suffix(".checkpoint"))


def completed(out: Path) -> None:
    out.with_suffix(".json").write_text('{"complete": true}')


@dataclass(frozen=True)
class Refusal:
    """A run that cannot begin, or break down, and what is said."""

    name: str
    says: str
    before: Callable[[Path], None] = nothing
    out: str = "a.safetensors"
    start: Callable[[], LoadedModel] = tiny_sam
    config: TrainingConfig = DECODER_RUN
    resume: bool = False


REFUSALS = (
    Refusal("no folder", "There is no folder .*no. Make it", out="no/a.safetensors"),
    Refusal("another format", "should end in .safetensors", out="a.pth"),
    Refusal("a stopped run", "Continue with --resume, or delete it", stopped_run),
    Refusal("another start", "began from another model", stopped_run,
            start=lambda: tiny_sam(1), resume=True),
    Refusal("damaged checkpoint", "not a complete checkpoint", damaged, resume=True),
    Refusal("another version", "written by another version", earlier_version, resume=True),
    Refusal("complete", "is complete. To train further", completed, resume=True),
    Refusal("no number", "failed in step", config=replace(
        DECODER_RUN, rate=1e30, warm_up=1, clip=1e30, steps=50)),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSALS, ids=lambda c: c.name)
def test_refusals(case: Refusal, tmp_path: Path) -> None:
    out = tmp_path / case.out
    case.before(out)
    with pytest.raises(SamError, match=case.says):
        list(train(training_data(4), case.start(), out, case.config, resume=case.resume))
    assert not out.exists()


def test_what_suits_a_start(tmp_path: Path) -> None:
    save_weights(begin_from("scratch", device="cpu").network, tmp_path / "own.safetensors")
    scratch, own = (
        begin_from(of, device="cpu") for of in ("scratch", tmp_path / "own.safetensors")
    )
    assert [config_for(model) for model in (scratch, own, tiny_sam())] == [
        FROM_SCRATCH, FINE_TUNING, DECODER_ONLY,
    ]  # fmt: skip
    assert FINE_TUNING.rate < FROM_SCRATCH.rate / 3
    assert FINE_TUNING.dense_share == 0
    assert isinstance(scratch.network, Pocket)
    assert scratch.network.config == POCKET


def test_scratch_is_drawn_by_its_seed() -> None:
    def weights(seed: int) -> Iterator[torch.Tensor]:
        return iter(begin_from("scratch", device="cpu", seed=seed).network.parameters())

    assert all(torch.equal(a, b) for a, b in zip(weights(1), weights(1), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(1), weights(2), strict=True))


@pytest.mark.parametrize(("start", "device"), [("nix", "cpu"), ("scratch", "cuda:99")])
def test_no_such_start(start: str, device: str) -> None:
    with pytest.raises(ModelError):
        begin_from(start, device=device)


@pytest.mark.slow
def test_one_frame_is_enough_to_run(tmp_path: Path) -> None:
    one = TrainingData([disks(0, 5)], [disks(0, 5)])
    *_, last = train(one, tiny_pocket(), tmp_path / "a.safetensors", replace(POCKET_RUN, steps=2))
    assert last.step == 2


@pytest.mark.slow
def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    """The second says so and disturbs nothing; once the first has ended it may."""
    out = tmp_path / "mine.safetensors"
    first = train(training_data(), tiny_pocket(), out, POCKET_RUN)
    next(first)
    before = contents(tmp_path)
    with pytest.raises(ModelError, match=r"Another run is writing .*mine.safetensors\. Wait"):
        next(train(training_data(), tiny_pocket(1), out, POCKET_RUN, resume=True))
    assert contents(tmp_path) == before
    next(train(training_data(), tiny_pocket(), tmp_path / "other.safetensors", POCKET_RUN))
    assert list(first)[-1].done == 1
    next(train(training_data(), tiny_pocket(), out, POCKET_RUN))
    assert not list(tmp_path.glob(".*lock"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_killed_run_is_no_obstacle(tmp_path: Path) -> None:
    out = tmp_path / "mine.safetensors"
    code = (
        "import sys, time; from pathlib import Path\n"
        "from napari_sam.engine import alone, SamError\n"
        "with alone(Path(sys.argv[1]), SamError('')): print('in', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(ModelError, match="Another run"):
            next(train(training_data(), tiny_pocket(), out, POCKET_RUN))
        process.kill()
    next(train(training_data(), tiny_pocket(), out, POCKET_RUN))
