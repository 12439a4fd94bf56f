"""Labels by class, by themselves, and hidden; on a layer without a screen."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam.engine import SamError
from napari_sam.plugin.layers.label_colours import HIGHEST, LabelColours
from napari_sam.session import Classes
from napari_sam.session.object_class import GivenClass, ObjectClass

IDS = (1, 2, HIGHEST)
CLASSES = Classes((ObjectClass("round", "#ff0000"),), {2: GivenClass("round")})


@pytest.fixture
def labels() -> Labels:
    return Labels(np.array([[0, *IDS]], np.uint32))


def colours(labels: Labels, object_ids: tuple[int, ...] = IDS) -> list[list[float]]:
    """What is drawn, with its opacity."""
    return [labels.colormap.map(np.array([each]))[0].tolist() for each in object_ids]


def test_hidden_objects_have_no_colour_and_others_their_own(labels: Labels) -> None:
    own, before = labels.colormap, colours(labels)
    shown = LabelColours(labels)
    shown.know(IDS)
    assert labels.colormap is own, "nothing is hidden yet"
    shown.hide([2])
    first, second, last = colours(labels)
    assert (first, last) == (pytest.approx(before[0]), pytest.approx(before[2]))
    assert second[3] == 0
    assert shown.obstacle.startswith("Object 2 is hidden: “Show all objects”")
    shown.hide([HIGHEST])
    assert [each[3] for each in colours(labels)] == [1, 0, 0]
    assert f"Objects 2 and {HIGHEST} are hidden" in shown.obstacle
    shown.know([1, HIGHEST])
    assert f"Object {HIGHEST} is hidden" in shown.obstacle, "object 2 was deleted"
    shown.show_all()
    assert labels.colormap is own
    assert shown.obstacle == ""


def test_an_object_that_comes_has_its_own_colour_beside_hidden_ones(labels: Labels) -> None:
    (expected,) = colours(labels, (9,))
    shown = LabelColours(labels)
    shown.know(IDS)
    shown.hide([1])
    shown.know((*IDS, 9))
    assert colours(labels, (9,))[0] == pytest.approx(expected)


def test_hidden_by_class_as_well(labels: Labels) -> None:
    own = labels.colormap
    shown = LabelColours(labels)
    shown.colour_by(CLASSES)
    assert colours(labels, (2,)) == [[1, 0, 0, 1]]
    shown.hide([2])
    assert [each[3] for each in colours(labels)] == [1, 0, 1]
    shown.colour_by(None)
    shown.know(IDS)
    assert [each[3] for each in colours(labels)] == [1, 0, 1]
    shown.restore()
    assert labels.colormap is own


@pytest.mark.skipif(find_spec("numba") is not None, reason="with numba all have colours")
def test_numbers_for_which_napari_has_no_colours_are_told(labels: Labels) -> None:
    own = labels.colormap
    shown = LabelColours(labels)
    with pytest.raises(SamError, match=f"up to {HIGHEST}, and here is object 70000. Install"):
        shown.hide([1, 70_000])
    with pytest.raises(SamError, match="here is object 70000"):
        shown.colour_by(Classes(CLASSES.defined, {70_000: GivenClass("round")}))
    assert labels.colormap is own
    shown.know([1, 2, 70_000])
    shown.hide([1])
    labels.data = np.array([[0, 1, 2, 70_000]], np.uint32)
    assert [each[3] for each in colours(labels, (1, 2, 70_000))] == [0, 1, 1]
