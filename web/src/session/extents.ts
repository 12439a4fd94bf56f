/** Where the objects of a frame are, kept with every edit: to look for one of them costs what it covers. */
import type { Crop } from "./crop";
import type { Edit } from "./edits";

/** A window that holds all pixels of an object; it may be larger after some were taken away. */
interface Extent {
  pixels: number;
  top: number;
  left: number;
  bottom: number; // the last row and column are not included
  right: number;
}

export class Extents {
  private readonly byId = new Map<number, Extent>();

  /** @param labels rows of `width` */
  constructor(labels: Uint32Array, private readonly width: number) {
    for (let start = 0; start < labels.length; ) {
      const [id, rowEnd] = [labels[start]!, start - (start % width) + width];
      let end = start + 1;
      while (end < rowEnd && labels[end] === id) end++;
      if (id) this.add(id, start, end - start);
      start = end;
    }
  }

  /** The objects that have pixels. */
  get ids(): Iterable<number> {
    return this.byId.keys();
  }

  /** A window that holds an object; null: it has no pixels. */
  of(id: number): Crop | null {
    const extent = this.byId.get(id);
    return extent ? [extent.top, extent.left, extent.bottom, extent.right] : null;
  }

  /** Follow an edit of the labels. */
  note({ places, before, after }: Edit): void {
    places.forEach((place, n) => {
      if (before[n] === after[n]) return;
      if (before[n]) this.remove(before[n]!);
      if (after[n]) this.add(after[n]!, place, 1);
    });
  }

  private add(id: number, place: number, pixels: number): void {
    const [y, x] = [Math.floor(place / this.width), place % this.width];
    const extent = this.byId.get(id);
    if (!extent) {
      this.byId.set(id, { pixels, top: y, left: x, bottom: y + 1, right: x + pixels });
      return;
    }
    extent.pixels += pixels;
    extent.top = Math.min(extent.top, y);
    extent.left = Math.min(extent.left, x);
    extent.bottom = Math.max(extent.bottom, y + 1);
    extent.right = Math.max(extent.right, x + pixels);
  }

  private remove(id: number): void {
    const extent = this.byId.get(id);
    if (extent && --extent.pixels === 0) this.byId.delete(id);
  }
}
