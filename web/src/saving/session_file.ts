/**
 * A session as the files of its folder, which napari and `napari-sam` open, and back.
 *
 * The same files are kept in the browser and packed into the ZIP that is saved.
 */
import { Failure } from "../failure";
import { frameAt, frameCount, positionsOf, type ImageStack } from "../frames/stack";
import { openTiff } from "../frames/tiff";
import { keyOf, partsOf, type Annotation, type Key } from "../session/annotation";
import type { Edit } from "../session/edits";
import { HIGHEST_ID, Session } from "../session/session";
import { Strips, tiffOf } from "./labels_tiff";
import {
  asList, asRecord, asText, asWhole, Malformed, readAnnotation, readClasses, readRequest, writeAnnotation,
  writeClasses, writeRequest, type Json, type Record_,
} from "./records";
import type { Files } from "./zip";

const [FORMAT, VERSION, MANIFEST] = ["napari-sam session", 5, "session.json"];
const TILE = 2048; // pixels of a side of what a huge frame is saved in
const PROGRAM = "napari-sam page 0.1.0";

type NamedFile = readonly [name: string, bytes: Uint8Array];

/** The files of a frame; undefined: to be written. */
interface FrameFiles {
  strips: Strips;
  labels: Promise<NamedFile | null> | undefined;
  annotations: NamedFile | null | undefined;
}

/** A session that is saved again and again: what did not change is written once. */
export class SessionFiles {
  private readonly frames = new Map<number, FrameFiles>();
  private readonly texts = new WeakMap<Annotation, string>();
  private saves = 0;

  /** @param origin the manifest that the session was opened from, whose other entries stay */
  constructor(
    private readonly session: Session,
    private readonly stack: ImageStack,
    private readonly origin: Record_ | null,
    private readonly content: Promise<string | null>,
  ) {
    this.saves = origin ? asWhole(origin["saves"], "saves") : 0;
  }

  /** These pixels and annotations have changed. */
  forget(edits: readonly Edit[], keys: readonly Key[]): void {
    for (const { frame, places } of edits) {
      const files = this.frames.get(frame);
      files?.strips.forget(places);
      if (files) files.labels = undefined;
    }
    for (const key of keys) {
      const files = this.frames.get(partsOf(key)[1]);
      if (files) files.annotations = undefined;
    }
  }

  /** All files by their names, as they were at one moment. */
  async write(shown: number): Promise<Files> {
    const content = await this.content;
    this.saves += 1;
    const written = [];
    const used = new Set([...this.session.labels.keys(), ...[...this.session.annotations.keys()].map((key) => partsOf(key)[1])]);
    for (const frame of [...used].sort((a, b) => a - b)) written.push({ frame, ...this.filesOf(frame) });
    const state = this.manifest(shown, content); // before anything is waited for

    const [files, listed]: [Files, Record_] = [new Map(), {}];
    for (const { frame, labels, annotations } of written) {
      const pixels = await labels;
      if (!pixels && !annotations) continue;
      listed[frameName(frame, this.stack)] = { labels: pixels && pixels[0], annotations: annotations && annotations[0] };
      for (const file of [pixels, annotations]) if (file) files.set(...file);
    }
    return new Map([[MANIFEST, encoded({ ...state, frames: listed })], ...files]);
  }

  /** The files of a frame as it is now. */
  private filesOf(frame: number): { labels: Promise<NamedFile | null>; annotations: NamedFile | null } {
    const { session, stack } = this;
    const bits = bitsOf(session);
    let files = this.frames.get(frame);
    if (!files || files.strips.bits !== bits) {
      files = { strips: new Strips(stack.height, stack.width, bits), labels: undefined, annotations: undefined };
      this.frames.set(frame, files);
    }
    const stem = `frames/${frameName(frame, stack)}-${this.saves}`;
    files.labels ??= packed(files.strips, session.labelsOf(frame), [stack.height, stack.width], `${stem}.tif`);
    if (files.annotations === undefined) files.annotations = this.annotationsOf(frame, `${stem}.json`);
    return { labels: files.labels, annotations: files.annotations };
  }

  private annotationsOf(frame: number, name: string): NamedFile | null {
    const texts: string[] = [];
    for (const [key, annotation] of this.session.annotations) {
      const [id, n] = partsOf(key);
      if (n === frame) texts.push(this.textOf(id, annotation));
    }
    return texts.length ? [name, new TextEncoder().encode(`[${texts.join(",")}]`)] : null;
  }

  private textOf(id: number, annotation: Annotation): string {
    let text = this.texts.get(annotation);
    if (text === undefined) {
      text = JSON.stringify(writeAnnotation(id, annotation, [this.stack.height, this.stack.width]));
      this.texts.set(annotation, text);
    }
    return text;
  }

  private manifest(shown: number, content: string | null): Record_ {
    const { session, stack, origin } = this;
    const image = origin
      ? origin["image"]!
      : {
          path: stack.name, reader: null, placement: null, shape: [...stack.leading, stack.height, stack.width],
          dtype: stack.dtype, content,
        };
    const leading = stack.leading.length;
    return {
      format: FORMAT, version: VERSION, revision: crypto.randomUUID().replaceAll("-", ""), saves: this.saves,
      saved: new Date().toISOString(), program: PROGRAM, image,
      preprocessing: origin ? origin["preprocessing"]! : preprocessingOf(stack),
      labels: { dtype: `uint${bitsOf(session)}`, displayed: [leading, leading + 1] },
      models: {
        ...(origin ? asRecord(origin["models"], "models") : {}),
        ...Object.fromEntries([...session.models].map(([name, { hash, precision }]) => [name, { hash, precision }])),
      },
      classes: writeClasses(session.classes), parents: session.parents,
      waiting: [...session.pending.values()].map((request) =>
        writeRequest(request, frameName(request.frame, stack), [stack.height, stack.width])),
      protect_neighbours: session.protectNeighbours, active: session.active, shown: frameName(shown, stack),
      highest_id: session.highest, reviews: origin?.["reviews"] ?? {},
      ...(origin && "done" in origin ? { done: origin["done"]! } : {}),
    };
  }
}

/** Labels as a file; null: there are no objects. */
function packed(strips: Strips, labels: Uint32Array, shape: readonly [number, number], name: string): Promise<NamedFile | null> {
  const taken = strips.take(labels);
  if (taken.isEmpty) return Promise.resolve(null);
  return taken.strips.then((each) => [name, tiffOf([each], shape, strips.bits)]);
}

function preprocessingOf(stack: ImageStack): Record_ {
  return {
    rgb: stack.rgb, channels: Array.from({ length: stack.rgb ? 3 : stack.channels }, (_, n) => n), limits: null,
    mean: !stack.rgb && stack.channels > 3, channel_axis: stack.channelAxis,
  };
}

function bitsOf(session: Session): 16 | 32 {
  return session.highest > 65535 ? 32 : 16;
}

function encoded(content: Json): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(content));
}

/** A frame as files are called: 12_y_x. */
export function frameName(frame: number, stack: ImageStack): string {
  return [...positionsOf(frame, stack.leading), "y", "x"].join("_");
}

/** What was read of a session. */
export interface Opened {
  readonly session: Session;
  readonly manifest: Record_;
  readonly shown: number;
  readonly problems: readonly string[]; // what could not be read, a sentence each
}

/** Read a session of an image. Throws a Failure if it is another image's, or no session. */
export async function readSession(files: Files, stack: ImageStack, name: string): Promise<Opened> {
  const inside = withoutFolder(files, name);
  try {
    const manifest = asRecord(parsed(inside.get(MANIFEST)!), "session.json");
    checkImage(manifest, stack, name);
    return await opened(manifest, inside, stack);
  } catch (error) {
    if (!(error instanceof Malformed || error instanceof SyntaxError)) throw error;
    throw new Failure(`${name} is damaged (${error.message}). Save the session again, and open that file.`);
  }
}

/** The files by their names in the session's folder, which the archive may hold as such. */
function withoutFolder(files: Files, name: string): Files {
  const path = [...files.keys()].find((each) => each === MANIFEST || each.endsWith(`/${MANIFEST}`));
  if (path === undefined) throw new Failure(`${name} holds no session. Open a file that was saved as a session.`);
  const folder = path.slice(0, -MANIFEST.length);
  return new Map([...files].filter(([each]) => each.startsWith(folder)).map(([each, bytes]) => [each.slice(folder.length), bytes]));
}

function parsed(bytes: Uint8Array): Json {
  return JSON.parse(new TextDecoder().decode(bytes)) as Json;
}

function checkImage(manifest: Record_, stack: ImageStack, name: string): void {
  if (manifest["format"] !== FORMAT) throw new Failure(`${name} holds no session. Open a file that was saved as a session.`);
  if (asWhole(manifest["version"], "version") > VERSION) {
    throw new Failure(`${name} was saved by a newer program than this page. Use a newer page.`);
  }
  const shape = asList(asRecord(manifest["image"], "image")["shape"], "shape").map((n) => asWhole(n, "shape"));
  const displayed = asList(asRecord(manifest["labels"], "labels")["displayed"], "displayed");
  const here = [...stack.leading, stack.height, stack.width];
  const along = displayed[0] === here.length - 2 && displayed[1] === here.length - 1;
  if (shape.join() !== here.join()) {
    throw new Failure(
      `${name} belongs to an image of ${shape.join(" × ")} pixels, the one open here has ${here.join(" × ")}. ` +
        "Open its own image first, then the session.",
    );
  }
  if (!along) throw new Failure(`${name} was annotated along other axes than its last two. Open it in napari.`);
}

async function opened(manifest: Record_, files: Files, stack: ImageStack): Promise<Opened> {
  const session = new Session(stack.height, stack.width);
  const problems: string[] = [];
  session.classes = readClasses(manifest["classes"]);
  session.protectNeighbours = manifest["protect_neighbours"] !== false;
  session.active = asWhole(manifest["active"], "active", 1, HIGHEST_ID);
  session.highest = asWhole(manifest["highest_id"], "highest_id", 0, HIGHEST_ID);
  for (const [child, ids] of Object.entries(asRecord(manifest["parents"], "parents"))) {
    session.parents[asWhole(Number(child), "parents", 1)] = asList(ids, "parents").map((id) => asWhole(id, "parents", 1));
  }
  for (const [frame, entry] of Object.entries(asRecord(manifest["frames"], "frames"))) {
    const n = frameOf(frame, stack);
    const record = asRecord(entry, "frames");
    await readFrame(session, n, record, files, stack).catch((error: unknown) => {
      if (!(error instanceof Malformed || error instanceof SyntaxError || error instanceof Failure)) throw error;
      problems.push(`Frame ${n + 1} of this session is damaged and was left out.`);
    });
  }
  for (const request of asList(manifest["waiting"] ?? [], "waiting")) {
    const n = frameOf(asText(asRecord(request, "waiting")["frame"], "frame"), stack);
    const read = readRequest(request, n, [stack.height, stack.width]);
    session.pending.set(keyOf(read.objectId, n), read);
  }
  const shown = manifest["shown"];
  return { session, manifest, problems, shown: typeof shown === "string" ? frameOf(shown, stack) : 0 };
}

/** The number of a frame by its name. */
function frameOf(name: string, stack: ImageStack): number {
  const parts = name.split("_");
  const positions = parts.slice(0, -2).map(Number);
  const fits =
    parts.slice(-2).join() === "y,x" && positions.length === stack.leading.length &&
    positions.every((at, axis) => Number.isInteger(at) && at >= 0 && at < stack.leading[axis]!);
  const frame = fits ? frameAt(positions, stack.leading) : -1;
  if (frame < 0 || frame >= frameCount(stack)) throw new Malformed(`frame ${name.slice(0, 40)}`);
  return frame;
}

async function readFrame(session: Session, n: number, entry: Record_, files: Files, stack: ImageStack): Promise<void> {
  const shape = [stack.height, stack.width] as const;
  if (typeof entry["annotations"] === "string") {
    const bytes = files.get(entry["annotations"]);
    if (!bytes) throw new Malformed("a file is missing");
    for (const record of asList(parsed(bytes), "annotations")) {
      const [id, annotation] = readAnnotation(record, shape);
      session.annotations.set(keyOf(id, n), annotation);
    }
  }
  const parts = typeof entry["labels"] === "string" ? [{ file: entry["labels"], top: 0, left: 0, side: Infinity }] : [];
  for (const [name, file] of Object.entries(asRecord(entry["tiles"] ?? {}, "tiles"))) {
    const [row, column] = name.split("_").map((at) => asWhole(Number(at), "tiles")) as [number, number];
    parts.push({ file: asText(file, "tiles"), top: TILE * row, left: TILE * column, side: TILE });
  }
  if (!parts.length) return;
  const labels = new Uint32Array(stack.height * stack.width);
  for (const { file, top, left, side } of parts) {
    const [height, width] = [Math.min(side, stack.height - top), Math.min(side, stack.width - left)];
    const pixels = await readLabels(file, files, height, width);
    for (let y = 0; y < height; y++) labels.set(pixels.subarray(y * width, (y + 1) * width), (top + y) * stack.width + left);
  }
  session.labels.set(n, labels);
  for (const id of labels) if (id > session.highest) session.highest = id;
}

async function readLabels(file: string, files: Files, height: number, width: number): Promise<Uint32Array> {
  const bytes = files.get(file);
  if (!bytes) throw new Malformed("a file is missing");
  const read = await openTiff(new Blob([bytes as BlobPart]), "labels");
  if (read.height !== height || read.width !== width) throw new Malformed("labels of another size");
  return Uint32Array.from((await read.frame(0)).pixels);
}
