"""What words name, in a real window: found, decided by a threshold, segmented, undone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt

from bright import SIDE

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def open_words(open_stack, detector_folders: dict[str, Path], tmp_path, monkeypatch):
    """A window on two noisy frames, with a detector on disk, and words as the source of prompts."""
    monkeypatch.setenv("NAPARI_SAM_MODELS", str(tmp_path / "models"))

    def open_(kind: str = "owlv2"):
        if kind:
            place = tmp_path / "models" / "detectors" / "lab" / kind
            shutil.copytree(detector_folders[kind], place)
        noise = np.random.default_rng(0).integers(0, 4000, (2, SIDE, SIDE), dtype=np.uint16)
        user = open_stack(noise)
        user.widget.pages.tabs.setCurrentIndex(user.widget.automatic_page)
        panel = user.widget.prompt_panel
        panel.source.setCurrentIndex(panel.source.findData("words"))
        panel.source.activated.emit(panel.source.currentIndex())
        if kind:
            detector = panel.words.detector
            detector.setCurrentIndex(detector.findData(f"lab/{kind}"))
            detector.activated.emit(detector.currentIndex())
        user.qtbot.waitUntil(lambda: panel.words.look.height() > 0)
        return user

    return open_


def find(user, words: str) -> None:
    """Write words, press Find, and wait."""
    panel = user.widget.prompt_panel
    panel.words.words.setText(words)
    user.qtbot.mouseClick(panel.words.look, LEFT)
    found(user)


def found(user) -> None:
    panel = user.widget.prompt_panel
    user.qtbot.waitUntil(
        lambda: (
            user.widget.worker.idle
            and not user.widget.words.is_busy
            and panel.text.text() != "Reading …"
        ),
        timeout=120_000,
    )


def test_masks_of_words_by_a_threshold_that_needs_no_other_look(open_words) -> None:
    user = open_words()
    panel, session = user.widget.prompt_panel, user.widget.bridge.session
    find(user, "nucleus, cell")
    n_all = len(user.widget.prompting.found)
    assert panel.run.text() == f"Segment {n_all} objects"
    assert "boxes. Scores from 0." in panel.text.text()
    scores = sorted((each.score for each in user.widget.prompting.found.objects), reverse=True)
    boxes = user.widget.bridge.boxes.layer
    assert boxes.visible
    n_lines = np.count_nonzero(boxes.data)
    assert set(np.unique(boxes.data)) == {0, 3, 4}, "a colour for each phrase"
    looks = user.widget.words._loaded
    panel.form.control("min_score").setValue(scores[2] - 0.005)
    found(user)
    assert 3 <= len(user.widget.prompting.found) < n_all
    assert 0 < np.count_nonzero(boxes.data) < n_lines
    assert user.widget.words._loaded is looks, "it was not asked again"
    user.qtbot.mouseClick(panel.run, LEFT)
    user.qtbot.waitUntil(lambda: not user.widget.prompting.is_busy, timeout=60_000)
    user.ready()
    assert not boxes.visible
    ids = set(np.unique(session.labels[0])) - {0}
    assert ids
    assert not session.labels[1].any()
    names = {given.name for given in session.classes.given.values()}
    assert names <= {"nucleus", "cell"}
    assert set(session.classes.given) >= ids
    panel.form.control("min_score").setValue(scores[1] - 0.005)
    found(user)
    assert boxes.visible, "what another score would choose is seen before it is segmented"
    assert "undo it first" in panel.text.text()
    assert set(np.unique(session.labels[0])) - {0} == ids
    user.widget.active.undo()
    panel.form.control("min_score").setValue(scores[2] - 0.005)
    found(user)
    assert "undo it first" not in panel.text.text()
    assert not session.labels.any()
    assert not session.classes.given


def test_all_frames_and_cancel(open_words) -> None:
    user = open_words("grounding-dino")
    panel = user.widget.prompt_panel
    panel.words.where.setCurrentIndex(1)
    find(user, "nucleus")
    assert {each.at for each in user.widget.prompting.found.objects} == {(0,), (1,)}
    panel.words.words.setText("cell")
    user.qtbot.mouseClick(panel.words.look, LEFT)
    user.widget.status.cancel_clicked.emit()
    assert panel.words.look.isEnabled()
    found(user)
    assert "Cancelled" in user.widget.status.text.text()


def test_what_is_not_here_can_be_fetched_and_says_size_and_licence_first(open_words) -> None:
    user = open_words("")
    words = user.widget.prompt_panel.words
    assert words.detector.currentText() == "owlv2-base"
    assert not words.fetch.isHidden()
    assert words.fetch.text() == "Fetch owlv2-base (620 MB)"
    assert "licence: Apache-2.0." in words.about.toolTip() + words.about.text()
    assert not words.look.isEnabled()


def test_words_that_are_none(open_words) -> None:
    user = open_words()
    find(user, " , ")
    assert "Write what to look for" in user.widget.status.text.text()
    find(user, "a nucleus of a very long name")
    assert "too long for lab/owlv2" in user.widget.status.text.text()
    assert user.widget.prompt_panel.words.look.isEnabled()
