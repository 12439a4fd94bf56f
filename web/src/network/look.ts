/** The prompts of an object where they are best answered (`look` of `napari_sam.engine.where_to_look`). */
import { cropAround, longSide, type Crop, type Shape } from "../session/crop";
import type { Prompts } from "../session/prompts";
import { around } from "../session/where_to_look";
import { refine, type Embedding, type Prediction } from "./predictor";

const SURE = 0.45; // IoU prediction of a click from which on no larger crop is tried
const MOST_WIDENED = 2; // times that a crop is doubled for an object that reaches out of it

/** One object in one crop. */
export interface Look {
  readonly embedding: Embedding;
  readonly prediction: Prediction;
  readonly crop: Crop | null; // null: all of the frame
}

/**
 * Of several crops the first with a sure answer counts, else the one with the surest. A single crop
 * is made wider as long as the object reaches out of it.
 *
 * @param embed gives the embedding of a crop, or of the whole frame
 */
export async function look(
  embed: (crop: Crop | null) => Promise<Embedding>, prompts: Prompts, crops: readonly Crop[], shape: Shape,
  candidate: number | null, diameter: number | null,
): Promise<Look> {
  const decoded = async (crop: Crop | null): Promise<Look> => {
    const embedding = await embed(crop);
    return { embedding, crop, prediction: await refine(embedding, within(prompts, crop), candidate, diameter) };
  };
  if (!crops.length) return decoded(null);
  let best: Look | null = null;
  for (const crop of crops) {
    const next = await decoded(crop);
    if (!best || isBetter(next, best, shape)) best = next;
    if (endsInside(next, shape) && scoreOf(next) >= SURE) break;
  }
  for (let n = 0; crops.length === 1 && n < MOST_WIDENED && !endsInside(best!, shape); n++) {
    best = await decoded(cropAround(around(prompts, shape), 2 * longSide(best!.crop!), shape));
  }
  return best!;
}

function isBetter(one: Look, other: Look, shape: Shape): boolean {
  const [inside, before] = [endsInside(one, shape), endsInside(other, shape)];
  return inside === before ? scoreOf(one) > scoreOf(other) : inside;
}

function scoreOf({ prediction }: Look): number {
  return prediction.decoded.scores[prediction.best]!;
}

/** Whether the best mask keeps away from the borders of its crop that are none of the frame. */
function endsInside({ crop, embedding, prediction }: Look, [height, width]: Shape): boolean {
  if (!crop) return true;
  const { logits } = prediction.decoded;
  const [h, w] = embedding.inputShape.map((side) => Math.ceil(side / embedding.encoded.stride)) as [number, number];
  const from = prediction.best * logits.height * logits.width;
  const isIn = (y: number, x: number): boolean => logits.data[from + y * logits.width + x]! > 0;
  const any = (n: number, isInAt: (at: number) => boolean): boolean => Array.from({ length: n }, (_, at) => isInAt(at)).some(Boolean);
  return !(
    (crop[0] > 0 && any(w, (x) => isIn(0, x))) || (crop[1] > 0 && any(h, (y) => isIn(y, 0))) ||
    (crop[2] < height && any(w, (x) => isIn(h - 1, x))) || (crop[3] < width && any(h, (y) => isIn(y, w - 1)))
  );
}

/** The same prompts in pixels of a crop. */
function within(prompts: Prompts, crop: Crop | null): Prompts {
  if (!crop) return prompts;
  const [top, left] = crop;
  const { points, labels, box, mask } = prompts;
  return {
    points: points.map(([y, x]) => [y - top, x - left]), labels,
    box: box && [box[0] - top, box[1] - left, box[2] - top, box[3] - left],
    mask: mask && mask.within(crop),
  };
}
