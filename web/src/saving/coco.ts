/** COCO JSON: an image a frame, an annotation an object in it, masks as run lengths. */
import { positionsOf } from "../frames/stack";
import type { Session } from "../session/session";
import { Region } from "../session/region";

const NO_CLASS = "object";

/** The whole file as text, as `napari_sam.formats.coco` writes it. */
export function coco(session: Session, name: string, leading: readonly number[]): string {
  const { height, width, classes } = session;
  const names = [...new Set([...[...classes.given.values()].map((given) => given.name), NO_CLASS])].sort();
  const used = classes.given.size ? names : [NO_CLASS];
  const count = leading.reduce((n, size) => n * size, 1);
  const images = Array.from({ length: count }, (_, n) => ({
    id: n + 1, file_name: leading.length ? `${name}#${positionsOf(n, leading).join(",")}` : name, height, width,
  }));
  const annotations = [];
  for (const { id, frames } of session.objects()) {
    for (const frame of frames) {
      const region = session.region(id, frame);
      annotations.push({
        id: annotations.length + 1, image_id: frame + 1, object_id: id,
        category_id: names.indexOf(classes.given.get(id)?.name ?? NO_CLASS) + 1,
        segmentation: { size: [height, width], counts: encoded(countsOf(region, height, width)) },
        area: region.area, bbox: [region.left, region.top, region.width, region.height], iscrowd: 0,
      });
    }
  }
  const categories = used.map((each) => ({ id: names.indexOf(each) + 1, name: each, supercategory: "" }));
  return `${JSON.stringify({ info: { description: "napari-sam" }, images, categories, annotations })}\n`;
}

/** Lengths of runs outside and inside in turn, down the columns. */
export function countsOf(region: Region, height: number, width: number): number[] {
  const turns: number[] = []; // where runs begin and end
  for (let x = region.left; x < region.right; x++) {
    let inside = false;
    for (let y = region.top; y <= region.bottom; y++) {
      if (region.has(y, x) === inside) continue;
      inside = !inside;
      const at = x * height + y;
      // A run that goes on in the next column is one
      if (inside && turns.at(-1) === at) turns.pop();
      else turns.push(at);
    }
  }
  const counts = turns.map((at, n) => at - (turns[n - 1] ?? 0));
  const rest = height * width - (turns.at(-1) ?? 0);
  return rest > 0 ? [...counts, rest] : counts;
}

/** Run lengths as COCO's text: each number less the one two before it, five bits a character. */
export function encoded(counts: readonly number[]): string {
  let text = "";
  counts.forEach((count, n) => {
    let left = n > 2 ? count - counts[n - 2]! : count;
    for (let more = true; more; ) {
      const bits = left & 0x1f;
      left >>= 5;
      more = bits & 0x10 ? left !== -1 : left !== 0;
      text += String.fromCharCode(bits + (more ? 0x20 : 0) + 48);
    }
  });
  return text;
}
