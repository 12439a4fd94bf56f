/** The prompts of one object as a network takes them, in pixels of its input, x before y. */

export interface NetworkPrompts {
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly labels: readonly number[]; // 1 belongs to the object, 0 does not
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number] | null;
  readonly mask: Planes | null; // logits (1, m, m') at the stride of the network's own
  readonly diameter: number | null; // of objects as expected, in pixels of the input
}

/** Numbers (C, h, w). */
export interface Planes {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly data: Float32Array;
}

/** What a network says of one object: four masks, the single one and three candidates. */
export interface Decoded {
  readonly logits: Planes; // (4, m, m')
  readonly scores: Float32Array; // (4,) IoU predictions
  readonly window: Window; // beyond it all logits are negative
}

/** Rows top to bottom and columns left to right, the last ones not included. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

/** All of some planes. */
export function allOf({ height, width }: Planes): Window {
  return { top: 0, left: 0, bottom: height, right: width };
}

/** Planes of one value. */
export function planes(channels: number, height: number, width: number, fill = 0): Planes {
  const data = new Float32Array(channels * height * width);
  if (fill !== 0) data.fill(fill);
  return { channels, height, width, data };
}

/** One of the planes, as a view. */
export function plane(of: Planes, nth: number): Planes {
  const area = of.height * of.width;
  return { channels: 1, height: of.height, width: of.width, data: of.data.subarray(nth * area, (nth + 1) * area) };
}

/** A window of planes, copied. */
export function cropped(of: Planes, top: number, left: number, height: number, width: number): Planes {
  const crop = planes(of.channels, height, width);
  for (let c = 0; c < of.channels; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * of.height + top + y) * of.width + left;
      crop.data.set(of.data.subarray(from, from + width), (c * height + y) * width);
    }
  }
  return crop;
}

/** IoU predictions, lowered for masks of another size than expected (`model/fitness.py`). */
export function fitness(decoded: Decoded, stride: number, diameter: number | null): number[] {
  const area = decoded.logits.height * decoded.logits.width;
  return Array.from(decoded.scores, (score, nth) => {
    if (diameter === null) return score;
    let inside = 0;
    for (let i = nth * area; i < (nth + 1) * area; i++) if (decoded.logits.data[i]! > 0) inside++;
    const found = Math.sqrt((4 / Math.PI) * Math.max(inside, 1) * stride ** 2);
    return score - 0.35 * Math.max(0, Math.abs(Math.log(found / diameter)) - Math.log(1.4));
  });
}

/** Index of the highest of some numbers. */
export function highest(numbers: readonly number[]): number {
  return numbers.reduce((best, value, n) => (value > numbers[best]! ? n : best), 0);
}
