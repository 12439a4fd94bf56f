"""A process that reads damaged inputs one after the other, and says how each ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import foreign
import inputs
import saved

CLEAN_CODES = (0, 1, 2, 3)  # done, refused, not understood, some of several left out


def read(path: Path) -> None:
    """What the program does with an image file: as an image, and as labels."""
    from napari_sam.engine import FrameStack, SamError, read_image, read_labels

    with contextlib.suppress(SamError):
        labels, _ = read_labels(path)
        _ = labels[(0,) * (len(labels.shape) - 2)]
    data, axes = read_image(path)
    stack = FrameStack.from_array(data, axes=axes)
    first = stack.index(*[0] * (stack.ndim - 2))
    last = stack.index(*[stack.shape[n] - 1 for n in range(stack.ndim) if first[n] is not None])
    for index in (first, last):
        stack.frame(index)


def outcome_of(kind: str, given: Path | list[str]) -> tuple[str, str]:
    """How it ended, and what was said: read, refused, or in another way."""
    from napari_sam.engine import SamError, read_prompts

    try:
        if isinstance(given, list):
            return run(given) if kind == "arguments" else run_apart(given)
        readers = {"table": read_prompts, "foreign": foreign.read, **saved.READERS}
        readers.get(kind, read)(given)
    except SamError as error:
        said = str(error)
        return ("refused" if said.strip() and "\n" not in said else "unclean"), said
    except Exception:  # noqa: BLE001 it is what is looked for
        return "unclean", traceback.format_exc()
    return "read", ""


def run(arguments: list[str]) -> tuple[str, str]:
    """A command in this process."""
    from napari_sam.cli import main

    sys.argv = ["napari-sam", *arguments]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            main()
    except SystemExit as ended:
        return ended_with(ended.code or 0, said.getvalue())
    return "read", ""


def run_apart(arguments: list[str]) -> tuple[str, str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "napari_sam", *arguments]
    if any("\0" in word for word in command):  # no process can be given that
        return "refused", ""
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended_with(ended.returncode, ended.stderr)


def ended_with(code: object, said: str) -> tuple[str, str]:
    """How a command ended: with a code that is known, and what is refused in a sentence."""
    own = [line for line in said.splitlines() if line.startswith("napari-sam: ")]
    is_clean = code in CLEAN_CODES and "Traceback" not in said and (code != 1 or own)
    if not is_clean:
        return "unclean", f"exit code {code}: {said}"
    return ("refused" if code else "read"), said


def peak_mb() -> float:
    """The most memory this process had since :func:`forget_peak`."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def forget_peak() -> None:
    """Begin to measure again (man 5 proc)."""
    Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Inputs by kind and number on stdin, a line of JSON for each on stdout."""
    seed = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    is_warm = False  # whether a command has imported what commands need
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_SAM_EMBEDDINGS"] = f"{folder}/embeddings"
        os.environ["XDG_CACHE_HOME"] = os.environ["XDG_DATA_HOME"] = folder
        place = Path(folder, "input")
        for line in sys.stdin:
            kind, number = json.loads(line)
            given = inputs.make(kind, number, seed, place)
            os.chdir(place)
            if kind == "arguments" and not is_warm:
                outcome_of(kind, ["segment", "a.tif", "--point", "3,4", "--out", "warm.tif"])
                is_warm = True
            forget_peak()
            before = peak_mb()
            outcome, said = outcome_of(kind, given)
            answers.write(json.dumps([outcome, said, peak_mb() - before]) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
