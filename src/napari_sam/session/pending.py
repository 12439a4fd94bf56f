"""Masks that are wanted and not answered yet, and the answers that came lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from napari_sam.engine import FrameIndex

from .annotation import Answer, Key, Request

ANSWERS_KEPT = 16  # candidates to choose from again; up to 4 MB each


class PendingRequests:
    """At most one request and one answer for each object in each frame: the newest."""

    def __init__(self) -> None:
        self._requests: dict[Key, Request] = {}
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._generation = 0

    def pending(self) -> tuple[Request, ...]:
        """Requests that nobody has answered yet."""
        return tuple(self._requests.values())

    def get(self, key: Key) -> Request | None:
        """The request for an object in a frame that waits for its answer."""
        return self._requests.get(key)

    def frames_of(self, object_id: int) -> set[FrameIndex]:
        """The frames in which an object waits for an answer."""
        return {frame for each, frame in self._requests if each == object_id}

    @property
    def highest_id(self) -> int:
        """Of the objects that wait for an answer; 0 if there are none."""
        return max((object_id for object_id, _ in self._requests), default=0)

    def add(self, request: Request) -> Request:
        """Wait for an answer, no longer for an earlier one; gives the request its generation."""
        self._generation += 1
        self._requests[request.key] = replace(request, generation=self._generation)
        return self._requests[request.key]

    def drop(self, request: Request) -> bool:
        """Wait no longer. ``False`` if a newer request has overtaken this one."""
        if self._requests.get(request.key) is not request:
            return False
        del self._requests[request.key]
        return True

    def answer(self, key: Key) -> Answer | None:
        """The latest answer for an object in a frame."""
        return self._answers.get(key)

    def remember(self, answer: Answer) -> None:
        """Keep an answer, so that another of its candidates can be chosen."""
        self._answers[answer.request.key] = answer
        self._answers.move_to_end(answer.request.key)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)

    def forget(self, keys: Iterable[Key]) -> None:
        """Something else was done there: neither wait for answers nor keep them."""
        for key in keys:
            self._requests.pop(key, None)
            self._answers.pop(key, None)
