/** Deflate, by the browser's own streams. */
import { Failure } from "../failure";

type Format = "deflate" | "deflate-raw" | "gzip";

async function through(bytes: Uint8Array, stream: TransformStream, most: number): Promise<Uint8Array> {
  const reader = new Blob([bytes as BlobPart]).stream().pipeThrough(stream).getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value as Uint8Array);
    length += (value as Uint8Array).length;
    if (length >= most) {
      void reader.cancel();
      break;
    }
  }
  const whole = new Uint8Array(length);
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole.subarray(0, Math.min(length, most));
}

/** What was packed, up to so many bytes: a small file cannot fill the memory. */
export function inflate(packed: Uint8Array, most: number, format: Format = "deflate"): Promise<Uint8Array> {
  if (typeof DecompressionStream === "undefined") {
    throw new Failure("This browser is too old to unpack images. Update it.");
  }
  return through(packed, new DecompressionStream(format) as TransformStream, most);
}

/** Pack bytes. */
export function deflate(bytes: Uint8Array, format: Format = "deflate"): Promise<Uint8Array> {
  return through(bytes, new CompressionStream(format) as TransformStream, Infinity);
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

/** The check sum of ZIP and PNG. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Several pieces as one. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  parts.reduce((at, part) => (whole.set(part, at), at + part.length), 0);
  return whole;
}
