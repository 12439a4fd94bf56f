"""Any array, its axes and a frame index → one (H, W, 3) uint8 frame."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st

from cases import COORDINATE_CASES, FRAME_CASES
from napari_sam.engine.errors import Cancelled, FrameError
from napari_sam.engine.frames import FrameStack, round_half_up

SHOWN = {"axes", "rgb", "displayed", "channel"}


def options(case: Any) -> dict[str, Any]:
    """The keywords of ``from_array`` that a case sets."""
    return {name: getattr(case, name) for name in SHOWN if hasattr(case, name)}


def ramp(shape: tuple[int, ...], dtype: str = "uint16") -> np.ndarray:
    """An array of which no two pixels are alike (as far as the type allows)."""
    size = int(np.prod(shape))
    if dtype == "bool":
        return (np.arange(size) % 2).reshape(shape).astype(bool)
    highest = {"uint8": 255, "float16": 2000}.get(dtype, 30000)
    return np.linspace(0, highest, size).reshape(shape).astype(dtype)


@dataclass
class CountingArray:
    """An array that notes how many pixels were read from it, and refuses to be read as a whole."""

    data: np.ndarray
    most: int
    read: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    def __getitem__(self, where: Any) -> np.ndarray:
        part = self.data[where]
        self.read.append(part.size)
        assert sum(self.read) <= self.most, "more was read than the frame requested"
        return part

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise AssertionError("the whole stack was loaded")


@pytest.mark.parametrize("case", COORDINATE_CASES, ids=lambda c: c.name)
def test_locate(case):
    stack = FrameStack.from_array(np.zeros(case.shape, np.uint8), **options(case))
    assert stack.locate(case.point_data) == (case.index, case.point_yx)


INSIDE_CASES = [case for case in COORDINATE_CASES if "outside" not in case.name]


@pytest.mark.parametrize("case", INSIDE_CASES, ids=lambda c: c.name)
def test_a_located_point_lies_on_its_own_pixel(case):
    image = np.zeros(case.shape, np.uint8)
    stack = FrameStack.from_array(image, **options(case))
    index, point_yx = stack.locate(case.point_data)
    where: list[Any] = [round_half_up(at) for at in case.point_data]
    if stack.colour_axis is not None:
        where.insert(stack.colour_axis, slice(None))
    image[tuple(where)] = 255
    row, column = (round_half_up(at) for at in point_yx)
    frame = stack.frame(index)
    assert frame[row, column].tolist() == [255, 255, 255]
    assert np.count_nonzero(frame.any(axis=-1)) == 1


@given(st.floats(-1e9, 1e9), st.integers(-1000, 1000))
def test_rounding_takes_the_nearest_and_halves_up(coordinate, whole):
    rounded = round_half_up(coordinate)
    assert -0.5 <= coordinate - rounded <= 0.5
    assert round_half_up(whole + 0.5) == whole + 1
    assert round_half_up(np.nextafter(whole + 0.5, -np.inf)) == whole


@given(st.floats(-20, 30), st.floats(allow_nan=False, allow_infinity=False))
def test_a_point_is_in_its_frame_or_in_none(z, y):
    stack = FrameStack.from_array(np.zeros((5, 6, 7), np.uint8))
    if -0.5 <= z < 4.5:
        index, point_yx = stack.locate((z, y, 1.0))
        assert abs(index[0] - z) <= 0.5
        assert point_yx == (y, 1.0)
    else:
        with pytest.raises(FrameError, match="outside a stack of 5 frames \\(0 to 4\\)"):
            stack.locate((z, y, 1.0))


@pytest.mark.parametrize("point", [(1.0, 2.0), (np.nan, 1, 1), (np.inf, 1, 1), (1, 1, 1, 1)])
def test_points_without_a_place(point):
    with pytest.raises(FrameError, match="Give 3 finite coordinates"):
        FrameStack.from_array(np.zeros((5, 6, 7), np.uint8)).locate(point)


@pytest.mark.parametrize("case", FRAME_CASES, ids=lambda c: c.name)
def test_frames(case):
    stack = FrameStack.from_array(ramp(case.shape, case.dtype), **options(case))
    assert stack.shape == case.stack_shape
    assert stack.ndim == len(case.stack_shape)
    assert stack.frame_shape == case.frame_shape
    indices = list(stack.indices())
    assert len(indices) * np.prod(case.frame_shape) == np.prod(case.stack_shape)
    for index in indices:
        frame = stack.frame(index)
        assert frame.shape == (*case.frame_shape, 3)
        assert frame.dtype == np.uint8
        assert stack.index(*(at for at in index if at is not None)) == index
        assert stack.frame_shape_of(index) == case.frame_shape
    assert frame.max() > 0 or case.shape == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("case", FRAME_CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("kind", ["dask", "zarr"])
def test_dask_and_zarr_give_the_frames_of_numpy(case, kind):
    image = ramp(case.shape, case.dtype)
    lazy = da.from_array(image, chunks=3) if kind == "dask" else zarr.array(image, chunks=3)
    stack, lazy_stack = (FrameStack.from_array(data, **options(case)) for data in (image, lazy))
    for index in itertools.islice(stack.indices(), 4):
        assert np.array_equal(stack.frame(index), lazy_stack.frame(index))


def test_frames_are_never_transposed():
    image = ramp((4, 5, 6))
    for axes in itertools.permutations(range(3), 2):
        stack = FrameStack.from_array(image, displayed=axes)
        y, x = sorted(axes)
        other = 3 - y - x
        for position in range(image.shape[other]):
            plane = image.take(position, axis=other)
            expected = FrameStack.from_array(plane).frame((None, None))
            assert np.array_equal(stack.frame(stack.index(position)), expected)


def test_an_index_may_span_other_axes_than_the_displayed():
    stack = FrameStack.from_array(ramp((4, 5, 6)))
    assert stack.frame((None, 2, None)).shape == (4, 6, 3)
    assert stack.frame_shape_of((None, 2, None)) == (4, 6)
    assert stack.locate((1.2, 2.5, 3.4), displayed=(2, 0)) == ((None, 3, None), (1.2, 3.4))
    with pytest.raises(FrameError, match="None for y and x"):
        stack.locate((1.2, 2.5, 3.4), displayed=(0, 0))


READ_CASES = {
    "one of many frames": ((50, 20, 30), {}, 600),
    "orthogonal": ((50, 20, 30), {"displayed": (0, 1)}, 1000),
    "RGB without alpha": ((7, 20, 30, 4), {"rgb": True}, 1800),
    "one of many channels": ((40, 20, 30), {"axes": "CYX", "channel": 39}, 600),
    "two far channels": ((40, 20, 30), {"axes": "CYX", "channel": (39, 0)}, 1200),
    "5D": ((3, 4, 5, 20, 30), {"axes": "TCZYX", "channel": 2}, 600),
}


@pytest.mark.parametrize("name", READ_CASES)
def test_only_the_frame_asked_for_is_read(name):
    shape, keywords, pixels = READ_CASES[name]
    data = CountingArray(ramp(shape), most=pixels)
    stack = FrameStack.from_array(data, **keywords)
    assert not data.read
    stack.frame(stack.index(*[1] * (stack.ndim - 2)))
    assert sum(data.read) == pixels


def test_only_the_chunks_of_the_frame_are_computed():
    computed = []
    stack = FrameStack.from_array(
        da.map_blocks(
            lambda block_id: (computed.append(block_id), np.ones((1, 8, 8), np.uint8))[1],
            chunks=((1,) * 6, (8,), (8,)),
            dtype=np.uint8,
            meta=np.empty((0, 0, 0), np.uint8),
        )
    )
    stack.frame(stack.index(4))
    assert computed == [(4, 0, 0)]


# Several resolutions


def pyramid(shape: tuple[int, int, int], ratios: list[tuple[float, float]]) -> list[np.ndarray]:
    """Levels of which each pixel holds its z at the finest level, downsampled by (in z, in yx)."""
    levels = []
    for in_z, in_yx in ratios:
        size = [max(1, round(n / r)) for n, r in zip(shape, (in_z, in_yx, in_yx), strict=True)]
        z = ((np.arange(size[0]) + 0.5) * shape[0] / size[0]).astype(np.uint8)
        levels.append(np.broadcast_to(z[:, None, None], size).copy())
    return levels


LEVEL_CASES = {
    "fine enough": (64, (64, 80)),
    "the coarsest that is long enough": (20, (16, 20)),
    "one pixel more": (21, (32, 40)),
    "the coarsest of all": (10, (16, 20)),
    "none is long enough": (1024, (64, 80)),
    "every pixel": (None, (64, 80)),
}


@pytest.mark.parametrize("name", LEVEL_CASES)
def test_the_level_that_is_read(name):
    long_side, expected = LEVEL_CASES[name]
    stack = FrameStack.from_array(pyramid((3, 64, 80), [(1, 1), (1, 2), (1, 4)]))
    assert stack.frame_shape == (64, 80)
    assert stack.frame(stack.index(1), long_side=long_side).shape[:2] == expected


@pytest.mark.parametrize("ratios", [[(1, 1), (1, 3.3)], [(1, 1), (2, 2)], [(1, 1), (1.7, 2.6)]])
def test_leading_axes_may_be_downsampled_too(ratios):
    depth = 12
    levels = pyramid((depth, 60, 90), ratios)
    stack = FrameStack.from_array(levels, limits=(0, 255))
    for z in range(depth):
        shown = int(stack.frame(stack.index(z), long_side=20)[0, 0, 0])
        assert abs(shown - z) <= ratios[-1][0] / 2 + 0.5
        assert stack.frame(stack.index(z), long_side=None)[0, 0, 0] == z


def test_nothing_of_the_fine_levels_is_read():
    fine = CountingArray(ramp((4, 64, 80)), most=0)
    coarse = CountingArray(ramp((4, 32, 40)), most=32 * 40)
    FrameStack.from_array([fine, coarse]).frame((2, None, None), long_side=40)
    assert coarse.read == [32 * 40]


def test_a_large_frame_is_averaged_to_about_twice_the_side_wanted():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 1000, (803, 1210), np.uint16)
    stack = FrameStack.from_array(image, limits=(0, 999))
    frame = stack.frame(stack.index(), long_side=100)
    assert frame.shape == (803 // 6, 1210 // 6, 3)
    assert abs(frame.mean() - stack.frame(stack.index(), long_side=None).mean()) < 1
    assert stack.frame(stack.index(), long_side=400).shape == (803, 1210, 3)


# Limits


def frame_of(image: np.ndarray, **keywords: Any) -> np.ndarray:
    stack = FrameStack.from_array(image, **keywords)
    return stack.frame(stack.index())


def test_given_limits_win_and_are_told():
    image = ramp((4, 5, 6))
    stack = FrameStack.from_array(image, limits=(0, 60000))
    assert stack.limits((1, None, None)) == ((0.0, 60000.0),)
    assert stack.frame((3, None, None)).max() == round(30000 / 60000 * 255)


def test_the_limits_told_are_those_used():
    stack = FrameStack.from_array(ramp((4, 50, 60)))
    for index in stack.indices():
        again = FrameStack.from_array(ramp((4, 50, 60)), limits=stack.limits(index))
        assert np.array_equal(stack.frame(index), again.frame(index))


def test_rgb_is_stretched_jointly_and_8_bit_rgb_not_at_all():
    rgb = np.zeros((64, 64, 3), np.uint16)
    rgb[..., 0], rgb[..., 1] = 1000, np.arange(64) * 10
    frame = frame_of(rgb, rgb=True)
    assert (frame[..., 0] == 255).all()
    assert frame[0, -1, 1] == round(630 / 1000 * 255)
    assert not frame[..., 2].any()
    dim = (ramp((8, 9, 3), "uint8") // 4).astype(np.uint8)
    assert np.array_equal(frame_of(dim, rgb=True), dim)


def test_alpha_is_dropped():
    rgba = ramp((8, 9, 4), "uint8")
    assert np.array_equal(frame_of(rgba, rgb=True), rgba[..., :3])


def test_channels_are_stretched_by_themselves_and_mixed():
    image = np.zeros((5, 16, 16), np.uint16)
    image[:] = np.arange(16) * np.array([1, 10, 100, 1000, 4000])[:, None, None]
    step = frame_of(image, axes="CYX", channel=0)[0, :, 0]
    assert (step[0], step[-1]) == (0, 255)
    for channel in (1, (2,), (0, 1), (4, 0, 2), (0, 1, 2, 3), None):
        frame = frame_of(image, axes="CYX", channel=channel)
        assert np.array_equal(frame, np.broadcast_to(step[:, None], (16, 16, 3)))
    image[1] = image[1][:, ::-1]
    frame = frame_of(image, axes="CYX", channel=(0, 1))
    assert frame[0, -1].tolist() == [255, 0, 128]


@pytest.mark.parametrize(
    ("limits", "keywords"),
    [
        ((1,), {}),
        ((2, 1), {}),
        ((0, np.nan), {}),
        (((0, 1), (0, 1)), {}),
        (((0, 1), (0, 1)), {"axes": "CYX"}),
    ],
)
def test_limits_that_do_not_fit(limits, keywords):
    with pytest.raises(FrameError, match="Give one pair of"):
        FrameStack.from_array(np.zeros((3, 4, 5), np.uint16), limits=limits, **keywords)


# What cannot be a frame

ABSURD_CASES = {
    "no axis": (np.float32(3), {}, "not an image"),
    "one axis": (np.zeros(5), {}, "at least two axes"),
    "empty": (np.zeros((0, 5)), {}, "empty"),
    "no frames": (np.zeros((0, 5, 5)), {}, "empty"),
    "complex": (np.zeros((4, 5), complex), {}, "magnitude"),
    "text": (np.full((4, 5), "a"), {}, "type <U1"),
    "objects": (np.full((4, 5), None), {}, "type object"),
    "a list of numbers": ([1, 2, 3], {}, "at least two axes"),
    "an empty list": ([], {}, "An empty list"),
    "a list of frames": ([np.zeros((4, 5))] * 3, {}, "numpy.stack"),
    "levels upside down": ([np.zeros((4, 5)), np.zeros((8, 10))], {}, "finest first"),
    "levels of other axes": ([np.zeros((4, 5)), np.zeros((4, 2, 2))], {}, "finest first"),
    "too few letters": (np.zeros((4, 5, 6)), {"axes": "YX"}, "do not fit an array of 3 axes"),
    "a letter twice": (np.zeros((4, 5, 6)), {"axes": "YYX"}, "at most once"),
    "another letter twice": (np.zeros((5, 6)), {"axes": "ZZ"}, "at most once"),
    "RGB of five": (np.zeros((4, 5, 5)), {"rgb": True}, "declared as RGB"),
    "RGB without an axis": (np.zeros((4, 5, 3)), {"rgb": True, "axes": "YXT"}, "declared as RGB"),
    "colour and nothing else": (np.zeros((4, 3)), {"rgb": True}, "no two axes left"),
    "a channel of none": (np.zeros((4, 5)), {"channel": 0}, "Name it C"),
    "a channel too far": (np.zeros((2, 4, 5)), {"axes": "CYX", "channel": 2}, "0 to 1"),
    "a channel below": (np.zeros((2, 4, 5)), {"axes": "CYX", "channel": (0, -1)}, "0 to 1"),
    "no channel": (np.zeros((2, 4, 5)), {"axes": "CYX", "channel": ()}, "0 to 1"),
    "one axis displayed": (np.zeros((4, 5)), {"displayed": (0, 0)}, "two different"),
    "one axis, from both ends": (np.zeros((4, 5)), {"displayed": (0, -2)}, "two different"),
    "an axis too far": (np.zeros((4, 5)), {"displayed": (0, 2)}, "two different"),
}


@pytest.mark.parametrize("name", ABSURD_CASES)
def test_absurd_input_is_explained(name):
    data, keywords, message = ABSURD_CASES[name]
    with pytest.raises(FrameError, match=message):
        FrameStack.from_array(data, **keywords)


def test_dask_of_unknown_size_is_explained():
    unknown = da.ones((8, 8), chunks=4)
    unknown = unknown[unknown[:, 0] > 0]
    with pytest.raises(FrameError, match="compute_chunk_sizes"):
        FrameStack.from_array(unknown)


@pytest.mark.parametrize(
    ("leading", "message"),
    [
        ((7, 0), r"Frame 7, 0 is outside a stack of 5 × 3 frames \(0 to 4, 0 to 2\)\."),
        ((-1, 0), "Frame -1, 0 is outside"),
        ((1,), "1 frame position given"),
        ((1, 2, 3), "3 frame positions given"),
    ],
)
def test_frames_that_are_not_there(leading, message):
    stack = FrameStack.from_array(np.zeros((5, 3, 4, 4), np.uint8))
    with pytest.raises(FrameError, match=message):
        stack.index(*leading)


@pytest.mark.parametrize("index", [(1, None), (1, 1, None), (None, None, None), (1, None, None, 1)])
def test_indices_that_are_no_frame(index):
    with pytest.raises(FrameError, match="None for y and x"):
        FrameStack.from_array(np.zeros((5, 6, 7), np.uint8)).frame(index)


def test_a_frame_that_cannot_be_read_is_explained(tmp_path):
    array = zarr.create_array(tmp_path / "a.zarr", data=ramp((4, 8, 8)), chunks=(1, 8, 8))
    (tmp_path / "a.zarr" / "c" / "2" / "0" / "0").write_bytes(b"broken")
    stack = FrameStack.from_array(array)
    assert stack.frame(stack.index(1)).any()
    with pytest.raises(FrameError, match=r"Frame 2 could not be read"):
        stack.frame(stack.index(2))


def test_nested_lists_are_arrays():
    assert frame_of([[0, 1], [2, 3]]).shape == (2, 2, 3)


WRONG_ARGUMENTS = {
    "no side": (lambda stack: stack.frame(stack.index(0), long_side=0), "0 pixels shows nothing"),
    "a negative side": (lambda stack: stack.frame(stack.index(0), long_side=-5), "Give 1 or more"),
    "an index of text": (lambda stack: stack.frame(("a", None, None)), "is not a frame"),
    "no index": (lambda stack: stack.frame(3), "is not a frame"),
    "axes of a number": (lambda stack: FrameStack.from_array(stack.levels[0], axes=5), "not text"),
    "axes of a list": (
        lambda stack: FrameStack.from_array(stack.levels[0], axes=list("TYX")),
        "not text",
    ),
    "half a channel": (
        lambda stack: FrameStack.from_array(stack.levels[0], axes="CYX", channel=0.5),
        "not a whole number",
    ),
}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_wrong_arguments_are_explained(name):
    call, message = WRONG_ARGUMENTS[name]
    with pytest.raises(FrameError, match=message):
        call(FrameStack.from_array(np.zeros((3, 8, 9))))


class Unreadable:
    """Pixels whose decoder fails."""

    shape, dtype = (2, 8, 9), np.dtype(np.uint8)

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getitem__(self, where: object) -> object:
        raise self.error


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ZeroDivisionError("division by zero"), "could not be read: ZeroDivisionError: division"),
        (OSError(5, "Input/output error"), "could not be read: Input/output error"),
        (MemoryError(), "needs more memory than there is"),
        (NotImplementedError("lzw"), r"lzw\. Install more decoders"),
        (RuntimeError("two\nlines"), "RuntimeError: two lines"),
        (TypeError(), "could not be read: TypeError"),
    ],
)
def test_whatever_a_decoder_raises_is_one_sentence(error, says):
    stack = FrameStack.from_array(Unreadable(error))
    with pytest.raises(FrameError, match=says):
        stack.frame(stack.index(0))


def test_what_the_user_cancels_stays_that():
    stack = FrameStack.from_array(Unreadable(Cancelled()))
    with pytest.raises(Cancelled):
        stack.frame(stack.index(0))


def test_a_frame_beyond_the_memory_is_refused_before_it_is_read():
    stack = FrameStack.from_array(da.zeros((10**7, 10**7), chunks=-1, dtype=np.uint16))
    with pytest.raises(FrameError, match="more than this computer can read at once"):
        stack.frame(stack.index())
