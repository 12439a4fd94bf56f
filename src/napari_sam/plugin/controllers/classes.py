"""Classes of objects: made, given by menu and keys, proposed for the rest, shown in colours."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam.engine import SamError
from napari_sam.plugin.panels.classes import HINT, ClassPanel
from napari_sam.plugin.panels.objects import ObjectPanel
from napari_sam.plugin.work import classes as tasks
from napari_sam.plugin.work.jobs import BULK, Job
from napari_sam.session import Session, classes, names_of
from napari_sam.stacks import Classified, ObjectFeatures

from .controller import Controller, Window

if TYPE_CHECKING:
    from napari_sam.plugin.layers.bridge import LayerBridge

PROPOSE = "propose classes"  # job slot
NO_MODEL = "No model is loaded yet, and it is the model that looks at the objects. Wait for it."


class ObjectClasses(Controller):
    """Keeps the page in line with the session, and proposes classes in the worker.

    Parameters
    ----------
    panel
        The page.
    objects
        The list of objects, where they are selected, and its menu.
    """

    def __init__(self, window: Window, panel: ClassPanel, objects: ObjectPanel) -> None:
        super().__init__(window)
        self._panel, self._objects = panel, objects
        self._features = ObjectFeatures()  # only ever used in the thread of the worker
        panel.added.connect(self.add)
        panel.given.connect(self.give)
        panel.changed.connect(self._change)
        panel.removed.connect(self._remove)
        panel.members_clicked.connect(self.select_members)
        panel.propose_clicked.connect(self.propose)
        panel.coloured.connect(self._show)
        objects.menu.class_picked.connect(self.give)

    def attach(self, bridge: LayerBridge) -> None:
        """Work on the objects of a session."""
        self._bridge = bridge
        bridge.session.classes_changed.connect(self._on_changed)
        self._panel.text.say(HINT)
        self._show()

    def detach(self) -> None:
        """Let go of them."""
        if self._bridge is not None:
            self._bridge.session.classes_changed.disconnect(self._on_changed)
            self._worker.cancel(PROPOSE)
        self._features = ObjectFeatures()
        self._bridge = None

    def release(self) -> None:
        """Keep no image and no model alive."""
        super().release()
        self._features = ObjectFeatures()

    def _on_changed(self) -> None:
        self._defer(self._show)

    def _show(self, _: object = None) -> None:
        """Bring page, menu and colours in line with the session."""
        if self._bridge is None:
            return
        there = self._bridge.session.classes
        self._panel.show_classes(there)
        self._objects.menu.offer_classes([(each.name, each.key) for each in there.defined])
        try:
            self._bridge.colours.colour_by(there if self._panel.colour.isChecked() else None)
        except SamError as error:
            self._panel.colour.setChecked(False)
            self._tell(error)

    # Classes

    def add(self, name: str) -> None:
        """Make a class."""
        if self._bridge is None:
            return
        try:
            made = classes.add_class(self._bridge.session, name)
        except SamError as error:
            self._tell(error)
            return
        self._panel.name.clear()
        self._show()
        self._panel.choose(made.name)

    def _change(self, name: str, what: str, value: object) -> None:
        if self._bridge is None:
            return
        try:
            changed = classes.change_class(self._bridge.session, name, **{what: value})
        except SamError as error:
            self._tell(error)
            return
        if what == "name":
            self._panel.name.clear()
        self._show()
        self._panel.choose(changed.name)

    def _remove(self, name: str) -> None:
        if self._bridge is not None:
            classes.remove_class(self._bridge.session, name)
            self._status.show_idle(f"Removed the class “{name}”. Ctrl+Z brings it back.")

    # The classes of objects

    def give(self, name: str | None) -> None:
        """Give the selected objects a class, or none; what was proposed follows."""
        if self._bridge is None:
            return
        session = self._bridge.session
        chosen = self._objects.chosen()
        if not chosen:
            self._tell(
                SamError(
                    "No object is selected. Click one in the list, or Shift+click it in the image."
                )
            )
            return
        run = session.new_run()
        classes.give_class(session, chosen, name, run)
        verb = "is" if len(chosen) == 1 else "are"
        said = f"of class “{name}”" if name is not None else "of no class"
        self._status.show_idle(f"{names_of(chosen).capitalize()} {verb} {said} now.")
        self.follow(run)

    def give_by_key(self, key: int) -> None:
        """Give the selected objects the class that has a key."""
        if self._bridge is None:
            return
        for each in self._bridge.session.classes.defined:
            if each.key == key:
                self.give(each.name)
                return
        self._tell(SamError(f"No class has the key {key}. Make one on the page Classes."))

    def select_members(self, name: str) -> None:
        """Select the objects of a class in the list."""
        if self._bridge is not None:
            given = self._bridge.session.classes.given
            members = [object_id for object_id, each in given.items() if each.name == name]
            if members:
                self._objects.choose(members)

    # Proposals

    def follow(self, run: int) -> None:
        """Propose again, as part of a step in which the user said a class."""
        if self._bridge is not None and self._bridge.session.classes.has_proposals:
            self._propose(run)

    def propose(self) -> None:
        """Propose a class for all objects that were given none."""
        if self._bridge is not None:
            self._propose(self._bridge.session.new_run())

    def _propose(self, run: int) -> None:
        bridge, predictor = self._bridge, self.predictor
        if bridge is None:
            return
        if predictor is None:
            self._tell(SamError(NO_MODEL))
            return
        objects = Classified.of(bridge.session)
        job = Job(
            PROPOSE,
            partial(tasks.propose, self._features, objects, predictor, self._cache),
            done=partial(self._on_proposed, bridge.session, run),
            failed=self._tell,
            progress=partial(self._status.show_busy, "Looking at the objects …"),
            priority=BULK,
        )
        self._worker.submit(job)

    def stop(self) -> None:
        """Propose nothing more; what was seen is kept."""
        self._worker.cancel(PROPOSE)

    def _on_proposed(
        self, session: Session, run: int, proposed: dict[int, tuple[str, float]]
    ) -> None:
        if self._bridge is None or self._bridge.session is not session:
            return
        n = classes.take_proposals(session, proposed, run)
        unsure = classes.unsure_classes(session)
        said = f"Proposed classes for {n} object{'' if n == 1 else 's'}; {len(unsure)} unsure"
        self._panel.text.say(f"{said}: see the page Review." if unsure else f"{said}.")
        self._status.show_idle(f"{said}.")
