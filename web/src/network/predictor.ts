/** One frame and the prompts of one object → candidates: `napari_sam.engine.predictor`. */
import { halfToEven } from "../rounding";
import { fitted, type Prompts } from "../session/prompts";
import { maskLogits } from "./mask_prompt";
import { fitness, highest, plane, type Decoded, type NetworkPrompts, type Planes, type Window } from "./prompts";

/** What a network made of an input, and how it answers prompts in it. */
export interface Encoded {
  readonly stride: number; // pixels of the input to one of the logits
  readonly mergesClicks: boolean; // the single mask answers a click better than its candidates
  readonly travelled: boolean; // in the page, with the decoder of its network
  readonly maskShape: readonly [number, number]; // of the logits
  decode(prompts: NetworkPrompts, merge: boolean): Promise<Decoded>;
}

/** An encoded frame: what every prompt in it is decoded against. */
export interface Embedding {
  readonly encoded: Encoded;
  readonly frameShape: readonly [number, number]; // [H, W]
  readonly inputShape: readonly [number, number]; // [h, w] of the input that the frame fills
  readonly memo: Map<string, Prediction>; // steps decoded already
}

/** All candidates for one object. */
export interface Prediction {
  readonly decoded: Decoded;
  readonly tokens: readonly number[]; // 0 the single mask, 1 to 3 the candidates
  readonly best: number; // the token to show
}

const MEMO_STEPS = 16;

/**
 * Decode the prompts in the order given, each step seeded with the mask before it.
 *
 * The result depends on the prompts alone, not on what was decoded when.
 */
export async function refine(
  embedding: Embedding, given: Prompts, candidate: number | null, diameter: number | null,
): Promise<Prediction> {
  const prompts = fitted(given, ...(embedding.frameShape as [number, number]));
  const steps = stepsOf(prompts);
  const keys = steps.map((step) => keyOf(step, candidate, diameter));
  let known = steps.length;
  while (known > 0 && !embedding.memo.has(keys[known - 1]!)) known--;
  let prediction = known ? embedding.memo.get(keys[known - 1]!)! : null;
  for (let n = known; n < steps.length; n++) {
    const seed: Planes | null = prediction && plane(prediction.decoded.logits, prediction.best);
    prediction = await predict(embedding, steps[n]!, seed, diameter);
    if (candidate !== null && prediction.tokens.includes(candidate)) prediction = { ...prediction, best: candidate };
    remember(embedding.memo, keys[n]!, prediction);
  }
  return prediction!;
}

/** The prompts known after each click: box and mask first, then one more point each time. */
function stepsOf(prompts: Prompts): Prompts[] {
  const { points, labels, box, mask } = prompts;
  return Array.from({ length: points.length + 1 }, (_, n) => ({
    points: points.slice(0, n), labels: labels.slice(0, n), box, mask,
  })).filter((step) => box || mask || step.labels.includes(1));
}

function keyOf(step: Prompts, candidate: number | null, diameter: number | null): string {
  return JSON.stringify([step.points, step.labels, step.box, step.mask?.toRuns() ?? null, candidate, diameter]);
}

function remember(memo: Map<string, Prediction>, key: string, prediction: Prediction): void {
  memo.set(key, prediction);
  for (const oldest of memo.keys()) {
    if (memo.size <= MEMO_STEPS) break;
    memo.delete(oldest);
  }
}

async function predict(
  embedding: Embedding, prompts: Prompts, seed: Planes | null, diameter: number | null,
): Promise<Prediction> {
  const { encoded } = embedding;
  const oneClick = !seed && prompts.points.length === 1 && !prompts.box && !prompts.mask;
  const merge = encoded.mergesClicks && oneClick;
  const inInput = networkPrompts(embedding, prompts, seed, diameter);
  const decoded = await encoded.decode(inInput, merge);
  if (!oneClick || merge) return { decoded, tokens: [0, 1, 2, 3], best: 0 };
  const fits = fitness(decoded, encoded.stride, inInput.diameter);
  return { decoded, tokens: [1, 2, 3], best: 1 + highest(fits.slice(1)) };
}

/** The one swap from yx to xy, and the scaling from the frame to the input. */
function networkPrompts(
  embedding: Embedding, prompts: Prompts, seed: Planes | null, diameter: number | null,
): NetworkPrompts {
  const { frameShape, inputShape, encoded } = embedding;
  const [scaleY, scaleX] = [inputShape[0] / frameShape[0], inputShape[1] / frameShape[1]];
  const box = prompts.box;
  const filled = inputShape.map((side) => Math.max(1, halfToEven(side / encoded.stride)));
  const mask = prompts.mask && !seed
    ? maskLogits(prompts.mask, frameShape, filled as [number, number], encoded.maskShape)
    : seed;
  return {
    points: prompts.points.map(([y, x]) => [x * scaleX, y * scaleY] as const),
    labels: prompts.labels,
    box: box && [box[1] * scaleX, box[0] * scaleY, box[3] * scaleX, box[2] * scaleY],
    mask,
    diameter: diameter === null ? null : diameter * Math.sqrt(scaleY * scaleX),
  };
}

/** IoU of a mask cut a little higher with it cut a little lower. */
export function stability(logits: Planes, window: Window): number {
  let [above, below] = [0, 0];
  for (let y = window.top; y < window.bottom; y++) {
    for (let at = y * logits.width + window.left; at < y * logits.width + window.right; at++) {
      if (logits.data[at]! > 1) above++;
      if (logits.data[at]! > -1) below++;
    }
  }
  return above / Math.max(below, 1);
}
