"""The menu of the list of objects: delete, merge, split, swap, join, divide, link."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import get_args

from napari_sam.engine import FrameIndex, SamError
from napari_sam.plugin.layers.bridge import LayerBridge
from napari_sam.plugin.layers.label_colours import LabelColours
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.plugin.work import tasks
from napari_sam.plugin.work.jobs import BULK, Job
from napari_sam.session import Scope, Session, names_of, objects
from napari_sam.session.objects import End
from napari_sam.stacks import Links, make_links

from .controller import Controller, Window

SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}
LINK = "link"  # job slot


class ObjectActions(Controller):
    """Does with the objects chosen in the list what is picked from its menu.

    Parameters
    ----------
    panel
        The list and its menu.
    axis
        Gives the axis that "from here on" follows; ``None`` for the first.
    """

    def __init__(self, window: Window, panel: ObjectPanel, axis: Callable[[], int | None]) -> None:
        super().__init__(window)
        self._by_row = False  # the user clicked in the list last, not in the image
        self.mother: int | None = None  # of a division that waits for its daughters
        self._panel, self._axis = panel, axis
        panel.menu.picked.connect(self.do)
        panel.menu.aboutToShow.connect(self.show_possible)
        panel.zoom_clicked.connect(partial(self.do, "zoom"))
        panel.table.deleted.connect(partial(self.do, "delete everywhere"))
        panel.table.settled.connect(self._on_row)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the objects of a session."""
        self._bridge = bridge
        bridge.also_chosen.connect(self._panel.choose_also)
        bridge.delete_pressed.connect(self._on_delete)
        bridge.tools.pressed.connect(self._on_image)
        bridge.frame_changed.connect(self._on_image)

    def detach(self) -> None:
        """Let go of them."""
        if self._bridge is not None:
            self._bridge.also_chosen.disconnect(self._panel.choose_also)
            self._bridge.delete_pressed.disconnect(self._on_delete)
            self._bridge.tools.pressed.disconnect(self._on_image)
            self._bridge.frame_changed.disconnect(self._on_image)
            self._worker.cancel(LINK)
        self._bridge = self.mother = None

    def _on_row(self) -> None:
        self._by_row = True

    def _on_image(self, _: object = None) -> None:
        self._by_row = False

    def _on_delete(self) -> None:
        """Its key means whole objects after a click in the list, else what is seen in the image."""
        self.do("delete everywhere" if self._by_row else "delete here")

    def show_possible(self) -> None:
        """Enable what can be done with the objects chosen now."""
        self._panel.menu.allow(self._possible())
        if self._bridge is not None:
            self._panel.menu.name_objects(self._meant(self._bridge.session))

    def do(self, name: str) -> None:
        """Run one action of the menu; each is one step of undo."""
        bridge = self._bridge
        if bridge is None or bridge.frame is None:
            return
        if name == "link":
            self.link()
            return
        if name == "zoom":
            bridge.zoom_to(bridge.session.active)
            return
        session, chosen = bridge.session, self._chosen(bridge.session)
        action, _, scope = name.partition(" ")
        try:
            if action in ("hide", "show"):
                done = _hide_or_show(bridge.colours, action, chosen)
            else:
                done = self._do(action, scope, session, bridge.frame, chosen)
        except SamError as error:
            self._tell(error)
            return
        bridge.show_object()
        self._status.show_idle(done)

    def link(self) -> None:
        """Find out in the worker what the labels of all frames are as tracks, then make it so."""
        bridge = self._bridge
        if bridge is None or bridge.frame is None:
            return
        session = bridge.session
        first_id, parents = session.next_id(), dict(session.parents)
        job = Job(
            LINK,
            partial(tasks.link, session.labels, bridge.frame, self._axis(), first_id, parents),
            done=partial(self._on_linked, bridge, session.n_changes),
            failed=self._tell,
            progress=partial(self._status.show_busy, "Linking labels into tracks …"),
            priority=BULK,
        )
        self._status.show_busy("Linking labels into tracks …")
        self._worker.submit(job)

    def _on_linked(self, bridge: LayerBridge, n_changes: int, links: Links) -> None:
        session = bridge.session
        if bridge is not self._bridge:
            return
        if session.n_changes != n_changes:  # the labels have changed since they were read
            self.link()
            return
        try:
            make_links(session, links)
        except SamError as error:
            self._tell(error)
            return
        bridge.show_object()
        self._status.show_idle(_what_was_linked(links))

    def _possible(self) -> set[str]:
        if self._bridge is None or self._bridge.frame is None:
            return set()
        names = {"split", "mother", "zoom", "hide", *(f"delete {scope}" for scope in SCOPES)}
        session = self._bridge.session
        chosen = self._chosen(session)
        if len(chosen) > 1:
            names |= {f"merge {scope}" for scope in SCOPES}
        if len(chosen) == 2:
            names |= {"swap", "join"}
        if any(n > 1 for n in session.stack.shape[:-2]):
            names |= {"link", "trim first", "trim last"}
        if self._bridge.colours.has_hidden:
            names.add("show")
        if self.mother is not None:
            names.add("daughters")
        if session.active in session.parents:
            names.add("orphan")
        return names

    def _meant(self, session: Session) -> dict[str, str]:
        """The objects that the entries of the menu are about, as far as there are any."""
        chosen = self._chosen(session)
        meant = {
            "chosen": chosen,
            "first": chosen[:1],
            "second": chosen[1:2],
            "mother": [] if self.mother is None else [self.mother],
        }
        return {name: names_of(object_ids) for name, object_ids in meant.items() if object_ids}

    def _chosen(self, session: Session) -> Sequence[int]:
        """The current object, then the other selected ones."""
        others = [each for each in self._panel.chosen() if each != session.active]
        return [session.active, *others]

    def _do(
        self, action: str, scope: str, session: Session, frame: FrameIndex, chosen: Sequence[int]
    ) -> str:
        """Do it, and say what was done."""
        first, axis = chosen[0], self._axis()
        before = session.n_changes
        if action == "delete":
            objects.delete(session, chosen, frame, SCOPES[scope], axis)
        elif action == "trim":
            end: End = "first" if scope == "first" else "last"
            objects.trim(session, chosen, frame, end, axis)
        elif action == "merge":
            objects.merge(session, first, chosen[1:], frame, SCOPES[scope], axis)
        elif action == "swap":
            objects.swap(session, first, chosen[1], frame, axis)
        elif action == "join":
            objects.join(session, first, chosen[1], frame, axis)
        elif action == "orphan":
            objects.unlink(session, first)
        elif action == "split":
            return f"The parts are {names_of([first, *objects.split(session, first, frame)])} now."
        else:
            return self._divide(action, session, frame, chosen)
        if session.n_changes == before:
            return _nothing_to_do(action, scope, chosen)
        return _what_was_done(action, scope, chosen)

    def _divide(
        self, action: str, session: Session, frame: FrameIndex, chosen: Sequence[int]
    ) -> str:
        """First the mother, then her daughters."""
        if action == "mother" or self.mother is None:
            self.mother = chosen[0]
            return (
                f"Object {self.mother} divides. Go to its daughters, choose them (Ctrl+click), "
                f"then pick “Daughters of object {self.mother}”."
            )
        daughters = objects.divide(session, self.mother, self._panel.chosen(), frame, self._axis())
        mother, self.mother = self.mother, None
        self._panel.choose(daughters)
        return f"Object {mother} divided into {names_of(daughters)}."


def _where(scope: str) -> str:
    return "in this frame" if scope == "here" else scope


def _what_was_done(action: str, scope: str, chosen: Sequence[int]) -> str:
    """Of an action that changed something."""
    first, others = chosen[0], chosen[1:]
    if action == "delete":
        them = "it" if len(chosen) == 1 else "them"
        return f"Deleted {names_of(chosen)} {_where(scope)}. Ctrl+Z brings {them} back."
    if action == "trim":
        what = "begin" if scope == "first" else "end"
        many = "" if len(chosen) > 1 else "s"
        return f"{names_of(chosen).capitalize()} {what}{many} in this frame. Ctrl+Z undoes."
    if action == "merge":
        are = "is" if len(others) == 1 else "are"
        merged = f"{names_of(others).capitalize()} {are} part of object {first}"
        return f"{merged} {'now' if scope == 'everywhere' else _where(scope)}. Ctrl+Z undoes."
    if action == "swap":
        return f"{names_of(chosen).capitalize()} swapped their ids from here on."
    if action == "join":
        return f"Object {others[0]} continues as object {first} from here."
    return f"Object {first} has no parent now."


def _nothing_to_do(action: str, scope: str, chosen: Sequence[int]) -> str:
    """Of an action that found nothing to change."""
    if action == "trim":
        end = "begin" if scope == "first" else "end"
        many = "" if len(chosen) > 1 else "s"
        return f"{names_of(chosen).capitalize()} {end}{many} in this frame already."
    meant = chosen[1:] if action in ("merge", "join") else chosen
    where = _where("from here" if action in ("swap", "join") else scope)
    return f"There is nothing of {names_of(meant)} to {action} {where}."


def _hide_or_show(colours: LabelColours, action: str, chosen: Sequence[int]) -> str:
    """Nothing of it is saved, and nothing is to be undone."""
    if action == "hide":
        colours.hide(chosen)
    else:
        colours.show_all()
    return colours.obstacle or "All objects are shown."


def _what_was_linked(links: Links) -> str:
    """ "142 labels became 17 tracks, 3 divisions."""
    tracks = links.tracks
    n_labels, n, n_divisions = len(tracks), tracks.n_tracks, tracks.n_divisions
    found = f"{n} track{'s' * (n != 1)}, {n_divisions} division{'s' * (n_divisions != 1)}"
    if not links.ids:
        return f"The {n_labels} labels are {found}. They keep their numbers."
    return f"{n_labels} labels became {found}. Ctrl+Z brings the old numbers back."
