"""`napari-sam embed` and `napari-sam cache`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from napari_sam.engine import EncodingChoice, ImageChoice

from .options import (
    LEFT_OUT,
    Json,
    check_outputs,
    open_predictor,
    read_stack,
    takes_options,
    tell_left_out,
)
from .printing import one_line, print_table, progress_bar, tell

if TYPE_CHECKING:
    from napari_sam.engine import (
        Embedded,
        EmbeddingCache,
        EmbeddingStore,
        FrameStack,
        Predictor,
    )
    from napari_sam.headless import Chosen

TOLD_EVERY_S = 60  # how often a log without a terminal hears how far it is


@dataclass(frozen=True)
class Done:
    """The result for one image."""

    image: str
    frames: int
    encoded: int
    found: int  # on disk before
    seconds: float


@takes_options
def embed(
    images: Annotated[
        list[Path],
        typer.Argument(metavar="IMAGE", help="TIFF, PNG, JPEG or Zarr; one or many."),
    ],
    *,
    choice: EncodingChoice,
    reading: ImageChoice,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the embeddings of one image for models of your own: .npy or .zarr.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Encode frames ahead, overnight or on a cluster.

    A click needs an encoded frame, which takes a large model seconds. The window and segment use
    these embeddings, for the same model, precision and channel. Existing embeddings are skipped:
    after a stop, the same command resumes. An image that cannot be read is left out; the others
    are encoded, a list at the end says why, and the exit code is 3.
    """
    from napari_sam.engine import EmbeddingCache, FrameError
    from napari_sam.headless import choose_frames, parse_frames

    if out is not None:
        write_out(images, out, choice, reading, as_json=as_json)
        return
    spans = parse_frames(choice.frames)
    left_out: list[str] = []
    store = open_store()
    cache = EmbeddingCache(store=store)
    predictor = open_predictor(choice, compiled=choice.compiled)
    results: list[Done] = []
    for path in images:
        try:
            stack, _ = read_stack(path, reading)
            check_size(stack)
            chosen = choose_frames(stack, spans)
            before = sum(done.frames for done in results)
            results.append(embed_image(path, cache, predictor, stack, chosen, before))
        except (FrameError, OSError) as error:
            said = one_line(error)
            left_out.append(said if path.name in said else f"{path.name}: {said}")
    report(results, predictor, store, as_json=as_json)
    if len(images) == 1 and left_out:
        raise FrameError(left_out[0])
    tell_left_out(left_out, len(images))
    if left_out:
        raise typer.Exit(LEFT_OUT if results else 1)


def write_out(
    images: list[Path], out: Path, choice: EncodingChoice, reading: ImageChoice, *, as_json: bool
) -> None:
    """Write the embeddings of one image into a file."""
    from napari_sam.engine import EmbeddingCache, SamError
    from napari_sam.headless import choose_frames, parse_frames
    from napari_sam.headless.embeddings import (
        about_path,
        check_embeddings_path,
        write_embeddings,
    )

    if len(images) > 1:
        raise SamError(f"--out is for one image, {len(images)} are given. Write each by itself.")
    spans = parse_frames(choice.frames)
    check_embeddings_path(out)
    is_folder = out.suffix.lower() == ".zarr"
    check_outputs(images, None, out, None if is_folder else about_path(out))
    stack, _ = read_stack(images[0], reading)
    frames = choose_frames(stack, spans)
    predictor = open_predictor(choice, compiled=choice.compiled)
    cache = EmbeddingCache(limit_bytes=0, store=open_store())
    with progress_bar(images[0].name, " frames") as progress:
        shape = write_embeddings(out, stack, predictor, frames, cache=cache, progress=progress)
    if as_json:
        model = {"model": predictor.model.name, "hash": predictor.model.hash}
        typer.echo(json.dumps({**model, "out": str(out), "shape": shape}, indent=2))
        return
    n = len(frames)
    size = " × ".join(map(str, shape[-3:]))
    typer.echo(f"{n} frame{'' if n == 1 else 's'}, {size} numbers each, in {out}")


def show_cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all of them; they can be made again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show or clear the embeddings (encoded frames) on disk.

    Where they are, how many, how much room they take. The environment variable
    NAPARI_SAM_EMBEDDINGS names another folder, NAPARI_SAM_EMBEDDINGS_GB another limit.
    """
    from napari_sam.engine import SamError

    store = open_store()
    if clear:
        store.clear()
        if len(store):
            raise SamError(f"{len(store)} embeddings in {store.folder} could not be removed.")
    about = describe_store(store)
    if as_json:
        typer.echo(json.dumps(about, indent=2))
        return
    from napari_sam.engine import readable_size

    sizes = [readable_size(n) if n else "0 MB" for n in (store.nbytes, store.capacity)]
    row = (str(about["folder"]), str(about["embeddings"]), *sizes)
    print_table(("folder", "embeddings", "size", "limit"), [row])


def open_store() -> EmbeddingStore:
    """The embeddings on disk that the window uses too."""
    from napari_sam.engine import EmbeddingStore, store_settings

    settings = store_settings()
    return EmbeddingStore(settings.folder, settings.limit_bytes, tell)


def describe_store(store: EmbeddingStore) -> dict[str, str | int]:
    """A store as JSON has it."""
    return {
        "folder": str(store.folder),
        "embeddings": len(store),
        "bytes": store.nbytes,
        "limit_bytes": store.capacity,
    }


def embed_image(
    path: Path,
    cache: EmbeddingCache,
    predictor: Predictor,
    stack: FrameStack,
    indices: Chosen,
    n_before: int,
) -> Done:
    """Embed an image's frames, telling how far it is; `n_before` frames were embedded before."""
    from napari_sam.engine import embed_all

    encoded, start = 0, perf_counter()
    with tell_progress(path.name) as progress:
        for n, embedded in enumerate(embed_all(cache, predictor, stack, indices), start=1):
            if n == 1 or not embedded.nbytes:
                check_room(embedded, cache, n_before + len(indices))
            encoded += embedded.encoded
            progress(n, len(indices), encoded)
    found = len(indices) - encoded
    return Done(str(path), len(indices), encoded, found, round(perf_counter() - start, 3))


def check_size(stack: FrameStack) -> None:
    """Notice that a click would be looked at in a part of a frame, not in all of it."""
    from napari_sam.engine import FrameError, Prompts, crops_to_look_at, whole

    shape = stack.frame_shape
    crops = crops_to_look_at(Prompts.from_points([(shape[0] / 2, shape[1] / 2)]), shape)
    if crops and crops[0] != whole(shape):
        raise FrameError(
            f"A frame of {shape[0]} × {shape[1]} pixels is larger than what a network sees at "
            "once: clicks there look at parts of it, which are embedded as they are seen. Open it "
            "in napari: Embed all frames embeds the part on screen in every frame."
        )


def check_room(embedded: Embedded, cache: EmbeddingCache, n_frames: int) -> None:
    """Notice before a long night that its result will not be there in the morning."""
    from napari_sam.engine import SamError, readable_size

    store = cache.store
    if store is None or not embedded.nbytes:
        folder = "" if store is None else f" in {store.folder}"
        raise SamError(f"Embeddings cannot be kept{folder}, so it is useless to encode them ahead.")
    wanted = n_frames * embedded.nbytes
    if wanted > store.capacity:
        raise SamError(
            f"{n_frames} frames take about {readable_size(wanted)}, but {store.folder} may hold "
            f"{readable_size(store.capacity)}: the first would be removed for the last. Choose "
            "fewer --frames, free some space, or raise the limit in napari's preferences or by "
            "NAPARI_SAM_EMBEDDINGS_GB."
        )


@contextmanager
def tell_progress(title: str) -> Iterator[Callable[[int, int, int], None]]:
    """A bar on a terminal, now and then a line elsewhere; yields `progress(done, all, encoded)`."""
    from napari_sam.engine import time_left

    start = told = perf_counter()
    with progress_bar(title, " frames") as show:

        def progress(done: int, total: int, encoded: int) -> None:
            nonlocal told
            show(done, total)
            now = perf_counter()
            left = time_left(now - start, encoded, encoded + total - done)
            if left and now - told >= TOLD_EVERY_S and not sys.stderr.isatty():
                told = now
                tell(f"{title}: {done} of {total} frames are done, {left} left.")

        yield progress


def report(
    results: list[Done], predictor: Predictor, store: EmbeddingStore, *, as_json: bool
) -> None:
    """Print the results on stdout."""
    if as_json:
        model = predictor.model
        about = {"model": model.name, "hash": model.hash, "precision": model.precision}
        images = [asdict(done) for done in results]
        typer.echo(
            json.dumps({**about, "images": images, "cache": describe_store(store)}, indent=2)
        )
        return
    if not results:
        return
    rows = [
        (done.image, str(done.frames), str(done.encoded), str(done.found), f"{done.seconds:.1f}")
        for done in results
    ]
    print_table(("image", "frames", "encoded", "found", "seconds"), rows)
