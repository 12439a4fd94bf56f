/** BLAKE2b (RFC 7693) without a key, for the hash by which a session knows its image. */

const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
].flatMap((word) => [Number(word & 0xffffffffn), Number(word >> 32n)]);

const SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
].map((row) => [...row].map((digit) => parseInt(digit, 16)));

const BLOCK = 128;

/** The digest of bytes, as hexadecimal text. */
export function blake2b(bytes: Uint8Array, size: number): string {
  const h = Uint32Array.from(IV);
  h[0] = (h[0]! ^ 0x01010000 ^ size) >>> 0;
  const blocks = Math.max(1, Math.ceil(bytes.length / BLOCK));
  for (let n = 0; n < blocks; n++) {
    const block = new Uint8Array(BLOCK);
    block.set(bytes.subarray(n * BLOCK, (n + 1) * BLOCK));
    compress(h, new Uint32Array(block.buffer), Math.min(bytes.length, (n + 1) * BLOCK), n === blocks - 1);
  }
  return [...new Uint8Array(h.buffer, 0, size)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function compress(h: Uint32Array, m: Uint32Array, counted: number, last: boolean): void {
  const v = new Uint32Array(32);
  v.set(h);
  v.set(IV, 16);
  v[24] = (v[24]! ^ counted) >>> 0;
  v[25] = (v[25]! ^ Math.floor(counted / 2 ** 32)) >>> 0;
  if (last) [v[28], v[29]] = [~v[28]! >>> 0, ~v[29]! >>> 0];
  for (let round = 0; round < 12; round++) {
    const s = SIGMA[round % 10]!;
    for (let k = 0; k < 4; k++) mix(v, m, k, 4 + k, 8 + k, 12 + k, s[2 * k]!, s[2 * k + 1]!);
    for (let k = 0; k < 4; k++) {
      mix(v, m, k, 4 + ((k + 1) % 4), 8 + ((k + 2) % 4), 12 + ((k + 3) % 4), s[8 + 2 * k]!, s[9 + 2 * k]!);
    }
  }
  for (let i = 0; i < 16; i++) h[i] = (h[i]! ^ v[i]! ^ v[i + 16]!) >>> 0;
}

function mix(v: Uint32Array, m: Uint32Array, a: number, b: number, c: number, d: number, x: number, y: number): void {
  add(v, a, v[2 * b]!, v[2 * b + 1]!);
  add(v, a, m[2 * x]!, m[2 * x + 1]!);
  rotate(v, d, a, 32);
  add(v, c, v[2 * d]!, v[2 * d + 1]!);
  rotate(v, b, c, 24);
  add(v, a, v[2 * b]!, v[2 * b + 1]!);
  add(v, a, m[2 * y]!, m[2 * y + 1]!);
  rotate(v, d, a, 16);
  add(v, c, v[2 * d]!, v[2 * d + 1]!);
  rotate(v, b, c, 63);
}

function add(v: Uint32Array, a: number, low: number, high: number): void {
  const sum = v[2 * a]! + low;
  v[2 * a + 1] = v[2 * a + 1]! + high + (sum > 0xffffffff ? 1 : 0);
  v[2 * a] = sum;
}

/** v[a] = (v[a] ^ v[b]) turned right by so many bits. */
function rotate(v: Uint32Array, a: number, b: number, bits: number): void {
  let [low, high] = [v[2 * a]! ^ v[2 * b]!, v[2 * a + 1]! ^ v[2 * b + 1]!];
  if (bits >= 32) [low, high] = [high, low];
  const n = bits % 32;
  if (n) [low, high] = [(low >>> n) | (high << (32 - n)), (high >>> n) | (low << (32 - n))];
  v[2 * a] = low;
  v[2 * a + 1] = high;
}
