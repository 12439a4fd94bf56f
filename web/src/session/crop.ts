/** A part of a frame that is too large for the network, looked at by itself (`napari_sam.engine.crop`). */
import { halfToEven } from "../rounding";

/** Rows top to bottom and columns left to right, the last ones not included. */
export type Crop = readonly [top: number, left: number, bottom: number, right: number];
export type Box = readonly [y0: number, x0: number, y1: number, x1: number];
export type Shape = readonly [height: number, width: number];

export const LONG_SIDE = 1024; // the longer side of the network's input
export const FINE_STEPS = 4; // of the grid to a side of a crop of what is on screen, which is to be in the middle
const STEPS = 2; // of the others: half of a crop is in the next one as well
const MARGIN = 1 / 8; // of its side that a crop shows around what it was made for
const WHOLE = 1.5; // a crop that would be all but a strip of the frame is all of it

/** Whether a frame is larger than the input of the network. */
export function isLarge([height, width]: Shape): boolean {
  return Math.max(height, width) > LONG_SIDE;
}

export function longSide([top, left, bottom, right]: Crop): number {
  return Math.max(bottom - top, right - left);
}

/** Whether a box is inside a crop with some margin around it; where the crop ends with the frame, without. */
export function holds(crop: Crop, box: Box, [height, width]: Shape): boolean {
  const margin = MARGIN * longSide(crop);
  const [top, left, bottom, right] = crop;
  return (
    (top === 0 || box[0] >= top + margin) && (left === 0 || box[1] >= left + margin) &&
    (bottom === height || box[2] <= bottom - 1 - margin) && (right === width || box[3] <= right - 1 - margin)
  );
}

/** Whether all of a box is inside a crop. */
export function contains([top, left, bottom, right]: Crop, [y0, x0, y1, x1]: Box): boolean {
  return top <= y0 && left <= x0 && y1 < bottom && x1 < right;
}

/** The crop of the grid that has a box most in its middle, of this side or, to hold the box, twice that and so on. */
export function cropAround(box: Box, side: number, shape: Shape, steps = STEPS): Crop {
  for (; WHOLE * side < Math.max(...shape); side *= 2) {
    const [top, bottom] = spanOf((box[0] + box[2]) / 2, side, shape[0], Math.floor(side / steps));
    const [left, right] = spanOf((box[1] + box[3]) / 2, side, shape[1], Math.floor(side / steps));
    const crop = [top, left, bottom, right] as const;
    if (holds(crop, box, shape)) return crop;
  }
  return [0, 0, ...shape];
}

function spanOf(middle: number, side: number, size: number, step: number): [first: number, end: number] {
  const start = Math.min(Math.max(0, halfToEven((middle + 0.5 - side / 2) / step) * step), Math.max(0, size - side));
  return [start, Math.min(start + side, size)];
}
