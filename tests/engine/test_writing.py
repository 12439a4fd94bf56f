"""Files out: whole or not there, whatever happens to the writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_sam.engine import SamError
from napari_sam.engine.writing import check_name, fitting_name, write_table, write_text, written

# A process that begins to write, says so, and is killed before it ends
WRITER = """
import sys, time
from napari_sam.engine.writing import written
with written(sys.argv[1], folder={folder}) as part:
    (part / "chunk" if {folder} else part).write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""

posix = pytest.mark.skipif(os.name != "posix", reason="Windows has locks of its own")


def begun(target: Path, *, folder: bool = False) -> subprocess.Popen[str]:
    code = WRITER.format(folder=folder)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


@posix
@pytest.mark.parametrize("folder", [False, True])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, folder):
    target, other = tmp_path / "labels.zarr", tmp_path / "other.zarr"
    kill(begun(target, folder=folder))
    (left,) = os.listdir(tmp_path)
    write_text(other, "of another name")
    assert sorted(os.listdir(tmp_path)) == sorted([left, "other.zarr"])
    write_text(target, "whole")
    assert sorted(os.listdir(tmp_path)) == ["labels.zarr", "other.zarr"]
    assert target.read_text() == "whole"


@posix
@pytest.mark.parametrize("folder", [False, True])
def test_what_another_run_is_writing_stays(tmp_path, folder):
    process = begun(tmp_path / "labels.zarr", folder=folder)
    try:
        (part,) = os.listdir(tmp_path)
        write_text(tmp_path / "labels.zarr", "whole")
        assert sorted(os.listdir(tmp_path)) == sorted([part, "labels.zarr"])
    finally:
        kill(process)


def test_nothing_is_left_of_an_error_and_the_old_file_stays(tmp_path):
    write_text(tmp_path / "a.csv", "old")
    with pytest.raises(ZeroDivisionError), written(tmp_path / "a.csv") as part:
        part.write_text(str(1 / len(part.read_text())))
    assert os.listdir(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


@pytest.mark.largest_file(50)
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(tmp_path):
    write_table(tmp_path / "a.csv", ("id",), [(1,)])
    with pytest.raises(SamError, match=r"a\.csv could not be written: .* has room"):
        write_table(tmp_path / "a.csv", ("id",), [(n,) for n in range(1000)])
    assert os.listdir(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "id\n1\n"


def test_a_folder_that_is_there_is_not_replaced(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "mine").touch()
    taken = "there already. Choose another name, or remove it first."
    with pytest.raises(SamError, match=taken), written(tmp_path / "a.zarr", folder=True):
        pass
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_the_temporary_name_is_hidden_short_and_never_the_same(tmp_path):
    target = tmp_path / f"{'x' * 251}.csv"
    names = set()
    for _ in range(2):
        with written(target) as part:
            names.add(part.name)
    assert len(names) == 2
    assert all(name.startswith(".") and len(name) < 60 for name in names)
    assert os.listdir(tmp_path) == [target.name]


@posix
def test_a_link_of_the_target_s_name_is_replaced_not_followed(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "a.csv").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "a.csv", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert not (tmp_path / "a.csv").is_symlink()


@pytest.mark.parametrize("name", ["x" * 300, "nul\0l"])
def test_names_that_no_file_can_have(tmp_path, name):
    with pytest.raises(SamError, match="No file can be called"):
        check_name(tmp_path / name)


def test_names_that_files_have_or_can_have(tmp_path):
    check_name(tmp_path / "new.tif")
    check_name(tmp_path / "no folder" / "new.tif")
    check_name(tmp_path)


@pytest.mark.parametrize("stem", ["cells.tif", "x" * 255, "é" * 127, "x" * 400])
def test_derived_names_fit(tmp_path, stem):
    name = fitting_name(tmp_path, stem, ".napari-sam")
    (tmp_path / name).mkdir()
    assert name.endswith(".napari-sam")
    assert (name == f"{stem}.napari-sam") == (len(stem) < 20)


def test_derived_names_of_long_names_differ(tmp_path):
    names = {fitting_name(tmp_path, "x" * 300 + end, ".napari-sam") for end in "ab"}
    assert len(names) == 2


@posix
def test_many_write_one_file_at_once(tmp_path: Path) -> None:
    """None takes the new part of another for one left behind."""
    target = tmp_path / "views.npz"
    with ThreadPoolExecutor(8) as writers:
        ended = [writers.submit(write_text, target, "x" * 1000) for _ in range(400)]
        assert [each.result() for each in ended] == [None] * 400
    assert os.listdir(tmp_path) == ["views.npz"]
