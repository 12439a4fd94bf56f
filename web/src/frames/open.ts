/** Any file that may be an image → its frames. */
import { Failure } from "../failure";
import { readPng } from "./png";
import { singleFrame, type Frame, type ImageStack } from "./stack";
import { openTiff } from "./tiff";

const MOST_PIXELS = 2 ** 26; // of a frame that is shown
const LARGEST_PICTURE = 200e6; // bytes of a PNG or JPEG: these are read whole

/** Open an image by what is in it, whatever it is called. */
export async function openImage(file: Blob, name: string): Promise<ImageStack> {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const stack = await opened(head, file, name);
  if (stack.height * stack.width > MOST_PIXELS) {
    throw new Failure(
      `${name} has ${stack.width} × ${stack.height} pixels, too many for a browser. ` +
        "Crop it to 8000 × 8000 or less, or use napari.",
    );
  }
  return stack;
}

async function opened(head: Uint8Array, file: Blob, name: string): Promise<ImageStack> {
  const [a, b, c, d] = head;
  if ((a === 0x49 && b === 0x49 && (c === 42 || c === 43)) || (a === 0x4d && b === 0x4d && (d === 42 || d === 43))) {
    return openTiff(file, name);
  }
  const isPng = a === 0x89 && b === 0x50;
  const isJpeg = a === 0xff && b === 0xd8;
  if (!isPng && !isJpeg) {
    throw new Failure(`${name} is neither TIFF, PNG nor JPEG. Save the image as one of these, and open it again.`);
  }
  if (file.size > LARGEST_PICTURE) {
    throw new Failure(`${name} has ${Math.round(file.size / 1e6)} MB, too much for a browser. Crop it, or save it as TIFF.`);
  }
  const frame = isPng ? await readPng(file, name) : null;
  return singleFrame(name, frame ?? (await byBrowser(file, name)));
}

/** As the browser decodes it, grey if all its channels are equal. */
async function byBrowser(file: Blob, name: string): Promise<Frame> {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" }).catch(() => {
    throw new Failure(`${name} is damaged or cut off. Copy the file again.`);
  });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })!;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  const isGrey = allGrey(rgba);
  const channels = isGrey ? 1 : 3;
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < channels; c++) pixels[i * channels + c] = rgba[i * 4 + c]!;
  }
  return { width, height, channels, pixels };
}

function allGrey(rgba: Uint8ClampedArray): boolean {
  for (let i = 0; i < rgba.length; i += 4) {
    if (rgba[i] !== rgba[i + 1] || rgba[i] !== rgba[i + 2]) return false;
  }
  return true;
}
