"""What a stroke of someone else's brush makes of the objects that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .annotation import Annotation, Key, as_found
from .edits import LabelEdit
from .history import Change
from .labels import AnnotatedLabels


def change_by_hand(session: AnnotatedLabels, edits: Sequence[LabelEdit]) -> Change:
    """The change that pixels painted already are: they stay through later prompts."""
    before: dict[Key, Annotation | None] = {}
    after: dict[Key, Annotation | None] = {}
    for edit in edits:
        for object_id in np.unique(np.concatenate([edit.before, edit.values])):
            if object_id > 0:
                key = (int(object_id), edit.frame)
                before[key] = session.current(*key)
                after[key] = _after_stroke(session, key, edit)
    return Change(tuple(edits), before, after, action="brush stroke")


def _after_stroke(session: AnnotatedLabels, key: Key, edit: LabelEdit) -> Annotation:
    current = session.current(*key)
    gained, lost = (edit.changed.chosen(v == key[0]) for v in (edit.values, edit.before))
    covered = session.region(*key).without(lost).united(gained)  # napari may say so beforehand
    if current is None:
        current = as_found(covered.without(gained).united(lost))
    elif not current.is_own:
        current = replace(current, base=current.footprint.landed)
    return replace(current.own, footprint=current.footprint.after_stroke(covered))
