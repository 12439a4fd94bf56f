/** onnxruntime's CPU build. */
import * as ort from "onnxruntime-web/wasm";
import type { Planes } from "./prompts";

/** What a page says of a network that it has. */
export interface Description {
  readonly name: string;
  readonly hash: string;
  readonly precision: string;
  readonly input_size: number;
  readonly mask_size: number;
}

const MOST_THREADS = 4; // more are no quicker with so small a network

/**
 * Give onnxruntime its WebAssembly, before the first graph.
 *
 * Threads share their memory, which browsers allow where a server isolates the page
 * (`crossOriginIsolated`); a page opened from a file has one thread.
 */
export function startRuntime(program: ArrayBuffer): void {
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
  ort.env.wasm.wasmBinary = program;
}

/** Load a graph. Only basic optimisations: the others take a third of a second, and gain nothing here. */
export function loadGraph(graph: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(graph, {
    executionProviders: ["wasm"], graphOptimizationLevel: "basic", enableMemPattern: false,
  });
}

/** Points of prompts and what they are; one that stands for none where there are none. */
export function pointTensors(
  points: readonly (readonly [number, number])[], labels: readonly number[],
): [points: ort.Tensor, labels: ort.Tensor] {
  const n = Math.max(1, points.length);
  return [
    new ort.Tensor("float32", Float32Array.from(points.length ? points.flat() : [0, 0]), [1, n, 2]),
    new ort.Tensor("float32", Float32Array.from(points.length ? labels : [-1]), [1, n]),
  ];
}

export function tensorOf(planes: Planes): ort.Tensor {
  return new ort.Tensor("float32", planes.data, [1, planes.channels, planes.height, planes.width]);
}

export function planesOf(tensor: ort.Tensor): Planes {
  const [, channels, height, width] = tensor.dims as [number, number, number, number];
  return { channels, height, width, data: tensor.data as Float32Array };
}
