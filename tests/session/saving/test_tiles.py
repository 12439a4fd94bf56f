"""Labels of huge frames are saved in tiles: what changed, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from annotating import CLICK, answer
from napari_sam.engine import FrameStack, Prompts, SamError
from napari_sam.session import Autosave, Session, SessionFile, empty_labels, load, save
from napari_sam.session.saved_tiles import SIDE, is_tiled

SHAPE = (2 * SIDE + 4, 2 * SIDE + 4)  # the smallest square that is saved in tiles
FRAME = (None, None)
PLACES = {1: (5, 5), 2: (SIDE - 2, 2 * SIDE), 3: (2 * SIDE, 2 * SIDE)}  # 2 is in two tiles
TILES = {1: {"0_0"}, 2: {"0_2", "1_2", "0_1", "1_1"}, 3: {"2_2", "1_1", "1_2", "2_1"}}


@pytest.fixture
def stack() -> FrameStack:
    return FrameStack.from_array(np.zeros(SHAPE, np.uint8))


@pytest.fixture(params=["one array", "in chunks"])
def new_labels(request) -> Callable[[], Any]:
    return lambda: empty_labels(SHAPE, most_pixels=0 if request.param == "in chunks" else 2**30)


@pytest.fixture
def autosave(stack: FrameStack, new_labels: Callable[[], Any], tmp_path: Path) -> Autosave:
    session = Session(stack, new_labels(), highest_id=0)
    for object_id in PLACES:
        land(session, object_id)
    autosave = Autosave(session, tmp_path / "slide.napari-sam")
    autosave.save()
    yield autosave
    autosave.close()


def land(session: Session, object_id: int, shift: int = 0) -> None:
    """An object of 4 by 4 pixels around its place."""
    y, x = PLACES[object_id]
    mask = np.zeros(SHAPE, bool)
    mask[y + shift - 2 : y + shift + 2, x - 2 : x + 2] = True
    request = session.edit(object_id, FRAME, Prompts.from_points([(y, x), (shift, 0)]))
    assert request is not None
    session.land(answer(request, mask))


def tiles(autosave: Autosave) -> dict[str, str]:
    """The file of each tile."""
    (files,) = SessionFile(autosave.folder).manifest["frames"].values()
    assert files["labels"] is None
    return files["tiles"]


def test_a_save_writes_the_tiles_in_which_something_changed(
    autosave: Autosave, stack: FrameStack, new_labels: Callable[[], Any]
) -> None:
    assert is_tiled(SHAPE)
    before = tiles(autosave)
    assert set(before) == set().union(*TILES.values())
    land(autosave.session, 1, shift=1)
    autosave.save()
    after = tiles(autosave)
    assert {tile for tile in after if after[tile] != before.get(tile)} == TILES[1]
    assert not (autosave.folder / before["0_0"]).exists()
    assert len(list((autosave.folder / "frames").glob("*.tif"))) == len(after)

    opened = load(autosave.folder, stack, new_labels())
    assert opened.notices == []
    np.testing.assert_array_equal(opened.labels[...], autosave.session.labels[...])
    assert dict(opened.annotations()) == dict(autosave.session.annotations())


def test_tiles_that_became_empty_go(autosave: Autosave, stack: FrameStack) -> None:
    for _ in (2, 3):
        autosave.session.undo()
    autosave.save()
    assert set(tiles(autosave)) == TILES[1]
    assert np.unique(load(autosave.folder, stack).labels).tolist() == [0, 1]


def test_what_is_done_while_a_save_is_written_is_not_in_it(
    autosave: Autosave, stack: FrameStack
) -> None:
    land(autosave.session, 1, shift=1)
    now = autosave.session.labels[...].copy()
    snapshot = autosave.snapshot()
    land(autosave.session, 1, shift=2)
    assert autosave.write(snapshot)
    np.testing.assert_array_equal(load(autosave.folder, stack).labels, now)
    autosave.save()
    opened = load(autosave.folder, stack)
    np.testing.assert_array_equal(opened.labels, autosave.session.labels[...])


def test_a_tile_that_is_lost_is_what_its_prompts_remember(
    autosave: Autosave, stack: FrameStack, new_labels: Callable[[], Any]
) -> None:
    (autosave.folder / tiles(autosave)["0_2"]).write_bytes(b"")
    autosave.close()
    opened = load(autosave.folder, stack, new_labels())
    assert opened.notices[0].startswith("The labels of the image are lost")
    np.testing.assert_array_equal(opened.labels[...], autosave.session.labels[...])
    land(opened, 1, shift=1)
    save(opened, autosave.folder)
    assert load(autosave.folder, stack).notices == [], "written again with the next change"


def test_what_was_saved_as_a_whole_is_saved_in_tiles_from_then_on(
    autosave: Autosave, stack: FrameStack, new_labels: Callable[[], Any]
) -> None:
    folder = autosave.folder
    autosave.close()
    manifest = json.loads((folder / "session.json").read_text())
    (files,) = manifest["frames"].values()
    files |= {"labels": "frames/y_x-1.tif"}
    del files["tiles"]
    manifest["version"] = 4
    tifffile.imwrite(folder / "frames/y_x-1.tif", autosave.session.labels[...])
    (folder / "session.json").write_text(json.dumps(manifest))
    opened = load(folder, stack, new_labels())
    np.testing.assert_array_equal(opened.labels[...], autosave.session.labels[...])
    land(opened, 1, shift=1)
    save(opened, folder)
    assert set(tiles(autosave)) == set().union(*TILES.values())
    np.testing.assert_array_equal(load(folder, stack).labels, opened.labels[...])


@pytest.mark.parametrize("name", ["3_0", "0_3", "00_1", "-1_0", "1"])
def test_tiles_that_are_none_are_refused(autosave: Autosave, stack: FrameStack, name: str) -> None:
    manifest = json.loads((autosave.folder / "session.json").read_text())
    (files,) = manifest["frames"].values()
    files["tiles"][name] = files["tiles"]["0_0"]
    (autosave.folder / "session.json").write_text(json.dumps(manifest))
    with pytest.raises(SamError, match="backup"):
        load(autosave.folder, stack)


def test_more_prompts_alone_write_no_tile(autosave: Autosave) -> None:
    before = tiles(autosave)
    autosave.session.edit(2, FRAME, CLICK)
    autosave.save()
    assert tiles(autosave) == before
