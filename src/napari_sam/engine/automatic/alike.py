"""More like these: proposals compared with examples, and further places that look like them.

Proposals and what they look like are computed once a frame. What stands is decided from these
alone, as often as examples, counter-examples or thresholds change.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam.engine.embeddings.cache import EmbeddingCache
from napari_sam.engine.errors import FrameError, PromptError
from napari_sam.engine.features import PlacedMask, placed_mask
from napari_sam.engine.frames import FrameIndex, FrameStack
from napari_sam.engine.masks import interior_point, polygon_mask, windows_of
from napari_sam.engine.parts import FramePart
from napari_sam.engine.predictor import Embedding, Predictor, Progress
from napari_sam.engine.prompts import Point
from napari_sam.engine.tiles import Tile, Tiling, Window
from napari_sam.model import Pocket

from .decoding import Place, Worth, decode_points
from .found import Annotated, FoundObject
from .joining import decide
from .likeness import Examples, compared, looks_of, looks_of_places
from .looking import Looking
from .options import AlikeOptions
from .places import Places, square_at
from .proposing import choose_method, propose_at_once
from .tiling import choose_tiling, in_tiles, tile_parts

ALONE = 2.0  # reach of places where they are all that is clicked
AT_ONCE = 4  # places that are clicked before what they brought is looked at

Clicks: TypeAlias = Callable[[Sequence[Point]], Iterator[FoundObject]]


@dataclass(frozen=True, eq=False)
class Compared:
    """The proposals of one frame that have masks, and what each looks like, ``(N, D)``."""

    found: tuple[FoundObject, ...]
    looks: NDArray[np.float16]


def find_alike(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    examples: Examples,
    options: AlikeOptions | None = None,
    *,
    annotated: Annotated | None = None,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Iterator[FoundObject]:
    """Find all objects of one frame that are like the examples.

    Parameters
    ----------
    examples
        By :func:`read_examples`, of this frame, of others or of other images, encoded by the same
        model.
    annotated
        Object ids ``(H, W)``: what is labelled already, such as the examples. Nothing is found
        there.
    cache
        Where the frame's embedding is found and kept; by default for this call.
    progress
        Called as ``progress(done, total)`` in hundredths of the frame. What it raises stops the
        work.

    Yields
    ------
    Every proposal with its likeness, those that stand and those that were dropped, which say why.
    """
    options = options or AlikeOptions()
    given = (predictor, stack, frame, examples, options)
    proposals = propose_alike(*given, annotated=annotated, cache=cache, progress=progress)
    yield from decide_alike(proposals, examples, options, stack.frame_shape_of(frame), annotated)


def read_examples(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    labels: NDArray[np.integer],
    object_ids: Collection[int] | None = None,
    *,
    cache: EmbeddingCache | None = None,
) -> Examples:
    """What some objects of a frame look like.

    Parameters
    ----------
    labels
        Object ids ``(H, W)``.
    object_ids
        Which of them are examples; ``None``: all.

    Raises
    ------
    SamError
        If the labels have another shape than the frame, or one of the examples has no pixel.
    """
    frame_shape = stack.frame_shape_of(frame)
    if labels.shape != frame_shape:
        raise FrameError(
            f"The labels of the examples have {' × '.join(map(str, labels.shape))} pixels, the "
            f"frame {frame_shape[0]} × {frame_shape[1]} (y, x). Give labels of the same frame."
        )
    return examples_of(predictor, stack, frame, placed_masks(labels, object_ids), cache=cache)


def examples_of(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    masks: Sequence[PlacedMask],
    *,
    cache: EmbeddingCache | None = None,
) -> Examples:
    """What objects look like, given windows of a frame and their masks there."""
    areas = np.array([np.count_nonzero(mask) for _, mask in masks])
    diameter = float(np.median(np.sqrt(4 * areas / np.pi)))
    cache = EmbeddingCache() if cache is None else cache
    options = AlikeOptions(cell_size=diameter)
    tiling = choose_tiling(predictor, stack, frame, options, cache)
    if tiling is None:
        return _examples_in(cache.embed(predictor, stack, frame).embedding, masks, diameter)
    parts = []
    for tile, there in _by_tile(tiling, masks).items():
        part = FramePart.of(stack, frame, tile.window, tiling.reduction)
        embedding = cache.embed(predictor, part, frame).embedding
        parts.append(_examples_in(embedding, there, diameter))
    return Examples.joined(parts)


def _examples_in(embedding: Embedding, masks: Sequence[PlacedMask], diameter: float) -> Examples:
    """What objects look like in an embedding, in whose pixels their masks lie."""
    looks = looks_of(embedding, masks)
    squares = [square_at(_middle(*each), diameter, embedding.frame_shape) for each in masks]
    return Examples(looks, looks_of_places(embedding, squares), diameter, looks[:0])


def _by_tile(tiling: Tiling, masks: Sequence[PlacedMask]) -> dict[Tile, list[PlacedMask]]:
    """Masks in the pixels of the tiles that own them, cut where those end."""
    tiles: dict[Tile, list[PlacedMask]] = {}
    for window, mask in masks:
        y, x = (int(at) for at in _middle(window, mask))
        tile = next(tiling.within((y, x, y + 1, x + 1)))
        top, left, bottom, right = tile.window
        y0, x0 = max(window[0], top), max(window[1], left)
        y1, x1 = min(window[2], bottom), min(window[3], right)
        seen = mask[y0 - window[0] : y1 - window[0], x0 - window[1] : x1 - window[1]]
        placed = (y0 - top, x0 - left, y1 - top, x1 - left)
        tiles.setdefault(tile, []).append((placed, seen))
    return tiles


def placed_masks(
    labels: NDArray[np.integer], object_ids: Collection[int] | None = None
) -> list[PlacedMask]:
    """Windows and masks of objects ``(H, W)``.

    Raises
    ------
    PromptError
        If there is none, or one of those asked for has no pixel.
    """
    windows = windows_of(labels)
    wanted = sorted(windows if object_ids is None else set(object_ids))
    if not wanted:
        raise PromptError(
            "There is no example: no object is labelled. Segment one or more objects first."
        )
    if missing := [each for each in wanted if each not in windows]:
        raise PromptError(
            f"The example {missing[0]} has no pixel in this frame. Segment it, or give others."
        )
    return [placed_mask(labels, each, windows[each]) for each in wanted]


def propose_alike(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    examples: Examples,
    options: AlikeOptions | None = None,
    *,
    annotated: Annotated | None = None,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Compared:
    """What may be like the examples, as :func:`find_alike` has it, before anything is decided.

    Kept by who may want to decide otherwise: :func:`decide_alike` needs no network. Examples
    decide here only at which further places something is looked for.
    """
    options = options or AlikeOptions()
    cache = EmbeddingCache() if cache is None else cache
    sized = replace(options, cell_size=options.cell_size or examples.diameter)
    tiling = choose_tiling(predictor, stack, frame, sized, cache)
    if tiling is None:
        given = (predictor, stack, frame, examples, options)
        return _propose_at_once(*given, annotated, cache, progress)
    found: list[FoundObject] = []
    looks = [examples.looks[:0].astype(np.float16)]
    for tile, part in tile_parts(predictor, stack, frame, tiling, options, cache, progress):
        top, left, bottom, right = tile.window
        labelled = None if annotated is None else annotated[top:bottom, left:right]
        in_tile = (predictor, part, frame, examples, in_tiles(options), labelled, cache)
        here = _propose_at_once(*in_tile)
        found += [replace(each.moved(top, left), tile=tile) for each in here.found]
        looks.append(here.looks)
    return Compared(tuple(found), np.concatenate(looks))


def _propose_at_once(
    predictor: Predictor,
    stack: FrameStack,
    frame: FrameIndex,
    examples: Examples,
    options: AlikeOptions,
    annotated: Annotated | None,
    cache: EmbeddingCache,
    progress: Progress | None = None,
) -> Compared:
    """What may be like the examples in a frame, or a part of one, that is encoded as a whole."""
    embedding = cache.embed(predictor, stack, frame).embedding
    found: list[FoundObject] = []
    network = predictor.model.network
    if options.method != "auto" or choose_method(options, network) == "seeds":
        steps = propose_at_once(predictor, stack, frame, options, cache, progress)
        found = [each for each in steps if each.area]
    looks = looks_of(embedding, [(each.window, each.mask) for each in found])
    compared_ = Compared(tuple(found), looks.astype(np.float16))
    covered = np.zeros(embedding.frame_shape, bool)
    if annotated is not None:
        covered |= annotated[:, :] > 0
    if options.within is not None:
        covered |= ~polygon_mask(np.array(options.within), embedding.frame_shape)
    for each in decide_alike(compared_, examples, options, embedding.frame_shape, annotated):
        if each.dropped is None:
            covered[each.where] |= each.mask
    reach = 1.0 if found else ALONE
    further = _further(predictor, embedding, examples, options, covered, reach)
    shown = stack.frame(frame)
    found += [each.seen_in(shown, embedding.frame_shape) for each in further.found]
    return Compared(tuple(found), np.concatenate([compared_.looks, further.looks]))


def decide_alike(
    proposals: Compared,
    examples: Examples,
    options: AlikeOptions,
    frame_shape: tuple[int, int],
    annotated: Annotated | None = None,
) -> list[FoundObject]:
    """Say of each proposal of one frame whether it stands, or why not, as `decide` does."""
    found = compared(proposals.found, proposals.looks, examples)
    return decide(found, options, frame_shape, annotated)


def _middle(window: Window, mask: NDArray[np.bool_]) -> Point:
    """The deepest pixel of a mask, yx in the frame."""
    y, x = interior_point(mask) or (0.0, 0.0)
    return window[0] + y, window[1] + x


def _clicks(
    predictor: Predictor, embedding: Embedding, examples: Examples, options: AlikeOptions
) -> Clicks:
    """What decodes clicks in a frame: where there is a pyramid, at the level for that size."""
    network, device = predictor.model.network, predictor.model.device
    if isinstance(network, Pocket) and network.maps is not None:
        looking = Looking(network, device, embedding)
        extent = examples.diameter * max(looking.scale)
        levels = network.config.levels
        fits = (n for n, shrink in enumerate(levels) if extent <= network.config.fit * shrink)
        level = next(fits, len(levels) - 1)
        floor, _ = options.floors("seeds")
        return lambda points: chain(*looking.click(points, level, floor))
    worth = Worth("grid", *options.floors("grid"), options.grid.stability_score_offset)
    place = Place(embedding.frame_shape)
    return lambda points: chain(*decode_points(predictor, embedding, points, worth, place))


def _further(
    predictor: Predictor,
    embedding: Embedding,
    examples: Examples,
    options: AlikeOptions,
    covered: NDArray[np.bool_],
    reach: float,
) -> Compared:
    """What further places bring, each clicked once."""
    found: list[FoundObject] = []
    looks = [examples.looks[:0]]
    if options.most_places:
        click = _clicks(predictor, embedding, examples, options)
        places = Places(embedding, examples, covered, reach)
        left = options.most_places
        while points := places.take(min(left, AT_ONCE)):
            left -= len(points)
            new = [each for each in click(points) if each.area]
            seen = looks_of(embedding, [(each.window, each.mask) for each in new])
            for each in compared(new, seen, examples):
                if (each.likeness or 0) >= options.min_likeness:
                    places.cover(each)
            found += new
            looks.append(seen)
    return Compared(tuple(found), np.concatenate(looks).astype(np.float16))
