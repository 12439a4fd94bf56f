/** Pixels of any type → 8 bit, as `napari_sam.engine.contrast` does: the network sees the same. */
import { halfToEven } from "../rounding";
import type { Frame, ImageStack } from "./stack";

/** Low and high, shown as black and white: one pair a channel, or a single pair for all. */
export type Limits = readonly (readonly [number, number])[];

const TAIL = 0.001; // share of pixels at either end that may be hot, dead or dust
const SAMPLE_SIDE = 256; // limits are taken from about this many pixels squared

/** Robust limits of a frame, from a grid of its pixels. RGB of 8 bit keeps its whole range. */
export function frameLimits(frame: Frame, rgb: boolean): Limits {
  if (rgb && frame.pixels instanceof Uint8Array) return [[0, 255]];
  const step = Math.ceil(Math.sqrt(frame.height * frame.width) / SAMPLE_SIDE);
  const samples: number[][] = Array.from({ length: frame.channels }, () => []);
  for (let y = 0; y < frame.height; y += step) {
    for (let x = 0; x < frame.width; x += step) {
      const at = (y * frame.width + x) * frame.channels;
      for (let c = 0; c < frame.channels; c++) samples[c]!.push(frame.pixels[at + c]!);
    }
  }
  return rgb ? [robustLimits(samples.flat())] : samples.map(robustLimits);
}

function robustLimits(values: number[]): readonly [number, number] {
  const ordered = Float64Array.from(values.filter(Number.isFinite)).sort();
  const last = ordered.length - 1;
  if (last < 0) return [0, 0];
  const cut = Math.ceil(TAIL * last);
  if (ordered[cut]! < ordered[last - cut]!) return [ordered[cut]!, ordered[last - cut]!];
  return [ordered[0]!, ordered[last]!];
}

/** Stretch and mix a frame to (height, width, 3) of 8 bit. */
export function toRgb(frame: Frame, limits: Limits): Uint8Array {
  const { channels, pixels } = frame;
  const area = frame.height * frame.width;
  const shared = limits.length === 1;
  const stretches = limits.map(([low, high]) => stretching(frame, low, high));
  const rgb = new Uint8Array(area * 3);
  const values = new Uint8Array(channels);
  for (let i = 0; i < area; i++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) {
      values[c] = stretches[shared ? 0 : c]!(pixels[i * channels + c]!);
      sum += values[c]!;
    }
    if (channels === 3) rgb.set(values, i * 3);
    else if (channels === 2) rgb.set([values[0]!, values[1]!, halfToEven(sum / 2)], i * 3);
    else rgb.fill(channels === 1 ? values[0]! : halfToEven(sum / channels), i * 3, i * 3 + 3);
  }
  return rgb;
}

function stretching(frame: Frame, low: number, high: number): (value: number) => number {
  if (frame.pixels instanceof Uint8Array && low === 0 && high === 255) return (value) => value;
  const stretch = (value: number): number => {
    if (!(low < high) || Number.isNaN(value)) return 0;
    return Math.floor(((Math.min(Math.max(value, low), high) - low) / (high - low)) * 255 + 0.5);
  };
  if (!(frame.pixels instanceof Uint8Array || frame.pixels instanceof Uint16Array)) return stretch;
  const table = Uint8Array.from({ length: 2 ** (8 * frame.pixels.BYTES_PER_ELEMENT) }, (_, value) => stretch(value));
  return (value) => table[value]!;
}

/** Red, green and blue of a stack's frame as the network sees it. */
export async function seenFrame(stack: ImageStack, n: number, limits: Limits | null): Promise<Uint8Array> {
  const frame = await stack.frame(n);
  return toRgb(frame, limits ?? frameLimits(frame, stack.rgb));
}
