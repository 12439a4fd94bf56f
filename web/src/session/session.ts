/** The annotation of one image: prompts, labels, classes, undo (`napari_sam.session`). */
import { Failure } from "../failure";
import {
  isOwn, keyOf, NO_ANNOTATION, partsOf, type Annotation, type Answer, type Key, type Model, type Request,
} from "./annotation";
import { CellSizes } from "./cell_size";
import { NO_CLASSES, withClass, withGiven, type Classes } from "./classes";
import { Extents } from "./extents";
import { maskToEdit, removal, reversed, strokeEdit, type Edit } from "./edits";
import type { Box, Crop } from "./crop";
import { fitted, isAsking, onBase, promptsFrom, type Drawing, type Prompts } from "./prompts";
import { Region } from "./region";
import { whereToLook } from "./where_to_look";

/** One step of undo. */
interface Change {
  readonly what: string; // "click", "stroke", …
  readonly edits: readonly Edit[];
  readonly before: ReadonlyMap<Key, Annotation | null>;
  readonly after: ReadonlyMap<Key, Annotation | null>;
  readonly classes: readonly [Classes, Classes] | null;
}

/** One line of the list of objects. */
export interface ObjectSummary {
  readonly id: number;
  readonly frames: readonly number[];
  readonly score: number | null; // the lowest over its frames
  readonly prompts: number;
}

const PIXELS_REMEMBERED = 40e6; // of changes that can be undone
const NEARLY_ALL = 0.8; // of a mask that is others': what is left is their border
const MOST = 0.5; // the same, where each positive click is on others
export const HIGHEST_ID = 2 ** 32 - 2;

export class Session {
  readonly labels = new Map<number, Uint32Array>(); // of the frames that have any
  readonly annotations = new Map<Key, Annotation>();
  readonly models = new Map<string, Model>();
  readonly pending = new Map<Key, Request>(); // wanted and not answered yet
  classes: Classes = NO_CLASSES;
  parents: Record<string, number[]> = {};
  active = 1;
  highest = 0;
  protectNeighbours = true;
  seen: Box | null = null; // the part of the frame on screen
  travelled: (frame: number) => readonly Crop[] = () => []; // whose embeddings are in the page
  changed: (edits: readonly Edit[], keys: readonly Key[]) => void = () => {}; // called after every change
  private readonly sizes = new CellSizes();
  private readonly extents = new Map<number, Extents>(); // of frames
  private done: Change[] = [];
  private undone: Change[] = [];

  constructor(
    readonly height: number,
    readonly width: number,
  ) {}

  /** Labels of a frame, of which nothing is in memory until there are any. */
  labelsOf(frame: number): Uint32Array {
    return this.labels.get(frame) ?? new Uint32Array(0);
  }

  idAt(frame: number, y: number, x: number): number {
    const [row, column] = [Math.floor(y + 0.5), Math.floor(x + 0.5)];
    if (row < 0 || column < 0 || row >= this.height || column >= this.width) return 0;
    return this.labels.get(frame)?.[row * this.width + column] ?? 0;
  }

  annotation(objectId: number, frame: number): Annotation | null {
    return this.annotations.get(keyOf(objectId, frame)) ?? null;
  }

  region(objectId: number, frame: number): Region {
    const extent = this.extentsOf(frame).of(objectId);
    return extent ? Region.ofLabel(this.labelsOf(frame), this.width, objectId, extent) : Region.EMPTY;
  }

  /** Select a new object: one more than the highest id in the whole stack, and of those that wait for their mask. */
  newObject(): number {
    const highest = Math.max(this.highest, ...[...this.pending.values()].map(({ objectId }) => objectId));
    if (highest >= HIGHEST_ID) throw new Failure("There is no number left for another object.");
    this.active = highest + 1;
    return this.active;
  }

  /**
   * All of an object's prompts in a frame, as they were drawn → the request to be decoded.
   *
   * Null if nothing is left that a mask could come from: then the mask is taken away at once.
   */
  draw(frame: number, drawings: readonly Drawing[]): Request | null {
    const base = this.baseOf(frame);
    const prompts = onBase(promptsFrom(drawings, this.height, this.width), base);
    const newest = this.newest(frame);
    if (isAsking(prompts) && this.canDecode(prompts)) {
      const candidate = newest && isAsking(newest.prompts) ? newest.candidate : null;
      return this.request(frame, prompts, drawings, candidate, base);
    }
    this.pending.delete(keyOf(this.active, frame));
    const annotation = { ...NO_ANNOTATION, ...this.footprint(frame), prompts, drawings, base };
    this.apply(frame, this.active, annotation, base, "removed prompt");
    return null;
  }

  /** Choose a mask token for the current object; null lets go of it. */
  choose(frame: number, token: number | null): Request | null {
    const newest = this.newest(frame);
    if (!newest || !isAsking(newest.prompts)) return null;
    return this.request(frame, newest.prompts, newest.drawings, token, newest.base);
  }

  /** The current object's prompts in a frame, answered or not. */
  newest(frame: number): Request | Annotation | null {
    const key = keyOf(this.active, frame);
    return this.pending.get(key) ?? this.annotations.get(key) ?? null;
  }

  /**
   * Write the answer to a request.
   *
   * @returns null, or the object that the mask is already, of which it adds nothing; 0: it is empty
   */
  land(request: Request, answer: Answer, model: Model): number | null {
    if (!this.giveUp(request)) return null;
    const owner = this.ownerOf(request, answer.mask);
    if (owner !== null) return owner;
    const { objectId, frame } = request;
    this.sizes.note(keyOf(objectId, frame), objectId, answer.mask.area);
    this.models.set(model.name, model);
    const annotation: Annotation = {
      ...NO_ANNOTATION, ...this.footprint(frame, objectId),
      prompts: request.prompts, drawings: request.drawings, candidate: request.candidate,
      diameter: request.diameter, crop: answer.crop, base: request.base, iouPrediction: answer.iouPrediction,
      stability: answer.stability, model: model.name, modelHash: model.hash, precision: model.precision,
    };
    this.apply(frame, objectId, annotation, answer.mask, "prompt");
    return null;
  }

  /** Forget a request; false if a newer one has overtaken it already. */
  giveUp(request: Request): boolean {
    const key = keyOf(request.objectId, request.frame);
    return this.pending.get(key) === request && this.pending.delete(key);
  }

  /** Give pixels to the current object, or take them away from it. */
  paint(frame: number, places: ReadonlySet<number>, erase: boolean): void {
    const labels = this.labels.get(frame) ?? new Uint32Array(this.height * this.width);
    const edit = strokeEdit(places, labels, frame, this.active, erase, this.protectNeighbours);
    if (!edit.places.length) return;
    const after = new Map<Key, Annotation | null>();
    for (const id of new Set([...edit.before, this.active])) {
      if (id) after.set(keyOf(id, frame), this.afterStroke(id, edit));
    }
    this.make({ what: "stroke", edits: [edit], after, classes: null });
  }

  /** Remove objects from one frame, or from all. */
  remove(objects: readonly number[], frame: number | null): void {
    const frames = frame === null ? [...this.labels.keys()] : [frame];
    const edits = frames.flatMap((n) => objects.map((id) => removal(this.region(id, n), this.labelsOf(n), this.width, n)));
    const after = new Map<Key, Annotation | null>();
    for (const key of this.annotations.keys()) {
      const [id, n] = partsOf(key);
      if (objects.includes(id) && frames.includes(n)) after.set(key, null);
    }
    const kept = edits.filter((edit) => edit.places.length);
    if (kept.length || after.size) this.make({ what: "deletion", edits: kept, after, classes: null });
  }

  addClass(name: string): void {
    this.setClasses(withClass(this.classes, name));
  }

  giveClass(objects: readonly number[], name: string | null): void {
    this.setClasses(withGiven(this.classes, objects, name));
  }

  get canUndo(): string | null {
    return this.done.at(-1)?.what ?? null;
  }

  get canRedo(): string | null {
    return this.undone.at(-1)?.what ?? null;
  }

  undo(): string | null {
    const change = this.done.pop();
    if (!change) return null;
    this.undone.push(change);
    this.write(change.edits.map(reversed).reverse(), change.before, change.classes && change.classes[0]);
    return change.what;
  }

  redo(): string | null {
    const change = this.undone.pop();
    if (!change) return null;
    this.done.push(change);
    this.write(change.edits, change.after, change.classes && change.classes[1]);
    return change.what;
  }

  /** All objects that have pixels, by their number. */
  objects(): ObjectSummary[] {
    const frames = new Map<number, number[]>();
    for (const frame of this.labels.keys()) {
      for (const id of this.extentsOf(frame).ids) frames.set(id, [...(frames.get(id) ?? []), frame]);
    }
    return [...frames].sort(([a], [b]) => a - b).map(([id, where]) => {
      const known = where.map((frame) => this.annotation(id, frame)).filter((each) => each !== null);
      const scores = known.map((each) => each.score ?? each.iouPrediction).filter((score) => score !== null);
      return {
        id, frames: where.sort((a, b) => a - b),
        score: scores.length ? Math.min(...scores) : null,
        prompts: known.reduce((n, each) => n + each.drawings.length, 0),
      };
    });
  }

  private extentsOf(frame: number): Extents {
    const known = this.extents.get(frame);
    if (known) return known;
    const found = new Extents(this.labelsOf(frame), this.width);
    this.extents.set(frame, found);
    return found;
  }

  /** Of the objects segmented lately; null while there are too few. */
  get usualDiameter(): number | null {
    return this.sizes.usual(this.active);
  }

  /** The diameter that the current object is decoded with, the same as at its first prompt. */
  private diameterOf(frame: number): number | null {
    const newest = this.newest(frame);
    return newest && isAsking(newest.prompts) ? newest.diameter : this.usualDiameter;
  }

  private request(
    frame: number, prompts: Prompts, drawings: readonly Drawing[], candidate: number | null, base: Region,
  ): Request {
    const objectId = this.active;
    const [diameter, earlier] = [this.diameterOf(frame), this.annotation(objectId, frame)?.crop ?? null];
    const crops = whereToLook(prompts, [this.height, this.width], diameter, this.seen, earlier, this.travelled(frame));
    const request = { objectId, frame, prompts, drawings, candidate, base, diameter, crops };
    this.pending.set(keyOf(objectId, frame), request);
    this.changed([], []);
    return request;
  }

  private canDecode(prompts: Prompts): boolean {
    try {
      fitted(prompts, this.height, this.width);
      return true;
    } catch (error) {
      if (error instanceof Failure) return false;
      throw error;
    }
  }

  /** The mask that the user corrects: from another tool, or propagated. */
  private baseOf(frame: number): Region {
    const waiting = this.pending.get(keyOf(this.active, frame));
    if (waiting) return waiting.base;
    const current = this.annotation(this.active, frame);
    return current && isOwn(current) ? current.base : this.region(this.active, frame);
  }

  private footprint(frame: number, objectId = this.active): Pick<Annotation, "landed" | "painted" | "erased"> {
    const current = this.annotation(objectId, frame);
    if (current) return { landed: current.landed, painted: current.painted, erased: current.erased };
    return { landed: this.region(objectId, frame), painted: Region.EMPTY, erased: Region.EMPTY };
  }

  /** Whose a mask is that adds no object: another's, or nobody's (0) if it is empty. */
  private ownerOf(request: Request, mask: Region): number | null {
    if (mask.isEmpty) return 0;
    if (!this.protectNeighbours || !this.region(request.objectId, request.frame).isEmpty) return null;
    const counts = new Map<number, number>();
    let [all, others] = [0, 0];
    for (let y = mask.top; y < mask.bottom; y++) {
      for (let x = mask.left; x < mask.right; x++) {
        if (!mask.has(y, x)) continue;
        all++;
        const id = this.idAt(request.frame, y, x);
        if (id && id !== request.objectId) counts.set(id, (counts.get(id) ?? 0) + 1), others++;
      }
    }
    const clicked = request.prompts.points
      .filter((_, n) => request.prompts.labels[n] === 1)
      .map(([y, x]) => this.idAt(request.frame, y, x));
    const onOthers = clicked.length > 0 && clicked.every((id) => id && id !== request.objectId);
    if (others < (onOthers ? MOST : NEARLY_ALL) * all) return null;
    return [...counts].reduce((most, each) => (each[1] > most[1] ? each : most))[0];
  }

  /** An object's annotation after an edit that is not written yet. */
  private afterStroke(id: number, { frame, places, before: from, after: to }: Edit): Annotation {
    const those = (ids: Uint32Array): Region => Region.ofPlaces(places.filter((_, n) => ids[n] === id), this.width);
    const covered = this.region(id, frame).without(those(from)).united(those(to));
    const [current, before] = [this.annotation(id, frame) ?? NO_ANNOTATION, this.footprint(frame, id)];
    return {
      ...current, source: null, foundBy: "", score: null, doubt: "", stopped: "", landed: covered,
      painted: before.painted.common(covered).united(covered.without(before.landed)),
      erased: before.erased.united(before.landed).without(covered),
    };
  }

  private apply(frame: number, objectId: number, annotation: Annotation, mask: Region, what: string): void {
    const labels = this.labels.get(frame) ?? new Uint32Array(this.height * this.width);
    const [edit, footprint] = maskToEdit(mask, labels, this.width, frame, objectId, annotation, this.protectNeighbours);
    const after = new Map<Key, Annotation | null>([[keyOf(objectId, frame), { ...annotation, ...footprint }]]);
    for (const other of new Set(edit.before)) {
      if (other && other !== objectId) after.set(keyOf(other, frame), this.afterStroke(other, edit));
    }
    this.make({ what, edits: [edit], after, classes: null });
  }

  private setClasses(classes: Classes): void {
    this.make({ what: "class", edits: [], after: new Map(), classes: [this.classes, classes] });
  }

  private make(change: Omit<Change, "before">): void {
    const before = new Map([...change.after.keys()].map((key) => [key, this.annotations.get(key) ?? null]));
    this.done.push({ ...change, before });
    this.undone = [];
    let pixels = 0;
    const kept = this.done.findLastIndex((each) => (pixels += sizeOf(each)) > PIXELS_REMEMBERED);
    if (kept >= 0) this.done = this.done.slice(Math.min(kept + 1, this.done.length - 1));
    this.write(change.edits, change.after, change.classes && change.classes[1]);
  }

  private write(edits: readonly Edit[], annotations: ReadonlyMap<Key, Annotation | null>, classes: Classes | null): void {
    for (const edit of edits) {
      let labels = this.labels.get(edit.frame);
      if (!labels) this.labels.set(edit.frame, (labels = new Uint32Array(this.height * this.width)));
      const extents = this.extentsOf(edit.frame);
      edit.places.forEach((place, n) => (labels[place] = edit.after[n]!));
      extents.note(edit);
      for (const id of edit.after) if (id > this.highest) this.highest = id;
    }
    for (const [key, annotation] of annotations) {
      if (annotation) this.annotations.set(key, annotation);
      else this.annotations.delete(key);
    }
    if (classes) this.classes = classes;
    this.changed(edits, [...annotations.keys()]);
  }
}

function sizeOf(change: Change): number {
  return change.edits.reduce((n, edit) => n + edit.places.length, 1000);
}
