/** PNG of 8 and 16 bit, as numbers: the browser itself would reduce 16 bit to 8. */
import { Failure } from "../failure";
import { inflate, joined } from "../saving/packing";
import type { Frame } from "./stack";

const MOST_PIXELS = 2 ** 27;
const SAMPLES: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // by colour type
const PALETTE = 3;

interface Head {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly colour: number;
}

/** Read a PNG; null if it is interlaced, which the browser reads. */
export async function readPng(file: Blob, name: string): Promise<Frame | null> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  const parts: Uint8Array[] = [];
  let head: Head | null = null;
  let palette: Uint8Array = new Uint8Array(0);
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (content.length < length) break;
    if (kind === "IHDR") {
      if (content[12] === 1) return null;
      head = headOf(new DataView(content.buffer, content.byteOffset, 13), name);
    } else if (kind === "PLTE") palette = content;
    else if (kind === "IDAT") parts.push(content);
    at += 12 + length;
  }
  if (!head || !parts.length) throw cutOff(name);
  return unpacked(head, joined(parts), palette, name);
}

function headOf(view: DataView, name: string): Head {
  const head = { width: view.getUint32(0), height: view.getUint32(4), bits: view.getUint8(8), colour: view.getUint8(9) };
  if (!(head.width * head.height <= MOST_PIXELS) || !head.width || !head.height || !(head.colour in SAMPLES)) {
    throw new Failure(`${name} has ${head.width} × ${head.height} pixels and cannot be opened here. Crop it, or use napari.`);
  }
  return head;
}

async function unpacked(head: Head, packed: Uint8Array, palette: Uint8Array, name: string): Promise<Frame> {
  const samples = SAMPLES[head.colour]!;
  const pitch = Math.ceil((head.width * samples * head.bits) / 8);
  const raw = await inflate(packed, (pitch + 1) * head.height).catch(() => {
    throw cutOff(name);
  });
  if (raw.length < (pitch + 1) * head.height) throw cutOff(name);
  const rows = unfiltered(raw, pitch, head.height, Math.max(1, (samples * head.bits) >> 3));
  return frameOf(head, numbersOf(rows, pitch, head, samples), samples, palette);
}

function cutOff(name: string): Failure {
  return new Failure(`${name} ends too early: part of the image is missing. Copy the file again.`);
}

/** Undo the filter of each row (PNG specification, section 9). */
function unfiltered(raw: Uint8Array, pitch: number, height: number, step: number): Uint8Array {
  const rows = new Uint8Array(pitch * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (pitch + 1)]!;
    const from = y * (pitch + 1) + 1;
    const to = y * pitch;
    for (let x = 0; x < pitch; x++) {
      const left = x >= step ? rows[to + x - step]! : 0;
      const up = y > 0 ? rows[to - pitch + x]! : 0;
      const corner = y > 0 && x >= step ? rows[to - pitch + x - step]! : 0;
      rows[to + x] = raw[from + x]! + predicted(filter, left, up, corner);
    }
  }
  return rows;
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function numbersOf(rows: Uint8Array, pitch: number, head: Head, samples: number): Uint8Array | Uint16Array {
  const n = head.width * samples;
  if (head.bits === 8) return rows;
  const numbers = head.bits === 16 ? new Uint16Array(n * head.height) : new Uint8Array(n * head.height);
  const scale = head.colour === PALETTE ? 1 : 255 / (2 ** head.bits - 1);
  for (let y = 0; y < head.height; y++) {
    for (let x = 0; x < n; x++) {
      const at = y * pitch;
      if (head.bits === 16) numbers[y * n + x] = (rows[at + 2 * x]! << 8) | rows[at + 2 * x + 1]!;
      else {
        const bit = x * head.bits;
        const value = (rows[at + (bit >> 3)]! >> (8 - head.bits - (bit & 7))) & (2 ** head.bits - 1);
        numbers[y * n + x] = value * scale;
      }
    }
  }
  return numbers;
}

/** Without alpha; a palette as its colours. */
function frameOf(head: Head, numbers: Uint8Array | Uint16Array, samples: number, palette: Uint8Array): Frame {
  const { width, height } = head;
  const channels = head.colour === PALETTE || samples >= 3 ? 3 : 1;
  if (samples === channels && head.colour !== PALETTE) return { height, width, channels, pixels: numbers };
  const pixels = new (numbers.constructor as Uint8ArrayConstructor)(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let c = 0; c < channels; c++) {
      pixels[pixel * channels + c] =
        head.colour === PALETTE ? palette[numbers[pixel]! * 3 + c]! : numbers[pixel * samples + c]!;
    }
  }
  return { height, width, channels, pixels };
}
