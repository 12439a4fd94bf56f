/** Pixels of labels that change: `napari_sam.session.edits`. */
import { around, Region } from "./region";

/** Pixels of one frame, by their place in it, as they were and as they are to be. */
export interface Edit {
  readonly frame: number;
  readonly places: Uint32Array;
  readonly before: Uint32Array;
  readonly after: Uint32Array;
}

export interface Footprint {
  readonly landed: Region;
  readonly painted: Region;
  readonly erased: Region;
}

/** The edit that takes one back. */
export function reversed(edit: Edit): Edit {
  return { ...edit, before: edit.after, after: edit.before };
}

/**
 * The pixels that must change for an object to cover a mask.
 *
 * Pixels of other objects are left alone if they are protected. What differs between the labels and
 * the object's footprint was changed by hand since: painted pixels stay, erased ones stay empty.
 */
export function maskToEdit(
  mask: Region, labels: Uint32Array, width: number, frame: number, id: number, before: Footprint, protect: boolean,
): [Edit, Footprint] {
  const [top, left, bottom, right] = around([mask, before.landed, before.painted, before.erased]);
  const [h, w] = [bottom - top, right - left];
  const [target, painted, erased] = [new Uint8Array(h * w), new Uint8Array(h * w), new Uint8Array(h * w)];
  const changed: number[] = [];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [at, place] = [(y - top) * w + x - left, y * width + x];
      const current = labels[place]!;
      const own = current === id;
      const landed = before.landed.has(y, x);
      if (own && (before.painted.has(y, x) || !landed)) painted[at] = 1;
      if (!own && (before.erased.has(y, x) || landed)) erased[at] = 1;
      const free = own || current === 0 || !protect;
      if ((mask.has(y, x) && !erased[at] && free) || painted[at]) target[at] = 1;
      if (!!target[at] !== own) changed.push(place);
    }
  }
  const region = (pixels: Uint8Array): Region => Region.ofPixels(top, left, h, w, pixels);
  const edit = edited(frame, changed, labels, (place) => {
    const at = (Math.floor(place / width) - top) * w + (place % width) - left;
    return target[at] ? id : 0;
  });
  return [edit, { landed: region(target), painted: region(painted), erased: region(erased) }];
}

/** The edit that gives pixels to an object, or takes them away from it: a stroke of the brush. */
export function strokeEdit(
  places: ReadonlySet<number>, labels: Uint32Array, frame: number, id: number, erase: boolean, protect: boolean,
): Edit {
  const changed: number[] = [];
  for (const place of places) {
    const current = labels[place]!;
    if (erase ? current === id : current !== id && (current === 0 || !protect)) changed.push(place);
  }
  return edited(frame, changed, labels, () => (erase ? 0 : id));
}

/** The edit that removes all pixels of an object. */
export function removal(region: Region, labels: Uint32Array, width: number, frame: number): Edit {
  const changed: number[] = [];
  region.pixels.forEach((inside, at) => {
    if (inside) changed.push((region.top + Math.floor(at / region.width)) * width + region.left + (at % region.width));
  });
  return edited(frame, changed, labels, () => 0);
}

function edited(frame: number, changed: number[], labels: Uint32Array, after: (place: number) => number): Edit {
  return {
    frame,
    places: Uint32Array.from(changed),
    before: Uint32Array.from(changed, (place) => labels[place]!),
    after: Uint32Array.from(changed, after),
  };
}
