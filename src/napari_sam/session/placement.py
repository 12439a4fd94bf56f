"""The placement of an image in the world, in the terms of napari's layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

Vector: TypeAlias = tuple[float, ...]
Matrix: TypeAlias = tuple[Vector, ...]


@dataclass(frozen=True)
class Placement:
    """The placement of a napari layer of ``n`` axes; a session keeps it for its image."""

    scale: Vector  # (n,) units a pixel
    translate: Vector  # (n,)
    rotate: Matrix  # (n, n)
    shear: Vector  # (n (n - 1) / 2,)
    affine: Matrix  # (n + 1, n + 1), applied after all of these
    units: tuple[str, ...]  # (n,)
    axis_labels: tuple[str, ...]  # (n,)

    @property
    def is_plain(self) -> bool:
        """Whether it is napari's default."""
        n = len(self.scale)
        names = [label.removeprefix("axis ") for label in self.axis_labels]  # that of napari 0.6
        return names == [str(axis) for axis in range(-n, 0)] and self == Placement(
            scale=(1.0,) * n,
            translate=(0.0,) * n,
            rotate=_identity(n),
            shear=(0.0,) * (n * (n - 1) // 2),
            affine=_identity(n + 1),
            units=("pixel",) * n,
            axis_labels=self.axis_labels,
        )

    @classmethod
    def read(cls, record: dict[str, Any]) -> Placement:
        """Read a record of :meth:`write`."""
        return cls(**{name: _frozen(value) for name, value in record.items()})

    def write(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def _identity(n: int) -> Matrix:
    return tuple(tuple(float(row == column) for column in range(n)) for row in range(n))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
