/** The worker: the networks, the last frames, and one order after the other. */
import { Failure, sentenceOf } from "../failure";
import { resizedShape } from "../frames/resize";
import type { Crop } from "../session/crop";
import { Region } from "../session/region";
import { EncodedFrames } from "./frames";
import { look } from "./look";
import type { Order, PlainAnswer, PlainRegion, Report } from "./messages";
import { PocketNetwork } from "./pocket_graphs";
import { stability, type Embedding } from "./predictor";
import { plane } from "./prompts";
import { startRuntime } from "./runtime";
import { SamDecoder } from "./sam";
import { maskOf } from "./upscaling";

const NOTHING: PlainAnswer = {
  mask: { top: 0, left: 0, height: 0, width: 0, pixels: new Uint8Array(0) }, crop: null, travelled: false, token: 0,
  iouPrediction: 0, stability: 0, candidates: [],
};

let pocket: PocketNetwork | null = null;
let sam: SamDecoder | null = null;
const frames = new EncodedFrames();
let queue = Promise.resolve();

const report = (message: Report): void => self.postMessage(message);

// Begun once more by onnxruntime, as one of its threads, it takes orders from that alone
if (!self.name.startsWith("em-pthread")) self.onmessage = ({ data }: MessageEvent<Order>) => take(data);

function take(order: Order): void {
  queue = queue.then(async () => {
    try {
      report({ id: order.id, kind: "done", answer: await carryOut(order) });
    } catch (error) {
      report({ id: order.id, kind: "failed", sentence: sentenceOf(error) });
    }
  });
}

async function carryOut(order: Order): Promise<PlainAnswer | null> {
  if (order.kind === "start") {
    startRuntime(order.runtime);
    pocket = await PocketNetwork.load(order.pocket.encoder, order.pocket.decoder, order.pocket.config);
    sam = order.sam && (await SamDecoder.load(order.sam.decoder, order.sam.config));
  } else if (order.kind === "forget") {
    frames.clear();
  } else if (order.kind === "encode") {
    const { frame, rgb, height, width } = order;
    if (!frames.has(frame)) await frames.take(frame, [height, width], rgb, started(pocket), progressOf(order));
  } else if (order.kind === "place") {
    const { frame, crop, height, width } = order;
    const inputShape = resizedShape(height, width, started(sam).inputSize);
    frames.place(frame, crop, { encoded: started(sam).encoded(order.halves), frameShape: [height, width], inputShape, memo: new Map() });
  } else if (order.kind === "prepare") {
    await frames.embed(order.frame, order.crop, started(pocket), () => {});
  } else {
    return decoded(order);
  }
  return null;
}

async function decoded(order: Order & { kind: "decode" }): Promise<PlainAnswer> {
  const { frame, candidate, diameter, preview } = order;
  const { mask } = order.prompts;
  const prompts = { ...order.prompts, mask: mask && Region.ofPixels(mask.top, mask.left, mask.height, mask.width, mask.pixels) };
  const crops = preview ? order.crops.slice(0, 1) : order.crops;
  if (preview && !frames.hasCrop(frame, crops[0] ?? null)) return NOTHING;
  const embed = (crop: Crop | null): Promise<Embedding> => frames.embed(frame, crop, started(pocket), progressOf(order));
  const { embedding, prediction, crop } = await look(embed, prompts, crops, frames.shapeOf(frame), candidate, diameter);
  const { logits, scores, window } = prediction.decoded;
  const maskOfToken = (token: number): PlainRegion =>
    plain(maskOf(plane(logits, token), window, embedding.encoded.stride, embedding.inputShape, embedding.frameShape), crop);
  const best = maskOfToken(prediction.best);
  return {
    mask: best,
    crop,
    travelled: embedding.encoded.travelled,
    token: prediction.best,
    iouPrediction: scores[prediction.best]!,
    stability: stability(plane(logits, prediction.best), window),
    candidates: preview
      ? []
      : prediction.tokens.map((token) => ({
          token, score: scores[token]!, mask: token === prediction.best ? best : maskOfToken(token),
        })),
  };
}

function progressOf(order: Order): (share: number) => void {
  return (share) => report({ id: order.id, kind: "progress", share });
}

function started<T>(network: T | null): T {
  if (!network) throw new Failure("The network did not start. Reload the page.");
  return network;
}

/** A region of a crop as one of the frame. */
function plain({ top, left, height, width, pixels }: Region, crop: Crop | null): PlainRegion {
  const [y, x] = crop ?? [0, 0];
  return { top: y + top, left: x + left, height, width, pixels };
}
