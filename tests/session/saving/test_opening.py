"""A session of which parts are gone opens with the rest, says so, and is saved whole again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile

from annotating import CLICK, SHAPE, frame, land, new_session, new_stack, paint, square, state
from napari_sam.engine import Prompts
from napari_sam.session import Autosave, Session, SessionFile, load, save, session_path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return session_path(tmp_path / "movie.tif")


def three_frames() -> Session:
    session = new_session()
    for t in (0, 1, 2):
        land(session, t + 1, t, CLICK, square(t, t, side=3))
    paint(session, 1, square(6, 6), 7)
    return session


def test_the_size_of_cells_comes_back(folder: Path) -> None:
    session = three_frames()
    session.learns_diameter = True
    save(session, folder)
    opened = load(folder, new_stack())
    assert opened.usual_diameter is None, "headless nothing is learned"
    opened.learns_diameter = True
    assert opened.usual_diameter == session.usual_diameter == 3.4


@dataclass(frozen=True)
class Loss:
    name: str
    lose: Callable[[Path], object]
    kind: str = "labels"


LOSSES = [
    Loss("labels deleted", Path.unlink),
    Loss("labels empty", lambda path: path.write_bytes(b"")),
    Loss("labels cut off", lambda path: path.write_bytes(path.read_bytes()[:-40])),
    Loss("labels no TIFF", lambda path: path.write_text("[]")),
    Loss("labels of another shape", lambda path: tifffile.imwrite(path, np.zeros((9, 9), "u2"))),
    Loss("labels of colours", lambda path: tifffile.imwrite(path, np.zeros((8, 9, 3), "u1"))),
    Loss("labels of fractions", lambda path: tifffile.imwrite(path, np.zeros((8, 9), "f4"))),
    Loss("labels too large", lambda path: tifffile.imwrite(path, np.full((8, 9), 70_000, "u4"))),
    Loss("a folder instead", lambda path: (path.unlink(), path.mkdir())),
    Loss("annotations deleted", Path.unlink, "annotations"),
    Loss("annotations empty", lambda path: path.write_text(""), "annotations"),
    Loss("annotations of another kind", lambda path: path.write_text("[{}]"), "annotations"),
    Loss("annotations nested", lambda path: path.write_text("[" * 100_000), "annotations"),
]


@pytest.mark.parametrize("case", LOSSES, ids=lambda c: c.name)
def test_what_is_intact_comes_back(case: Loss, folder: Path) -> None:
    session = three_frames()
    save(session, folder)
    file = SessionFile(folder).manifest["frames"]["1_y_x"][case.kind]
    case.lose(folder / file)
    opened = load(folder, new_stack())
    (notice,) = opened.notices
    assert notice.startswith(f"The {'labels' if case.kind == 'labels' else 'prompts'} of frame 1")
    assert opened.is_of_image
    assert opened.labels.tolist() == session.labels.tolist(), "the prompts remember them"
    assert opened.current(1, frame(0)) == session.current(1, frame(0))
    assert (opened.current(2, frame(1)) is None) == (case.kind == "annotations")
    land(opened, 9, 3, CLICK, square(0, 0))
    save(opened, folder)
    again = load(folder, new_stack())
    assert again.notices == []
    assert state(again) == state(opened)
    if (folder / file).is_file():
        assert file not in SessionFile(folder).manifest["replaced"], "someone may repair it"


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_the_next_save_brings_back_what_the_window_has(kind: str, folder: Path) -> None:
    session = three_frames()
    autosave = Autosave(session, folder)
    autosave.save()
    files = session.saved.files[frame(1)]
    (folder / (files.annotations if kind == "annotations" else files.labels[None])).unlink()
    land(session, 9, 3, CLICK, square(0, 0))
    late = autosave.snapshot()
    assert not autosave.write(late), "what changed since is not all that is missing"
    autosave.save()
    autosave.close()
    opened = load(folder, new_stack())
    assert opened.notices == []
    assert state(opened) == state(session)


def test_all_frames_lost_the_next_save_brings_all_back(folder: Path) -> None:
    session = three_frames()
    autosave = Autosave(session, folder)
    autosave.save()
    for path in (folder / "frames").iterdir():
        path.unlink()
    (folder / "frames").rmdir()
    land(session, 9, 3, CLICK, square(0, 0))
    autosave.save()
    autosave.close()
    assert state(load(folder, new_stack())) == state(session)


def test_masks_that_prompted_stay_small_in_memory(folder: Path) -> None:
    """Read again, a mask is kept as it was read: no second copy, and nothing to change in it."""
    session = new_session()
    land(session, 1, 0, Prompts.from_mask(square(2, 2)), square(2, 2))
    save(session, folder)
    mask = load(folder, new_stack()).prompts(1, frame(0)).mask
    assert mask.shape == SHAPE[1:]
    assert not mask.flags.writeable


@pytest.mark.parametrize("name", ["x" * 251 + ".tif", "é" * 120 + ".tif"])
def test_the_session_of_an_image_with_a_long_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    save(three_frames(), place := session_path(tmp_path / name))
    assert place.name.endswith(".napari-sam")
    assert SessionFile(place).shape == SHAPE
