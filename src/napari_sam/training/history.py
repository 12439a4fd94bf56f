"""The history of a training run: its loss and figures over time."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

from .loop import Progress
from .validation import Figures

BINS = 200  # of a run: as many values of the loss are kept


@dataclass
class LossBin:
    """The mean loss of a stretch of the run."""

    step: int  # its last one
    minutes: float  # of training until then
    loss: float
    n: int  # steps


@dataclass(frozen=True)
class ValidationResult:
    """Figures of one state of the network on the objects kept out."""

    step: int
    minutes: float
    figures: Figures
    kept: bool  # better than all before: these weights were written

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        own = {"step": self.step, "minutes": self.minutes, "kept": self.kept}
        return {**own, **self.figures.as_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read a record of `as_json`."""
        figures = Figures.from_json(values)
        return cls(values["step"], values["minutes"], figures, values["kept"])


@dataclass
class History:
    """Grows with the run; the first validation is of the start."""

    losses: list[LossBin] = field(default_factory=list)
    validations: list[ValidationResult] = field(default_factory=list)

    @property
    def start(self) -> ValidationResult:
        """Before the first step."""
        return self.validations[0]

    @property
    def best(self) -> ValidationResult:
        """The best so far; the start, while nothing was better."""
        return next((j for j in reversed(self.validations) if j.kept), self.start)

    def add(self, progress: Progress, seconds: float) -> None:
        """Count a step in, at so many seconds of training."""
        if progress.done * BINS >= len(self.losses) or not self.losses:
            self.losses.append(LossBin(progress.step, seconds / 60, progress.loss, 1))
            return
        last = self.losses[-1]
        last.loss = (last.n * last.loss + progress.loss) / (last.n + 1)
        last.step, last.minutes, last.n = progress.step, seconds / 60, last.n + 1

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "validations": [validation.as_json() for validation in self.validations],
            "losses": [asdict(loss) for loss in self.losses],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read a record of `as_json`."""
        return cls(
            [LossBin(**loss) for loss in values["losses"]],
            [ValidationResult.from_json(validation) for validation in values["validations"]],
        )
