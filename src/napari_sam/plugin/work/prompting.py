"""What runs in a worker's thread for prompts from anywhere: read, fitted, decoded."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam.engine import FrameIndex, FrameStack, PromptChoice, PromptSet
from napari_sam.session import Answer, Key, read_frame
from napari_sam.session.label_arrays import unique_ids

from .jobs import Report
from .tasks import encoding

if TYPE_CHECKING:
    from napari_sam.engine import EmbeddingCache, Predictor
    from napari_sam.stacks import Refined, RefineRules


def read_file(path: Path, stack: FrameStack, image: str) -> PromptSet:
    """Prompts of a file."""
    from napari_sam.formats import read_prompt_file  # the window opens without the formats

    return read_prompt_file(path, stack, image=image)


def refine(
    labels: Any,
    stack: FrameStack,
    mine: Collection[Key],
    rules: RefineRules,
    cache: EmbeddingCache,
    predictor: Predictor,
    report: Report,
) -> Iterator[Refined]:
    """The answers for all objects of labels but those that are the user's own."""
    from napari_sam.engine import prompts_of_labels
    from napari_sam.stacks import refine_objects

    report(0, 0)
    found = prompts_of_labels(labels, stack).fitted(stack)
    objects = found.with_objects(
        each for each in found.objects if (each.object_id, stack.index(*each.at or ())) not in mine
    )
    yield from refine_objects(objects, stack, predictor, cache, rules, encoding(report))


def look(
    read: Callable[[], PromptSet],
    stack: FrameStack,
    frame: FrameIndex | None,
    choice: PromptChoice,
    report: Report,
) -> tuple[PromptSet, PromptSet]:
    """All prompts of a source, and those that would be decoded."""
    given = read()
    report(0, 1)
    return given, chosen(given, stack, frame, choice)


def chosen(
    given: PromptSet, stack: FrameStack, frame: FrameIndex | None, choice: PromptChoice
) -> PromptSet:
    """What would be decoded of prompts; those without a frame go to the one shown."""
    return given.at_least(choice.min_score).shown_as(choice.shape).fitted(stack, frame)


def decode(
    given: PromptSet,
    frame: FrameIndex | None,
    choice: PromptChoice,
    labels: Any,
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    report: Report,
) -> Iterator[PromptSet | Answer]:
    """The prompts by the numbers that are free in the labels, then one mask after the other."""
    from napari_sam.stacks import decode_prompts

    taken: set[int] = set()
    for each in stack.indices():
        report(0, 1)
        taken.update(unique_ids(read_frame(labels, each)))
    prompts = chosen(given, stack, frame, choice).beside(taken)
    yield prompts
    yield from decode_prompts(prompts, stack, predictor, cache, encoding(report))
