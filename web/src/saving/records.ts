/**
 * Annotations as JSON and back (`napari_sam.session.saving.records`; session.schema.json says what
 * the keys mean). What is read may come from anyone: it is checked, and nothing larger than its
 * frame is made of it.
 */
import { NO_ANNOTATION, type Annotation, type Request } from "../session/annotation";
import type { Classes, Given, ObjectClass } from "../session/classes";
import type { Crop } from "../session/crop";
import { KINDS, type Drawing, type Kind, type Point, type Prompts } from "../session/prompts";
import { Region, type Runs } from "../session/region";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Record_ = { [key: string]: Json };

type FrameShape = readonly [height: number, width: number];

/** Thrown inside; whoever reads the file says it in a sentence. */
export class Malformed extends Error {}

function expect(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Malformed(what);
}

export function asRecord(value: Json | undefined, what: string): Record_ {
  expect(typeof value === "object" && value !== null && !Array.isArray(value), what);
  return value;
}

export function asList(value: Json | undefined, what: string): Json[] {
  expect(Array.isArray(value), what);
  return value;
}

export function asNumber(value: Json | undefined, what: string): number {
  expect(typeof value === "number" && Number.isFinite(value), what);
  return value;
}

export function asWhole(value: Json | undefined, what: string, least = 0, most = 2 ** 40): number {
  expect(typeof value === "number" && Number.isInteger(value) && value >= least && value <= most, what);
  return value;
}

export function asText(value: Json | undefined, what: string): string {
  expect(typeof value === "string" && value.length <= 40_000, what);
  return value;
}

const orNull = <T>(value: Json | undefined, read: (value: Json) => T): T | null =>
  value === null || value === undefined ? null : read(value);

function given(from: Annotation | Request, [height, width]: FrameShape): Record_ {
  const { points, labels, box, mask } = from.prompts;
  return {
    points: points.map((point) => [...point]),
    labels: [...labels],
    box: box && [...box],
    mask: mask && { shape: [height, width], region: mask.toRuns() },
    drawings: from.drawings.map(({ kind, vertices, label }) => ({ kind, vertices: vertices.map((v) => [...v]), label })),
    candidate: from.candidate,
    diameter: from.diameter,
    base: from.base.toRuns(),
  };
}

export function writeAnnotation(objectId: number, annotation: Annotation, shape: FrameShape): Record_ {
  return {
    object_id: objectId,
    ...given(annotation, shape),
    iou_prediction: annotation.iouPrediction,
    stability: annotation.stability,
    model: annotation.model,
    model_hash: annotation.modelHash,
    precision: annotation.precision,
    found_by: annotation.foundBy,
    score: annotation.score,
    doubt: annotation.doubt,
    stopped: annotation.stopped,
    source: annotation.source && [...annotation.source],
    crop: annotation.crop && [...annotation.crop],
    landed: annotation.landed.toRuns(),
    painted: annotation.painted.toRuns(),
    erased: annotation.erased.toRuns(),
  };
}

export function readAnnotation(value: Json, shape: FrameShape): [objectId: number, annotation: Annotation] {
  const record = asRecord(value, "an annotation");
  const annotation: Annotation = {
    ...NO_ANNOTATION,
    ...readGiven(record, shape),
    iouPrediction: orNull(record["iou_prediction"], (v) => asNumber(v, "iou_prediction")),
    stability: orNull(record["stability"], (v) => asNumber(v, "stability")),
    model: asText(record["model"], "model"),
    modelHash: asText(record["model_hash"], "model_hash"),
    precision: asText(record["precision"], "precision"),
    foundBy: asText(record["found_by"] ?? "", "found_by"),
    score: orNull(record["score"], (v) => asNumber(v, "score")),
    doubt: asText(record["doubt"] ?? "", "doubt"),
    stopped: asText(record["stopped"] ?? "", "stopped"),
    source: orNull(record["source"], (v) =>
      asList(v, "source").map((at) => orNull(at, (n) => asWhole(n, "source")))),
    crop: orNull(record["crop"], (v) => readCrop(v, shape)),
    landed: readRegion(record["landed"], shape),
    painted: readRegion(record["painted"], shape),
    erased: readRegion(record["erased"], shape),
  };
  return [asWhole(record["object_id"], "object_id", 1), annotation];
}

export function writeRequest(request: Request, frame: string, shape: FrameShape): Record_ {
  return { object_id: request.objectId, frame, ...given(request, shape), crops: request.crops.map((crop) => [...crop]) };
}

export function readRequest(value: Json, frame: number, shape: FrameShape): Request {
  const record = asRecord(value, "a request");
  const crops = asList(record["crops"] ?? [], "crops").map((crop) => readCrop(crop, shape));
  return { objectId: asWhole(record["object_id"], "object_id", 1), frame, ...readGiven(record, shape), crops };
}

function readGiven(record: Record_, shape: FrameShape): Omit<Request, "objectId" | "frame" | "crops"> {
  const points = asList(record["points"], "points").map(readPoint);
  const labels = asList(record["labels"], "labels").map(readLabel);
  expect(points.length === labels.length, "labels");
  const mask = orNull(record["mask"], (v) => readRegion(asRecord(v, "mask")["region"], shape));
  const prompts: Prompts = {
    points, labels, mask: mask?.isEmpty ? null : mask,
    box: orNull(record["box"], (v) => {
      const box = asList(v, "box").map((n) => asNumber(n, "box"));
      expect(box.length === 4, "box");
      return box as unknown as [number, number, number, number];
    }),
  };
  return {
    prompts,
    drawings: asList(record["drawings"], "drawings").map(readDrawing),
    candidate: orNull(record["candidate"], (v) => asWhole(v, "candidate")),
    diameter: orNull(record["diameter"], (v) => asNumber(v, "diameter")),
    base: readRegion(record["base"], shape),
  };
}

function readCrop(value: Json, [height, width]: FrameShape): Crop {
  const [top = -1, left = -1, bottom = -1, right = -1, ...more] = asList(value, "a crop").map((edge) => asWhole(edge, "a crop"));
  const inFrame = top < bottom && left < right && bottom <= height && right <= width;
  expect(inFrame && more.length === 0, "a crop outside of its frame");
  return [top, left, bottom, right];
}

function readPoint(value: Json): Point {
  const [y, x, ...more] = asList(value, "a point");
  expect(more.length === 0, "a point");
  return [asNumber(y, "a point"), asNumber(x, "a point")];
}

function readLabel(value: Json): 0 | 1 {
  expect(value === 0 || value === 1, "labels");
  return value;
}

function readDrawing(value: Json): Drawing {
  const record = asRecord(value, "a drawing");
  const vertices = asList(record["vertices"], "vertices").map(readPoint);
  expect(KINDS.includes(record["kind"] as Kind) && vertices.length > 0, "a drawing");
  return { kind: record["kind"] as Kind, vertices, label: readLabel(record["label"] ?? null) };
}

function readRegion(value: Json | undefined, [height, width]: FrameShape): Region {
  if (value === null || value === undefined) return Region.EMPTY;
  const record = asRecord(value, "a region");
  const runs: Runs = {
    top: asWhole(record["top"], "top"), left: asWhole(record["left"], "left"),
    height: asWhole(record["height"], "height", 1), width: asWhole(record["width"], "width", 1),
    runs: asList(record["runs"], "runs").map((n) => asWhole(n, "runs")),
  };
  const inFrame = runs.top + runs.height <= height && runs.left + runs.width <= width;
  expect(inFrame && runs.runs.reduce((n, run) => n + run, 0) <= runs.height * runs.width, "a region outside of its frame");
  return Region.fromRuns(runs);
}

export function writeClasses(classes: Classes): Record_[] {
  return classes.defined.map((each) => {
    const mine = [...classes.given].filter(([, given]) => given.name === each.name).sort(([a], [b]) => a - b);
    return {
      ...each,
      objects: mine.filter(([, { probability }]) => probability === null).map(([id]) => id),
      proposed: Object.fromEntries(
        mine.filter(([, { probability }]) => probability !== null).map(([id, { probability }]) => [String(id), probability]),
      ),
    };
  });
}

export function readClasses(value: Json | undefined): Classes {
  const given = new Map<number, Given>();
  const defined = asList(value ?? [], "classes").slice(0, 200).map((each): ObjectClass => {
    const record = asRecord(each, "a class");
    const name = asText(record["name"], "the name of a class");
    for (const id of asList(record["objects"], "objects")) given.set(asWhole(id, "objects", 1), { name, probability: null });
    for (const [id, p] of Object.entries(asRecord(record["proposed"], "proposed"))) {
      given.set(asWhole(Number(id), "proposed", 1), { name, probability: asNumber(p, "proposed") });
    }
    const colour = asText(record["colour"], "a colour");
    expect(/^#[0-9a-f]{6}$/.test(colour), "a colour");
    return {
      name, colour, parent: asText(record["parent"] ?? "", "parent"),
      key: orNull(record["key"], (v) => asWhole(v, "key", 1, 9)),
    };
  });
  return { defined, given };
}
