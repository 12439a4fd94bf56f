"""Vertex arrays that OpenGL would still read after their layer is removed.

napari frees the vertex buffers of a layer that leaves the viewer, but the vertex attribute arrays
that pointed into them stay enabled in the canvas' context. The next draw, of any layer, reads
them all, and may end the program. ``docs/napari-layer-removal.md`` has the details.
"""

from __future__ import annotations

from typing import Any

from vispy.gloo import gl

VERTEX_ATTRIB_ARRAY_ENABLED = 0x8622  # vispy has no name for it


class AttributeArrays:
    """The vertex attribute arrays of a viewer's canvas, disabled whenever a layer leaves it.

    Each layer enables those it needs when it is drawn. Without an OpenGL context, as in a window
    that was never shown, nothing is done.

    Parameters
    ----------
    viewer
        A viewer with a window. It is referenced weakly.
    """

    def __init__(self, viewer: Any) -> None:
        self._canvas = viewer.window._qt_viewer.canvas._scene_canvas
        self._removed = viewer.layers.events.removed
        self._removed.connect(self.disable)  # napari keeps a weak reference

    def disable(self, event: object = None) -> None:
        """Disable them all."""
        for index in self._indices():
            gl.glDisableVertexAttribArray(index)

    @property
    def enabled(self) -> list[int]:
        """The indices of those that are enabled."""
        state = VERTEX_ATTRIB_ARRAY_ENABLED
        return [index for index in self._indices() if gl.glGetVertexAttrib(index, state)]

    def close(self) -> None:
        """Leave them alone from now on."""
        self._removed.disconnect(self.disable)

    def _indices(self) -> range:
        """All indices there are in the canvas' context, which is the current one from here on."""
        try:
            if not self._canvas.native.isValid():
                return range(0)
        except (AttributeError, RuntimeError):  # no OpenGL widget, or Qt has deleted it
            return range(0)
        self._canvas.set_current()
        return range(gl.glGetParameter(gl.GL_MAX_VERTEX_ATTRIBS))
