/** Labels as a TIFF that any program opens: one page a frame, 16 or 32 bit, deflate. */
import { deflate, joined } from "./packing";

const HEAD = 8;
const ROWS = 64; // of a strip

/** The labels of a frame, packed strip by strip: those in which nothing changed are packed once. */
export class Strips {
  private readonly packed: (Promise<Uint8Array> | undefined)[] = [];
  private readonly filled = new Set<number>(); // strips that have any object

  constructor(
    private readonly height: number,
    private readonly width: number,
    readonly bits: 16 | 32,
  ) {}

  /** Pixels at these places have changed. */
  forget(places: Uint32Array): void {
    const area = ROWS * this.width;
    for (const place of places) this.packed[Math.floor(place / area)] = undefined;
  }

  /** The strips of labels as they are now, or of no object; whether there is any object. */
  take(labels: Uint32Array): { strips: Promise<Uint8Array[]>; isEmpty: boolean } {
    const area = ROWS * this.width;
    for (let n = 0; n * ROWS < this.height; n++) {
      if (this.packed[n]) continue;
      const rows = labels.length ? labels.subarray(n * area, (n + 1) * area) : new Uint32Array(Math.min(ROWS, this.height - n * ROWS) * this.width);
      if (hasObjects(rows)) this.filled.add(n);
      else this.filled.delete(n);
      this.packed[n] = deflate(bytesOf(rows, this.bits));
    }
    return { strips: Promise.all(this.packed as Promise<Uint8Array>[]), isEmpty: this.filled.size === 0 };
  }
}

function hasObjects(labels: Uint32Array): boolean {
  for (let i = 0; i < labels.length; i++) if (labels[i] !== 0) return true;
  return false;
}

/** Little-endian bytes of labels, copied. */
function bytesOf(labels: Uint32Array, bits: 16 | 32): Uint8Array {
  return new Uint8Array((bits === 32 ? labels.slice() : new Uint16Array(labels)).buffer);
}

/**
 * @param frames labels of each frame in turn, (height, width); none: no object
 * @param shape of the whole, of which the last two are height and width
 */
export async function labelsTiff(frames: Iterable<Uint32Array>, shape: readonly number[], bits: 16 | 32): Promise<Uint8Array> {
  const [height, width] = shape.slice(-2) as [number, number];
  const pages: Uint8Array[][] = [];
  for (const labels of frames) pages.push(await new Strips(height, width, bits).take(labels).strips);
  return tiffOf(pages, shape, bits);
}

/**
 * @param pages the strips of each frame in turn
 * @param shape of the whole, of which the last two are height and width
 */
export function tiffOf(pages: readonly (readonly Uint8Array[])[], shape: readonly number[], bits: 16 | 32): Uint8Array {
  const [height, width] = shape.slice(-2) as [number, number];
  const description = shape.length > 2 ? new TextEncoder().encode(`{"shape": [${shape.join(", ")}]}\0`) : null;
  const parts: Uint8Array[] = [new Uint8Array([0x49, 0x49, 42, 0, HEAD, 0, 0, 0])];
  let at = HEAD;
  pages.forEach((strips, nth) => {
    const text = nth ? null : description;
    const length = lengthOf(strips, text);
    const next = nth + 1 < pages.length ? at + length : 0;
    const page = joined([directory(height, width, bits, at, strips, text, next), text ?? new Uint8Array(0), ...strips]);
    parts.push(page, new Uint8Array(length - page.length));
    at += length;
  });
  return joined(parts);
}

/** Bytes of a page; the next one begins at an even place. */
function lengthOf(strips: readonly Uint8Array[], text: Uint8Array | null): number {
  const pixels = strips.reduce((n, strip) => n + strip.length, 0);
  return 2 * Math.ceil((directoryLength(strips.length, text) + (text?.length ?? 0) + pixels) / 2);
}

function directoryLength(strips: number, text: Uint8Array | null): number {
  return 2 + (text ? 11 : 10) * 12 + 4 + (strips > 1 ? 8 * strips : 0);
}

/** The entries of a page that begins at `at`, and where its strips are, which follow the text after it. */
function directory(
  height: number, width: number, bits: number, at: number, strips: readonly Uint8Array[], text: Uint8Array | null, next: number,
): Uint8Array {
  const length = directoryLength(strips.length, text);
  const tables = at + length - 8 * strips.length; // of several strips: where they begin, and their lengths
  const first = at + length + (text?.length ?? 0);
  const [offsets, lengths] = strips.length > 1 ? [tables, tables + 4 * strips.length] : [first, strips[0]!.length];
  const entries: [tag: number, type: number, count: number, value: number][] = [
    [256, 4, 1, width], [257, 4, 1, height], [258, 3, 1, bits], [259, 3, 1, 8], [262, 3, 1, 1],
    [273, 4, strips.length, offsets], [277, 3, 1, 1], [278, 4, 1, Math.min(ROWS, height)], [279, 4, strips.length, lengths], [339, 3, 1, 1],
  ];
  if (text) entries.splice(5, 0, [270, 2, text.length, at + length]);
  const view = new DataView(new ArrayBuffer(length));
  view.setUint16(0, entries.length, true);
  entries.forEach(([tag, type, count, value], nth) => {
    const field = 2 + nth * 12;
    view.setUint16(field, tag, true);
    view.setUint16(field + 2, type, true);
    view.setUint32(field + 4, count, true);
    if (type === 3) view.setUint16(field + 8, value, true);
    else view.setUint32(field + 8, value, true);
  });
  view.setUint32(2 + entries.length * 12, next, true);
  if (strips.length > 1) {
    let begins = first;
    strips.forEach((strip, nth) => {
      view.setUint32(tables - at + 4 * nth, begins, true);
      view.setUint32(tables - at + 4 * (strips.length + nth), strip.length, true);
      begins += strip.length;
    });
  }
  return new Uint8Array(view.buffer);
}
