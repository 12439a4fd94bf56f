/** Which part of a large frame to look at for a prompt, and at what size (`napari_sam.engine.where_to_look`). */
import { cropAround, FINE_STEPS, holds, isLarge, LONG_SIDE, longSide, type Box, type Crop, type Shape } from "./crop";
import type { Prompts } from "./prompts";

const KNOWN = 40; // input pixels that an object of known size is wide at least, twice that at most
const SMALLEST = 256; // pixels of the frame that are enlarged to the input
const LADDER = 4; // times the side of the crop before: the network itself sees three sizes
const RUNGS = 3; // crops tried for a click
const MOST_SEEN = 2; // times its side: a crop that is less of what is on screen is not prepared
const FARTHEST = 16; // times: a crop so much smaller than what is on screen is not tried

/**
 * The crops to look at for one object, in this order; none of a frame that fits the input.
 *
 * @param diameter of objects as they are expected, in frame pixels
 * @param seen the part of the frame on screen
 * @param earlier the crop in which the object was found before
 * @param travelled crops whose embeddings are in the page: one that holds the prompts is taken, if it does not make the object too small
 */
export function whereToLook(
  prompts: Prompts, shape: Shape, diameter: number | null, seen: Box | null, earlier: Crop | null, travelled: readonly Crop[] = [],
): readonly Crop[] {
  if (!isLarge(shape)) return [];
  const box = around(prompts, shape);
  if (earlier && holds(earlier, box, shape)) return [earlier];
  const extent = prompts.box || prompts.mask ? Math.max(box[2] - box[0], box[3] - box[1]) : diameter;
  const there = closest(travelled.filter((crop) => holds(crop, box, shape)), extent, box);
  if (there) return [there];
  const sides = extent === null ? sidesFor(shape, seen) : [sideFor(extent)];
  const crops = sides.map((side) => cropAt(box, side, shape, seen));
  return crops.filter((crop, n) => crops.findIndex((each) => each.join() === crop.join()) === n);
}

/** The crop in which a click on what is on screen is looked at first; null: there is no such one. */
export function cropOnScreen(shape: Shape, diameter: number | null, seen: Box | null): Crop | null {
  if (!isLarge(shape) || !seen) return null;
  const side = diameter === null ? sidesFor(shape, seen)[0]! : sideFor(diameter);
  const [y, x] = [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2];
  const isSmallPart = Math.max(seen[2] - seen[0], seen[3] - seen[1]) > MOST_SEEN * side;
  return isSmallPart ? null : cropAround([y, x, y, x], side, shape, FINE_STEPS);
}

/** The smallest of some crops, and of these the one with a box most in its middle; null: all make an object of this extent too small. */
function closest(crops: readonly Crop[], extent: number | null, box: Box): Crop | null {
  const away = ([top, left, bottom, right]: Crop): number =>
    Math.hypot(top + bottom - box[0] - box[2], left + right - box[1] - box[3]);
  const largest = extent === null ? Infinity : 2 * sideFor(extent);
  const [best] = crops.filter((crop) => longSide(crop) <= largest).sort((a, b) => longSide(a) - longSide(b) || away(a) - away(b));
  return best ?? null;
}

/** The sides of crops to try for an object of which nothing but a click is known. */
function sidesFor(shape: Shape, seen: Box | null): number[] {
  const shown = seen ? Math.max(seen[2] - seen[0], seen[3] - seen[1]) : LONG_SIDE;
  let first = LONG_SIDE;
  if (shown <= LONG_SIDE) first = power(shown, Math.ceil);
  else while (FARTHEST * first < Math.min(shown, Math.max(...shape))) first *= LADDER;
  return Array.from({ length: RUNGS }, (_, n) => first * LADDER ** n);
}

/** The crop around prompts; the one on screen, if it is of this side and they are well in it. */
function cropAt(box: Box, side: number, shape: Shape, seen: Box | null): Crop {
  if (seen) {
    const [y, x] = [(seen[0] + seen[2]) / 2, (seen[1] + seen[3]) / 2];
    const onScreen = cropAround([y, x, y, x], side, shape, FINE_STEPS);
    if (holds(onScreen, box, shape)) return onScreen;
  }
  return cropAround(box, side, shape);
}

/** The side of a crop in which an object of this extent has a size that the network knows. */
function sideFor(extent: number): number {
  return power((extent * LONG_SIDE) / KNOWN, Math.floor);
}

function power(side: number, rounded: (value: number) => number): number {
  return 2 ** Math.max(rounded(Math.log2(Math.max(side, 1))), Math.log2(SMALLEST));
}

/** The box around everything that was clicked and drawn in a frame. */
export function around({ points, box, mask }: Prompts, [height, width]: Shape): Box {
  const boxes: Box[] = points.map(([y, x]) => [y, x, y, x]);
  if (box) boxes.push(box);
  if (mask && !mask.isEmpty) boxes.push([mask.top, mask.left, mask.bottom - 1, mask.right - 1]);
  const within = (at: number, size: number): number => Math.min(Math.max(at, 0), size - 1);
  return [
    within(Math.min(...boxes.map((each) => each[0])), height), within(Math.min(...boxes.map((each) => each[1])), width),
    within(Math.max(...boxes.map((each) => each[2])), height), within(Math.max(...boxes.map((each) => each[3])), width),
  ];
}
