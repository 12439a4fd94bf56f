"""One training run, from a start to a better model: prepare, train, validate, keep the best.

Beside the weights lie the run's log (.json), its plot (.png) and, until it is complete, a
checkpoint from which a stopped run resumes.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch

from napari_sam.engine import (
    LoadedModel,
    ModelError,
    Predictor,
    alone,
    fast_in_bf16,
)
from napari_sam.model import Pocket, Sam

from .decoder_task import DecoderTask
from .history import History, ValidationResult
from .loop import Training, TrainingTask, wait_for_workers, workers
from .options import TrainingConfig
from .pocket.crops import pool_of
from .pocket.maps_task import MapsTask
from .pocket.task import PocketTask
from .run_plot import draw_run
from .saving import (
    REMEDY,
    is_complete,
    read_checkpoint,
    save_checkpoint,
    save_json,
    save_picture,
    save_weights,
)
from .training_data import TrainingData
from .validation import Validation
from .views import encode_views

PAUSE_MINUTES = 5.0  # between validations, and so between checkpoints
VALIDATION_SHARE = 0.1  # of the time at most is spent on validation, but for the first and the last


@dataclass(frozen=True)
class Report:
    """Progress of a run."""

    step: int
    done: float  # 0 to 1, share of the run
    remaining_minutes: float | None  # None: not known yet
    loss: float | None  # of this step
    validation: ValidationResult | None  # of this state, where it was validated
    start: ValidationResult
    best: ValidationResult  # the start's until a better state is written


def check_out(out: Path) -> None:
    """Check before the training that the results can be written.

    Raises
    ------
    ModelError
        If OUT is no .safetensors file, or its folder does not exist.
    """
    if out.suffix != ".safetensors":
        raise ModelError(f"{out} should end in .safetensors: that is how weights are written.")
    if not out.parent.is_dir():
        raise ModelError(f"There is no folder {out.parent}. Make it, or write elsewhere.")


def train(
    data: TrainingData,
    start: LoadedModel,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Generator[Report, None, None]:
    """Train; keep the weights that are best on the images kept out, if better than the start.

    The first report is of the start, the last one of the end. Closing the generator writes a
    checkpoint. Of workers that train together only the first one reports.

    Parameters
    ----------
    start
        What `begin_from` found. If it is Segment Anything, its image encoder stays as it is.
    out
        Weights to write (.safetensors); log, plot and checkpoint get the same name.
    config
        What `config_for` advises, with minutes or steps and a seed of one's own.
    resume
        Resume from the checkpoint beside OUT, or begin if there is none.
    progress
        Called as ``progress(done, total)`` while images are encoded, before the first report.

    Raises
    ------
    ModelError
        If something cannot be written, or another run is writing it; a checkpoint does not fit,
        or the loss is not finite.
    FrameError
        If all objects are too small for the network.
    """
    check_out(out)
    with _alone(out):
        yield from _train(data, start, out, config, resume=resume, progress=progress)


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Inside, no other run writes these files; of several workers the first one does."""
    taken = ModelError(
        f"Another run is writing {out}. Wait for its end, or give this one another name with --out."
    )
    with ExitStack() as held:
        try:
            if workers()[0] == 0:
                held.enter_context(alone(out, taken))
        except OSError as error:
            raise ModelError(
                f"Nothing can be written in {out.parent}: {error.strerror}. {REMEDY}"
            ) from error
        yield


def _train(
    data: TrainingData,
    start: LoadedModel,
    out: Path,
    config: TrainingConfig,
    *,
    resume: bool,
    progress: Callable[[int, int], None] | None,
) -> Generator[Report, None, None]:
    try:
        run = Run(data, start, out, config, resume=resume, progress=progress)
        if run.leads:
            yield run.report(None)
        for step in run.training.run():
            run.history.add(step, run.training.seconds)
            if run.is_due():
                run.validate()
            if run.leads:
                yield from run.reported(step.loss)
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The memory of {start.device} is full. Close other programs that use it, begin from "
            "a smaller model, or train on the CPU: --device cpu."
        ) from error
    run.complete()


class Run:
    """The stages of `train`, and its files."""

    def __init__(
        self,
        data: TrainingData,
        start: LoadedModel,
        out: Path,
        config: TrainingConfig,
        *,
        resume: bool,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.start, self.config, self.notes = start, config, data.notes
        self.out, self.views = out, out.with_suffix(".views")
        self.checkpoint, self.log = out.with_suffix(".checkpoint"), out.with_suffix(".json")
        begun = self._begun(resume)
        wait_for_workers()  # the first one writes from here on
        bf16 = fast_in_bf16(start.device) if config.bf16 is None else config.bf16
        with torch.autocast(start.device.type, torch.bfloat16, enabled=bf16):
            task = self._task(data, progress)
            frozen = Predictor(start) if isinstance(start.network, Sam) else None
            self.validation = Validation(data.validation, frozen)
        self.training = Training(task, config)
        self.leads = self.training.worker == 0
        self.history, self.validated_at, self.pause = History(), 0.0, 0.1
        if begun is None:
            self._begin()
        else:
            self.training.load(begun["training"])
            self.history = History.from_json(begun["history"])
            self.validated_at, self.pause = begun["validated_at"], begun["pause"]

    def is_due(self) -> bool:
        """Whether it is time to validate: now and then, and at the end."""
        done = self.training.done
        due = int(done / self.pause + 1e-9) > int(self.validated_at / self.pause + 1e-9)
        return done >= 1 or due

    def validate(self) -> None:
        """Put the averaged network through the validation, keep it if it is the best, and save."""
        started = time.monotonic()
        if self.leads:
            network = self.training.task.averaged_network(self.training.average)
            figures = self.validation.figures(Predictor(replace(self.start, network=network)))
            best = self.history.best.figures.mean if self.history.validations else 1.0
            # The figures are of masks, which do not change with the maps: their last state is kept
            kept = figures.mean > best or (self.config.maps_only and self.training.step > 0)
            if kept:
                save_weights(network, self.out)
            minutes = self.training.seconds / 60
            validation = ValidationResult(self.training.step, minutes, figures, kept)
            self.history.validations.append(validation)
        self.training.spend(time.monotonic() - started)
        self.validated_at = self.training.done
        self.save()

    def save(self) -> None:
        """Write the checkpoint, the log and the plot."""
        if not self.leads:
            return
        state = {
            "start": self.start.hash,
            "training": self.training.state(),
            "history": self.history.as_json(),
            "validated_at": self.validated_at,
            "pause": self.pause,
        }
        save_checkpoint(state, self.checkpoint)
        self._tell(complete=False)

    def complete(self) -> None:
        """Leave only what is worth keeping: the weights, if any, the log and the plot."""
        wait_for_workers()
        if self.leads:
            self._tell(complete=True)
            self.checkpoint.unlink(missing_ok=True)
            shutil.rmtree(self.views, ignore_errors=True)

    def report(self, loss: float | None) -> Report:
        """The progress of the run."""
        training, latest = self.training, self.history.validations[-1]
        done, remaining = min(1.0, training.done), None
        if self.config.steps is None:
            remaining = self.config.minutes * (1 - done)
        elif done:
            remaining = training.seconds / 60 * (1 / done - 1)
        return Report(
            training.step,
            done,
            remaining,
            loss,
            latest if latest.step == training.step else None,
            self.history.start,
            self.history.best,
        )

    def reported(self, loss: float) -> Iterator[Report]:
        """Yield the report of a step; if the caller stops there, write a checkpoint."""
        try:
            yield self.report(loss)
        except GeneratorExit:
            self.save()
            raise

    def _begun(self, resume: bool) -> dict[str, Any] | None:
        """The checkpoint to resume from."""
        there = self.checkpoint.exists()
        if there and not resume:
            raise ModelError(
                f"{self.checkpoint} is of a run that was stopped. Continue with --resume, or "
                "delete it to begin again."
            )
        if not there:
            if resume and is_complete(self.log):
                raise ModelError(
                    f"The run that wrote {self.out} is complete. To train further, begin from it: "
                    f"--from {self.out} --out ANOTHER."
                )
            return None
        begun = read_checkpoint(self.checkpoint)
        if not {"start", "training", "history", "validated_at", "pause"} <= begun.keys():
            raise ModelError(
                f"{self.checkpoint} was written by another version of this program, and "
                "cannot be continued. Delete it to begin again."
            )
        if begun["start"] != self.start.hash:
            raise ModelError(
                f"{self.checkpoint} is of a run that began from another model than "
                f"{self.start.name}. Give the same --from, or delete it to begin again."
            )
        return begun

    def _task(
        self, data: TrainingData, progress: Callable[[int, int], None] | None
    ) -> TrainingTask:
        """The training task for the start's network and the data."""
        network, seed = self.start.network, self.config.seed
        if isinstance(network, Sam):
            views = encode_views(
                Predictor(self.start),
                data.training,
                self.views,
                seed=seed,
                progress=progress,
            )
            return DecoderTask(network, views, self.config)
        own = seed + workers()[0]
        config = self.config
        pool = pool_of(data.training, config.synthetic_images, config.synthetic_share, own)
        task = MapsTask if config.maps_only else PocketTask
        return task(cast(Pocket, network), pool, config)

    def _begin(self) -> None:
        """Validate the start, and see how long that takes: it decides how often to validate."""
        self.validate()
        if self.config.steps is None:
            pause = max(
                min(self.config.minutes * self.pause, PAUSE_MINUTES),
                self.training.seconds / 60 / VALIDATION_SHARE,
            )
            self.pause = pause / self.config.minutes
        self.training.seconds = self.validated_at = 0.0
        self.save()

    def _tell(self, *, complete: bool) -> None:
        """Write the log and the plot."""
        about = {
            "from": self.start.name,
            "hash": self.start.hash,
            "device": str(self.start.device),
            "config": asdict(self.config),
            "data": list(self.notes),
            "complete": complete,
        }
        save_json({**about, **self.history.as_json()}, self.log)
        title = f"{self.out.name}, from {self.start.name}"
        save_picture(draw_run(self.history, title), self.out.with_suffix(".png"))
