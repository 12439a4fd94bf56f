/** What the pages of a TIFF are: frames along time and depth, or channels. */

export interface Axes {
  readonly leading: readonly number[]; // sizes of the axes before y and x, without channels
  readonly channels: number;
  readonly channelAxis: number; // its place in the file's own order of axes
  pageOf(frame: number, channel: number): number;
}

type Axis = readonly [name: string, size: number];

/** The axes that the description of the first page tells of; else one axis of all pages. */
export function axesOf(description: string, pages: number, samples: number): Axes {
  const told = fromImageJ(description) ?? fromOme(description, samples) ?? fromShape(description);
  const axes = (told ?? []).filter(([, size]) => size > 1);
  const fits = axes.reduce((n, [, size]) => n * size, 1) === pages;
  return arranged(fits ? axes : pages > 1 ? [["I", pages]] : []);
}

function arranged(axes: readonly Axis[]): Axes {
  const channelAxis = axes.findIndex(([name]) => name === "C");
  const channels = channelAxis < 0 ? 1 : axes[channelAxis]![1];
  const inside = channelAxis < 0 ? 1 : axes.slice(channelAxis + 1).reduce((n, [, size]) => n * size, 1);
  return {
    leading: axes.filter((_, axis) => axis !== channelAxis).map(([, size]) => size),
    channels,
    channelAxis,
    pageOf: (frame, channel) =>
      (Math.floor(frame / inside) * channels + channel) * inside + (frame % inside),
  };
}

function fromImageJ(description: string): Axis[] | null {
  if (!description.startsWith("ImageJ=")) return null;
  const size = (key: string): number =>
    Number(new RegExp(`^${key}=(\\d+)`, "m").exec(description)?.[1] ?? 1);
  return [["T", size("frames")], ["Z", size("slices")], ["C", size("channels")]];
}

function fromOme(description: string, samples: number): Axis[] | null {
  const pixels = /<(?:\w+:)?Pixels\b[^>]*>/.exec(description)?.[0];
  const order = pixels && /DimensionOrder="XY([CZT]{3})"/.exec(pixels)?.[1];
  if (!pixels || !order) return null;
  return [...order].reverse().map((name): Axis => {
    const size = Number(new RegExp(`Size${name}="(\\d+)"`).exec(pixels)?.[1] ?? 1);
    return [name, name === "C" && samples > 1 ? Math.ceil(size / samples) : size];
  });
}

/** tifffile's own: {"shape": [5, 64, 64]}. */
function fromShape(description: string): Axis[] | null {
  const shape = /^\{"shape": \[([\d, ]+)\]/.exec(description)?.[1]?.split(",").map(Number);
  return shape ? shape.slice(0, -2).map((size): Axis => ["I", size]) : null;
}
