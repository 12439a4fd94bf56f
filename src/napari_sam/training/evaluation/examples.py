"""What a report shows of a model: its worst and its median results in each source."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Generic, Protocol, TypeVar

from napari_sam.training.data import AnnotatedFrame, FrameName, Item, frames_of

N_EXAMPLES = 24  # a model, shared by the sources; at least one worst and one median each


class Result(Protocol):
    """What a model made of an object, or of a frame."""

    @property
    def source(self) -> str:
        """Of the frame."""

    @property
    def frame(self) -> FrameName:
        """In which it is."""


R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Example(Generic[R]):
    """A result that is shown, and why."""

    model: str
    kind: str  # "worst" or "median"
    result: R


def choose_examples(
    model: str, results: Sequence[R], quality: Callable[[R], float], n_examples: int = N_EXAMPLES
) -> list[Example[R]]:
    """The worst and the median results of each source, the worst first; none of them twice."""
    sources = sorted({result.source for result in results})
    n = max(1, math.ceil(n_examples / (2 * len(sources))))
    examples = []
    for source in sources:
        ranked = sorted((r for r in results if r.source == source), key=quality)
        worst = ranked[: min(n, math.ceil(len(ranked) / 2))]
        first = max(len(worst), len(ranked) // 2 - n // 2)
        examples += [Example(model, "worst", result) for result in worst]
        examples += [Example(model, "median", result) for result in ranked[first : first + n]]
    return examples


def sheets(
    examples: Sequence[Example[R]],
    items: Sequence[Item],
    draw: Callable[[Example[R], AnnotatedFrame], str],
) -> str:
    """The examples of each model, source by source, as HTML."""
    drawn = dict(_draw_all(examples, items, draw))
    models = dict.fromkeys(example.model for example in examples)
    parts = []
    for model in models:
        own = [example for example in examples if example.model == model]
        for source in sorted({example.result.source for example in own}):
            figures = [drawn[each] for each in own if each.result.source == source]
            title = f"{model}: {source}" if len(models) > 1 else source
            parts.append(f'<h3>{escape(title)}</h3><div class="sheet">{"".join(figures)}</div>')
    return "".join(parts)


def _draw_all(
    examples: Sequence[Example[R]],
    items: Sequence[Item],
    draw: Callable[[Example[R], AnnotatedFrame], str],
) -> Iterator[tuple[Example[R], str]]:
    """Each example with its picture; frames are read again, one at a time."""
    wanted = {example.result.frame.item for example in examples}
    for item in items:
        if item.id in wanted:
            for frame in frames_of(item):
                for example in examples:
                    if example.result.frame == frame.name:
                        yield example, draw(example, frame)
