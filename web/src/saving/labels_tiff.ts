/** Labels as a TIFF that any program opens: one page a frame, 16 or 32 bit, deflate. */
import { deflate, joined } from "./packing";

const HEAD = 8;

/**
 * @param frames labels of each frame in turn, (height, width)
 * @param shape of the whole, of which the last two are height and width
 */
export async function labelsTiff(frames: Iterable<Uint32Array>, shape: readonly number[], bits: 16 | 32): Promise<Uint8Array> {
  const [height, width] = shape.slice(-2) as [number, number];
  const description = shape.length > 2 ? new TextEncoder().encode(`{"shape": [${shape.join(", ")}]}\0`) : null;
  const parts: Uint8Array[] = [];
  const pointers: [part: number, at: number][] = []; // to the next page
  let at = HEAD;
  for (const labels of frames) {
    const pixels = await deflate(bytesOf(labels, bits, height * width));
    const text = parts.length ? null : description;
    const page = pageOf(height, width, bits, at, pixels.length, text);
    const padded = page.length + pixels.length + (text?.length ?? 0);
    parts.push(joined([page, pixels, text ?? new Uint8Array(0), new Uint8Array(padded % 2)]));
    pointers.push([parts.length - 1, at]);
    at += padded + (padded % 2);
  }
  link(parts, pointers);
  const head = new Uint8Array([0x49, 0x49, 42, 0, HEAD, 0, 0, 0]);
  return joined([head, ...parts]);
}

/** Little-endian bytes of labels. */
export function bytesOf(labels: Uint32Array, bits: 16 | 32, area: number): Uint8Array {
  const full = labels.length ? labels : new Uint32Array(area);
  return new Uint8Array((bits === 32 ? full.slice() : Uint16Array.from(full)).buffer);
}

function pageOf(height: number, width: number, bits: number, at: number, size: number, text: Uint8Array | null): Uint8Array {
  const n = text ? 11 : 10;
  const pixels = at + 2 + n * 12 + 4;
  const entries: [tag: number, type: number, count: number, value: number][] = [
    [256, 4, 1, width], [257, 4, 1, height], [258, 3, 1, bits], [259, 3, 1, 8], [262, 3, 1, 1],
    [273, 4, 1, pixels], [277, 3, 1, 1], [278, 4, 1, height], [279, 4, 1, size], [339, 3, 1, 1],
  ];
  if (text) entries.splice(5, 0, [270, 2, text.length, pixels + size]);
  const page = new DataView(new ArrayBuffer(2 + n * 12 + 4));
  page.setUint16(0, n, true);
  entries.forEach(([tag, type, count, value], nth) => {
    const field = 2 + nth * 12;
    page.setUint16(field, tag, true);
    page.setUint16(field + 2, type, true);
    page.setUint32(field + 4, count, true);
    if (type === 3) page.setUint16(field + 8, value, true);
    else page.setUint32(field + 8, value, true);
  });
  return new Uint8Array(page.buffer);
}

/** Write into each page where the next one begins. */
function link(parts: Uint8Array[], pointers: [part: number, at: number][]): void {
  pointers.slice(1).forEach(([, next], nth) => {
    const part = parts[nth]!;
    const view = new DataView(part.buffer, part.byteOffset);
    view.setUint32(2 + view.getUint16(0, true) * 12, next, true);
  });
}
