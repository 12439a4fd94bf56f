/** Low-res logits to a mask in the frame's own pixels (`napari_sam/model/upscaling.py`). */
import { planes, type Planes, type Window } from "./prompts";
import { Region } from "../session/region";

/** For each pixel of an axis the source pixels it sees, `width` of them, and how much of each. */
interface Weights {
  readonly width: number;
  readonly first: Int32Array;
  readonly weights: Float32Array; // (size, width)
}

/** Bilinear interpolation along an axis, the centres of the outer pixels held. */
function linear(size: number, newSize: number, scale = size / newSize): Weights {
  const first = new Int32Array(newSize);
  const weights = new Float32Array(newSize * 2);
  for (let i = 0; i < newSize; i++) {
    const at = Math.min(Math.max(0, (i + 0.5) * scale - 0.5), size - 1);
    first[i] = Math.min(Math.floor(at), Math.max(0, size - 2));
    const share = at - first[i]!;
    weights[2 * i] = 1 - share;
    if (size > 1) weights[2 * i + 1] = share;
  }
  return { width: 2, first, weights };
}

/** Two interpolations, one after the other, as one. */
function chained(inner: Weights, outer: Weights): Weights {
  const [n, width] = [outer.first.length, 4];
  const first = new Int32Array(n);
  const weights = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    const from = outer.first[i]!;
    first[i] = inner.first[from]!;
    for (let a = 0; a < 2; a++) {
      const share = outer.weights[2 * i + a]!;
      if (share === 0) continue;
      for (let b = 0; b < 2; b++) {
        const to = inner.first[from + a]! + b - first[i]!;
        weights[i * width + to] = weights[i * width + to]! + share * inner.weights[2 * (from + a) + b]!;
      }
    }
  }
  return { width, first, weights };
}

/** Planes made `factor` times as large, bilinearly. */
export function enlarged(maps: Planes, factor: number): Planes {
  if (factor === 1) return maps;
  const [rows, columns] = [linear(maps.height, maps.height * factor), linear(maps.width, maps.width * factor)];
  const large = planes(maps.channels, maps.height * factor, maps.width * factor);
  const wide = new Float32Array(maps.height * large.width);
  for (let c = 0; c < maps.channels; c++) {
    const from = maps.data.subarray(c * maps.height * maps.width);
    for (let y = 0; y < maps.height; y++) {
      for (let x = 0; x < large.width; x++) {
        const at = y * maps.width + columns.first[x]!;
        wide[y * large.width + x] = from[at]! * columns.weights[2 * x]! + (columns.weights[2 * x + 1]! && from[at + 1]! * columns.weights[2 * x + 1]!);
      }
    }
    for (let y = 0; y < large.height; y++) {
      const at = rows.first[y]! * large.width;
      const [above, below] = [rows.weights[2 * y]!, rows.weights[2 * y + 1]!];
      const to = (c * large.height + y) * large.width;
      for (let x = 0; x < large.width; x++) {
        large.data[to + x] = wide[at + x]! * above + (below && wide[at + large.width + x]! * below);
      }
    }
  }
  return large;
}

/**
 * The region of a frame where logits, upscaled, are positive.
 *
 * They are interpolated to the padded input, cropped to what of it the frame fills, and
 * interpolated to the frame, as Segment Anything does. Only what sees a positive logit is computed.
 *
 * @param window beyond it no logit is positive
 * @param stride pixels of the input to one of the logits
 * @param inputShape [h, w] of the input that the frame fills
 * @param frameShape [H, W]
 */
export function maskOf(
  logits: Planes, window: Window, stride: number, inputShape: readonly [number, number], frameShape: readonly [number, number],
): Region {
  const [seenRows, seenColumns] = positive(logits, window);
  const rows = axisOf(logits.height, stride, inputShape[0], frameShape[0]);
  const columns = axisOf(logits.width, stride, inputShape[1], frameShape[1]);
  const [top, bottom] = spanOf(rows, seenRows);
  const [left, right] = spanOf(columns, seenColumns);
  if (bottom <= top || right <= left) return Region.EMPTY;
  const pixels = new Uint8Array((bottom - top) * (right - left));
  const wide = widened(logits, columns, rows.first[top]!, rows.first[bottom - 1]! + rows.width, left, right);
  const [low, width] = [rows.first[top]!, right - left];
  for (let y = top; y < bottom; y++) {
    const at = (rows.first[y]! - low) * width;
    for (let x = 0; x < width; x++) {
      let value = 0;
      for (let k = 0; k < rows.width; k++) {
        const weight = rows.weights[y * rows.width + k]!;
        if (weight !== 0) value += weight * wide[at + k * width + x]!;
      }
      if (value > 0) pixels[(y - top) * width + x] = 1;
    }
  }
  return Region.ofPixels(top, left, bottom - top, width, pixels);
}

function axisOf(low: number, stride: number, nInput: number, nFrame: number): Weights {
  return chained(linear(low, low * stride), linear(nInput, nFrame));
}

/** Rows of logits from `from` to `to`, interpolated along their columns `left` to `right`. */
function widened(logits: Planes, columns: Weights, from: number, to: number, left: number, right: number): Float32Array {
  const width = right - left;
  const wide = new Float32Array((to - from) * width);
  for (let y = from; y < Math.min(to, logits.height); y++) {
    for (let x = left; x < right; x++) {
      let value = 0;
      for (let k = 0; k < columns.width; k++) {
        const weight = columns.weights[x * columns.width + k]!;
        if (weight !== 0) value += weight * logits.data[y * logits.width + columns.first[x]! + k]!;
      }
      wide[(y - from) * width + x - left] = value;
    }
  }
  return wide;
}

/** Which rows and which columns have a positive logit. */
function positive(logits: Planes, window: Window): [Uint8Array, Uint8Array] {
  const [rows, columns] = [new Uint8Array(logits.height), new Uint8Array(logits.width)];
  for (let y = window.top; y < window.bottom; y++) {
    for (let x = window.left; x < window.right; x++) {
      if (logits.data[y * logits.width + x]! > 0) rows[y] = columns[x] = 1;
    }
  }
  return [rows, columns];
}

/** The first pixel of an axis that sees something positive, and the one after the last. */
function spanOf(axis: Weights, seen: Uint8Array): [number, number] {
  let [first, end] = [-1, 0];
  for (let i = 0; i < axis.first.length; i++) {
    for (let k = 0; k < axis.width; k++) {
      if (axis.weights[i * axis.width + k]! > 0 && seen[axis.first[i]! + k]) {
        if (first < 0) first = i;
        end = i + 1;
      }
    }
  }
  return [Math.max(first, 0), end];
}
