"""Labels as they come: of every type, byte order and container, none loses what lands in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from zarr.storage import MemoryStore

from napari_sam.engine import HIGHEST_ID, FrameStack, Prompts, SamError
from napari_sam.session import (
    Propagated,
    Region,
    Session,
    empty_labels,
    objects,
    with_room,
    writable_labels,
)
from napari_sam.session.label_arrays import (
    CHUNK_SIDE,
    copied,
    frozen,
    highest_id_of,
    is_written,
    pieces_of,
    read_frame,
)

SHAPE = (2, 6, 8)
FRAME = (1, None, None)
DISC = Region(1, 2, np.ones((4, 5), bool))
STACK = FrameStack.from_array(np.zeros(SHAPE, np.uint8))
DTYPES = [order + kind for kind in ("u2", "u4", "u8", "i2", "i4", "i8") for order in "<>"]
DTYPES += ["u1", "i1"]


def locked(labels: np.ndarray) -> np.ndarray:
    labels = labels.copy()
    labels.flags.writeable = False
    return labels


def mapped(mode: str) -> Callable[[np.ndarray], np.ndarray]:
    def open_(labels: np.ndarray) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "labels.npy")
            np.save(path, labels)
            return np.load(path, mmap_mode=mode)

    return open_


def in_zarr(labels: np.ndarray) -> Any:
    array = zarr.create_array(
        MemoryStore(), shape=labels.shape, dtype=labels.dtype, chunks=(1, 4, 4), zarr_format=2
    )
    array[...] = labels
    return array


def in_locked_zarr(labels: np.ndarray) -> Any:
    return zarr.open_array(in_zarr(labels).store.with_read_only(True), mode="r")


def every_second(labels: np.ndarray) -> np.ndarray:
    return np.repeat(labels, 2, axis=-1)[..., ::2]


CONTAINERS: dict[str, Callable[[np.ndarray], Any]] = {
    "NumPy": np.copy,
    "NumPy, read-only": locked,
    "NumPy, a view": every_second,
    "NumPy, masked": lambda labels: np.ma.masked_array(labels, hard_mask=True),
    "memory-mapped": mapped("r+"),
    "memory-mapped, read-only": mapped("r"),
    "Zarr": in_zarr,
    "Zarr, read-only": in_locked_zarr,
    "Dask": da.from_array,
}
WRITTEN_IN_PLACE = ("NumPy", "NumPy, a view", "memory-mapped", "Zarr")


def some_labels(dtype: str) -> st.SearchStrategy[np.ndarray]:
    """Labels with ids from anywhere in their type, the highest one most of all."""
    limits = np.iinfo(dtype)
    ids = st.sampled_from([0, 1, 2, int(limits.max), limits.max - 1, max(0, int(limits.min))])
    return arrays(dtype, SHAPE, elements=ids | st.integers(0, 9), fill=st.just(0))


def land(session: Session, object_id: int, region: Region = DISC) -> None:
    """An object lands in a frame."""
    run = session.new_run()
    session.land_propagated(
        Propagated(object_id, FRAME, region, 0.9, 0.9, 0.9, "m", (0, None, None)), run
    )


@pytest.mark.slow
@pytest.mark.parametrize("container", CONTAINERS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_labels_are_given_the_next_object_lands_in_them(
    container: str, data: st.DataObject
) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    before = data.draw(some_labels(dtype))
    labels = CONTAINERS[container](before)
    highest = int(before.max())
    if highest >= HIGHEST_ID:
        with pytest.raises(SamError, match=f"hold the id {highest}"):
            writable_labels(labels, SHAPE)
        return

    taken = writable_labels(labels, SHAPE)
    session = Session(STACK, taken.array, highest_id=taken.highest_id)
    land(session, session.active)

    expected = before.astype(np.int64)
    seen = expected[1, 1:5, 2:7]
    seen[seen == 0] = highest + 1
    np.testing.assert_array_equal(np.asarray(taken.array), expected)
    assert taken.array.dtype.isnative
    fits = highest < np.iinfo(dtype).max and np.dtype(dtype).isnative
    is_given = taken.array is labels
    assert is_given == (container in WRITTEN_IN_PLACE and fits)
    np.testing.assert_array_equal(np.asarray(labels), expected if is_given else before)
    in_memory = container in ("NumPy", "NumPy, a view", "Zarr") and np.dtype(dtype).isnative
    assert bool(taken.notice) == (not is_given and not in_memory)


@pytest.mark.parametrize(
    ("labels", "because", "said"),
    [
        (locked(np.zeros(SHAPE, np.uint8)), "", "These labels are read-only. They were copied"),
        (
            da.zeros(SHAPE, dtype=np.uint8),
            "",
            "are of the type dask.Array, into which",
        ),
        (np.zeros(SHAPE, ">i4"), "", "are not in this computer's byte order"),
        (np.zeros(SHAPE, np.uint8), "are multiscale", "These labels are multiscale. They were"),
    ],
    ids=["read-only", "lazy", "byte order", "multiscale"],
)
def test_it_is_said_why_labels_are_copied(labels: Any, because: str, said: str) -> None:
    taken = writable_labels(labels, SHAPE, because)
    assert said in taken.notice
    assert taken.array is not labels


def broken(block: np.ndarray) -> np.ndarray:
    raise RuntimeError("a file is gone")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([[1, 2]], "Labels are an array of integers, not list"),
        (np.zeros((6, 8), np.uint8), r"the shape \(6, 8\), the image \(2, 6, 8\)"),
        (np.zeros(SHAPE, np.float32), "Labels are integers, not float32"),
        (np.zeros(SHAPE, bool), "Labels are integers, not bool"),
        (np.full(SHAPE, 2**32 - 1, np.uint32), "hold the id 4294967295"),
        (np.full(SHAPE, 2**63 + 5, np.uint64), "hold the id 9223372036854775813"),
        (da.zeros(SHAPE, dtype=np.uint8).map_blocks(broken, dtype=np.uint8), "could not be read"),
    ],
    ids=["list", "shape", "floats", "booleans", "full", "beyond int64", "broken"],
)
def test_what_are_no_labels_to_write_into_is_refused(labels: Any, said: str) -> None:
    with pytest.raises(SamError, match=said):
        writable_labels(labels, SHAPE)


@pytest.mark.parametrize("container", ["NumPy, read-only", "Zarr, read-only", "Dask"])
def test_a_session_in_python_never_writes_where_nobody_looks(container: str) -> None:
    labels = CONTAINERS[container](np.zeros(SHAPE, np.uint8))
    with pytest.raises(SamError, match=r"Give a copy in memory: numpy.array\(labels\)"):
        Session(STACK, labels)
    written = np.zeros(SHAPE, np.uint8)
    land(Session(STACK, labels, written.__setitem__), 1)
    assert written.sum() == DISC.area


@pytest.mark.parametrize("dtype", [">u2", ">i4", "<u8"])
def test_a_session_in_python_writes_into_any_byte_order(dtype: str) -> None:
    labels = np.zeros(SHAPE, dtype)
    land(Session(STACK, labels), 4)
    assert np.unique(labels).tolist() == [0, 4]


def test_a_disk_that_cannot_be_written_to_is_said_and_nothing_is_remembered() -> None:
    def full(indices: Any, values: Any) -> None:
        raise OSError(28, "No space left on device")

    session = Session(STACK, np.zeros(SHAPE, np.uint8), full)
    with pytest.raises(SamError, match="could not be written to: No space left on device"):
        land(session, 1)
    assert not session.objects()
    assert not session.undo()


def test_labels_that_cannot_be_read_are_refused_in_python_too() -> None:
    labels = da.zeros(SHAPE, dtype=np.uint8).map_blocks(broken, dtype=np.uint8)
    with pytest.raises(SamError, match="could not be read: RuntimeError: a file is gone"):
        Session(STACK, labels, np.zeros(SHAPE, np.uint8).__setitem__)


# Object ids at every entrance

ENTRANCES: dict[str, Callable[[Session, Any], object]] = {
    "select": lambda session, i: session.select(i),
    "edit": lambda session, i: session.edit(i, FRAME, Prompts.from_points([(2, 3)])),
    "land": land,
    "delete": lambda session, i: objects.delete(session, [i], FRAME),
    "merge": lambda session, i: objects.merge(session, 1, [i], FRAME),
    "swap": lambda session, i: objects.swap(session, 1, i, FRAME),
}


@pytest.mark.parametrize(
    ("entrance", "object_id"),
    [
        (entrance, object_id)
        for entrance in ENTRANCES
        for object_id in (0, -1, 1.5, 256, 2**32)
        if object_id != 256 or entrance not in ("delete", "merge")  # which give no such id
    ],
)
def test_what_is_no_object_id_is_refused_with_one_sentence(entrance: str, object_id: float) -> None:
    session = Session(STACK, np.zeros(SHAPE, np.uint8))
    land(session, 1)
    before = session.labels.copy()
    with pytest.raises(SamError, match=f"^{object_id} is not an object id. Give a whole number"):
        ENTRANCES[entrance](session, object_id)
    np.testing.assert_array_equal(session.labels, before)
    assert session.active == 1


# Wider ones


@pytest.mark.parametrize(
    ("dtype", "object_id", "wide"),
    [
        ("u1", 255, "u1"),
        ("u1", 256, "u2"),
        ("u2", 65536, "u4"),
        ("i1", 128, "i2"),
        ("i2", 40_000, "i4"),
        ("i4", 2**31, "i8"),
        ("u8", HIGHEST_ID, "u8"),
    ],
)
def test_labels_get_room_for_an_id_and_keep_all(dtype: str, object_id: int, wide: str) -> None:
    labels = np.zeros(SHAPE, dtype)
    labels[0, 0, :2] = [1, np.iinfo(dtype).min]
    room = with_room(labels, object_id)
    assert room.array.dtype == np.dtype(wide)
    assert (room.array is labels) == (dtype == wide)
    np.testing.assert_array_equal(room.array, labels)


@given(
    arrays(np.uint8, st.sampled_from([(7, 9), (3, 7, 9), (2, 3, 7, 9)])),
    st.sampled_from([0, 2**20]),
    st.sampled_from([np.uint16, np.uint32]),
)
def test_copied_labels_are_the_same(labels: np.ndarray, most_pixels: int, dtype: type) -> None:
    copy = copied(labels, dtype, most_pixels)
    assert copy.dtype == dtype
    np.testing.assert_array_equal(copy, labels)
    assert highest_id_of(copy) == labels.max(initial=0)


@given(
    arrays(np.uint8, (3, 7, 9)),
    st.sampled_from([0, 2**20]),
    st.sampled_from([(1, None, None), (None, 4, None), (None, None, 8)]),
)
def test_the_pieces_of_a_frame_are_the_frame(labels, most_pixels: int, frame) -> None:
    seen = np.zeros_like(read_frame(labels, frame))
    for top, left, pixels in pieces_of(copied(labels, np.uint16, most_pixels), frame):
        seen[top : top + pixels.shape[0], left : left + pixels.shape[1]] += pixels.astype(np.uint8)
    np.testing.assert_array_equal(seen, read_frame(labels, frame))


def test_only_chunks_that_were_written_to_are_read() -> None:
    labels = empty_labels((5 * CHUNK_SIDE, 4 * CHUNK_SIDE + 3), np.uint16, most_pixels=0)
    labels[CHUNK_SIDE + 7, 4 * CHUNK_SIDE + 1] = 3
    ((top, left, pixels),) = pieces_of(labels, (None, None))
    assert (top, left, pixels.shape) == (0, 4 * CHUNK_SIDE, (2 * CHUNK_SIDE, 3))
    assert is_written(labels, np.s_[: CHUNK_SIDE + 1, 4 * CHUNK_SIDE :])
    assert not is_written(labels, np.s_[:CHUNK_SIDE, :])
    assert is_written(np.zeros((3, 3)), np.s_[:1, :1]), "who knows"


def test_frozen_labels_stay_as_they_were() -> None:
    labels = empty_labels((40, 50), np.uint16, most_pixels=0)
    labels[3:5, 4:9] = 7
    before = frozen(labels)
    labels[4:, 4:] = 9
    assert (before[3:5, 4:9] == 7).all()
    assert before[4:, 9:].max() == 0
    assert frozen(np.zeros((4, 5), np.uint16)) is None


def test_copied_labels_take_no_memory_where_they_are_empty() -> None:
    shape = (4, 3 * CHUNK_SIDE, 3 * CHUNK_SIDE)
    labels = empty_labels(shape, np.uint16, most_pixels=0)
    labels[2, 5, 5] = 3
    copy = copied(labels, np.uint32, most_pixels=0)
    assert copy[2, 5, 5] == 3
    assert copy.nchunks_initialized == 1
