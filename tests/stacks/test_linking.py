"""Labels of all frames linked in a session: ids, lineage and annotations follow, in one step."""

from __future__ import annotations

import numpy as np
import pytest

from annotating import answer, state
from movies import DIVIDING, SIZE, disc, film, moving, renumbered, same_tracks
from napari_sam.engine import FrameStack, Prompts, SamError
from napari_sam.session import Session
from napari_sam.stacks import find_links, link_frames

TWO = {1: moving(20, 10, 0, 4, 6), 2: moving(44, 50, 0, -4, 6)}
FILMS = {"two that pass": TWO, "one that divides": DIVIDING}


def session_of(labels: np.ndarray) -> Session:
    image = np.zeros(labels.shape, np.uint8)
    return Session(FrameStack.from_array(image, rgb=False), labels.copy())


def at(t: int):
    return (t, None, None)


@pytest.mark.parametrize("name", FILMS)
def test_labels_of_all_frames_become_tracks(name: str) -> None:
    truth = film(FILMS[name])
    session = session_of(renumbered(truth))
    start = state(session)
    links = link_frames(session, at(3))
    assert same_tracks(session.labels, truth)
    named = {i: int(session.labels[truth == i][0]) for i in np.unique(truth[truth > 0])}
    wanted = {named[2]: (named[1],), named[3]: (named[1],)} if name == "one that divides" else {}
    assert session.parents == wanted
    n_labels = sum(len(np.unique(frame)) - 1 for frame in truth)
    assert len(links.tracks) == n_labels
    assert (links.tracks.n_tracks, links.tracks.n_divisions) == (len(named), bool(wanted))
    end = state(session)
    assert session.undo()
    assert not session.undo(), "it is one step"
    assert state(session) == start
    assert session.redo()
    assert state(session) == end


def test_right_labels_are_no_step() -> None:
    session = session_of(film(TWO))
    assert link_frames(session, at(0)).ids == {}
    assert not session.undo()


def test_annotations_go_with_their_regions() -> None:
    truth = film(TWO)
    session = session_of(renumbered(truth))
    before = {}
    for t in range(len(truth)):
        y, x, radius = TWO[1][t]
        value = int(session.labels[t][truth[t] == 1][0])
        request = session.edit(value, at(t), Prompts.from_points([(y, x)]))
        session.land(answer(request, disc(y, x, radius)))
        before[t] = session.annotation(value, at(t))
    assert len({i for (i, _), _ in session.annotations()}) == 2, "under two numbers"
    link_frames(session, at(0))
    track = int(session.labels[0][truth[0] == 1][0])
    assert dict(session.annotations()) == {(track, at(t)): a for t, a in before.items()}


def test_divisions_marked_by_hand_stay_where_numbers_do() -> None:
    """Too far apart to be found: daughters at the other end of the frame."""
    gone = [None] * 4
    truth = film(
        {
            1: [*moving(10, 10, 0, 0, 4), *gone],
            2: [*gone, *moving(55, 50, 0, 0, 4)],
            3: [*gone, *moving(55, 30, 0, 0, 4)],
            4: moving(30, 10, 0, 5, 8),
        }
    )
    truth[6][truth[6] == 4] = 9
    session = session_of(truth)
    session.parents = {2: (1,), 3: (1,), 9: (4,)}
    link_frames(session, at(0))
    assert not (session.labels == 9).any()
    assert session.parents == {2: (1,), 3: (1,)}


def test_divisions_marked_by_hand_are_linked_around() -> None:
    """What linking makes of it by itself: the mother continues as the daughter who is near."""
    gone = [None] * 3
    truth = film(
        {
            1: [*moving(20, 20, 0, 0, 3), *gone],
            2: [*gone, *moving(20, 22, 0, 0, 3)],
            3: [*gone, *moving(50, 50, 0, 0, 3)],
        }
    )
    session = session_of(truth)
    link_frames(session, at(0))
    assert [session.ids_in(at(t)) for t in (0, 5)] == [(1,), (1, 3)], "nothing was said"
    session = session_of(truth)
    session.parents = {2: (1,), 3: (1,)}
    link_frames(session, at(0))
    np.testing.assert_array_equal(session.labels, truth)
    assert session.parents == {2: (1,), 3: (1,)}


def one_number_for_two(dtype: type = np.uint16) -> np.ndarray:
    """An object that goes, and another one that comes elsewhere under the same number."""
    gone = [None] * 3
    courses = {1: [*moving(10, 10, 0, 1, 3), *gone], 2: [*gone, *moving(50, 50, 0, 1, 3)]}
    return (film(courses) > 0).astype(dtype)


def test_new_numbers_are_never_old_ones() -> None:
    session = session_of(one_number_for_two())
    session.note_ids(8)
    link_frames(session, at(0))
    assert [session.ids_in(at(t)) for t in range(6)] == [(1,)] * 3 + [(9,)] * 3
    assert session.next_id() == 10


def test_numbers_that_do_not_fit_change_nothing() -> None:
    session = session_of(one_number_for_two(np.uint8))
    session.note_ids(255)
    with pytest.raises(SamError, match=r"256 is not an object id.*255 or less"):
        link_frames(session, at(0))
    np.testing.assert_array_equal(session.labels, one_number_for_two())
    assert not session.undo()


def test_along_depth_only_the_time_shown_is_linked() -> None:
    labels = np.zeros((2, 4, SIZE, SIZE), np.uint16)
    labels[:] = film({1: moving(20, 20, 0, 1, 4), 2: moving(44, 44, 0, 1, 4)})
    labels[:, 2:] = np.where(labels[:, 2:] > 0, 3 - labels[:, 2:], 0)
    session = session_of(labels)
    link_frames(session, (1, 0, None, None), axis=1)
    np.testing.assert_array_equal(session.labels[0], labels[0])
    assert len(np.unique(session.labels[1, :, 20, 20])) == 1


def test_along_time_a_cell_is_its_pixels_in_all_slices() -> None:
    labels = np.zeros((4, 3, SIZE, SIZE), np.uint16)
    for t in range(4):
        labels[t, :, 10:20, 10:20] = 1 + t % 2
        labels[t, :, 40:50, 40:50] = 2 - t % 2
    session = session_of(labels)
    links = link_frames(session, (0, 2, None, None))
    assert len(links.tracks) == 8
    assert [len(np.unique(session.labels[:, :, a, a])) for a in (15, 45)] == [1, 1]


def test_one_frame_is_refused() -> None:
    session = session_of(film(TWO)[0])
    with pytest.raises(SamError, match="one frame only"):
        link_frames(session, (None, None))


def test_progress_is_told_and_can_stop_it() -> None:
    told = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        find_links(film(TWO), at(0), progress=progress)
    assert told == [(1, 6), (2, 6)]


def test_only_some_ids_are_linked() -> None:
    """Others keep theirs, and take no part, even where they would fit better."""
    truth = film(TWO)
    mixed = renumbered(truth)
    mixed[truth == 2] += 50
    session = session_of(mixed)
    among = set(np.unique(mixed[truth == 1]).tolist())
    links = link_frames(session, at(0), among=among)
    np.testing.assert_array_equal(session.labels[truth == 2], mixed[truth == 2])
    (kept,) = set(np.unique(session.labels[truth == 1]).tolist())
    assert kept in among
    assert len(links.tracks) == len(truth)
