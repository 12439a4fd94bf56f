"""Kill a save at each of its steps in turn and say what is on disk afterwards.

A process of its own, which forks: `python killed_saves.py FOLDER` prints a JSON list of "old" and
"new", one for each step at which the saving process was killed, the last for the one that lived.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from annotating import CLICK, frame, land, new_session, new_stack, square, state
from napari_sam.session import Autosave, Session, load, save

WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.listdir", "os.scandir")


def worked_on(session: Session) -> None:
    """New, changed and emptied frames."""
    land(session, 2, 1, CLICK, square(3, 3))
    land(session, 1, 0, CLICK.with_point((5, 5)), square(1, 1, side=4))
    session.edit(3, frame(2), type(CLICK)())
    session.parents = {2: (1,)}


def save_until(folder: Path, step: int) -> bool:
    """Save in a child process that is killed at a step; whether it came to its end before."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WIFEXITED(status)
    session = load(folder, new_stack())
    autosave = Autosave(session, folder)
    worked_on(session)
    snapshot = autosave.snapshot()
    seen = iter(range(step))

    def kill(event: str, arguments: tuple[object, ...]) -> None:
        if event in WATCHED and str(folder) in str(arguments[0]) and next(seen, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    autosave.write(snapshot)
    os._exit(0)


def main(root: Path) -> None:
    session = new_session()
    for object_id, t in ((1, 0), (3, 2)):
        land(session, object_id, t, CLICK, square(t, t))
    save(session, root / "old.napari-sam")
    states = {"old": state(session)}
    worked_on(session)
    states["new"] = state(session)
    found, done = [], False
    while not done:
        folder = root / f"{len(found)}.napari-sam"
        shutil.copytree(root / "old.napari-sam", folder)
        done = save_until(folder, len(found))
        opened = load(folder, new_stack())
        found.append(next((name for name, s in states.items() if s == state(opened)), "neither"))
        land(opened, 9, 3, CLICK, square(0, 0))
        save(opened, folder)  # the lock of the dead is no obstacle
        assert state(load(folder, new_stack())) == state(opened)
        named = set().union(*(files.named for files in opened.saved.files.values()))
        assert {f"frames/{path.name}" for path in (folder / "frames").iterdir()} == named
    print(json.dumps(found))  # noqa: T201 what the test reads


if __name__ == "__main__":
    main(Path(sys.argv[1]))
