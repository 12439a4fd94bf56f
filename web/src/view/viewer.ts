/** The canvas: the frame, its masks, the outline and prompts of the current object, the preview. */
import type { Classes } from "../session/classes";
import type { Box } from "../session/crop";
import { isAccident, type Drawing, type Point } from "../session/prompts";
import type { Region } from "../session/region";
import { Camera } from "./camera";
import { colourOf, type Colour } from "./colours";

/** What is being drawn at the moment. */
export interface Sketch {
  readonly tool: "box" | "lasso" | "brush";
  readonly points: readonly Point[];
  readonly diameter: number; // of the brush
  readonly negative: boolean;
}

const [POSITIVE, NEGATIVE, PREVIEW] = ["#2fd46b", "#ff5a5a", [255, 221, 51] as Colour];

const NO_ROWS: [number, number] = [Infinity, 0];

export class Viewer {
  readonly camera = new Camera();
  opacity = 0.6;
  sketch: Sketch | null = null;
  painted: () => void = () => {}; // called after every picture
  cursor: Point | null = null; // moved by the arrow keys
  private frame: OffscreenCanvas | null = null;
  private masks: OffscreenCanvas | null = null;
  private shown: { labels: Uint32Array; classes: Classes } | null = null; // in the masks
  private stale: [top: number, bottom: number] = NO_ROWS; // rows of the masks
  private outline: Path2D | null = null;
  private preview: OffscreenCanvas | null = null;
  private previewAt: [number, number] = [0, 0];
  private drawings: readonly Drawing[] = [];
  private asked = false; // for a picture

  constructor(private readonly canvas: HTMLCanvasElement) {
    new ResizeObserver(() => this.resized()).observe(canvas);
  }

  /** Show a frame (h, w, 3) of 8 bit. */
  showFrame(rgb: Uint8Array, height: number, width: number): void {
    const rgba = new Uint8ClampedArray(height * width * 4);
    for (let i = 0; i < height * width; i++) {
      rgba[4 * i] = rgb[3 * i]!;
      rgba[4 * i + 1] = rgb[3 * i + 1]!;
      rgba[4 * i + 2] = rgb[3 * i + 2]!;
      rgba[4 * i + 3] = 255;
    }
    this.frame = picture(rgba, height, width);
    this.draw();
  }

  /** These pixels of the labels shown have changed, in rows of `width`. */
  changed(places: Uint32Array, width: number): void {
    let [first, last] = [Infinity, 0];
    for (const place of places) [first, last] = [Math.min(first, place), Math.max(last, place)];
    const [top, bottom] = this.stale;
    // The edges in the rows beside them may change, too
    this.stale = [Math.min(top, Math.floor(first / width) - 1), Math.max(bottom, Math.floor(last / width) + 2)];
  }

  /** Show the objects of a frame; of labels that are shown already, what has changed. */
  showLabels(labels: Uint32Array, height: number, width: number, classes: Classes): void {
    if (!labels.length) {
      this.masks = null;
      return this.draw();
    }
    const { masks, shown } = this;
    const isAsBefore = masks && shown?.labels === labels && shown.classes === classes;
    const [top, bottom] = isAsBefore ? [Math.max(0, this.stale[0]), Math.min(this.stale[1], height)] : [0, height];
    this.stale = NO_ROWS;
    if (top >= bottom) return;
    const canvas = isAsBefore ? masks : new OffscreenCanvas(width, height);
    canvas.getContext("2d")!.putImageData(coloured(labels, width, top, bottom, classes), 0, top);
    this.shown = { labels, classes };
    this.masks = canvas;
    this.draw();
  }

  /** Outline the current object, and show its prompts. */
  showCurrent(region: Region, drawings: readonly Drawing[]): void {
    this.outline = region.isEmpty ? null : outlineOf(region);
    this.drawings = drawings;
    this.draw();
  }

  showPreview(region: Region | null): void {
    this.preview = null;
    if (region && !region.isEmpty) {
      const rgba = new Uint8ClampedArray(region.pixels.length * 4);
      region.pixels.forEach((inside, i) => inside && rgba.set([...PREVIEW, 120], i * 4));
      this.preview = picture(rgba, region.height, region.width);
      this.previewAt = [region.left, region.top];
    }
    this.draw();
  }

  /** Show all of the frame. */
  fit(): void {
    if (this.frame) this.camera.show(0, 0, this.frame.height, this.frame.width, this.canvas);
    this.draw();
  }

  /** Zoom to a region. */
  zoomTo(region: Region): void {
    if (region.isEmpty) return;
    const margin = Math.max(region.height, region.width, 20);
    this.camera.show(region.top - margin, region.left - margin, region.bottom + margin, region.right + margin, this.canvas);
    this.draw();
  }

  /** The part of the frame on screen; null: none of it. */
  seen(): Box | null {
    if (!this.frame) return null;
    const within = (at: number, size: number): number => Math.min(Math.max(at, 0), size - 1);
    const [[y0, x0], [y1, x1]] = [this.camera.toImage(0, 0), this.camera.toImage(this.canvas.width, this.canvas.height)];
    const { height, width } = this.frame;
    if (y1 < 0 || x1 < 0 || y0 > height - 1 || x0 > width - 1) return null;
    return [within(y0, height), within(x0, width), within(y1, height), within(x1, width)];
  }

  /** Canvas pixels to a pixel of the screen as the page counts them. */
  get density(): number {
    return this.canvas.width / Math.max(1, this.canvas.clientWidth);
  }

  /** Draw before the next picture of the screen. */
  draw(): void {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.paint();
    });
  }

  private resized(): void {
    const density = Math.min(window.devicePixelRatio || 1, 3);
    const [width, height] = [Math.round(this.canvas.clientWidth * density), Math.round(this.canvas.clientHeight * density)];
    if (width === this.canvas.width && height === this.canvas.height) return;
    const wasEmpty = this.canvas.dataset["sized"] === undefined;
    this.camera.pan((width - this.canvas.width) / 2, (height - this.canvas.height) / 2);
    [this.canvas.width, this.canvas.height] = [width, height];
    this.canvas.dataset["sized"] = "";
    if (wasEmpty) this.fit();
    this.paint();
  }

  private paint(): void {
    const context = this.canvas.getContext("2d")!;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    if (!this.frame) return;
    this.camera.apply(context);
    context.imageSmoothingEnabled = this.camera.scale < 1;
    context.drawImage(this.frame, 0, 0);
    context.globalAlpha = this.opacity;
    if (this.masks) context.drawImage(this.masks, 0, 0);
    context.globalAlpha = 1;
    if (this.preview) context.drawImage(this.preview, ...this.previewAt);
    if (this.outline) this.line(context, "#ffffff", 2, this.outline);
    for (const drawing of this.drawings) if (!isAccident(drawing)) this.drawing(context, drawing);
    if (this.sketch) this.sketched(context, this.sketch);
    context.setTransform(1, 0, 0, 1, 0, 0);
    if (this.cursor) this.cross(context, this.cursor);
    this.painted();
  }

  private line(context: CanvasRenderingContext2D, colour: string, width: number, path: Path2D): void {
    const unit = this.density / this.camera.scale;
    context.lineJoin = context.lineCap = "round";
    context.strokeStyle = "rgb(0 0 0 / 60%)";
    context.lineWidth = (width + 2) * unit;
    context.stroke(path);
    context.strokeStyle = colour;
    context.lineWidth = width * unit;
    context.stroke(path);
  }

  private drawing(context: CanvasRenderingContext2D, { kind, vertices, label }: Drawing): void {
    const colour = label ? POSITIVE : NEGATIVE;
    const path = new Path2D();
    if (kind === "point") {
      const [y, x] = vertices[0]!;
      path.arc(x + 0.5, y + 0.5, (4.5 * this.density) / this.camera.scale, 0, 2 * Math.PI);
      this.line(context, "#ffffff", 1.5, path);
      context.fillStyle = colour;
      context.fill(path);
      return;
    }
    for (const [y, x] of vertices) path.lineTo(x + 0.5, y + 0.5);
    if (kind !== "path") path.closePath();
    this.line(context, colour, 1.5, path);
  }

  private sketched(context: CanvasRenderingContext2D, { tool, points, diameter, negative }: Sketch): void {
    const colour = negative ? NEGATIVE : POSITIVE;
    const path = new Path2D();
    if (tool === "box") {
      const [[y0, x0], [y1, x1]] = [points[0]!, points.at(-1)!];
      path.rect(Math.min(x0, x1) + 0.5, Math.min(y0, y1) + 0.5, Math.abs(x1 - x0), Math.abs(y1 - y0));
      return this.line(context, colour, 1.5, path);
    }
    for (const [y, x] of points) path.lineTo(x + 0.5, y + 0.5);
    if (tool === "lasso") return this.line(context, colour, 1.5, path);
    context.lineJoin = context.lineCap = "round";
    context.strokeStyle = colour;
    context.globalAlpha = 0.6;
    context.lineWidth = diameter;
    if (points.length === 1) path.lineTo(points[0]![1] + 0.501, points[0]![0] + 0.5);
    context.stroke(path);
    context.globalAlpha = 1;
  }

  private cross(context: CanvasRenderingContext2D, at: Point): void {
    const [x, y] = this.camera.toCanvas(at);
    const arm = 12 * this.density;
    for (const [colour, width] of [["#000000", 4], ["#ffffff", 2]] as const) {
      context.strokeStyle = colour;
      context.lineWidth = width * this.density;
      context.beginPath();
      context.moveTo(x - arm, y);
      context.lineTo(x + arm, y);
      context.moveTo(x, y - arm);
      context.lineTo(x, y + arm);
      context.stroke();
    }
  }
}

function picture(rgba: Uint8ClampedArray, height: number, width: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")!.putImageData(new ImageData(rgba as Uint8ClampedArray<ArrayBuffer>, width, height), 0, 0);
  return canvas;
}

/** Rows of labels as colours. */
function coloured(labels: Uint32Array, width: number, top: number, bottom: number, classes: Classes): ImageData {
  const colours = new Map<number, Colour>();
  const rgba = new Uint8ClampedArray((bottom - top) * width * 4);
  for (let i = top * width; i < bottom * width; i++) {
    const id = labels[i]!;
    if (!id) continue;
    let colour = colours.get(id);
    if (!colour) colours.set(id, (colour = colourOf(id, classes)));
    const x = i % width;
    const isEdge =
      (x > 0 && labels[i - 1] !== id) || (x < width - 1 && labels[i + 1] !== id) ||
      (i >= width && labels[i - width] !== id) || (i < labels.length - width && labels[i + width] !== id);
    const to = 4 * (i - top * width);
    [rgba[to], rgba[to + 1], rgba[to + 2], rgba[to + 3]] = [colour[0], colour[1], colour[2], isEdge ? 255 : 160];
  }
  return new ImageData(rgba, width, bottom - top);
}

/** The edges of pixels between inside and outside. */
function outlineOf(region: Region): Path2D {
  const path = new Path2D();
  const edge = (x0: number, y0: number, x1: number, y1: number): void => {
    path.moveTo(x0, y0);
    path.lineTo(x1, y1);
  };
  for (let y = region.top; y < region.bottom; y++) {
    for (let x = region.left; x < region.right; x++) {
      if (!region.has(y, x)) continue;
      if (!region.has(y - 1, x)) edge(x, y, x + 1, y);
      if (!region.has(y + 1, x)) edge(x, y + 1, x + 1, y + 1);
      if (!region.has(y, x - 1)) edge(x, y, x, y + 1);
      if (!region.has(y, x + 1)) edge(x + 1, y, x + 1, y + 1);
    }
  }
  return path;
}
