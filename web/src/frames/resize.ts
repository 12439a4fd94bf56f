/**
 * Bilinear with antialiasing, in the fixed-point numbers of Pillow's `Image.resize`: the network
 * sees the same pixels as in Python.
 */

const PRECISION = 22; // bits after the point

interface Taps {
  readonly first: Int32Array; // of the source pixels that an output pixel sees
  readonly count: Int32Array;
  readonly weights: Int32Array; // (size, width)
  readonly width: number;
}

/** Height and width of a frame whose long side becomes `longSide`. */
export function resizedShape(height: number, width: number, longSide: number): [number, number] {
  const scale = longSide / Math.max(height, width);
  return [height, width].map((side) => Math.max(1, Math.trunc(side * scale + 0.5))) as [number, number];
}

/** (height, width, 3) of 8 bit to another size. */
export function resize(rgb: Uint8Array, from: [number, number], to: [number, number]): Uint8Array {
  const wide = from[1] === to[1] ? rgb : alongRows(rgb, from, to[1]);
  return from[0] === to[0] ? wide : alongColumns(wide, from[0], to);
}

function alongRows(rgb: Uint8Array, [height, width]: [number, number], newWidth: number): Uint8Array {
  const taps = tapsOf(width, newWidth);
  const out = new Uint8Array(height * newWidth * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < newWidth; x++) {
      const at = y * width + taps.first[x]!;
      weigh(rgb, at * 3, 3, taps, x, out, (y * newWidth + x) * 3);
    }
  }
  return out;
}

function alongColumns(rgb: Uint8Array, height: number, [newHeight, width]: [number, number]): Uint8Array {
  const taps = tapsOf(height, newHeight);
  const out = new Uint8Array(newHeight * width * 3);
  for (let y = 0; y < newHeight; y++) {
    for (let x = 0; x < width; x++) {
      weigh(rgb, (taps.first[y]! * width + x) * 3, width * 3, taps, y, out, (y * width + x) * 3);
    }
  }
  return out;
}

function weigh(
  rgb: Uint8Array, at: number, step: number, taps: Taps, nth: number, out: Uint8Array, to: number,
): void {
  let [red, green, blue] = [1 << (PRECISION - 1), 1 << (PRECISION - 1), 1 << (PRECISION - 1)];
  const weights = nth * taps.width;
  for (let i = 0; i < taps.count[nth]!; i++, at += step) {
    const weight = taps.weights[weights + i]!;
    red += rgb[at]! * weight;
    green += rgb[at + 1]! * weight;
    blue += rgb[at + 2]! * weight;
  }
  out[to] = red >> PRECISION;
  out[to + 1] = green >> PRECISION;
  out[to + 2] = blue >> PRECISION;
}

/** Which pixels of an axis each new one sees, and how much of each. */
function tapsOf(size: number, newSize: number): Taps {
  const scale = size / newSize;
  const support = Math.max(1, scale);
  const width = Math.ceil(support) * 2 + 1;
  const taps = {
    first: new Int32Array(newSize), count: new Int32Array(newSize),
    weights: new Int32Array(newSize * width), width,
  };
  for (let nth = 0; nth < newSize; nth++) {
    const centre = (nth + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(size, Math.trunc(centre + support + 0.5)) - first;
    const shares = Array.from({ length: count }, (_, i) =>
      Math.max(0, 1 - Math.abs((i + first - centre + 0.5) / support)),
    );
    const sum = shares.reduce((a, b) => a + b, 0);
    shares.forEach((share, i) => (taps.weights[nth * width + i] = Math.trunc(0.5 + (share / sum) * 2 ** PRECISION)));
    taps.first[nth] = first;
    taps.count[nth] = count;
  }
  return taps;
}
