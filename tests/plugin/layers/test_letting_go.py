"""Nothing keeps the work on an image alive once its layers are gone.

napari itself keeps Points and Shapes that were removed: their controls stay connected to its
shortcuts. So these layers are kept here on purpose; what they were used for is not to stay.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from weakref import ref

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam.plugin.layers import LayerBridge

WAYS: dict[str, Callable[[ViewerModel, LayerBridge], object]] = {
    "all layers are cleared": lambda viewer, bridge: viewer.layers.clear(),
    "image and labels are removed": lambda viewer, bridge: (
        viewer.layers.remove(bridge.image),
        viewer.layers.remove(bridge.labels),
    ),
    "labels and image are removed": lambda viewer, bridge: (
        viewer.layers.remove(bridge.labels),
        viewer.layers.remove(bridge.image),
    ),
    "the panel is closed, then all layers are cleared": lambda viewer, bridge: (
        bridge.close(),
        viewer.layers.clear(),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_removed_layers_keep_nothing(way) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((3, 20, 30), np.uint8))
    later: dict[Callable[[], None], None] = {}
    bridge = LayerBridge(viewer, image, defer=lambda function: later.setdefault(function))
    bridge.points.add([[0, 10, 10]])
    kept = [bridge.points, bridge.shapes]
    alive = {
        "bridge": ref(bridge),
        "session": ref(bridge.session),
        "stack": ref(bridge.session.stack),
        "image": ref(image),
        "labels": ref(bridge.labels),
    }
    WAYS[way](viewer, bridge)
    while later:
        later.popitem()[0]()
    del bridge, image
    gc.collect()
    assert [name for name, reference in alive.items() if reference() is not None] == []
    assert len(kept) == 2


def test_labels_that_stay_keep_the_session() -> None:
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((20, 30), np.uint8))
    bridge = LayerBridge(viewer, image)
    session, labels = bridge.session, bridge.labels
    alive = ref(bridge)
    bridge.close()
    del bridge
    gc.collect()
    assert alive() is None
    assert LayerBridge(viewer, image, labels).session is session
