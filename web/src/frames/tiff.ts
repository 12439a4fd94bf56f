/**
 * TIFF and BigTIFF: strips or tiles, 8 to 64 bit, stacks of ImageJ, OME and tifffile.
 *
 * A frame is read when it is shown, so that a large stack takes no more memory than one frame.
 */
import { Failure } from "../failure";
import { decompress, PACKINGS, undoPredictor } from "./tiff_packing";
import { axesOf, type Axes } from "./tiff_axes";
import { DTYPES, type Frame, type ImageStack, type Pixels } from "./stack";

const MOST_PAGES = 20_000;
const WINDOW = 2 ** 16; // bytes read at once while looking for pages
const SIZES: Record<number, number> = {
  1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8,
};
const RGB = 2;
const GREY = [0, 1];

/** The entries of a page that matter here, by the specification's numbers. */
interface Page {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly planar: boolean; // each sample of all pixels apart
  readonly array: PixelArray;
  readonly compression: number;
  readonly predictor: number;
  readonly photometric: number;
  readonly chunkWidth: number;
  readonly chunkHeight: number;
  readonly offsets: readonly number[];
  readonly lengths: readonly number[];
  readonly description: string;
  readonly reduced: boolean; // a smaller copy of another page
}

type PixelArray = { new (buffer: ArrayBuffer): Pixels; readonly BYTES_PER_ELEMENT: number; readonly name: string };
type Entries = Map<number, number[] | string>;

const NUMBERS: Record<number, string> = { 1: "integers", 2: "signed integers", 3: "floating-point numbers" };
const ARRAYS: Record<string, PixelArray> = {
  "1 8": Uint8Array, "1 16": Uint16Array, "1 32": Uint32Array,
  "2 8": Int8Array, "2 16": Int16Array, "2 32": Int32Array,
  "3 32": Float32Array, "3 64": Float64Array,
};

/** Open a TIFF. Throws a Failure if it is damaged or of a kind that is not read here. */
export async function openTiff(file: Blob, name: string): Promise<ImageStack> {
  const reader = await Reader.of(file);
  const all: Page[] = [];
  for await (const entries of reader.pages()) all.push(pageOf(entries));
  const first = all[0];
  if (!first) throw new Failure(`${name} holds no image. It may be cut off: copy it again.`);
  const pages = all.filter((page) => isAlike(page, first) && (!page.reduced || page === first));
  const spread = spreadOut(pages, first, file.size);
  const axes = axesOf(first.description, spread.length, first.samples);
  return stackOf(name, file, reader.little, spread, axes);
}

function stackOf(name: string, file: Blob, little: boolean, pages: Page[], axes: Axes): ImageStack {
  const first = pages[0]!;
  const rgb = first.photometric === RGB && first.samples >= 3;
  const samples = rgb ? 3 : first.samples;
  return {
    name,
    leading: axes.leading,
    height: first.height,
    width: first.width,
    channels: axes.channels * samples,
    rgb,
    channelAxis: axes.channels > 1 ? axes.channelAxis : first.samples > 1 && !rgb ? axes.leading.length + 2 : null,
    dtype: DTYPES[first.array.name]!,
    async frame(n: number): Promise<Frame> {
      const channels = [];
      for (let c = 0; c < axes.channels; c++) {
        channels.push(await readPage(file, pages[axes.pageOf(n, c)]!, little, name));
      }
      const pixels = interleaved(channels, first.samples, samples, first.width * first.height);
      return { height: first.height, width: first.width, channels: axes.channels * samples, pixels };
    },
  };
}

/** Pixels of pages (H, W, samples) as one (H, W, pages * kept): what is more, such as alpha, is dropped. */
function interleaved(pages: Pixels[], samples: number, kept: number, area: number): Pixels {
  const first = pages[0]!;
  if (pages.length === 1 && samples === kept) return first;
  const channels = pages.length * kept;
  const together = new (first.constructor as new (n: number) => Pixels)(area * channels);
  pages.forEach((page, nth) => {
    for (let pixel = 0; pixel < area; pixel++) {
      for (let s = 0; s < kept; s++) together[pixel * channels + nth * kept + s] = page[pixel * samples + s]!;
    }
  });
  return together;
}

function isAlike(page: Page, first: Page): boolean {
  return (
    page.width === first.width &&
    page.height === first.height &&
    page.samples === first.samples &&
    page.array === first.array
  );
}

/** ImageJ writes large stacks as one page and says how many follow. */
function spreadOut(pages: Page[], first: Page, fileSize: number): Page[] {
  const said = Number(/^ImageJ=[\s\S]*?^images=(\d+)/m.exec(first.description)?.[1] ?? 1);
  if (pages.length > 1 || said <= 1 || said > MOST_PAGES || first.compression !== 1) return pages;
  const size = first.width * first.height * first.samples * first.array.BYTES_PER_ELEMENT;
  const start = first.offsets[0]!;
  if (start + said * size > fileSize) return pages;
  return Array.from({ length: said }, (_, n) => ({
    ...first,
    chunkHeight: first.height,
    offsets: [start + n * size],
    lengths: [size],
  }));
}

function pageOf(entries: Entries): Page {
  const numbers = (tag: number, otherwise: number[]): number[] => {
    const found = entries.get(tag);
    return Array.isArray(found) && found.length ? found : otherwise;
  };
  const number = (tag: number, otherwise: number): number => numbers(tag, [otherwise])[0]!;
  const [width, height] = [number(256, 0), number(257, 0)];
  if (!(width > 0 && height > 0)) throw new Failure("This TIFF is damaged. Copy the file again.");
  const bits = numbers(258, [1])[0]!;
  const format = number(339, 1);
  const array = ARRAYS[`${format} ${bits}`];
  if (!array) {
    throw new Failure(
      `Pixels that are ${NUMBERS[format] ?? "numbers"} of ${bits} bit cannot be opened here. ` +
        "Save the image with integers of 8 or 16 bit, or floating-point numbers of 32 bit.",
    );
  }
  const compression = number(259, 1);
  if (!(compression in PACKINGS)) {
    throw new Failure(`TIFF compression ${compression} cannot be opened here. Save the image without compression.`);
  }
  const tiled = entries.has(322);
  return {
    width, height, array, compression,
    samples: number(277, 1),
    planar: number(284, 1) === 2,
    predictor: number(317, 1),
    photometric: checkedPhotometric(number(262, 1)),
    chunkWidth: tiled ? number(322, width) : width,
    chunkHeight: tiled ? number(323, height) : Math.min(number(278, height), height),
    offsets: numbers(tiled ? 324 : 273, []),
    lengths: numbers(tiled ? 325 : 279, []),
    description: String(entries.get(270) ?? ""),
    reduced: (number(254, 0) & 1) === 1,
  };
}

function checkedPhotometric(photometric: number): number {
  if (photometric === RGB || GREY.includes(photometric)) return photometric;
  throw new Failure("TIFF with a colour table cannot be opened here. Save the image as grey or RGB.");
}

async function readPage(file: Blob, page: Page, little: boolean, name: string): Promise<Pixels> {
  const across = Math.ceil(page.width / page.chunkWidth);
  const down = Math.ceil(page.height / page.chunkHeight);
  const planes = page.planar ? page.samples : 1;
  const inChunk = page.planar ? 1 : page.samples;
  const pixels = new page.array(new ArrayBuffer(page.width * page.height * page.samples * page.array.BYTES_PER_ELEMENT));
  for (let nth = 0; nth < across * down * planes; nth++) {
    const [offset, length] = [page.offsets[nth], page.lengths[nth]];
    if (offset === undefined || length === undefined || offset + length > file.size) throw cutOff(name);
    const plane = Math.floor(nth / (across * down));
    const [top, left] = [Math.floor((nth % (across * down)) / across) * page.chunkHeight, (nth % across) * page.chunkWidth];
    const high = page.chunkWidth === page.width ? Math.min(page.chunkHeight, page.height - top) : page.chunkHeight;
    const wanted = high * page.chunkWidth * inChunk * page.array.BYTES_PER_ELEMENT;
    const packed = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
    const bytes = await decompress(packed, page.compression, wanted, name);
    if (bytes.length < wanted) throw cutOff(name);
    const chunk = inOrder(bytes, page.array, little, wanted);
    undoPredictor(chunk, page.predictor, page.chunkWidth, inChunk);
    copyChunk(chunk, pixels, page, { top, left, high, plane, inChunk });
  }
  if (page.photometric === 0) invert(pixels);
  return pixels;
}

interface Place { top: number; left: number; high: number; plane: number; inChunk: number }

function copyChunk(chunk: Pixels, pixels: Pixels, page: Page, at: Place): void {
  const wide = Math.min(page.chunkWidth, page.width - at.left);
  const rows = Math.min(at.high, page.height - at.top);
  for (let y = 0; y < rows; y++) {
    const from = y * page.chunkWidth * at.inChunk;
    const to = ((at.top + y) * page.width + at.left) * page.samples;
    if (at.inChunk === page.samples) {
      pixels.set(chunk.subarray(from, from + wide * at.inChunk) as never, to);
    } else {
      for (let x = 0; x < wide; x++) pixels[to + x * page.samples + at.plane] = chunk[from + x]!;
    }
  }
}

/** Bytes of a file as numbers of this computer. */
function inOrder(bytes: Uint8Array, array: PixelArray, little: boolean, length: number): Pixels {
  const copy = bytes.slice(0, length);
  const size = array.BYTES_PER_ELEMENT;
  if (!little && size > 1) for (let i = 0; i < length; i += size) copy.subarray(i, i + size).reverse();
  return new array(copy.buffer as ArrayBuffer);
}

function invert(pixels: Pixels): void {
  const highest = pixels instanceof Uint8Array ? 255 : pixels instanceof Uint16Array ? 65535 : 0;
  for (let i = 0; i < pixels.length; i++) pixels[i] = highest - pixels[i]!;
}

function cutOff(name: string): Failure {
  return new Failure(`${name} ends too early: part of the image is missing. Copy the file again.`);
}

/** The structure of a file, read piece by piece. */
class Reader {
  private start = 0;
  private window = new DataView(new ArrayBuffer(0));

  private constructor(
    private readonly file: Blob,
    readonly little: boolean,
    private readonly big: boolean,
    private readonly first: number,
  ) {}

  static async of(file: Blob): Promise<Reader> {
    const head = new DataView(await file.slice(0, 16).arrayBuffer());
    if (head.byteLength < 8) throw new Failure("This TIFF is empty. Copy the file again.");
    const little = head.getUint16(0) === 0x4949;
    const big = head.getUint16(2, little) === 43;
    if (big && head.byteLength < 16) throw new Failure("This TIFF is empty. Copy the file again.");
    return new Reader(file, little, big, big ? Number(head.getBigUint64(8, little)) : head.getUint32(4, little));
  }

  /** The entries of each page in turn. */
  async *pages(): AsyncGenerator<Entries> {
    const seen = new Set<number>();
    for (let at = this.first; at !== 0; ) {
      if (seen.has(at) || seen.size >= MOST_PAGES) throw new Failure("The pages of this TIFF go in a circle. Save it again.");
      seen.add(at);
      const count = this.big ? await this.number(at, 16) : await this.number(at, 3);
      if (count > 4096) throw new Failure("This TIFF is damaged. Copy the file again.");
      const size = this.big ? 20 : 12;
      const begin = at + (this.big ? 8 : 2);
      const entries: Entries = new Map();
      for (let n = 0; n < count; n++) await this.entry(begin + n * size, entries);
      yield entries;
      at = await this.number(begin + count * size, this.big ? 16 : 4);
    }
  }

  private async entry(at: number, entries: Entries): Promise<void> {
    const tag = await this.number(at, 3);
    const type = await this.number(at + 2, 3);
    const count = await this.number(at + 4, this.big ? 16 : 4);
    const size = SIZES[type];
    if (!size || count > 2 ** 24) return;
    const field = at + (this.big ? 12 : 8);
    const fits = size * count <= (this.big ? 8 : 4);
    const where = fits ? field : await this.number(field, this.big ? 16 : 4);
    if (type === 2) {
      const bytes = await this.bytes(where, count);
      entries.set(tag, new TextDecoder().decode(bytes).replace(/\0+$/, ""));
    } else if (tag < 400 && [1, 3, 4, 16].includes(type)) {
      const numbers: number[] = [];
      for (let i = 0; i < count; i++) numbers.push(await this.number(where + i * size, type));
      entries.set(tag, numbers);
    }
  }

  private async number(at: number, type: number): Promise<number> {
    const size = SIZES[type]!;
    if (at < this.start || at + size > this.start + this.window.byteLength) await this.look(at, size);
    const here = at - this.start;
    if (size === 1) return this.window.getUint8(here);
    if (size === 2) return this.window.getUint16(here, this.little);
    if (size === 4) return this.window.getUint32(here, this.little);
    return Number(this.window.getBigUint64(here, this.little));
  }

  private async bytes(at: number, count: number): Promise<ArrayBuffer> {
    if (at + count > this.file.size) throw new Failure("This TIFF ends too early. Copy the file again.");
    return this.file.slice(at, at + count).arrayBuffer();
  }

  private async look(at: number, size: number): Promise<void> {
    if (at + size > this.file.size) throw new Failure("This TIFF ends too early. Copy the file again.");
    this.window = new DataView(await this.file.slice(at, at + WINDOW).arrayBuffer());
    this.start = at;
  }
}
