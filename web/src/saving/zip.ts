/** ZIP archives: a session's folder as one file. */
import { Failure } from "../failure";
import { crc32, deflate, inflate, joined } from "./packing";

export type Files = Map<string, Uint8Array>;

const MOST_BYTES = 2 ** 30; // of all files together, unpacked
const [LOCAL, CENTRAL, END] = [0x04034b50, 0x02014b50, 0x06054b50];
const IN_UTF8 = 0x0800;

/** Pack files, in their order; TIFF is packed already. */
export async function zip(files: Files): Promise<Uint8Array> {
  const [parts, directory]: [Uint8Array[], Uint8Array[]] = [[], []];
  let at = 0;
  for (const [name, content] of files) {
    const packs = !name.endsWith(".tif");
    const packed = packs ? await deflate(content, "deflate-raw") : content;
    const title = new TextEncoder().encode(name);
    const fields = fieldsOf(packs ? 8 : 0, crc32(content), packed.length, content.length, title.length);
    parts.push(numbers([[LOCAL, 4], [20, 2], ...fields]), title, packed);
    directory.push(numbers([[CENTRAL, 4], [20, 2], [20, 2], ...fields, [0, 2], [0, 2], [0, 2], [0, 4], [at, 4]]), title);
    at += 30 + title.length + packed.length;
  }
  const listed = joined(directory);
  const end = numbers([[END, 4], [0, 4], [files.size, 2], [files.size, 2], [listed.length, 4], [at, 4], [0, 2]]);
  return joined([...parts, listed, end]);
}

type Field = readonly [value: number, bytes: number];

function fieldsOf(method: number, crc: number, packed: number, size: number, name: number): Field[] {
  // 1980-01-01: the same session gives the same file
  return [[IN_UTF8, 2], [method, 2], [0, 2], [0x21, 2], [crc, 4], [packed, 4], [size, 4], [name, 2], [0, 2]];
}

function numbers(fields: readonly Field[]): Uint8Array {
  const bytes: number[] = [];
  for (const [value, n] of fields) for (let i = 0; i < n; i++) bytes.push((value >>> (8 * i)) & 0xff);
  return Uint8Array.from(bytes);
}

/** Unpack an archive. Throws a Failure if it is damaged, or larger than a session can be. */
export async function unzip(bytes: Uint8Array, name: string): Promise<Files> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return await unpacked(view, bytes);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`${name} is damaged or not a ZIP file. Save the session again, and open that file.`);
  }
}

async function unpacked(view: DataView, bytes: Uint8Array): Promise<Files> {
  let end = bytes.length - 22;
  while (view.getUint32(end, true) !== END) end--;
  const files: Files = new Map();
  let at = view.getUint32(end + 16, true);
  let total = 0;
  for (let n = view.getUint16(end + 10, true); n > 0; n--) {
    if (view.getUint32(at, true) !== CENTRAL) throw new Error("no entry");
    const [method, packedSize, size] = [view.getUint16(at + 10, true), view.getUint32(at + 20, true), view.getUint32(at + 24, true)];
    const [titleSize, local] = [view.getUint16(at + 28, true), view.getUint32(at + 42, true)];
    total += size;
    if (total > MOST_BYTES) throw new Failure("This session is larger than a browser can hold. Open it in napari.");
    const title = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + titleSize));
    const begin = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    const packed = bytes.subarray(begin, begin + packedSize);
    const content = method === 0 ? packed : await inflate(packed, size, "deflate-raw");
    if (content.length !== size || crc32(content) !== view.getUint32(at + 16, true)) throw new Error("damaged");
    if (!title.endsWith("/")) files.set(title, content);
    at += 46 + titleSize + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return files;
}
