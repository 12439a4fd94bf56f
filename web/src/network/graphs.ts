/** The graphs of docs/onnx.md in onnxruntime's CPU build, one thread: a page has no more. */
import * as ort from "onnxruntime-web/wasm";
import { decode, encode, type PocketConfig, type PocketGraphs } from "./pocket";
import type { Network } from "./predictor";
import { planes, type Decoded, type NetworkPrompts, type Planes } from "./prompts";

/** `network.json` of a page: what its graphs are. */
export interface Description extends PocketConfig {
  readonly name: string;
  readonly hash: string;
  readonly precision: string;
  readonly input_size: number;
  readonly mask_size: number;
}

/** Load onnxruntime and both graphs. */
export async function loadNetwork(
  runtime: ArrayBuffer, encoder: Uint8Array, decoder: Uint8Array, config: Description,
): Promise<Network> {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = runtime;
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: ["wasm"], graphOptimizationLevel: "all", enableMemPattern: false,
  };
  const graphs = new Graphs(
    await ort.InferenceSession.create(encoder, options), await ort.InferenceSession.create(decoder, options),
  );
  return {
    inputSize: config.input_size,
    stride: config.input_size / config.mask_size,
    mergesClicks: true,
    encode: (rgb, height, width, progress) => encode(graphs, config, rgb, height, width, progress),
    decode: (features, prompts, merge) => decode(graphs, config, features, prompts, merge),
    maskShape: (features) => [features[0]![3]!.height, features[0]![3]!.width],
  };
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
    const n = Math.max(1, prompts.points.length);
    const points = prompts.points.length ? prompts.points.flat() : [0, 0];
    const labels = prompts.points.length ? prompts.labels : [-1];
    const mask = pooled(prompts.mask, features[2]!);
    const feeds: Record<string, ort.Tensor> = {
      points: new ort.Tensor("float32", Float32Array.from(points), [1, n, 2]),
      labels: new ort.Tensor("float32", Float32Array.from(labels), [1, n]),
      boxes: new ort.Tensor("float32", Float32Array.from(prompts.box ?? [0, 0, 0, 0]), [1, 4]),
      masks: new ort.Tensor("float32", mask.data, [1, 1, mask.height, mask.width]),
    };
    FEATURES.forEach((name, nth) => (feeds[name] = tensorOf(features[nth]!)));
    const outputs = await this.decoder.run(feeds);
    const scores = Float32Array.from((await outputs["scores"]!.getData()) as Float32Array);
    return { logits: planesOf(outputs["logits"]!), scores };
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

function tensorOf(planes: Planes): ort.Tensor {
  return new ort.Tensor("float32", planes.data, [1, planes.channels, planes.height, planes.width]);
}

function planesOf(tensor: ort.Tensor): Planes {
  const [, channels, height, width] = tensor.dims as [number, number, number, number];
  return { channels, height, width, data: tensor.data as Float32Array };
}
