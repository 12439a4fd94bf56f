"""Sessions saved and opened again, on a viewer model: real files, a real worker, no window."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels
from napari.utils.notifications import notification_manager
from npe2 import PluginManager

from napari_sam.engine import EmbeddingCache, FrameStack, Prompts, SamError
from napari_sam.installation import DISTRIBUTION
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.panels.sessions import SessionPanel
from napari_sam.plugin.sessions.places import IMAGE_FILE, NOT_SAVED
from napari_sam.plugin.sessions.reopening import Reopening
from napari_sam.plugin.sessions.saving import IN_LAYERS, Saving
from napari_sam.plugin.work.jobs import Worker
from napari_sam.session import Autosave, Session, SessionFile, save, session_path
from painter import Painter, painting

N_FRAMES, SIDE = 3, 32
FIRST, LAST = (0, None, None), (2, None, None)
PATIENCE_MS = 20_000


@dataclass(eq=False)
class Desk:
    """What a window does with sessions, without the window."""

    viewer: ViewerModel = field(default_factory=ViewerModel)
    said: list[str] = field(default_factory=list)
    bridge: LayerBridge | None = None

    def __post_init__(self) -> None:
        self.worker = Worker("saving")
        self.panel = SessionPanel()
        self.saving = Saving(
            self.worker, self.panel, lambda text, is_warning: self.said.append(text)
        )
        self.reopening = Reopening(
            self.viewer,
            self.worker,
            self._attach,
            lambda text, is_warning: self.said.append(text),
            lambda error: self.said.append(str(error)),
        )
        self.predictor, self.cache = painting(Painter(1)), EmbeddingCache()

    def _attach(self, image: Image, labels: Labels | None) -> None:
        if self.bridge is not None:
            self.saving.end()
            self.bridge.close()
        self.bridge = LayerBridge(self.viewer, image, labels)
        self.saving.begin(self.bridge.session, image)

    @property
    def session(self):
        return self.bridge.session

    def click(self, object_id: int, frame, at: tuple[float, float]) -> None:
        prompts = self.session.prompts(object_id, frame).with_point(at)
        self.session.annotate(object_id, frame, prompts, self.predictor, self.cache)

    def paint(self, object_id: int, at: tuple[int, int, int], *, by_brush: bool = True) -> None:
        labels = self.bridge.labels
        labels.selected_label, labels.brush_size = object_id, 3
        with labels.block_history() if by_brush else nullcontext():
            labels.paint(at, object_id)

    def close(self) -> None:
        self.saving.end()
        if self.bridge is not None:
            self.bridge.close()
        self.worker.shutdown()
        self.worker._thread.join(20)


@dataclass
class Opener:
    """Opens windows on image files."""

    qtbot: object
    desks: list[Desk] = field(default_factory=list)
    others: list[Autosave] = field(default_factory=list)  # who has sessions open beside

    def desk(self) -> Desk:
        self.desks.append(Desk())
        return self.desks[-1]

    def image(self, path: Path) -> Desk:
        desk = self.desk()
        image = Image(tifffile.imread(path), name=path.stem, metadata={IMAGE_FILE: str(path)})
        return self.layer(image, desk)

    def clicked(self, path: Path) -> Desk:
        """An image with one click."""
        desk = self.image(path)
        desk.click(1, FIRST, (8, 8))
        return desk

    def layer(self, image: Image, desk: Desk | None = None) -> Desk:
        desk = desk or self.desk()
        desk.viewer.add_layer(image)
        desk.reopening.begin(image)
        self.settle(desk)
        return desk

    def settle(self, desk: Desk) -> None:
        """Until everything is read and written, and heard of."""

        def is_settled() -> bool:
            quiet = desk.worker.idle and not desk.saving._is_busy
            return quiet and desk.reopening.image is None

        self.qtbot.waitUntil(is_settled, timeout=PATIENCE_MS)

    def save(self, desk: Desk) -> None:
        """What the timer does."""
        desk.saving.tick()
        self.settle(desk)


@pytest.fixture
def open_(qtbot):
    PluginManager.instance().discover()
    opener = Opener(qtbot)
    yield opener
    for each in (*opener.desks, *opener.others):
        each.close()


@pytest.fixture
def image_path(tmp_path: Path) -> Path:
    path = tmp_path / "images" / "cells.tif"
    path.parent.mkdir()
    rng = np.random.default_rng(0)
    write_stack(path, rng.integers(0, 255, (N_FRAMES, SIDE, SIDE)).astype(np.uint8))
    return path


def write_stack(path: Path, pixels: np.ndarray) -> None:
    tifffile.imwrite(path, pixels, photometric="minisblack")


def labels_of(desk: Desk) -> np.ndarray:
    return np.array(desk.bridge.labels.data)


def assert_same(desk: Desk, labels: np.ndarray, prompts: dict) -> None:
    np.testing.assert_array_equal(labels_of(desk), labels)
    assert all_prompts(desk) == prompts


def assert_opens_again(open_: Opener, desk: Desk, path: Path) -> None:
    """Closed and opened, the image has the labels and prompts it had."""
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()
    assert_same(open_.image(path), labels, prompts)


def all_prompts(desk: Desk) -> dict:
    return {key: annotation.drawings for key, annotation in desk.session.annotations()}


def test_what_was_done_is_there_when_the_image_is_opened_again(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    desk.click(2, LAST, (20, 20))
    desk.paint(1, (0, 25, 25))
    desk.paint(7, (1, 5, 5), by_brush=False)  # by a script, or as a polygon
    desk.click(3, LAST, (5, 5))
    desk.bridge.undo()
    open_.save(desk)
    assert desk.panel.text.text().startswith("Saved ")
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.saving._release()  # killed: nothing more is saved

    again = open_.image(image_path)
    assert_same(again, labels, prompts)
    assert again.session.active == desk.session.active
    (welcome,) = again.said
    assert welcome.startswith("3 objects are back from cells.tif.napari-sam")
    assert "New labels" in welcome
    again.click(1, FIRST, (10, 10))
    assert labels_of(again)[0, 25, 25] == 1, "what was painted by hand stays through later clicks"


def test_it_opens_where_one_worked_with_the_current_object(open_, image_path) -> None:
    desk = open_.image(image_path)
    desk.viewer.dims.set_point(0, 1)
    desk.click(1, FIRST, (8, 8))
    desk.viewer.dims.set_point(0, 2)
    desk.bridge.select(4)
    desk.click(4, LAST, (20, 20))
    desk.close()
    again = open_.image(image_path)
    assert again.bridge.frame == LAST
    assert (again.session.active, again.bridge.labels.selected_label) == (4, 4)
    assert len(again.bridge.points.data) == 1
    again.viewer.dims.set_point(0, 1)
    again._attach(again.bridge.image, None)
    assert again.bridge.frame == (1, None, None), "moved by a session that is opened only"


def test_nothing_is_written_before_anything_changes(open_, image_path) -> None:
    desk = open_.image(image_path)
    desk.session.select(5)
    open_.save(desk)
    desk.close()
    assert [path.name for path in image_path.parent.iterdir()] == ["cells.tif"]


def test_the_last_seconds_are_saved_at_the_end(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    assert_opens_again(open_, desk, image_path)


def test_a_save_that_comes_late_never_replaces_the_last_one(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    desk.click(1, FIRST, (20, 20))
    with desk.saving._one_at_a_time:
        desk.saving.tick()  # its write waits
        desk.click(1, FIRST, (5, 25))
    desk.saving.end()
    open_.qtbot.waitUntil(lambda: desk.worker.idle, timeout=PATIENCE_MS)
    labels = labels_of(desk)
    np.testing.assert_array_equal(labels_of(open_.image(image_path)), labels)


def test_an_image_without_a_file_is_saved_with_the_user(open_, tmp_path) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE)).astype(np.uint8)
    desk = open_.layer(Image(pixels, name="a/b: c"))
    desk.click(1, (None, None), (8, 8))
    open_.save(desk)
    open_.save(desk)
    (folder,) = (tmp_path / "data" / "sessions").iterdir()
    assert folder == desk.saving.folder
    assert [text for text in desk.said if str(folder) in text] == desk.said, "told once"
    assert len(desk.said) == 1
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()
    assert_same(open_.layer(Image(pixels, name="a/b: c")), labels, prompts)
    other = open_.layer(Image(255 - pixels, name="a/b: c"))
    assert not labels_of(other).any(), "another image of that name"


def test_where_the_folder_cannot_be_written_to_the_user_s_own_is_taken(
    open_, image_path, tmp_path
) -> None:
    session_path(image_path).write_bytes(b"in the way")
    desk = open_.clicked(image_path)
    open_.save(desk)
    assert desk.saving.folder.parent == tmp_path / "data" / "sessions"
    assert len(desk.said) == 1
    assert "cannot be saved in" in desk.said[0]
    assert_opens_again(open_, desk, image_path)


def test_a_full_disk_is_said_once_and_the_work_goes_on(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, most))
    try:
        for _ in range(40):
            desk.click(1, FIRST, (8, 20))
            open_.save(desk)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGXFSZ, before)
    assert len([text for text in desk.said if "cannot be saved" in text]) == 1
    assert desk.panel.warning.text().startswith("Not saved")
    for _ in range(40):
        open_.save(desk)
    assert desk.panel.text.text().startswith("Saved")
    assert_opens_again(open_, desk, image_path)


def test_a_second_window_says_so_and_overwrites_nothing(open_, image_path) -> None:
    first = open_.image(image_path)
    first.click(1, FIRST, (8, 8))
    open_.save(first)
    second = open_.image(image_path)
    assert any("open elsewhere" in text for text in second.said), "at once, not after an hour"
    n_said = len(second.said)
    second.click(2, LAST, (20, 20))
    for _ in range(40):
        open_.save(second)
    assert len(second.said) == n_said, "once"
    assert not SessionFile(session_path(image_path)).fill(np.zeros((3, 32, 32), int))[2].any()

    copy = image_path.parent / "copy.napari-sam"
    second.panel.save_chosen.emit(str(copy))
    assert second.saving.folder == copy
    labels = labels_of(second)
    np.testing.assert_array_equal(SessionFile(copy).fill(np.zeros_like(labels)), labels)
    first.click(1, FIRST, (20, 8))
    open_.save(first)
    assert first.panel.text.text().startswith("Saved")


def test_a_folder_that_was_deleted_is_written_again(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    shutil.rmtree(session_path(image_path))
    desk.click(2, LAST, (20, 20))
    open_.save(desk)
    assert desk.panel.text.text().startswith("Saved")
    assert any("was gone. It is written again" in text for text in desk.said)
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.saving._release()  # killed: nothing more is saved
    assert_same(open_.image(image_path), labels, prompts)


@dataclass(frozen=True)
class NoWay:
    """Why a session cannot be saved where it was."""

    name: str
    happen: Callable[[Opener, Path], object]
    told: str


def unplug(opener: Opener, image_path: Path) -> None:
    image_path.parent.rename(image_path.parent.with_name("unplugged"))


def change(opener: Opener, image_path: Path) -> None:
    manifest = session_path(image_path) / "session.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"revision": "', '"revision": "f'))


def nest_without_end(opener: Opener, image_path: Path) -> None:
    (session_path(image_path) / "session.json").write_text('{"a":' * 100_000)


def forget_its_version(opener: Opener, image_path: Path) -> None:
    (session_path(image_path) / "session.json").write_text('{"format": "napari-sam session"}')


def link_its_frames(opener: Opener, image_path: Path) -> None:
    frames = session_path(image_path) / "frames"
    frames.rename(image_path.parent / "elsewhere")
    frames.symlink_to(image_path.parent / "elsewhere")


def put_a_file_there(opener: Opener, image_path: Path) -> None:
    shutil.rmtree(session_path(image_path))
    session_path(image_path).write_bytes(b"in the way")


def take(opener: Opener, image_path: Path) -> None:
    shutil.rmtree(session_path(image_path))
    stack = FrameStack.from_array(tifffile.imread(image_path), rgb=False)
    other = Session(stack, np.zeros(stack.shape, np.uint16))
    opener.others.append(Autosave(other, session_path(image_path)))


NO_WAYS = [
    NoWay("drive unplugged", unplug, "cannot be saved in"),
    NoWay("changed by someone", change, "was changed by someone else"),
    NoWay("nested without end", nest_without_end, "cannot be read"),
    NoWay("without a version", forget_its_version, "is not a session of this program"),
    NoWay("a link in it", link_its_frames, "the folder was replaced by a link"),
    NoWay("a file in its place", put_a_file_there, "cannot be saved in"),
    NoWay("deleted and taken by someone", take, "is open elsewhere"),
]


@pytest.mark.parametrize("seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("case", NO_WAYS, ids=lambda c: c.name)
def test_at_the_end_all_is_saved_with_the_user_if_it_cannot_be_in_its_place(
    case: NoWay, seen: bool, open_, image_path, tmp_path
) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    case.happen(open_, image_path)
    desk.click(2, LAST, (20, 20))
    if seen:  # while the window was still open
        open_.save(desk)
        assert desk.panel.warning.text().startswith("Not saved")
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()
    folder = tmp_path / "data" / "sessions" / "cells.tif.napari-sam"
    assert case.told in desk.said[-1]
    assert f"all your work is saved in {folder}." in desk.said[-1]
    np.testing.assert_array_equal(SessionFile(folder).fill(np.zeros_like(labels)), labels)
    assert SessionFile(folder).manifest["image"]["path"] == str(image_path)
    if case.happen is unplug:
        image_path.parent.with_name("unplugged").rename(image_path.parent)
    again = open_.image(image_path)
    assert_same(again, labels, prompts)
    assert str(folder) in again.said[-1], "one that is not beside its image"


@pytest.mark.parametrize("by_reader", [False, True], ids=["with its image", "as a session"])
def test_a_session_that_lost_a_file_is_gone_on_with(by_reader: bool, open_, image_path) -> None:
    desk = open_.clicked(image_path)
    desk.click(2, LAST, (20, 20))
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()
    folder = session_path(image_path)
    (folder / SessionFile(folder).manifest["frames"]["0_y_x"]["labels"]).unlink()
    if by_reader:
        again = open_.desk()
        again.viewer.open(str(folder), plugin=DISTRIBUTION)
        again.reopening.begin(again.viewer.layers[0])
        open_.settle(again)
    else:
        again = open_.image(image_path)
    assert "The labels of frame 0 are lost" in again.said[-1]
    assert_same(again, labels, prompts)
    again.click(3, LAST, (5, 5))
    open_.save(again)
    assert again.saving.folder == folder
    labels, prompts = labels_of(again), all_prompts(again)
    again.close()
    third = open_.image(image_path)
    assert "lost" not in third.said[-1]
    assert_same(third, labels, prompts)


def test_a_second_window_loses_nothing_when_it_is_closed(open_, image_path, tmp_path) -> None:
    first = open_.image(image_path)
    first.click(1, FIRST, (8, 8))
    open_.save(first)
    content = (session_path(image_path) / "session.json").read_bytes()
    seconds = [open_.image(image_path) for _ in range(2)]
    for n, second in enumerate(seconds, start=2):
        second.click(n, LAST, (20, 20))
        open_.save(second)
        second.close()
    folders = [tmp_path / "data" / "sessions" / f"cells.tif{n}.napari-sam" for n in ("", "-2")]
    for second, folder in zip(seconds, folders, strict=True):
        assert str(folder) in second.said[-1]
        labels = labels_of(second)
        np.testing.assert_array_equal(SessionFile(folder).fill(np.zeros_like(labels)), labels)
    assert (session_path(image_path) / "session.json").read_bytes() == content


def test_where_nothing_can_be_saved_at_all_the_user_is_told(open_, image_path, tmp_path) -> None:
    desk = open_.clicked(image_path)
    session_path(image_path).write_bytes(b"in the way")
    (tmp_path / "data").write_bytes(b"in the way")
    desk.close()
    assert desk.said[-1].startswith(f"The folder {tmp_path / 'data' / 'sessions'} cannot be made: ")
    assert desk.said[-1].endswith(IN_LAYERS)


def test_a_session_of_an_image_that_changed_is_left_as_it_is(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    desk.close()
    content = (session_path(image_path) / "session.json").read_bytes()
    write_stack(image_path, 255 - tifffile.imread(image_path))

    other = open_.image(image_path)
    assert any("the image has changed since" in text for text in other.said)
    assert not labels_of(other).any()
    other.click(4, LAST, (20, 20))
    open_.save(other)
    assert other.saving.folder.name == "cells.tif-2.napari-sam"
    labels, prompts = labels_of(other), all_prompts(other)

    other.reopening.open(session_path(image_path), other.bridge.image)
    open_.settle(other)
    assert labels_of(other)[0, 8, 8] == 1, "requested, it is opened all the same"
    other.click(1, FIRST, (20, 8))
    open_.save(other)
    assert other.saving.folder.name == "cells.tif-3.napari-sam"
    assert (session_path(image_path) / "session.json").read_bytes() == content
    other.close()
    (session_path(image_path).with_name("cells.tif-3.napari-sam") / "session.json").unlink()
    assert_same(open_.image(image_path), labels, prompts)


def test_new_labels_begin_a_session_beside_the_first(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    open_.save(desk)
    image, first = desk.bridge.image, desk.bridge.labels
    desk._attach(image, Labels(np.zeros_like(first.data)))
    desk.click(2, LAST, (20, 20))
    open_.save(desk)
    assert desk.saving.folder.name == "cells.tif-2.napari-sam"
    newest, prompts = labels_of(desk), all_prompts(desk)
    desk._attach(image, first)
    desk.click(1, FIRST, (20, 8))
    open_.save(desk)
    assert desk.saving.folder == session_path(image_path)
    desk._attach(image, None)
    desk.close()
    folder = session_path(image_path)
    for each, age in ((folder, 1), (folder.with_name("cells.tif-2.napari-sam"), 2)):
        os.utime(each / "session.json", (age, age))
    assert_same(open_.image(image_path), newest, prompts)


def test_labels_of_another_tool_are_saved_whole(open_, image_path) -> None:
    desk = open_.image(image_path)
    found = np.zeros((N_FRAMES, SIDE, SIDE), np.uint16)
    found[1, :4, :4] = 9
    desk._attach(desk.bridge.image, Labels(found))
    desk.click(10, FIRST, (8, 8))
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()
    again = open_.image(image_path)
    assert_same(again, labels, prompts)
    assert again.session.next_id() == 11


def test_a_broken_session_is_said_and_left_as_it_is(open_, image_path) -> None:
    folder = session_path(image_path)
    folder.mkdir()
    (folder / "session.json").write_bytes(b"{")
    desk = open_.image(image_path)
    assert "cannot be read" in desk.said[0]
    desk.click(1, FIRST, (8, 8))
    open_.save(desk)
    assert desk.saving.folder.name == "cells.tif-2.napari-sam"
    assert (folder / "session.json").read_bytes() == b"{"


def test_a_demonstration_leaves_nothing_behind(open_, tmp_path) -> None:
    image = Image(np.zeros((SIDE, SIDE), np.uint8), metadata={NOT_SAVED: True})
    desk = open_.layer(image)
    desk.click(1, (None, None), (8, 8))
    desk.close()
    assert not (tmp_path / "data").exists()
    assert "not saved" in desk.panel.text.text()


# Dropped into the window


def test_a_dropped_session_brings_image_and_labels(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    labels, prompts = labels_of(desk), all_prompts(desk)
    desk.close()

    dropped = open_.desk()
    image, objects = dropped.viewer.open(str(session_path(image_path)), plugin=DISTRIBUTION)
    assert (image.name, objects.name) == ("cells", "cells objects")
    np.testing.assert_array_equal(image.data, tifffile.imread(image_path))
    np.testing.assert_array_equal(objects.data, labels)
    objects.data[1, 3, 3] = 5  # painted before the panel is opened
    dropped.reopening.begin(image)
    open_.settle(dropped)
    assert dropped.bridge.labels is objects
    assert all_prompts(dropped).items() >= prompts.items()
    assert dropped.session.region(5, (1, None, None)).area == 1
    open_.save(dropped)
    assert dropped.saving.folder == session_path(image_path)
    labels = labels_of(dropped)
    dropped.close()
    np.testing.assert_array_equal(labels_of(open_.image(image_path)), labels)


def test_a_session_moved_with_its_image_finds_it(open_, image_path, tmp_path) -> None:
    desk = open_.clicked(image_path)
    labels = labels_of(desk)
    desk.close()
    moved = image_path.parent.rename(tmp_path / "moved")
    dropped = open_.desk()
    image, objects = dropped.viewer.open(
        str(moved / session_path(image_path).name), plugin=DISTRIBUTION
    )
    assert image.metadata[IMAGE_FILE] == str(moved / "cells.tif")
    np.testing.assert_array_equal(objects.data, labels)


def test_without_its_image_a_session_shows_its_objects(open_, image_path) -> None:
    desk = open_.clicked(image_path)
    labels = labels_of(desk)
    desk.close()
    image_path.unlink()
    dropped = open_.desk()
    (objects,) = dropped.viewer.open(str(session_path(image_path)), plugin=DISTRIBUTION)
    assert "moved or deleted" in notification_manager.records[-1].message
    np.testing.assert_array_equal(objects.data, labels)


def test_what_is_no_session_cannot_be_opened(open_, image_path) -> None:
    desk = open_.image(image_path)
    with pytest.raises(SamError, match="no session"):
        desk.reopening.open(image_path.parent, desk.bridge.image)


def test_prompts_given_headless_are_there_in_the_window(open_, image_path) -> None:
    stack = FrameStack.from_array(tifffile.imread(image_path), rgb=False)
    session = Session(stack, np.zeros(stack.shape, np.uint16))
    predictor, cache = painting(Painter(1)), EmbeddingCache()
    session.annotate(1, FIRST, Prompts.from_points([(8, 8)]), predictor, cache)
    save(session, session_path(image_path))
    desk = open_.image(image_path)
    assert desk.bridge.frame == FIRST, "that of the current object"
    assert len(desk.bridge.points.data) == 1
    np.testing.assert_array_equal(labels_of(desk), session.labels)
