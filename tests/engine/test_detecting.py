"""A detector's answers as prompts: functions, and what other packages register."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.measure import label, regionprops

from napari_sam import Cancelled, FrameStack, SamError
from napari_sam.engine import ObjectPrompts, PromptSet, detect, find_prompter, known_prompters

PACKAGE = '''
from skimage.measure import label, regionprops


def bright(frame):
    """A box around everything bright."""
    for each in regionprops(label(frame[..., 0] > 128)):
        y0, x0, y1, x1 = each.bbox
        yield y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5
'''
ENTRY_POINTS = "[napari_sam.prompters]\nbright = find_bright:bright\nlost = find_bright:no\n"


def movie() -> FrameStack:
    pixels = np.zeros((2, 40, 50), np.uint8)
    pixels[0, 5:15, 10:20] = pixels[1, 20:30, 10:25] = pixels[1, 2:6, 2:6] = 255
    return FrameStack.from_array(pixels, axes="TYX", limits=(0, 255))


def nuclei(frame: np.ndarray) -> Iterator[ObjectPrompts]:
    for n, each in enumerate(regionprops(label(frame[..., 0] > 128)), start=1):
        y0, x0, y1, x1 = each.bbox
        box = (y0 - 0.5, x0 - 0.5, y1 - 0.5, x1 - 0.5)
        yield ObjectPrompts.of_box(box, class_name="nucleus", score=n / 10)


def test_boxes_keep_their_classes_and_scores_in_their_frames() -> None:
    found = PromptSet.of(detect(nuclei, movie()))
    assert [(each.object_id, each.at, each.score) for each in found.objects] == [
        (1, (0,), 0.1),
        (2, (1,), 0.1),
        (3, (1,), 0.2),
    ]
    assert found.objects[0].prompts.box == (4.5, 9.5, 14.5, 19.5)
    assert set(found.classes.values()) == {"nucleus"}
    assert len(found.at_least(0.15)) == 1


def test_boxes_as_an_array_and_those_that_are_none() -> None:
    boxes = np.array([[1, 2, 30, 40], [1, np.nan, 3, 4]])
    found = PromptSet.of(detect(lambda frame: boxes, movie(), [movie().index(1)]))
    assert [each.at for each in found.objects] == [(1,)]
    (left,) = found.left_out
    assert left.where == "detection 1 of frame 1"
    assert "finite" in left.reason


def test_a_detector_that_fails_is_named() -> None:
    def broken(frame: np.ndarray) -> Any:
        raise RuntimeError("no weights")

    with pytest.raises(SamError, match=r"The detector mine failed: RuntimeError: no weights\."):
        list(detect(broken, movie(), name="The detector mine"))


def test_it_can_be_stopped_between_frames() -> None:
    def progress(done: int, total: int) -> None:
        assert total == 2
        if done:
            raise Cancelled

    found = detect(nuclei, movie(), progress=progress)
    assert next(found).at == (0,)
    with pytest.raises(Cancelled):
        list(found)


@pytest.fixture
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with detectors."""
    (tmp_path / "find_bright.py").write_text(PACKAGE)
    about = tmp_path / "find_bright-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: find-bright\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("find_bright", None)


@pytest.mark.usefixtures("_package")
def test_detectors_of_other_packages_are_found_by_name() -> None:
    assert known_prompters() == ("bright", "lost")
    found = PromptSet.of(detect(find_prompter("bright"), movie()))
    assert found.summary == "3 objects in 2 frames: 3 boxes"
    with pytest.raises(SamError, match="The detector lost failed"):
        find_prompter("lost")


def test_a_detector_that_nobody_registers() -> None:
    with pytest.raises(SamError, match=r"no detector 'bright'\. Install a package"):
        find_prompter("bright")


def test_a_frame_too_large_for_a_detector_is_refused_before_it_is_read() -> None:
    seen: list[object] = []
    stack = FrameStack.from_array(np.broadcast_to(np.uint8(9), (20_000, 15_000)))
    with pytest.raises(SamError, match="268 megapixels, and one of 20000 × 15000 has 300"):
        list(detect(seen.append, stack))
    assert not seen
