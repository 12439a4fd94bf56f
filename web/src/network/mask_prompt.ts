/** A drawn mask as low-res logits, as if the network had drawn it. */
import type { Region } from "../session/region";
import { planes, type Planes } from "./prompts";

const MASK_PROMPT_LOGIT = 6.9; // logit(0.999): how sure a drawn mask is

/**
 * @param frameShape [H, W] of the frame that the mask is in
 * @param filled [h, w] of the logits that the frame fills
 * @param padded [m, m'] of all of them
 */
export function maskLogits(
  mask: Region, frameShape: readonly [number, number], filled: readonly [number, number], padded: readonly [number, number],
): Planes {
  const columns = triangles(frameShape[1], filled[1]);
  const rows = triangles(frameShape[0], filled[0]);
  const narrow = new Float32Array(mask.height * filled[1]); // rows of the mask, columns of the logits
  for (let x = 0; x < filled[1]; x++) {
    for (const [at, weight] of columns[x]!) {
      const column = at - mask.left;
      if (column < 0 || column >= mask.width) continue;
      for (let y = 0; y < mask.height; y++) {
        if (mask.pixels[y * mask.width + column]) narrow[y * filled[1] + x] = narrow[y * filled[1] + x]! + weight;
      }
    }
  }
  const logits = planes(1, padded[0], padded[1], -MASK_PROMPT_LOGIT);
  for (let y = 0; y < Math.min(filled[0], padded[0]); y++) {
    for (let x = 0; x < Math.min(filled[1], padded[1]); x++) {
      let coverage = 0;
      for (const [at, weight] of rows[y]!) {
        const row = at - mask.top;
        if (row >= 0 && row < mask.height) coverage += weight * narrow[row * filled[1] + x]!;
      }
      logits.data[y * padded[1] + x] = (2 * coverage - 1) * MASK_PROMPT_LOGIT;
    }
  }
  return logits;
}

/** Bilinear with antialiasing: the pixels that each new one of an axis sees, and how much of each. */
function triangles(size: number, newSize: number): [at: number, weight: number][][] {
  const scale = size / newSize;
  const support = Math.max(1, scale);
  return Array.from({ length: newSize }, (_, nth) => {
    const centre = (nth + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(size, Math.trunc(centre + support + 0.5));
    const seen: [number, number][] = [];
    for (let at = first; at < end; at++) {
      seen.push([at, Math.max(0, 1 - Math.abs((at - centre + 0.5) / support))]);
    }
    const sum = seen.reduce((total, [, weight]) => total + weight, 0);
    return seen.map(([at, weight]) => [at, weight / sum]);
  });
}
