/** Labels of one frame as a grey PNG of 16 bit. */
import { Failure } from "../failure";
import { crc32, deflate, joined } from "./packing";

export async function labelsPng(labels: Uint32Array, height: number, width: number): Promise<Uint8Array> {
  if (labels.some((id) => id > 65535)) {
    throw new Failure("A PNG holds numbers up to 65535, and an object here has a higher one. Save the labels as TIFF.");
  }
  const rows = new Uint8Array(height * (1 + 2 * width)); // each row begins with its filter, 0
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [id, at] = [labels[y * width + x] ?? 0, y * (1 + 2 * width) + 1 + 2 * x];
      rows[at] = id >> 8;
      rows[at + 1] = id & 0xff;
    }
  }
  const head = new DataView(new ArrayBuffer(13));
  head.setUint32(0, width);
  head.setUint32(4, height);
  head.setUint8(8, 16);
  return joined([
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", new Uint8Array(head.buffer)), chunk("IDAT", await deflate(rows)), chunk("IEND", new Uint8Array(0)),
  ]);
}

function chunk(kind: string, content: Uint8Array): Uint8Array {
  const body = joined([new TextEncoder().encode(kind), content]);
  const whole = new DataView(new ArrayBuffer(body.length + 8));
  whole.setUint32(0, content.length);
  new Uint8Array(whole.buffer).set(body, 4);
  whole.setUint32(body.length + 4, crc32(body));
  return new Uint8Array(whole.buffer);
}
