"""Options and arguments that several commands have, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from napari_sam.engine import (
    EncodingChoice,
    ImageChoice,
    ModelChoice,
    OptionField,
    options_of,
    read_options,
)

from .printing import tell

if TYPE_CHECKING:
    from napari_sam.engine import FrameStack, Predictor
    from napari_sam.training import Item

Command = Callable[..., None]


def typer_option(field: OptionField) -> Any:
    """An option of a command as a field of a job's config says it."""
    name, choices = field.name.replace("_", "-"), field.option.choices
    yes = f"--{name}/--no-{name}" if field.kind is bool else f"--{name}"
    return typer.Option(
        yes,
        *field.option.also,
        metavar="|".join(map(str, choices)) if choices else field.option.metavar or None,
        help=field.option.help,
    )


def as_parameter(field: OptionField) -> Parameter:
    """An option as a keyword of a command."""
    kind: Any = list[field.kind] if field.is_many else field.kind  # type: ignore[name-defined]
    return Parameter(
        field.name,
        Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[kind | None if field.is_optional else kind, typer_option(field)],
    )


def takes_options(command: Command) -> Command:
    """Replace each config among a command's parameters by its options: the command gets configs."""
    hints = get_type_hints(command, include_extras=True)
    configs = {name: each for name, each in hints.items() if is_dataclass(each)}

    @wraps(command)
    def run(**given: Any) -> None:
        for name, config in configs.items():
            chosen = {option: given.pop(option) for option in options_of(config)}
            given[name] = read_options(cast(type, config), chosen)
        command(**given)

    parameters: list[Parameter] = []
    for name, each in signature(command).parameters.items():
        if name in configs:
            parameters += map(as_parameter, options_of(configs[name]).values())
        else:
            parameters += [each.replace(annotation=hints[name], kind=Parameter.KEYWORD_ONLY)]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


_OF_IMAGE, _OF_MODEL = options_of(ImageChoice), options_of(ModelChoice)
Axes = Annotated[str | None, typer_option(_OF_IMAGE["axes"])]
SeriesName = Annotated[str | None, typer_option(_OF_IMAGE["series"])]
Model = Annotated[str, typer_option(_OF_MODEL["model"])]
Models = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="As for segment; give it several times to compare.  [default: pocket]"
    ),
]
Device = Annotated[str, typer_option(_OF_MODEL["device"])]
Precision = Annotated[str, typer_option(_OF_MODEL["precision"])]
Frames = Annotated[str, typer_option(options_of(EncodingChoice)["frames"])]
LabelsOut = Annotated[
    Path,
    typer.Option(
        metavar="FILE", help="File for the labels: .tif (an existing file is replaced) or .zarr."
    ),
]
Overlay = Annotated[
    Path | None,
    typer.Option(
        metavar="OUT.png", help="Also write a picture of the (first) frame with its objects."
    ),
]
LEFT_OUT = 3  # exit code: of several images some could not be used, the others were

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout instead of a table.")]


def read_stack(path: Path, choice: ImageChoice) -> tuple[FrameStack, str | None]:
    """An image file as frames, and the names of its axes without that of colours."""
    from napari_sam.engine import FrameStack, open_image

    opened = open_image(path, series=choice.series, axes=choice.axes)
    if opened.others:
        tell(f"{path} holds {opened.others}: the first is read. Choose another with --series.")
    stack = FrameStack.from_array(opened.data, axes=opened.axes, channel=choice.channel)
    letters = opened.axes or ""
    colours = stack.colour_axis
    return stack, (letters and "".join(a for n, a in enumerate(letters) if n != colours)) or None


def picture_format(path: Path) -> str:
    """The picture format of a file's name; checked before the computation."""
    from PIL import Image

    from napari_sam.engine import FrameError

    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP"):
        raise FrameError(f"{path.name} is not the name of a picture. Choose one that ends in .png.")
    return kind


def tell_left_out(reasons: Sequence[str], n_all: int) -> None:
    """Print, at the end of a run over many files, those that could not be used."""
    if reasons:
        tell(f"{len(reasons)} of {n_all} images were left out:")
        for reason in reasons:
            tell(reason)


def open_predictor(choice: ModelChoice, *, compiled: bool = False) -> Predictor:
    """A model ready to predict; its notices are printed."""
    from napari_sam.engine import Predictor, load_model

    loaded = load_model(
        choice.model, device=choice.device, precision=choice.precision, compiled=compiled
    )
    for notice in loaded.notices:
        tell(notice)
    return Predictor(loaded)


def numbers(option: str, text: str, wanted: str, counts: tuple[int, ...]) -> tuple[float, ...]:
    """The numbers in an option's value such as "30,40"."""
    from napari_sam.engine import PromptError

    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in counts:
        raise PromptError(f"{option} {text} cannot be read. Write {wanted}, such as 120,45.5.")
    return values


def whole_numbers(frame: str) -> list[int]:
    """The positions in a --frame such as "7,12"."""
    from napari_sam.engine import FrameError

    try:
        return [int(part) for part in frame.split(",")]
    except ValueError as error:
        raise FrameError(f"--frame {frame} cannot be read. Write T or T,Z: 7 or 7,12.") from error


def weights_file(model: str) -> Path | None:
    """The file that a --model is, unless it is a name."""
    return Path(model) if Path(model).is_file() else None


def files_of(data: Path, items: Iterable[Item]) -> tuple[Path, ...]:
    """The files of a folder of annotated images that are read, and must not be overwritten."""
    return (data / "index.json", *(path for item in items for path in (item.image, item.labels)))


def check_outputs(inputs: Iterable[Path | None], labels: Path | None, *others: Path | None) -> None:
    """Check before the computation that the outputs can be written and destroy no input.

    Existing files that are not inputs are replaced, as when a script runs again.

    Parameters
    ----------
    inputs
        Files and folders that are read, including everything in a folder.
    labels, others
        Files that will be written.
    """
    from napari_sam.engine import SamError, check_labels_path, check_name

    outputs = [path for path in (labels, *others) if path is not None]
    read = [given for given in inputs if given is not None and given.exists()]
    for n, output in enumerate(outputs):
        check_name(output)
        if not output.parent.is_dir():
            raise SamError(f"There is no folder {output.parent}. Make it, or write elsewhere.")
        if any(_is_same(output, other) for other in outputs[:n]):
            raise SamError(f"Two results would be written to {output}. Give each its own file.")
        for given in read:
            if _is_same(output, given):
                as_well = "" if output == given else f"the same file as {given}, "
                raise SamError(
                    f"{output} is {as_well}an input of this command, and would be overwritten. "
                    "Write to another file."
                )
            inside = given.is_dir() and any(_is_same(f, given) for f in output.resolve().parents)
            if inside:
                raise SamError(
                    f"{output} is inside {given}, an input of this command. Write it elsewhere."
                )
        if output is not labels and output.is_dir():
            raise SamError(f"{output} is a folder. Give the name of a file.")
    if labels is not None:
        check_labels_path(labels)


def _is_same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file or folder, through any links."""
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()
