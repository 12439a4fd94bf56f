"""What is done with one image: each job of a recipe segments it into a session."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from napari_sam.engine import (
    AutomaticOptions,
    EmbeddingCache,
    Examples,
    FrameIndex,
    FrameStack,
    Predictor,
    PromptError,
    SamError,
    choose_method,
    open_image,
    read_labels,
    write_options,
)
from napari_sam.formats import read_prompt_file
from napari_sam.headless import (
    annotated_session,
    blank_notices,
    choose_frames,
    example_session,
    examples_in,
    find_everything,
    link_everything,
    more_like_these,
    new_session,
    parse_frames,
    propagate,
    refine,
    seeded_session,
    segment_prompts,
    session_to_refine,
)
from napari_sam.headless.automatic import nothing_found
from napari_sam.stacks import axis_along, named_through

from .recipe import Recipe

if TYPE_CHECKING:
    from napari_sam.headless import Placed
    from napari_sam.session import Session

Segmented: TypeAlias = tuple["Session", list[str]]  # and sentences about the image or its objects
MANY_IDS = 2**16  # nobody knows before how many objects there will be


@dataclass(frozen=True, eq=False)
class Job:
    """The job of a recipe, with what is the same for all images."""

    recipe: Recipe
    predictor: Predictor
    examples: Examples | None = None

    @classmethod
    def of(cls, recipe: Recipe, predictor: Predictor) -> Job:
        """Prepare the job: what its examples look like, and whether the model can do it.

        Raises
        ------
        SamError
            If the model cannot do it, or the examples cannot be read.
        """
        options = recipe.automatic or (recipe.alike and recipe.alike.options)
        if options:
            choose_method(options, predictor.model.network)
        if recipe.alike is None:
            return cls(recipe, predictor)
        stack = open_stack(recipe, recipe.alike.image, None)
        labels, _ = read_labels(recipe.alike.labels)
        session = example_session(stack, labels)
        return cls(recipe, predictor, examples_in(session, predictor))

    def segment(self, stack: FrameStack, companion: str | None, image: str) -> Segmented:
        """Segment one image.

        Parameters
        ----------
        companion
            The file of its own prompts or labels, for the jobs that have one.
        image
            The name of its own file, for prompts about many images.

        Raises
        ------
        SamError
            If the image, its companion and the recipe do not fit together.
        """
        match self.recipe.job:
            case "prompts":
                return self._by_prompts(stack, companion or "", image)
            case "propagate":
                return self._propagate(stack, companion or "")
            case "refine":
                return self._refine(stack, companion or "")
            case _:
                return self._find(stack)

    def _find(self, stack: FrameStack) -> Segmented:
        wanted = list(choose_frames(stack, parse_frames(self.recipe.model.frames)))
        session = new_session(stack, highest_id=MANY_IDS)
        notices = list(blank_notices(stack, wanted))
        placed = self._placed(session, wanted)
        if self.recipe.link and stack.ndim > 2:
            placed = link_everything(session, placed)
        nothing = nothing_found(placed)
        return session, [*notices, *([nothing] if nothing and not notices else [])]

    def _placed(self, session: Session, wanted: Sequence[FrameIndex]) -> list[Placed]:
        cache = EmbeddingCache()
        if self.recipe.alike is not None and self.examples is not None:
            options = self.recipe.alike.options
            given = (session, self.predictor, self.examples, options, wanted)
            return list(more_like_these(*given, cache=cache))
        # Nothing is filtered again: what does not stand needs no mask
        automatic = self.recipe.automatic or AutomaticOptions()
        quick = replace(automatic, kept_score=1.0, kept_stability=1.0)
        return list(find_everything(session, self.predictor, quick, wanted, cache=cache))

    def _by_prompts(self, stack: FrameStack, companion: str, image: str) -> Segmented:
        chosen = choose_frames(stack, parse_frames(self.recipe.model.frames))
        read = read_prompt_file(companion, stack, image=image)
        wanted = read.fitted(stack).in_frames(chosen)
        if not wanted:
            why = "".join(f" {problem}" for problem in wanted.problems) or " Add one."
            raise PromptError(f"{companion} holds no prompt for these frames.{why}")
        session = new_session(stack, highest_id=wanted.highest_id)
        frames = (stack.index(*each.at or ()) for each in wanted.objects)
        notices = [*wanted.problems, *blank_notices(stack, frames)]
        for result in segment_prompts(session, wanted, self.predictor):
            notices += [f"Object {result.object_id}: {note}" for note in result.notes]
        return session, notices

    def _refine(self, stack: FrameStack, companion: str) -> Segmented:
        wanted = list(choose_frames(stack, parse_frames(self.recipe.model.frames)))
        session = session_to_refine(stack, read_labels(companion)[0], wanted)
        notices = list(blank_notices(stack, wanted))
        rules = None if self.recipe.refine is None else self.recipe.refine.options
        results = list(refine(session, self.predictor, rules, wanted))
        kept = Counter(each.reason for each in results if each.kept)
        notices += [f"{n} of {len(results)} objects kept: {why}" for why, n in kept.most_common()]
        return session, notices

    def _propagate(self, stack: FrameStack, companion: str) -> Segmented:
        job = self.recipe.propagate
        if job is None or stack.ndim == 2:
            raise SamError("This is a single image: there is no other frame to propagate to.")
        frame, seeds = stack.index(*job.frame), read_labels(companion)[0]
        is_between = job.options.direction == "between"
        session = (
            annotated_session(stack, seeds) if is_between else seeded_session(stack, seeds, frame)
        )
        notices = list(blank_notices(stack, [frame]))
        options = job.options
        if options.through is None:
            named = named_through(stack, axis_along(stack, frame, options.axis))
            if named is None:
                notices.append(
                    "The file does not say whether it is time or depth: time is assumed."
                )
            options = replace(options, through=named or "time")
        ended = (
            f"Object {each.object_id} ended: {each.stopped}"
            for each in propagate(session, frame, self.predictor, **write_options(options))
            if each.stopped
        )
        return session, [*notices, *ended]


def open_stack(recipe: Recipe, image: str, series: str | None) -> FrameStack:
    """An image as frames, read as the recipe says.

    Raises
    ------
    FrameError
        If it cannot be read.
    """
    reading = recipe.reading
    opened = open_image(image, series=series or reading.series, axes=reading.axes)
    return FrameStack.from_array(opened.data, axes=opened.axes, channel=reading.channel)
