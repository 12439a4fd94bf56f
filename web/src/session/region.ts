/** A set of pixels of one frame, as a crop: `napari_sam.session.edits.Region`. */
import type { Crop } from "./crop";

export type Runs = { top: number; left: number; height: number; width: number; runs: number[] };

export class Region {
  static readonly EMPTY = new Region(0, 0, 0, 0, new Uint8Array(0));

  private constructor(
    readonly top: number,
    readonly left: number,
    readonly height: number,
    readonly width: number,
    readonly pixels: Uint8Array, // 1 inside, row by row
  ) {}

  /** The true pixels of a crop, cut to the smallest window that holds them. */
  static ofPixels(top: number, left: number, height: number, width: number, pixels: Uint8Array): Region {
    let [y0, x0, y1, x1] = [height, width, -1, -1];
    for (let y = 0; y < height; y++) {
      const row = pixels.subarray(y * width, (y + 1) * width);
      const first = row.indexOf(1);
      if (first < 0) continue;
      [y0, y1, x0, x1] = [Math.min(y0, y), y, Math.min(x0, first), Math.max(x1, row.lastIndexOf(1))];
    }
    if (y1 < 0) return Region.EMPTY;
    const cut = new Uint8Array((y1 - y0 + 1) * (x1 - x0 + 1));
    for (let y = y0; y <= y1; y++) {
      cut.set(pixels.subarray(y * width + x0, y * width + x1 + 1), (y - y0) * (x1 - x0 + 1));
    }
    return new Region(top + y0, left + x0, y1 - y0 + 1, x1 - x0 + 1, cut);
  }

  /** The pixels of labels in rows of `frameWidth` that have an id, in a window that holds them all. */
  static ofLabel(labels: Uint32Array, frameWidth: number, id: number, [top, left, bottom, right]: Crop): Region {
    const [height, width] = [bottom - top, right - left];
    const pixels = new Uint8Array(height * width);
    for (let y = 0; y < height; y++) {
      const from = (top + y) * frameWidth + left;
      for (let x = 0; x < width; x++) if (labels[from + x] === id) pixels[y * width + x] = 1;
    }
    return Region.ofPixels(top, left, height, width, pixels);
  }

  /** Pixels by their places in rows of `frameWidth`. */
  static ofPlaces(places: Uint32Array, frameWidth: number): Region {
    if (!places.length) return Region.EMPTY;
    let [top, left, bottom, right] = [Infinity, Infinity, 0, 0];
    for (const place of places) {
      const [y, x] = [Math.floor(place / frameWidth), place % frameWidth];
      [top, left, bottom, right] = [Math.min(top, y), Math.min(left, x), Math.max(bottom, y + 1), Math.max(right, x + 1)];
    }
    const pixels = new Uint8Array((bottom - top) * (right - left));
    for (const place of places) pixels[(Math.floor(place / frameWidth) - top) * (right - left) + (place % frameWidth) - left] = 1;
    return Region.ofPixels(top, left, bottom - top, right - left, pixels);
  }

  get isEmpty(): boolean {
    return this.pixels.length === 0;
  }

  get area(): number {
    let n = 0;
    for (const pixel of this.pixels) n += pixel;
    return n;
  }

  get bottom(): number {
    return this.top + this.height;
  }

  get right(): number {
    return this.left + this.width;
  }

  has(y: number, x: number): boolean {
    if (y < this.top || x < this.left || y >= this.bottom || x >= this.right) return false;
    return this.pixels[(y - this.top) * this.width + x - this.left] === 1;
  }

  /** The region of pixels in the window around both for which `keep` says so. */
  private combined(other: Region, keep: (mine: boolean, its: boolean) => boolean): Region {
    const [top, left, bottom, right] = around([this, other]);
    const [height, width] = [bottom - top, right - left];
    const pixels = new Uint8Array(height * width);
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        if (keep(this.has(y, x), other.has(y, x))) pixels[(y - top) * width + x - left] = 1;
      }
    }
    return Region.ofPixels(top, left, height, width, pixels);
  }

  united(other: Region): Region {
    if (other.isEmpty) return this;
    return this.isEmpty ? other : this.combined(other, (mine, its) => mine || its);
  }

  without(other: Region): Region {
    return other.isEmpty || this.isEmpty ? this : this.combined(other, (mine, its) => mine && !its);
  }

  common(other: Region): Region {
    if (this.isEmpty || other.isEmpty) return Region.EMPTY;
    return this.combined(other, (mine, its) => mine && its);
  }

  /** The part of it in a window, counted from the window's first pixel. */
  within([top, left, bottom, right]: readonly [number, number, number, number]): Region {
    const pixels = new Uint8Array((bottom - top) * (right - left));
    for (let y = Math.max(top, this.top); y < Math.min(bottom, this.bottom); y++) {
      for (let x = Math.max(left, this.left); x < Math.min(right, this.right); x++) {
        if (this.has(y, x)) pixels[(y - top) * (right - left) + x - left] = 1;
      }
    }
    return Region.ofPixels(0, 0, bottom - top, right - left, pixels);
  }

  /** All pixels of a frame, 1 inside. */
  inFrame(height: number, width: number): Uint8Array {
    const frame = new Uint8Array(height * width);
    for (let y = 0; y < this.height; y++) {
      frame.set(this.pixels.subarray(y * this.width, (y + 1) * this.width), (this.top + y) * width + this.left);
    }
    return frame;
  }

  /** Lengths of runs outside and inside in turn, row by row, the last outside left out; null: empty. */
  toRuns(): Runs | null {
    if (this.isEmpty) return null;
    const runs: number[] = [];
    let [inside, length] = [0, 0];
    for (const pixel of this.pixels) {
      if (pixel !== inside) {
        runs.push(length);
        [inside, length] = [pixel, 0];
      }
      length++;
    }
    if (inside) runs.push(length);
    return { top: this.top, left: this.left, height: this.height, width: this.width, runs };
  }

  /** What `toRuns` wrote; null if it is no such thing. */
  static fromRuns(record: Runs | null): Region {
    if (record === null) return Region.EMPTY;
    const pixels = new Uint8Array(record.height * record.width);
    record.runs.reduce((at, length, n) => (n % 2 && pixels.fill(1, at, at + length), at + length), 0);
    return Region.ofPixels(record.top, record.left, record.height, record.width, pixels);
  }
}

/** The smallest window [top, left, bottom, right] that holds all regions. */
export function around(regions: readonly Region[]): [number, number, number, number] {
  const full = regions.filter((region) => !region.isEmpty);
  if (!full.length) return [0, 0, 0, 0];
  return [
    Math.min(...full.map((r) => r.top)), Math.min(...full.map((r) => r.left)),
    Math.max(...full.map((r) => r.bottom)), Math.max(...full.map((r) => r.right)),
  ];
}
