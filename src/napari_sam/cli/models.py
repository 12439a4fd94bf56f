"""`napari-sam models …`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from napari_sam.graphs import OnnxOptions

from .options import Json, takes_options
from .printing import print_table, progress_bar, tell

app = typer.Typer(help="List, download, check and add models.", no_args_is_help=True)


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List all models: is it here, its size, licence, what it suits.

    Those that can be downloaded, and your own.
    """
    from napari_sam.engine import known_models, model_state

    entries = known_models()
    if as_json:
        typer.echo(json.dumps([{**asdict(e), "state": model_state(e)} for e in entries], indent=2))
        return
    rows = [(e.name, model_state(e), e.size, e.licence, e.suits) for e in entries]
    print_table(("model", "state", "size", "licence", "suits"), rows)


@app.command("get")
def get_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that `models list` shows.")],
) -> None:
    """Download a model, or tell where it is.

    After a stop, the same command resumes.
    """
    from napari_sam.engine import fetch

    with progress_bar(name, "B") as progress:
        path = fetch(name, progress=progress)
    typer.echo(str(path))


@app.command("check")
def check_models(as_json: Json = False) -> None:
    """Read every model that is here, to find damaged files.

    The exit code is 1 if one is damaged.
    """
    from napari_sam.engine import check

    checks = list(check())
    if as_json:
        rows = [{**asdict(result), "path": str(result.path)} for result in checks]
        typer.echo(json.dumps(rows, indent=2))
    else:
        states = {True: "whole", False: "damaged"}
        print_table(
            ("model", "state", "file"), [(c.name, states[c.whole], str(c.path)) for c in checks]
        )
    if not all(result.whole for result in checks):
        tell("A damaged file is never used. Delete it and fetch it again: napari-sam models get.")
        raise typer.Exit(1)


@app.command("add")
def add_model(
    path: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A model's weights: .pth, .pt or .safetensors."),
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="What to call it.")],
) -> None:
    """Keep a model of your own, or one downloaded by hand.

    It is copied, and found by its name from then on: in the window, and by --model.
    """
    from napari_sam.engine import register

    typer.echo(str(register(path, name)))


@app.command("onnx")
@takes_options
def write_onnx(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its file.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder to be made.")],
    options: OnnxOptions,
) -> None:
    """Write a model's encoder and decoder as ONNX, for programs without PyTorch.

    They are run and compared with PyTorch first. A README says what goes in and comes out.
    """
    from napari_sam.engine import load_model, readable_size
    from napari_sam.graphs import export_onnx

    model = load_model(name, device="cpu", precision="fp32")
    found = export_onnx(model, out, options)
    for path in sorted(out.glob("*.onnx*")):
        typer.echo(f"{path}  {readable_size(path.stat().st_size)}")
    typer.echo(
        f"lowest IoU of a mask with PyTorch's {found.iou:.4f}, largest error {found.error:.1e}"
    )
