/** The worker: the networks, the embeddings of the last frames, and one order after the other. */
import { resize, resizedShape } from "../frames/resize";
import { Failure, sentenceOf } from "../failure";
import { Region } from "../session/region";
import type { Order, PlainAnswer, PlainRegion, Report } from "./messages";
import { PocketNetwork } from "./pocket_graphs";
import { refine, stability, type Embedding, type Encoded } from "./predictor";
import { plane } from "./prompts";
import { startRuntime } from "./runtime";
import { SamDecoder } from "./sam";
import { maskOf } from "./upscaling";

const FRAMES_KEPT = 4; // embeddings; each takes about 50 MB

let pocket: PocketNetwork | null = null;
let sam: SamDecoder | null = null;
const embeddings = new Map<number, Embedding>();
let queue = Promise.resolve();

const report = (message: Report): void => self.postMessage(message);

self.onmessage = ({ data: order }: MessageEvent<Order>): void => {
  queue = queue.then(async () => {
    try {
      report({ id: order.id, kind: "done", answer: await carryOut(order) });
    } catch (error) {
      report({ id: order.id, kind: "failed", sentence: sentenceOf(error) });
    }
  });
};

async function carryOut(order: Order): Promise<PlainAnswer | null> {
  if (order.kind === "start") {
    startRuntime(order.runtime);
    pocket = await PocketNetwork.load(order.pocket.encoder, order.pocket.decoder, order.pocket.config);
    sam = order.sam && (await SamDecoder.load(order.sam.decoder, order.sam.config));
  } else if (order.kind === "forget") {
    embeddings.clear();
  } else if (order.kind === "encode") {
    if (!embeddings.has(order.frame)) await embed(order);
  } else if (order.kind === "place") {
    const { height, width } = order;
    keep(order.frame, started(sam).encoded(order.halves), [height, width], resizedShape(height, width, started(sam).inputSize));
  } else {
    return decoded(order);
  }
  return null;
}

async function embed(order: Order & { kind: "encode" }): Promise<void> {
  const net = started(pocket);
  const inputShape = resizedShape(order.height, order.width, net.inputSize);
  const input = resize(order.rgb, [order.height, order.width], inputShape);
  const encoded = await net.encode(input, inputShape[0], inputShape[1], (share) =>
    report({ id: order.id, kind: "progress", share }),
  );
  keep(order.frame, encoded, [order.height, order.width], inputShape);
}

function keep(
  frame: number, encoded: Encoded, frameShape: readonly [number, number], inputShape: readonly [number, number],
): void {
  embeddings.delete(frame);
  embeddings.set(frame, { encoded, frameShape, inputShape, memo: new Map() });
  const [oldest] = embeddings.keys();
  if (embeddings.size > FRAMES_KEPT && oldest !== undefined) embeddings.delete(oldest);
}

async function decoded(order: Order & { kind: "decode" }): Promise<PlainAnswer> {
  const embedding = embeddings.get(order.frame);
  if (!embedding) throw new Failure("This frame is not encoded any more. Click again.");
  const { mask } = order.prompts;
  const prompts = { ...order.prompts, mask: mask && Region.ofPixels(mask.top, mask.left, mask.height, mask.width, mask.pixels) };
  const prediction = await refine(embedding, prompts, order.candidate, order.diameter);
  const { logits, scores } = prediction.decoded;
  const maskOfToken = (token: number): PlainRegion =>
    plain(maskOf(plane(logits, token), embedding.encoded.stride, embedding.inputShape, embedding.frameShape));
  const best = maskOfToken(prediction.best);
  return {
    mask: best,
    token: prediction.best,
    iouPrediction: scores[prediction.best]!,
    stability: stability(plane(logits, prediction.best)),
    candidates: order.all
      ? prediction.tokens.map((token) => ({
          token, score: scores[token]!, mask: token === prediction.best ? best : maskOfToken(token),
        }))
      : [],
  };
}

function started<T>(network: T | null): T {
  if (!network) throw new Failure("The network did not start. Reload the page.");
  return network;
}

function plain({ top, left, height, width, pixels }: Region): PlainRegion {
  return { top, left, height, width, pixels };
}
