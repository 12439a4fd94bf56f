/** What travels in the page itself: <script type="application/octet-stream" data-part="NAME">BASE64. */
import { Failure } from "./failure";
import { inflate } from "./saving/packing";

const MOST_BYTES = 2 ** 30;

/** A part by its name, unpacked if it is there as NAME.gz; null if the page has none. */
export async function part(name: string): Promise<Uint8Array | null> {
  const plain = elementOf(name);
  if (plain) return fromBase64(plain.textContent!);
  const packed = elementOf(`${name}.gz`);
  return packed && inflate(fromBase64(packed.textContent!), MOST_BYTES, "gzip");
}

/** A part that the page cannot work without. */
export async function neededPart(name: string): Promise<Uint8Array> {
  const found = await part(name);
  if (!found) throw new Failure("This page is not complete. Make it again with napari-sam page.");
  return found;
}

/** A part that is JSON. */
export async function jsonPart<T>(name: string): Promise<T | null> {
  const found = await part(name);
  return found && (JSON.parse(new TextDecoder().decode(found)) as T);
}

/** Forget the text of a part, which is read once. */
export function dropPart(name: string): void {
  elementOf(name)?.remove();
  elementOf(`${name}.gz`)?.remove();
}

function elementOf(name: string): Element | null {
  return document.querySelector(`script[data-part="${name}"]`);
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text.trim());
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
