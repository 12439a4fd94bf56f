/** The embedded network's graphs of docs/onnx.md in onnxruntime. */
import * as ort from "onnxruntime-web/wasm";
import { decode, encode, type PocketConfig, type PocketGraphs } from "./pocket";
import type { Encoded } from "./predictor";
import { allOf, planes, type Decoded, type NetworkPrompts, type Planes } from "./prompts";
import { loadGraph, planesOf, pointTensors, tensorOf, type Description } from "./runtime";

/** `network.json` of a page. */
export interface PocketDescription extends Description, PocketConfig {}

export class PocketNetwork {
  private constructor(
    private readonly graphs: Graphs,
    private readonly config: PocketDescription,
  ) {}

  static async load(encoder: Uint8Array, decoder: Uint8Array, config: PocketDescription): Promise<PocketNetwork> {
    return new PocketNetwork(new Graphs(await loadGraph(encoder), await loadGraph(decoder)), config);
  }

  get inputSize(): number {
    return this.config.input_size;
  }

  /** Encode an input (height, width, 3) of 8 bit. */
  async encode(rgb: Uint8Array, height: number, width: number, progress: (share: number) => void): Promise<Encoded> {
    const { graphs, config } = this;
    const pyramid = await encode(graphs, config, rgb, height, width, progress);
    const edges = pyramid[0]![3]!;
    return {
      stride: config.input_size / config.mask_size,
      mergesClicks: true,
      travelled: false,
      maskShape: [edges.height, edges.width],
      decode: (prompts, merge) => decode(graphs, config, pyramid, prompts, merge),
    };
  }
}

const FEATURES = ["coarse", "middle", "fine", "edges", "kernel"] as const;

class Graphs implements PocketGraphs {
  constructor(
    private readonly encoder: ort.InferenceSession,
    private readonly decoder: ort.InferenceSession,
  ) {}

  async encode(level: Planes): Promise<Planes[]> {
    const image = tensorOf(level);
    const outputs = await this.encoder.run({ image });
    return FEATURES.map((name) => planesOf(outputs[name]!));
  }

  async decode(features: Planes[], prompts: NetworkPrompts): Promise<Decoded> {
    const [points, labels] = pointTensors(prompts.points, prompts.labels);
    const mask = pooled(prompts.mask, features[2]!);
    const feeds: Record<string, ort.Tensor> = {
      points, labels,
      boxes: new ort.Tensor("float32", Float32Array.from(prompts.box ?? [0, 0, 0, 0]), [1, 4]),
      masks: new ort.Tensor("float32", mask.data, [1, 1, mask.height, mask.width]),
    };
    FEATURES.forEach((name, nth) => (feeds[name] = tensorOf(features[nth]!)));
    const outputs = await this.decoder.run(feeds);
    const scores = Float32Array.from((await outputs["scores"]!.getData()) as Float32Array);
    const logits = planesOf(outputs["logits"]!);
    return { logits, scores, window: allOf(logits) };
  }
}

/** A mask's logits at the stride of `like`, as the mean of its probabilities; -16 where there is none. */
function pooled(mask: Planes | null, like: Planes): Planes {
  const small = planes(1, like.height, like.width, -16);
  if (!mask) return small;
  const factor = mask.height / like.height;
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      let sum = 0;
      for (let dy = 0; dy < factor; dy++) {
        const from = (y * factor + dy) * mask.width + x * factor;
        for (let dx = 0; dx < factor; dx++) sum += 1 / (1 + Math.exp(-mask.data[from + dx]!));
      }
      const mean = Math.min(Math.max(sum / factor ** 2, 1e-7), 1 - 1e-7);
      small.data[y * small.width + x] = Math.log(mean / (1 - mean));
    }
  }
  return small;
}
