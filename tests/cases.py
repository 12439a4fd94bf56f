"""Frozen tables of cases that tests on several floors share."""

from __future__ import annotations

from dataclasses import dataclass

FrameIndex = tuple[int | None, ...]


@dataclass(frozen=True)
class CoordinateCase:
    """A point in the data, and where it must be found: in which frame, at which y and x."""

    name: str
    shape: tuple[int, ...]  # of the data, with its colour axis
    point_data: tuple[float, ...]  # without the colour axis
    index: FrameIndex
    point_yx: tuple[float, float]
    axes: str | None = None
    rgb: bool | None = None
    displayed: tuple[int, int] | None = None


COORDINATE_CASES = (
    CoordinateCase("2D", (40, 50), (30.0, 40.0), (None, None), (30.0, 40.0)),
    CoordinateCase("2D, between pixels", (40, 50), (3.5, 4.49), (None, None), (3.5, 4.49)),
    CoordinateCase("2D, outside the frame", (40, 50), (-3.0, 60.0), (None, None), (-3.0, 60.0)),
    CoordinateCase("2D RGB", (40, 50, 3), (30.0, 40.0), (None, None), (30.0, 40.0), rgb=True),
    CoordinateCase("XY", (50, 40), (40.0, 30.0), (None, None), (40.0, 30.0), axes="XY"),
    CoordinateCase("3D", (5, 40, 50), (2.0, 30.0, 40.0), (2, None, None), (30.0, 40.0)),
    CoordinateCase("3D, below", (5, 40, 50), (2.49, 3.0, 4.0), (2, None, None), (3.0, 4.0)),
    CoordinateCase("3D, half up", (5, 40, 50), (2.5, 3.0, 4.0), (3, None, None), (3.0, 4.0)),
    CoordinateCase("3D, odd half up", (5, 40, 50), (1.5, 3.0, 4.0), (2, None, None), (3.0, 4.0)),
    CoordinateCase("3D, first", (5, 40, 50), (-0.5, 3.0, 4.0), (0, None, None), (3.0, 4.0)),
    CoordinateCase("3D, last", (5, 40, 50), (4.49, 3.0, 4.0), (4, None, None), (3.0, 4.0)),
    CoordinateCase(
        "3D, just under a half",
        (5, 40, 50),
        (0.49999999999999994, 3.0, 4.0),  # floor(x + 0.5) would say 1
        (0, None, None),
        (3.0, 4.0),
    ),
    CoordinateCase(
        "YXZ", (40, 50, 5), (30.0, 40.0, 2.0), (None, None, 2), (30.0, 40.0), axes="YXZ"
    ),
    CoordinateCase(
        "ZX of ZYX", (5, 40, 50), (2.2, 30.0, 40.0), (None, 30, None), (2.2, 40.0), displayed=(0, 2)
    ),
    CoordinateCase(
        "YZ of ZYX, given as (1, 0)",
        (5, 40, 50),
        (2.2, 30.5, 40.6),
        (None, None, 41),
        (2.2, 30.5),
        displayed=(1, 0),
    ),
    CoordinateCase(
        "XTYZ", (50, 3, 40, 5), (6.0, 1.0, 7.0, 2.0), (None, 1, None, 2), (6.0, 7.0), axes="XTYZ"
    ),
    CoordinateCase(
        "CYX", (2, 40, 50), (30.0, 40.0), (None, None), (30.0, 40.0), axes="CYX", rgb=False
    ),
    CoordinateCase(
        "TCYX", (6, 2, 40, 50), (3.6, 30.0, 40.0), (4, None, None), (30.0, 40.0), axes="TCYX"
    ),
    CoordinateCase(
        "TZYX RGB",
        (6, 4, 40, 50, 3),
        (3.4, 1.5, 30.0, 40.0),
        (3, 2, None, None),
        (30.0, 40.0),
        rgb=True,
    ),
    CoordinateCase(
        "6D",
        (2, 3, 4, 5, 40, 50),
        (1.0, 2.0, 3.0, 4.0, 30.0, 40.0),
        (1, 2, 3, 4, None, None),
        (30.0, 40.0),
    ),
)


@dataclass(frozen=True)
class FrameCase:
    """An array by shape and type, and the frames it must be seen as."""

    name: str
    shape: tuple[int, ...]
    stack_shape: tuple[int, ...]  # without the colour axis
    frame_shape: tuple[int, int]
    axes: str | None = None
    rgb: bool | None = None
    displayed: tuple[int, int] | None = None
    channel: int | tuple[int, ...] | None = None
    dtype: str = "uint16"


FRAME_CASES = (
    FrameCase("2D", (8, 9), (8, 9), (8, 9)),
    FrameCase("1 × 1", (1, 1), (1, 1), (1, 1)),
    FrameCase("2D big endian", (8, 9), (8, 9), (8, 9), dtype=">u2"),
    FrameCase("2D int16", (8, 9), (8, 9), (8, 9), dtype="int16"),
    FrameCase("2D uint32", (8, 9), (8, 9), (8, 9), dtype="uint32"),
    FrameCase("2D int64", (8, 9), (8, 9), (8, 9), dtype="int64"),
    FrameCase("2D float16", (8, 9), (8, 9), (8, 9), dtype="float16"),
    FrameCase("2D float64", (8, 9), (8, 9), (8, 9), dtype="float64"),
    FrameCase("2D bool", (8, 9), (8, 9), (8, 9), dtype="bool"),
    FrameCase("RGB by its shape", (8, 9, 3), (8, 9), (8, 9), dtype="uint8"),
    FrameCase("RGBA by its shape", (8, 9, 4), (8, 9), (8, 9), dtype="uint8"),
    FrameCase("stack of width 3, not RGB", (8, 9, 3), (8, 9, 3), (9, 3), rgb=False),
    FrameCase("4D is not guessed RGB", (2, 8, 9, 3), (2, 8, 9, 3), (9, 3)),
    FrameCase("4D RGB", (2, 8, 9, 3), (2, 8, 9), (8, 9), rgb=True, dtype="uint8"),
    FrameCase("TYXC", (2, 8, 9, 3), (2, 8, 9), (8, 9), axes="TYXC"),
    FrameCase("planar RGB", (3, 8, 9), (8, 9), (8, 9), axes="SYX", dtype="uint8"),
    FrameCase("napari's names, RGB", (2, 8, 9, 3), (2, 8, 9), (8, 9), axes="TYX", rgb=True),
    FrameCase("RGB between", (8, 3, 9), (8, 9), (8, 9), axes="YCX", rgb=True),
    FrameCase("one of the RGB", (8, 9, 3), (8, 9), (8, 9), axes="YXC", channel=1, dtype="uint8"),
    FrameCase("one channel", (1, 8, 9), (8, 9), (8, 9), axes="CYX"),
    FrameCase("two channels", (2, 8, 9), (8, 9), (8, 9), axes="CYX"),
    FrameCase("three channels", (3, 8, 9), (8, 9), (8, 9), axes="CYX"),
    FrameCase("five channels", (5, 8, 9), (8, 9), (8, 9), axes="CYX"),
    FrameCase("two of five channels", (5, 8, 9), (8, 9), (8, 9), axes="CYX", channel=(4, 1)),
    FrameCase("channels and samples", (5, 8, 9, 3), (5, 8, 9), (8, 9), axes="CYXS"),
    FrameCase("unknown axes", (2, 3, 8, 9), (2, 3, 8, 9), (8, 9), axes="QQYX"),
    FrameCase("lower-case axes", (9, 8, 2), (9, 8, 2), (9, 8), axes="xyz"),
    FrameCase("orthogonal", (4, 8, 9), (4, 8, 9), (4, 9), displayed=(0, 2)),
    FrameCase("orthogonal, from the end", (4, 8, 9), (4, 8, 9), (4, 9), displayed=(-1, -3)),
    FrameCase("5D, channels in the middle", (2, 4, 3, 8, 9), (2, 4, 8, 9), (8, 9), axes="TZCYX"),
    FrameCase("6D", (2, 2, 2, 2, 8, 9), (2, 2, 2, 2, 8, 9), (8, 9)),
)
