"""A folder of small images and a network of a few kilobytes, for batches that take a second."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import tifffile
import yaml

from checkpoints import small_state
from napari_sam.batch import Recipe, read_recipe
from small_runs import disks

QUICK = {
    "method": "grid",
    "points_per_side": 2,
    "min_score": 0.0,
    "min_stability": 0.0,
    "overlap": 1.0,
}


def write_model(folder: Path) -> Path:
    """A tiny network that was never trained: its masks mean nothing, and are always the same."""
    path = folder / "tiny.safetensors"
    safetensors.torch.save_file(small_state(1), path)
    return path


def write_images(folder: Path, n: int) -> list[Path]:
    """Images with bright disks, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"cells_{seed:02d}.tif" for seed in range(n)]
    for seed, path in enumerate(paths):
        tifffile.imwrite(path, disks(seed, 2).image[..., 0])
    return paths


def write_recipe_file(folder: Path, **more: object) -> Path:
    """A recipe for these images, with further keys or others."""
    record = {
        "images": "images/*.tif",
        "model": {"model": "tiny.safetensors"},
        "automatic": QUICK,
        "measure": {},
        "out": "results",
    }
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in (record | more).items() if v is not None}))
    return path


def batch_folder(folder: Path, n: int, **more: object) -> Recipe:
    """A recipe with its model and n images."""
    write_model(folder)
    write_images(folder / "images", n)
    return read_recipe(write_recipe_file(folder, **more))


def results_in(folder: Path) -> dict[str, bytes]:
    """All files of results but the records, which say how long it took, and marks of tries."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and path.name != "record.json"
        and not {"report", ".tries"} & {*path.parts}
    }
