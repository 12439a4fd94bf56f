/** Images as frames: one picture, or many along leading axes such as time and depth. */

export type Pixels =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array;

/** One frame, row by row, the channels of a pixel side by side. */
export interface Frame {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly pixels: Pixels; // (height, width, channels)
}

/** An image of one or more frames, each read when it is shown. */
export interface ImageStack {
  readonly name: string;
  readonly leading: readonly number[]; // sizes of the axes before y and x; none: a single frame
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  readonly rgb: boolean; // red, green, blue, and not channels of a microscope
  readonly channelAxis: number | null; // where the file has its channels, if they are an axis
  readonly dtype: string; // NumPy's name
  frame(n: number): Promise<Frame>;
}

export const DTYPES: Record<string, string> = {
  Uint8Array: "uint8",
  Int8Array: "int8",
  Uint16Array: "uint16",
  Int16Array: "int16",
  Uint32Array: "uint32",
  Int32Array: "int32",
  Float32Array: "float32",
  Float64Array: "float64",
};

/** Number of frames. */
export function frameCount(stack: ImageStack): number {
  return stack.leading.reduce((n, size) => n * size, 1);
}

/** The positions of frame n on the leading axes; the last axis moves fastest. */
export function positionsOf(n: number, leading: readonly number[]): number[] {
  const positions: number[] = [];
  for (const size of [...leading].reverse()) {
    positions.unshift(n % size);
    n = Math.floor(n / size);
  }
  return positions;
}

/** The frame at these positions on the leading axes. */
export function frameAt(positions: readonly number[], leading: readonly number[]): number {
  return leading.reduce((n, size, axis) => n * size + positions[axis]!, 0);
}

/** A stack of a single frame. */
export function singleFrame(name: string, frame: Frame): ImageStack {
  return {
    name,
    leading: [],
    height: frame.height,
    width: frame.width,
    channels: frame.channels,
    rgb: frame.channels === 3,
    channelAxis: null,
    dtype: DTYPES[frame.pixels.constructor.name]!,
    frame: async () => frame,
  };
}
