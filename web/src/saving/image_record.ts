/** The record by which a session knows its image (`napari_sam.session.saving.image_record`). */
import { frameAt, type Frame, type ImageStack, type Pixels } from "../frames/stack";
import { blake2b } from "./blake2b";
import { joined } from "./packing";

const [SAMPLED_FRAMES, SAMPLED_SIDE] = [5, 1024];

/** Hash of shape, type and a sample of the pixels, equal to that of Python. */
export async function contentOf(stack: ImageStack): Promise<string> {
  const shape = [...stack.leading, stack.height, stack.width];
  const told = `({'shape': [${shape.join(", ")}], 'dtype': '${stack.dtype}'}, ${stack.rgb ? "True" : "False"})`;
  const parts: Uint8Array[] = [new TextEncoder().encode(told)];
  const samples = stack.leading.length ? SAMPLED_FRAMES : 1;
  for (let n = 0; n < samples; n++) {
    const share = samples > 1 ? n / (samples - 1) : 0;
    const positions = stack.leading.map((size) => Math.trunc(share * (size - 1)));
    const frame = await stack.frame(frameAt(positions, stack.leading));
    const apart = stack.channelAxis !== null && stack.channelAxis < stack.leading.length + 1;
    parts.push(middleOf(frame, apart));
  }
  return `blake2b:${blake2b(joined(parts), 16)}`;
}

/** The bytes of the middle of a frame, its channels side by side, or one after the other. */
function middleOf(frame: Frame, apart: boolean): Uint8Array {
  const [top, bottom] = spanOf(frame.height);
  const [left, right] = spanOf(frame.width);
  const [area, channels] = [(bottom - top) * (right - left), frame.channels];
  const Numbers = frame.pixels.constructor as new (n: number) => Pixels;
  const middle = new Numbers(area * channels);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const [from, pixel] = [(y * frame.width + x) * channels, (y - top) * (right - left) + x - left];
      for (let c = 0; c < channels; c++) {
        middle[apart ? c * area + pixel : pixel * channels + c] = frame.pixels[from + c]!;
      }
    }
  }
  return new Uint8Array(middle.buffer as ArrayBuffer);
}

function spanOf(size: number): [number, number] {
  return [Math.max(0, Math.floor((size - SAMPLED_SIDE) / 2)), Math.min(size, Math.floor((size + SAMPLED_SIDE) / 2))];
}

