/** Prompts as drawn, and what a network is asked: `napari_sam.session.drawing` and `engine.prompts`. */
import { Failure } from "../failure";
import { around, Region } from "./region";
import { polygonRegion } from "./polygon";

export type Point = readonly [y: number, x: number];
export type Kind = "point" | "rectangle" | "ellipse" | "polygon" | "path";
export const KINDS: readonly Kind[] = ["point", "rectangle", "ellipse", "polygon", "path"];

/** A point, or the corners or vertices of a shape; the centre of the first pixel is at 0, 0. */
export interface Drawing {
  readonly kind: Kind;
  readonly vertices: readonly Point[];
  readonly label: 0 | 1; // 1: belongs to the object
}

/** Points, a box and a mask of one object in one frame, yx in pixels of the frame. */
export interface Prompts {
  readonly points: readonly Point[];
  readonly labels: readonly (0 | 1)[];
  readonly box: readonly [y0: number, x0: number, y1: number, x1: number] | null;
  readonly mask: Region | null;
}

export const NO_PROMPTS: Prompts = { points: [], labels: [], box: null, mask: null };
const SMALLEST_SHAPE = 3; // pixels; a click without a drag leaves a smaller one

/** Whether anything was asked. */
export function isAsking(prompts: Prompts): boolean {
  return prompts.points.length > 0 || prompts.box !== null || prompts.mask !== null;
}

/** Whether a shape is too small to be meant. */
export function isAccident(drawing: Drawing): boolean {
  const [top, left, bottom, right] = boxAround(drawing.vertices);
  return drawing.kind !== "point" && Math.max(bottom - top, right - left) < SMALLEST_SHAPE;
}

function boxAround(vertices: readonly Point[]): [number, number, number, number] {
  const ys = vertices.map(([y]) => y);
  const xs = vertices.map(([, x]) => x);
  return [Math.min(...ys), Math.min(...xs), Math.max(...ys), Math.max(...xs)];
}

/** All drawings of one object as one prompt: points add up, outlines unite, the last box counts. */
export function promptsFrom(drawings: readonly Drawing[], height: number, width: number): Prompts {
  const points: Point[] = [];
  const labels: (0 | 1)[] = [];
  let box: Prompts["box"] = null;
  let mask: Region | null = null;
  for (const drawing of drawings) {
    if (isAccident(drawing)) continue;
    if (drawing.kind === "point") {
      points.push(drawing.vertices[0]!);
      labels.push(drawing.label);
    } else if (drawing.kind === "rectangle") {
      box = boxAround(drawing.vertices);
    } else if (drawing.kind === "path") {
      const along = spaced(drawing.vertices);
      points.push(...along);
      labels.push(...along.map(() => drawing.label));
    } else {
      const outline = drawing.kind === "ellipse" ? ellipse(drawing.vertices) : drawing.vertices;
      mask = (mask ?? Region.EMPTY).united(polygonRegion(outline, height, width));
    }
  }
  if (mask?.isEmpty) mask = null;
  return { points, labels, box: box ?? (mask && boxOf(mask)), mask };
}

/** Five points evenly along a path, both ends included. */
function spaced(path: readonly Point[]): Point[] {
  const walked = [0];
  for (let i = 1; i < path.length; i++) {
    walked.push(walked[i - 1]! + Math.hypot(path[i]![0] - path[i - 1]![0], path[i]![1] - path[i - 1]![1]));
  }
  const length = walked.at(-1)!;
  const count = 1 + Math.ceil(length / Math.max(1, length / 4));
  return Array.from({ length: count }, (_, n) => {
    const stop = count > 1 ? (n / (count - 1)) * length : 0;
    const i = Math.min(Math.max(1, walked.findIndex((at) => at >= stop)), path.length - 1);
    const share = i < 1 || walked[i] === walked[i - 1] ? 0 : (stop - walked[i - 1]!) / (walked[i]! - walked[i - 1]!);
    const [from, to] = [path[Math.max(0, i - 1)]!, path[Math.max(0, i)]!];
    return [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1])];
  });
}

/** The ellipse in a rectangle, as a fine polygon. */
function ellipse(corners: readonly Point[]): Point[] {
  const [a, b, c, d] = corners as [Point, Point, Point, Point];
  const centre = [0, 1].map((k) => (a[k]! + b[k]! + c[k]! + d[k]!) / 4);
  return Array.from({ length: 256 }, (_, n) => {
    const [cos, sin] = [Math.cos((n / 128) * Math.PI), Math.sin((n / 128) * Math.PI)];
    const at = (k: number): number => centre[k]! + (cos * (b[k]! - a[k]!) + sin * (d[k]! - a[k]!)) / 2;
    return [at(0), at(1)];
  });
}

/** The box at the outer edges of a region's pixels. */
export function boxOf(region: Region): [number, number, number, number] {
  return [region.top - 0.5, region.left - 0.5, region.bottom - 0.5, region.right - 0.5];
}

/** Prompts that correct what is there: its region is their mask, unless they have one. */
export function onBase(prompts: Prompts, base: Region): Prompts {
  if (!isAsking(prompts) || base.isEmpty || prompts.mask) return prompts;
  const [top, left, bottom, right] = around([base]);
  const positive = prompts.points.filter((_, n) => prompts.labels[n] === 1);
  const corners: Point[] = [[top - 0.5, left - 0.5], [bottom - 0.5, right - 0.5]];
  return { ...prompts, mask: base, box: prompts.box ?? boxAround([...corners, ...positive]) };
}

/** The prompts that can be decoded in a frame: points inside it, the last of those in one pixel. */
export function fitted(prompts: Prompts, height: number, width: number): Prompts {
  const kept = new Map<string, number>();
  prompts.points.forEach(([y, x], n) => {
    const [row, column] = [Math.floor(y + 0.5), Math.floor(x + 0.5)];
    if (row < 0 || column < 0 || row >= height || column >= width) return;
    kept.delete(`${row} ${column}`);
    kept.set(`${row} ${column}`, n);
  });
  const order = [...kept.values()];
  const labels = order.map((n) => prompts.labels[n]!);
  const box = prompts.box && boxInFrame(prompts.box, height, width);
  if (!labels.includes(1) && !box && !prompts.mask) {
    throw new Failure("Only points outside of the object are left. Click the object itself, or draw a box around it.");
  }
  return { points: order.map((n) => prompts.points[n]!), labels, box, mask: prompts.mask };
}

function boxInFrame(box: NonNullable<Prompts["box"]>, height: number, width: number): Prompts["box"] {
  const within = (at: number, size: number): number => Math.min(Math.max(at, -0.5), size - 0.5);
  const [y0, x0] = [within(box[0], height), within(box[1], width)];
  const [y1, x1] = [within(box[2], height), within(box[3], width)];
  return y0 === y1 || x0 === x1 ? null : [y0, x0, y1, x1];
}
