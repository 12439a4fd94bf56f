/** The pixels inside a polygon, by the even-odd rule (`napari_sam.engine.masks.polygon_mask`). */
import { Region } from "./region";

/**
 * The pixels of a frame whose centres are inside a polygon of points y, x.
 *
 * A centre on an upper or left edge is inside, one on a lower or right edge is not.
 */
export function polygonRegion(
  vertices: readonly (readonly [number, number])[], height: number, width: number,
): Region {
  const pixels = new Uint8Array(height * width);
  const turns: number[][] = Array.from({ length: height }, () => []);
  vertices.forEach((start, n) => {
    const end = vertices[(n + 1) % vertices.length]!;
    const [upper, lower] = start[0] <= end[0] ? [start, end] : [end, start];
    const last = Math.min(height, Math.ceil(lower[0]));
    for (let row = Math.max(0, Math.ceil(upper[0])); row < last; row++) {
      const crossing = upper[1] + (row - upper[0]) * ((lower[1] - upper[1]) / (lower[0] - upper[0]));
      turns[row]!.push(Math.min(Math.max(0, Math.ceil(crossing)), width));
    }
  });
  turns.forEach((columns, row) => {
    columns.sort((a, b) => a - b);
    for (let i = 0; i + 1 < columns.length; i += 2) {
      pixels.fill(1, row * width + columns[i]!, row * width + columns[i + 1]!);
    }
  });
  return Region.ofPixels(0, 0, height, width, pixels);
}
