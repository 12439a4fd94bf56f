"""The pictures of the documentation, from the running program. `make docs` runs this."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

from napari_sam import Predictor, Prompts, load_model
from napari_sam.demo import SCENES, Scene, draw, photograph_apart, show

PICTURES = Path(__file__).resolve().parent / "pictures"

NUCLEUS = Prompts.from_points([(258, 366)])
CORRECTION = (NUCLEUS, NUCLEUS.with_point((233, 357), 0).with_point((266, 384), 0))
AROUND = (320, 195, 430, 305)  # x0, y0, x1, y1: the part of the tissue that is shown


def main() -> None:
    """Write every picture into docs/pictures."""
    PICTURES.mkdir(exist_ok=True)
    predictor = Predictor(load_model("pocket"))
    for scene in SCENES[1:]:
        save(draw(show(scene, predictor)), scene.name)
    before, after = (correction(prompts, predictor) for prompts in CORRECTION)
    pair = Image.new("RGB", (2 * before.width + 12, before.height), "white")
    pair.paste(before, (0, 0))
    pair.paste(after, (before.width + 12, 0))
    save(pair, "correction")
    problem = photograph_apart(PICTURES / "window.png")
    if problem is not None:
        sys.exit(f"no picture of the window: {problem}")
    film(PICTURES / "propagate.gif")


def film(path: Path) -> None:
    """The animated picture, on a virtual display where there is one."""
    command = [sys.executable, str(Path(__file__).with_name("make_movie.py")), str(path)]
    xvfb_run = shutil.which("xvfb-run")
    if xvfb_run:
        command = [xvfb_run, "-a", "-s", "-screen 0 1600x1000x24", *command]
    subprocess.run(command, check=True)


def correction(prompts: Prompts, predictor: Predictor) -> Image.Image:
    """One nucleus of the tissue with its prompts, four times enlarged."""
    tissue = draw(show(Scene("immunohistochemistry", (prompts,)), predictor), long_side=2048)
    return tissue.crop(tuple(4 * edge for edge in AROUND))


def save(picture: Image.Image, name: str) -> None:
    """Write one picture, in 200 colours to keep the repository small."""
    picture.quantize(200).save(PICTURES / f"{name}.png", optimize=True)


main()
