/**
 * The embedded network around its two graphs: a pyramid of levels, windows, and merged masks.
 *
 * The same steps as `napari_sam/model/pocket/network.py`, for one object.
 */
import { halfToEven } from "../rounding";
import {
  cropped, fitness, highest, plane, planes, type Decoded, type NetworkPrompts, type Planes, type Window,
} from "./prompts";
import { enlarged } from "./upscaling";

const STRIDES = [16, 8, 4, 2, 4]; // of the features of a level
const EDGES = 2; // stride of the logits
const FEATURES_OF_EDGES = 3; // their place among the features
const STEP = 16; // pixels of a level between places where a window may begin
const COARSE = 2; // from this level on a click is decoded only if the finer ones are uncertain
const OUTSIDE = -16; // logit where an object was not looked for
const SHARPNESS = 0.06; // of IoU predictions: a mask predicted so much better weighs e times as much
const [PIXEL_MEAN, PIXEL_STD] = [127.5, 63.75];

/** What the network's description says of it. */
export interface PocketConfig {
  readonly levels: readonly number[]; // of the pyramid: how far the input is shrunk for each
  readonly window: number; // pixels of a level in which an object is decoded
  readonly sure: number; // IoU prediction of a click from which on no coarser level is looked at
  readonly fit: number; // pixels of a level that an object extends over at most
  readonly stride: number; // every level's extent is a multiple of this
}

/** The two graphs. */
export interface PocketGraphs {
  encode(level: Planes): Promise<Planes[]>;
  decode(features: Planes[], prompts: NetworkPrompts): Promise<Decoded>;
}

export type Pyramid = Planes[][]; // the features of each level, finest first

/** Where an object is looked at: a window of one level of the pyramid. */
export interface View {
  readonly level: number;
  readonly height: number; // in pixels of the level
  readonly width: number;
  readonly top: number;
  readonly left: number;
}

interface Look {
  readonly view: View;
  readonly decoded: Decoded; // of the window
  readonly fits: number[];
  readonly score: number; // by which views compare
}

/** A frame (h, w, 3) of 8 bit, its long side the input's → its features at every level. */
export async function encode(
  graphs: PocketGraphs, config: PocketConfig, rgb: Uint8Array, height: number, width: number,
  progress: (share: number) => void = () => {},
): Promise<Pyramid> {
  const input = normalised(rgb, height, width, config.stride * config.levels.at(-1)!);
  const pyramid: Pyramid = [];
  let [done, total] = [0, config.levels.reduce((sum, shrink) => sum + shrink ** -2, 0)];
  for (const shrink of [...config.levels].reverse()) {
    pyramid.unshift(await graphs.encode(shrunk(input, shrink)));
    progress((done += shrink ** -2) / total);
  }
  return pyramid;
}

/** Levels 0 to 255 → about -2 to 2, padded with 0 to a multiple of `stride`. */
function normalised(rgb: Uint8Array, height: number, width: number, stride: number): Planes {
  const padded = [height, width].map((side) => Math.ceil(side / stride) * stride);
  const input = planes(3, padded[0]!, padded[1]!);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      const to = (c * input.height + y) * input.width;
      for (let x = 0; x < width; x++) {
        input.data[to + x] = (rgb[(y * width + x) * 3 + c]! - PIXEL_MEAN) / PIXEL_STD;
      }
    }
  }
  return input;
}

/** Means of `factor` × `factor` pixels. */
function shrunk(input: Planes, factor: number): Planes {
  if (factor === 1) return input;
  const small = planes(input.channels, input.height / factor, input.width / factor);
  for (let row = 0; row < small.channels * small.height; row++) {
    for (let x = 0; x < small.width; x++) {
      let sum = 0;
      for (let dy = 0; dy < factor; dy++) {
        const from = (row * factor + dy) * input.width + x * factor;
        for (let dx = 0; dx < factor; dx++) sum += input.data[from + dx]!;
      }
      small.data[row * small.width + x] = sum / factor ** 2;
    }
  }
  return small;
}

/** The masks of one object; the single mask of one click is what the masks of all sizes agree on. */
export async function decode(
  graphs: PocketGraphs, config: PocketConfig, pyramid: Pyramid, prompts: NetworkPrompts, merge: boolean,
): Promise<Decoded> {
  const looks: Look[] = [];
  for (const view of viewsOf(config, pyramid, prompts)) {
    if (view.level >= COARSE && looks.some((look) => look.score >= config.sure)) continue;
    looks.push(await lookAt(graphs, config, pyramid, prompts, view));
  }
  const chosen = looks[highest(looks.map((look) => look.score))]!;
  const { height, width } = pyramid[0]![FEATURES_OF_EDGES]!;
  const logits = planes(chosen.decoded.logits.channels, height, width, OUTSIDE);
  place(logits, enlarged(chosen.decoded.logits, config.levels[chosen.view.level]!), windowOf(chosen.view, config));
  const scores = Float32Array.from(chosen.decoded.scores);
  if (!merge || !isOneClick(prompts)) return { logits, scores, window: windowOf(chosen.view, config) };
  const window = around(looks.map((look) => windowOf(look.view, config)));
  scores[0] = mergeInto(plane(logits, 0), window, looks, config);
  return { logits, scores, window };
}

async function lookAt(
  graphs: PocketGraphs, config: PocketConfig, pyramid: Pyramid, prompts: NetworkPrompts, view: View,
): Promise<Look> {
  const shrink = config.levels[view.level]!;
  const features = pyramid[view.level]!.map((feature, nth) => {
    const at = [view.top, view.left, view.height, view.width].map((n) => Math.floor(n / STRIDES[nth]!));
    return cropped(feature, at[0]!, at[1]!, at[2]!, at[3]!);
  });
  const decoded = await graphs.decode(features, promptsIn(view, shrink, prompts));
  const fits = fitness(decoded, EDGES * shrink, prompts.diameter);
  const score = isOneClick(prompts) ? Math.max(...fits.slice(1)) : fits[0]!;
  return { view, decoded, fits, score };
}

function isOneClick(prompts: NetworkPrompts): boolean {
  return prompts.points.length === 1 && !hasExtent(prompts.box) && !prompts.mask;
}

function hasExtent(box: NetworkPrompts["box"]): boolean {
  return box !== null && box[2] > box[0];
}

/** Where to look: at the level where the object has a size the network knows, or at all of them. */
export function viewsOf(config: PocketConfig, pyramid: Pyramid, prompts: NetworkPrompts): View[] {
  const { x0, y0, x1, y1, known } = extentOf(prompts);
  const extent = Math.max(y1 - y0, x1 - x0);
  const last = config.levels.length - 1;
  const fits = config.levels.map((_, n) => n).filter((n) => extent <= config.fit * config.levels[n]!);
  const levels = known ? (fits.length ? fits.slice(0, 1) : [last]) : fits.length ? fits : [last];
  const middle: [number, number] = [(y0 + y1) / 2, (x0 + x1) / 2];
  return levels.map((level) =>
    viewAt(config, pyramid, level, middle, level === last && (known || !fits.includes(level))),
  );
}

/** A window of a level around y, x in input pixels; if large, all of the level. */
function viewAt(
  config: PocketConfig, pyramid: Pyramid, level: number, middle: [number, number], large: boolean,
): View {
  const edges = pyramid[level]![FEATURES_OF_EDGES]!;
  const [height, top] = spanOf(config, level, edges.height * EDGES, middle[0], large);
  const [width, left] = spanOf(config, level, edges.width * EDGES, middle[1], large);
  return { level, height, width, top, left };
}

function spanOf(config: PocketConfig, level: number, extent: number, at: number, large: boolean): [number, number] {
  const size = large ? extent : Math.min(extent, config.window);
  const start = halfToEven(((at + 0.5) / config.levels[level]! - size / 2) / STEP) * STEP;
  return [size, Math.min(Math.max(0, start), extent - size)];
}

/** Around all that is known of an object, and whether that says how large it is. */
function extentOf(prompts: NetworkPrompts): { x0: number; y0: number; x1: number; y1: number; known: boolean } {
  const corners: (readonly [number, number])[] = [...prompts.points];
  let known = false;
  if (hasExtent(prompts.box)) {
    const [x0, y0, x1, y1] = prompts.box!;
    corners.push([x0, y0], [x1, y1]);
    known = true;
  }
  const inside = prompts.mask && insideOf(prompts.mask);
  if (inside) {
    corners.push(...inside);
    known = true;
  }
  const xs = corners.map(([x]) => x);
  const ys = corners.map(([, y]) => y);
  return { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys), known };
}

/** Two corners, in input pixels, around the positive logits of a mask. */
function insideOf(mask: Planes): [[number, number], [number, number]] | null {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -1, -1];
  for (let y = 0; y < mask.height; y++) {
    for (let x = 0; x < mask.width; x++) {
      if (mask.data[y * mask.width + x]! > 0) {
        [x0, x1, y0, y1] = [Math.min(x0, x), Math.max(x1, x), Math.min(y0, y), y];
      }
    }
  }
  return x1 < 0 ? null : [[EDGES * x0, EDGES * y0], [EDGES * x1, EDGES * y1]];
}

/** The prompts in pixels of a window. */
function promptsIn(view: View, shrink: number, prompts: NetworkPrompts): NetworkPrompts {
  const moved = (x: number, y: number): [number, number] => [
    (x + 0.5) / shrink - 0.5 - view.left,
    (y + 0.5) / shrink - 0.5 - view.top,
  ];
  const box = prompts.box && ([...moved(prompts.box[0], prompts.box[1]), ...moved(prompts.box[2], prompts.box[3])] as const);
  const at = [view.top, view.left, view.height, view.width].map((n) => Math.floor((n * shrink) / EDGES));
  return {
    points: prompts.points.map(([x, y]) => moved(x, y)),
    labels: prompts.labels,
    box,
    mask: prompts.mask && cropped(prompts.mask, at[0]!, at[1]!, at[2]!, at[3]!),
    diameter: prompts.diameter,
  };
}

/** Where the logits of a view are among those of the frame. */
function windowOf(view: View, config: PocketConfig): Window {
  const [top, left, height, width] = [view.top, view.left, view.height, view.width].map((n) =>
    Math.floor((n * config.levels[view.level]!) / EDGES),
  ) as [number, number, number, number];
  return { top, left, bottom: top + height, right: left + width };
}

function around(windows: readonly Window[]): Window {
  return {
    top: Math.min(...windows.map((each) => each.top)), left: Math.min(...windows.map((each) => each.left)),
    bottom: Math.max(...windows.map((each) => each.bottom)), right: Math.max(...windows.map((each) => each.right)),
  };
}

/** Write maps of a window where they are in those of the frame. */
function place(frame: Planes, maps: Planes, window: Window): void {
  for (let c = 0; c < maps.channels; c++) {
    for (let y = 0; y < maps.height; y++) {
      const from = (c * maps.height + y) * maps.width;
      frame.data.set(maps.data.subarray(from, from + maps.width), (c * frame.height + window.top + y) * frame.width + window.left);
    }
  }
}

/**
 * Write what all masks of an object agree on, as logits, and return an estimate of their IoU.
 *
 * A pixel's probability is the mean over the masks, the better ones weighing more; the square of
 * the mean certainty inside is right on average.
 *
 * @param window in which all looks are
 */
function mergeInto(into: Planes, window: Window, looks: Look[], config: PocketConfig): number {
  const best = Math.max(...looks.flatMap((look) => look.fits));
  const weights = looks.map((look) => look.fits.map((fit) => Math.exp((fit - best) / SHARPNESS)));
  const sum = weights.flat().reduce((a, b) => a + b, 0);
  const probability = planes(1, window.bottom - window.top, window.right - window.left);
  looks.forEach((look, nth) => {
    const mixed = mixture(look.decoded.logits, weights[nth]!, sum);
    add(probability, enlarged(mixed, config.levels[look.view.level]!), windowOf(look.view, config), window);
  });
  let [inside, n, top] = [0, 0, 0];
  into.data.fill(logit(0));
  for (let y = 0; y < probability.height; y++) {
    const to = (window.top + y) * into.width + window.left;
    for (let x = 0; x < probability.width; x++) {
      const p = probability.data[y * probability.width + x]!;
      if (p > 0.5) {
        inside += p;
        n++;
      }
      if (p > top) top = p;
      into.data[to + x] = logit(p);
    }
  }
  return (n ? inside / n : top) ** 2;
}

function logit(p: number): number {
  const clamped = Math.min(Math.max(p, 1e-7), 1 - 1e-7);
  return Math.log(clamped / (1 - clamped));
}

/** Add maps of a window to those of a larger one. */
function add(to: Planes, maps: Planes, { top, left }: Window, larger: Window): void {
  for (let y = 0; y < maps.height; y++) {
    const at = (top - larger.top + y) * to.width + left - larger.left;
    for (let x = 0; x < maps.width; x++) to.data[at + x] = to.data[at + x]! + maps.data[y * maps.width + x]!;
  }
}

/** The weighted sum of the probabilities of some masks. */
function mixture(logits: Planes, weights: readonly number[], sum: number): Planes {
  const mixed = planes(1, logits.height, logits.width);
  const area = mixed.data.length;
  for (let nth = 0; nth < weights.length; nth++) {
    const share = weights[nth]! / sum;
    const from = nth * area;
    for (let i = 0; i < area; i++) mixed.data[i] = mixed.data[i]! + share / (1 + Math.exp(-logits.data[from + i]!));
  }
  return mixed;
}
