"""The pictures of the documentation, from the running program. `make docs` runs this.

Names of pictures, without their ending, make these alone: `make docs PICTURES="labels window"`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from make_glossary import candidates_picture, in_a_row, labels_picture, prompts_picture
from PIL import Image

from napari_sam import FrameStack, Predictor, Prompts, load_model, overlay
from napari_sam.demo import SCENES, Scene, draw, photograph_apart, show
from napari_sam.engine import (
    AutomaticOptions,
    GridRules,
    Labelled,
    find_alike,
    find_objects,
    read_examples,
    to_labels,
)
from napari_sam.formats import export

PICTURES = Path(__file__).resolve().parent / "pictures"

NUCLEUS = Prompts.from_points([(258, 366)])
CORRECTION = (NUCLEUS, NUCLEUS.with_point((233, 357), 0).with_point((266, 384), 0))
EXAMPLES = ((45, 38), (45, 100), (270, 40))  # coins
AROUND = (320, 195, 430, 305)  # x0, y0, x1, y1: the part of the tissue that is shown


def main(names: list[str]) -> None:
    """Write the pictures of these names into docs/pictures; all of them where none is given."""
    PICTURES.mkdir(exist_ok=True)
    predictor = Predictor(load_model("pocket"))
    windows = ("window", "propagate", "automatic-page", "classes", "results-page")
    windows += ("folder", "prompting", "reviews", "page", "batch")
    for name in names or (*MAKERS, *windows):
        if name == "window":
            problem = photograph_apart(PICTURES / "window.png")
            if problem is not None:
                sys.exit(f"no picture of the window: {problem}")
        elif name == "propagate":
            in_a_window("make_movie.py", PICTURES / "propagate.gif")
        elif name == "automatic-page":
            in_a_window("make_automatic.py", PICTURES / "automatic-page.png")
        elif name == "classes":
            in_a_window("make_classes.py", PICTURES / "classes.png")
        elif name == "folder":
            in_a_window("make_folder.py", PICTURES / "folder.png")
        elif name == "batch":
            in_a_window("make_batch.py", PICTURES / "batch.png")
        elif name == "prompting":
            in_a_window("make_prompting.py", PICTURES / "prompting.png")
        elif name == "results-page":
            in_a_window("make_results.py", PICTURES / "results-page.png")
        elif name == "reviews":
            in_a_window("make_reviews.py", PICTURES / "reviews.png")
        elif name == "page":
            in_a_window("make_page.py", PICTURES / "page.png")
        else:
            save(MAKERS[name](predictor), name)


def demonstration(scene: Scene) -> Callable[[Predictor], Image.Image]:
    """How a picture of the demonstration is made."""
    return lambda predictor: draw(show(scene, predictor))


def correction(predictor: Predictor) -> Image.Image:
    """One nucleus before and after its correction."""
    return in_a_row([nucleus(prompts, predictor) for prompts in CORRECTION])


def automatic(predictor: Predictor) -> Image.Image:
    """All coins, found without a click."""
    stack = FrameStack.from_array(SCENES[1].image())
    rules = GridRules(points_per_side=12)
    options = AutomaticOptions(method="grid", min_score=0.6, min_stability=0.7, grid=rules)
    labels = to_labels(find_objects(predictor, stack, stack.index(), options), stack.frame_shape)
    picture = Image.fromarray(overlay(stack.frame(stack.index(), long_side=None), labels))
    return picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.NEAREST)


def alike(predictor: Predictor) -> Image.Image:
    """Three coins, and all that are like them."""
    stack = FrameStack.from_array(SCENES[1].image())
    index = stack.index()
    embedding = predictor.encode(stack.frame(index))
    examples = np.zeros(stack.frame_shape, np.uint16)
    for n, point in enumerate(EXAMPLES, start=1):
        examples[predictor.predict(embedding, Prompts.from_points([point])).mask()] = n
    looks = read_examples(predictor, stack, index, examples)
    found = find_alike(predictor, stack, index, looks, annotated=examples)
    both = examples + to_labels(found, stack.frame_shape, first_id=len(EXAMPLES) + 1)
    frame = stack.frame(index, long_side=None)
    return in_a_row([Image.fromarray(overlay(frame, labels)) for labels in (examples, both)])


def cutouts(predictor: Predictor) -> Image.Image:
    """Six coins as the format `cutouts` writes them, on white."""
    found = show(SCENES[1], predictor)
    objects = Labelled.of(found.labels)
    stack = FrameStack.from_array(SCENES[1].image())
    with tempfile.TemporaryDirectory() as folder:
        export(objects, Path(folder) / "coins", "cutouts", image=stack)
        parts = []
        for path in sorted(Path(folder, "coins").iterdir())[:6]:
            with Image.open(path) as part:
                white = Image.new("RGB", part.size, "white")
                white.paste(part, mask=part.getchannel("A"))
                size = (2 * part.width, 2 * part.height)
                parts.append(white.resize(size, Image.Resampling.NEAREST))
    return in_a_row(parts)


def in_a_window(script: str, path: Path) -> None:
    """Let a script write a picture of the window, on a virtual display where there is one."""
    command = [sys.executable, str(Path(__file__).with_name(script)), str(path)]
    xvfb_run = shutil.which("xvfb-run")
    if xvfb_run:
        command = [xvfb_run, "-a", "-s", "-screen 0 1600x1000x24", *command]
    subprocess.run(command, check=True)


def nucleus(prompts: Prompts, predictor: Predictor) -> Image.Image:
    """One nucleus of the tissue with its prompts, four times enlarged."""
    tissue = draw(show(Scene("immunohistochemistry", (prompts,)), predictor), long_side=2048)
    return tissue.crop(tuple(4 * edge for edge in AROUND))


def save(picture: Image.Image, name: str) -> None:
    """Write one picture, in 200 colours to keep the repository small."""
    few = picture.quantize(200, Image.Quantize.MAXCOVERAGE)
    few.save(PICTURES / f"{name}.png", optimize=True)


MAKERS: dict[str, Callable[[Predictor], Image.Image]] = {
    **{scene.name: demonstration(scene) for scene in SCENES[1:]},
    "alike": alike,
    "automatic": automatic,
    "correction": correction,
    "cutouts": cutouts,
    "prompts": prompts_picture,
    "candidates": candidates_picture,
    "labels": labels_picture,
}

main(sys.argv[1:])
