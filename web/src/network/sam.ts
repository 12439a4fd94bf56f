/** A Segment Anything network of which the page has the decoder, and the embeddings of some frames. */
import * as ort from "onnxruntime-web/wasm";
import type { Crop } from "../session/crop";
import type { Encoded } from "./predictor";
import { allOf, planes, type Decoded, type NetworkPrompts } from "./prompts";
import { loadGraph, planesOf, pointTensors, tensorOf, type Description } from "./runtime";

/** `sam.json` of a page. */
export interface SamDescription extends Description {
  readonly embedding: readonly [number, number, number, number]; // shape of each
  readonly embeddings: readonly (readonly [frame: number, crop: Crop | null])[]; // null: of all of the frame
}

const ONE_CLICK: NetworkPrompts = { points: [[0, 0]], labels: [1], box: null, mask: null, diameter: null };

export class SamDecoder {
  private constructor(
    private readonly graph: ort.InferenceSession,
    private readonly config: SamDescription,
  ) {}

  static async load(graph: Uint8Array, config: SamDescription): Promise<SamDecoder> {
    const decoder = new SamDecoder(await loadGraph(graph), config);
    const nothing = new Uint16Array(config.embedding.reduce((n, side) => n * side, 1));
    await decoder.encoded(nothing).decode(ONE_CLICK, false); // the first run takes several times as long as a later one
    return decoder;
  }

  get inputSize(): number {
    return this.config.input_size;
  }

  /** @param halves of an embedding, in half precision */
  encoded(halves: Uint16Array): Encoded {
    const embedding = new ort.Tensor("float16", halves, this.config.embedding);
    const { input_size, mask_size } = this.config;
    return {
      stride: input_size / mask_size,
      mergesClicks: false,
      travelled: true,
      maskShape: [mask_size, mask_size],
      decode: (prompts) => this.decode(embedding, prompts),
    };
  }

  private async decode(embedding: ort.Tensor, { points, labels, box, mask }: NetworkPrompts): Promise<Decoded> {
    const corners = box ? ([[box[0], box[1]], [box[2], box[3]]] as const) : ([[0, 0]] as const);
    const [coords, kinds] = pointTensors([...points, ...corners], [...labels, ...(box ? [2, 3] : [-1])]);
    const outputs = await this.graph.run({
      image_embeddings: embedding,
      point_coords: coords,
      point_labels: kinds,
      mask_input: tensorOf(mask ?? planes(1, this.config.mask_size, this.config.mask_size)),
      has_mask_input: new ort.Tensor("float32", [mask ? 1 : 0], [1]),
    });
    const scores = Float32Array.from(outputs["iou_predictions"]!.data as Float32Array);
    const logits = planesOf(outputs["low_res_masks"]!);
    return { logits, scores, window: allOf(logits) };
  }
}
