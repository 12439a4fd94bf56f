/** The last frames: their embeddings; of large ones the pixels, and the embeddings of parts of them. */
import { Failure } from "../failure";
import { resize, resizedShape } from "../frames/resize";
import { isLarge, type Crop, type Shape } from "../session/crop";
import { MOST_PLACED } from "./messages";
import type { Encoded, Embedding } from "./predictor";

const FRAMES_KEPT = 4;
const CROPS_KEPT = 6; // each embedding takes about 50 MB

/** What makes embeddings of inputs (height, width, 3) of 8 bit. */
export interface Encoder {
  readonly inputSize: number;
  encode(rgb: Uint8Array, height: number, width: number, progress: Progress): Promise<Encoded>;
}

export type Progress = (share: number) => void;

interface Kept {
  readonly shape: Shape;
  readonly rgb: Uint8Array | null; // of a large frame
  readonly embeddings: Map<string, Embedding>; // by their crops
  readonly placed: Map<string, Embedding>; // of crops, which travelled in the page
}

export class EncodedFrames {
  private readonly frames = new Map<number, Kept>();

  clear(): void {
    this.frames.clear();
  }

  has(frame: number): boolean {
    return this.frames.has(frame);
  }

  /** Keep the pixels of a large frame, the embedding of another. */
  async take(frame: number, shape: Shape, rgb: Uint8Array, encoder: Encoder, progress: Progress): Promise<void> {
    if (isLarge(shape)) {
      for (const [n, { rgb }] of this.frames) if (rgb) this.frames.delete(n); // a second one may be too much for memory
      return this.keep(frame, { shape, rgb, embeddings: new Map(), placed: new Map() });
    }
    this.place(frame, null, await encoded(rgb, shape, encoder, progress));
  }

  /** Keep an embedding of a frame, or of a crop of a large one. */
  place(frame: number, crop: Crop | null, embedding: Embedding): void {
    if (!crop) {
      return this.keep(frame, { shape: embedding.frameShape, rgb: null, embeddings: new Map([["", embedding]]), placed: new Map() });
    }
    const { shape, placed } = this.kept(frame);
    placed.set(keyOf(crop, shape), embedding);
    dropOldest(placed, MOST_PLACED);
  }

  shapeOf(frame: number): Shape {
    return this.kept(frame).shape;
  }

  /** Whether the embedding of a crop is there. */
  hasCrop(frame: number, crop: Crop | null): boolean {
    const { shape, embeddings, placed } = this.kept(frame);
    return embeddings.has(keyOf(crop, shape)) || placed.has(keyOf(crop, shape));
  }

  /** The embedding of a crop of a frame, or of all of it. */
  async embed(frame: number, crop: Crop | null, encoder: Encoder, progress: Progress): Promise<Embedding> {
    const { shape, rgb, embeddings, placed } = this.kept(frame);
    const key = keyOf(crop, shape);
    const travelled = placed.get(key);
    if (travelled) return travelled;
    let embedding = embeddings.get(key);
    if (!embedding) {
      const [top, left, bottom, right] = crop ?? [0, 0, ...shape];
      const cut = crop && key ? cutOut(rgb!, shape[1], crop) : rgb!;
      embedding = await encoded(cut, [bottom - top, right - left], encoder, progress);
    }
    embeddings.delete(key);
    embeddings.set(key, embedding);
    dropOldest(embeddings, CROPS_KEPT);
    return embedding;
  }

  private kept(frame: number): Kept {
    const kept = this.frames.get(frame);
    if (!kept) throw new Failure("This frame is not encoded any more. Click again.");
    return kept;
  }

  private keep(frame: number, kept: Kept): void {
    this.frames.delete(frame);
    this.frames.set(frame, kept);
    dropOldest(this.frames, FRAMES_KEPT);
  }
}

function keyOf(crop: Crop | null, shape: Shape): string {
  return crop === null || crop.join() === [0, 0, ...shape].join() ? "" : crop.join();
}

async function encoded(rgb: Uint8Array, shape: Shape, encoder: Encoder, progress: Progress): Promise<Embedding> {
  const inputShape = resizedShape(shape[0], shape[1], encoder.inputSize);
  const input = resize(rgb, [shape[0], shape[1]], inputShape);
  const made = await encoder.encode(input, inputShape[0], inputShape[1], progress);
  return { encoded: made, frameShape: shape, inputShape, memo: new Map() };
}

function cutOut(rgb: Uint8Array, width: number, [top, left, bottom, right]: Crop): Uint8Array {
  const cut = new Uint8Array((bottom - top) * (right - left) * 3);
  for (let y = top; y < bottom; y++) {
    cut.set(rgb.subarray((y * width + left) * 3, (y * width + right) * 3), (y - top) * (right - left) * 3);
  }
  return cut;
}

function dropOldest<Key>(of: Map<Key, unknown>, most: number): void {
  for (const oldest of of.keys()) {
    if (of.size <= most) break;
    of.delete(oldest);
  }
}
