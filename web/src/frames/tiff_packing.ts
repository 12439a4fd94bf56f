/** How TIFF packs its pixels. */
import { Failure } from "../failure";
import { inflate } from "../saving/packing";
import type { Pixels } from "./stack";

type Unpack = (packed: Uint8Array, wanted: number) => Uint8Array | Promise<Uint8Array>;

/** By TIFF's numbers: none, LZW, deflate twice, PackBits. */
export const PACKINGS: Record<number, Unpack> = {
  1: (packed) => packed,
  5: unpackLzw,
  8: (packed, wanted) => inflate(packed, wanted),
  32946: (packed, wanted) => inflate(packed, wanted),
  32773: unpackBits,
};

/** The bytes of a strip or tile: `wanted` of them, fewer if it is cut off. */
export async function decompress(
  packed: Uint8Array, compression: number, wanted: number, name: string,
): Promise<Uint8Array> {
  try {
    return await PACKINGS[compression]!(packed, wanted);
  } catch {
    throw new Failure(`The pixels of ${name} are damaged. Copy the file again.`);
  }
}

/** Undo that each number was written as its difference to the one before in its row. */
export function undoPredictor(chunk: Pixels, predictor: number, width: number, samples: number): void {
  if (predictor === 1) return;
  if (predictor !== 2) throw new Failure("This TIFF is packed in a way that is not read here. Save it without compression.");
  for (let row = 0; row < chunk.length; row += width * samples) {
    for (let i = row + samples; i < row + width * samples; i++) chunk[i] = chunk[i]! + chunk[i - samples]!;
  }
}

function unpackBits(packed: Uint8Array, wanted: number): Uint8Array {
  const bytes = new Uint8Array(wanted);
  let to = 0;
  for (let at = 0; at < packed.length && to < wanted; ) {
    const head = (packed[at++]! << 24) >> 24;
    if (head >= 0) {
      bytes.set(packed.subarray(at, Math.min(at + head + 1, at + wanted - to)), to);
      at += head + 1;
      to += head + 1;
    } else if (head !== -128) {
      bytes.fill(packed[at++]!, to, to + 1 - head);
      to += 1 - head;
    }
  }
  return bytes.subarray(0, Math.min(to, wanted));
}

const CLEAR = 256;
const END = 257;

function unpackLzw(packed: Uint8Array, wanted: number): Uint8Array {
  const bytes = new Uint8Array(wanted);
  // Entry n is a run of the output: where it begins and how long it is
  const [starts, lengths] = [new Int32Array(4097), new Int32Array(4097)];
  let [next, bits, before, to, buffer, held, at] = [258, 9, -1, 0, 0, 0, 0];
  while (to < wanted) {
    while (held < bits && at < packed.length) {
      buffer = ((buffer << 8) | packed[at++]!) & 0xffffff;
      held += 8;
    }
    if (held < bits) break;
    const code = (buffer >> (held - bits)) & ((1 << bits) - 1);
    held -= bits;
    if (code === END) break;
    if (code === CLEAR) {
      [next, bits, before] = [258, 9, -1];
      continue;
    }
    const begin = to;
    if (code < CLEAR) bytes[to++] = code;
    else if (code < next) to = repeat(bytes, starts[code]!, lengths[code]!, to);
    else if (before >= 0 && code === next) {
      to = repeat(bytes, before, begin - before, to);
      if (to < wanted) bytes[to++] = bytes[before]!;
    } else throw new Error("no such code");
    if (before >= 0 && next < 4096) {
      starts[next] = before;
      lengths[next++] = begin - before + 1;
    }
    before = begin;
    bits = next >= 2047 ? 12 : next >= 1023 ? 11 : next >= 511 ? 10 : 9;
  }
  return bytes.subarray(0, to);
}

function repeat(bytes: Uint8Array, from: number, length: number, to: number): number {
  const end = Math.min(to + length, bytes.length);
  while (to < end) bytes[to++] = bytes[from++]!;
  return to;
}
