"""More like these on annotated images, beside seeds and the classical tool.

    python benchmarks/alike.py ../shared/data [--frames 3] [--results alike.jsonl]

In each frame three objects are drawn at random as examples, two where there are fewer than six.
They are given to every tool as objects that are there already, and count neither as found nor as
missed. Then five mistakes are corrected by hand, two false objects removed and three missed ones
clicked, or drawn where a click misses an IoU of 0.5; and it is decided again: so much more than the
corrections themselves is gained. Frames whose results are in the file are not done again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from measuring import markdown
from napari_sam.engine import (
    AlikeOptions,
    EmbeddingCache,
    Examples,
    FrameStack,
    Predictor,
    Prompts,
    decide_alike,
    find_objects,
    interior_point,
    iou,
    load_model,
    looks_of,
    propose_alike,
    read_examples,
    to_labels,
)
from napari_sam.training import AnnotatedFrame, frames_of, match
from napari_sam.training.data import load_index
from napari_sam.training.evaluation.automatic import otsu_objects
from napari_sam.training.evaluation.matching import MATCHED
from napari_sam.training.evaluation.protocol import MIN_AREA
from napari_sam.training.pocket.split import SPLIT

N_EXAMPLES, FEWEST = 3, 4
N_REMOVED, N_CLICKED = 2, 3
TOOLS = ("classical", "seeds", "alike", "by hand", "corrected")

Labels = NDArray[np.integer]


def chosen_frames(folder: Path, n_frames: int) -> list[AnnotatedFrame]:
    """Of each source with all objects labelled a few frames with enough of them, at random.

    First one of each source, so that a run that is stopped says something of all of them.
    """
    rng = np.random.default_rng(0)
    items = load_index(folder)
    frames: list[tuple[int, AnnotatedFrame]] = []
    for source in sorted({item.source for item in items if item.complete} - SPLIT.natural):
        own = [item for item in items if item.source == source]
        order = [own[n] for n in rng.permutation(len(own))]
        found: list[AnnotatedFrame] = []
        for item in order:
            fit = [frame for frame in frames_of(item) if len(large_ids(frame.labels)) >= FEWEST]
            found += fit[:: max(1, len(fit) // 2)][: 1 if len(own) >= n_frames else n_frames]
            if len(found) >= n_frames:
                break
        frames += enumerate(found[:n_frames])
    return [frame for _, frame in sorted(frames, key=lambda each: each[0])]


def large_ids(labels: Labels) -> Labels:
    """The ids of objects that are no specks."""
    ids, areas = np.unique(labels, return_counts=True)
    return ids[(ids > 0) & (areas >= MIN_AREA)]


def measured(predictor: Predictor, frame: AnnotatedFrame, seed: int) -> dict[str, Any]:
    """What each tool finds in one frame: true objects, found ones, matched ones."""
    rng = np.random.default_rng(seed)
    truth, ids = frame.labels, large_ids(frame.labels)
    drawn = rng.choice(ids, min(N_EXAMPLES, len(ids) // 2), replace=False)
    given = np.where(np.isin(truth, drawn), truth, 0)
    stack, cache, options = FrameStack.from_array(frame.image), EmbeddingCache(), AlikeOptions()
    index, shape = stack.index(), truth.shape
    seeds = find_objects(predictor, stack, index, annotated=given, cache=cache)
    counts = {
        "classical": counted(truth, otsu_objects(frame.image), given > 0),
        "seeds": counted(truth, to_labels(seeds, shape), given > 0),
    }
    examples = read_examples(predictor, stack, index, given, cache=cache)
    proposals = propose_alike(
        predictor, stack, index, examples, options, annotated=given, cache=cache
    )
    found = decide_alike(proposals, examples, options, shape, given)
    labels = to_labels(found, shape)
    counts["alike"] = counted(truth, labels, given > 0)

    # Correct it
    standing = [each for each in found if each.dropped is None]
    matched = match(np.where(given > 0, 0, truth), labels)
    removed = some(rng, matched.false, N_REMOVED)
    clicked = some(rng, (*matched.rejected, *matched.never_proposed), N_CLICKED)
    embedding = cache.embed(predictor, stack, index).embedding
    unlike = [standing[n - 1] for n in removed]
    more, parts = given.copy(), [examples]
    for object_id in clicked:
        prompts = Prompts.from_points([interior_point(truth == object_id)])
        mask = predictor.predict(embedding, prompts).mask() & (more == 0)
        right = truth == object_id
        more[mask if iou(mask, right) >= MATCHED else right] = object_id
        parts.append(read_examples(predictor, stack, index, more, [object_id], cache=cache))
    looks = looks_of(embedding, [(each.window, each.mask) for each in unlike])
    joined = Examples.joined(parts).but_not(looks)
    again = decide_alike(proposals, joined, options, shape, more)
    added = np.where(given > 0, 0, more)
    for name, ids_found in (
        ("by hand", np.where(np.isin(labels, removed), 0, labels)),
        ("corrected", to_labels(again, shape)),
    ):
        both = np.where(added > 0, added + ids_found.max() + 1, ids_found)
        counts[name] = counted(truth, both, given > 0)
    return {"source": frame.source, "frame": str(frame.name), **counts}


def some(rng: np.random.Generator, ids: Sequence[int], n: int) -> list[int]:
    """At most n of them, drawn at random."""
    return [int(each) for each in rng.choice(ids, min(n, len(ids)), replace=False)] if ids else []


def counted(truth: Labels, found: Labels, gone: NDArray[np.bool_]) -> list[int]:
    """True, found and matched objects, but for those that lie mostly where something was given."""
    left = [np.where(np.isin(each, mostly(each, gone)), 0, each) for each in (truth, found)]
    result = match(*left).counts
    return [result.n_true, result.n_found, result.n_matched]


def mostly(labels: Labels, gone: NDArray[np.bool_]) -> Labels:
    """The ids of objects of which more than half lies there."""
    inside = np.bincount(labels[gone].ravel(), minlength=int(labels.max()) + 1)
    return np.flatnonzero(2 * inside > np.bincount(labels.ravel()))


def table(rows: Sequence[dict[str, Any]]) -> str:
    """F1 at an IoU of 0.5 of each source, and the means over sources, those kept out apart."""
    sources = sorted({row["source"] for row in rows})
    f1 = {
        source: [pooled([row[tool] for row in rows if row["source"] == source]) for tool in TOOLS]
        for source in sources
    }
    lines = [
        (f"{source}{' *' * (source in SPLIT.held_out)}", *(f"{value:.2f}" for value in values))
        for source, values in f1.items()
    ]
    for name, part in (
        ("**mean, seen in training**", [s for s in sources if s not in SPLIT.held_out]),
        ("**mean, kept out** (*)", [s for s in sources if s in SPLIT.held_out]),
        ("**mean of all**", sources),
    ):
        if part:
            means = np.mean([f1[source] for source in part], axis=0)
            lines.append((name, *(f"**{value:.3f}**" for value in means)))
    return markdown(("source", *TOOLS), lines)


def pooled(counts: Sequence[Sequence[int]]) -> float:
    """F1 of all objects of several frames."""
    n_true, n_found, n_matched = np.sum(counts, axis=0)
    return float(2 * n_matched / max(1, n_true + n_found))


def done_before(results: Path) -> Iterator[dict[str, Any]]:
    if results.exists():
        yield from map(json.loads, results.read_text().splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--frames", type=int, default=3, help="of each source, at most")
    parser.add_argument("--results", type=Path, default=Path("alike.jsonl"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    predictor = Predictor(load_model("pocket", device="cpu"))
    rows = list(done_before(given.results))
    done = {row["frame"] for row in rows}
    for seed, frame in enumerate(chosen_frames(given.data, given.frames)):
        if str(frame.name) not in done:
            rows.append(measured(predictor, frame, seed))
            with given.results.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
