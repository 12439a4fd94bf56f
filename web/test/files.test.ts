import assert from "node:assert/strict";
import { test } from "node:test";
import { frameAt, positionsOf, singleFrame, type ImageStack } from "../src/frames/stack";
import { openTiff } from "../src/frames/tiff";
import { axesOf } from "../src/frames/tiff_axes";
import { PACKINGS } from "../src/frames/tiff_packing";
import { readPng } from "../src/frames/png";
import { blake2b } from "../src/saving/blake2b";
import { countsOf, encoded } from "../src/saving/coco";
import { labelsPng } from "../src/saving/labels_png";
import { labelsTiff, Strips, tiffOf } from "../src/saving/labels_tiff";
import { readSession, SessionFiles } from "../src/saving/session_file";
import { unzip, zip } from "../src/saving/zip";
import { Region } from "../src/session/region";
import { Session } from "../src/session/session";

const [HEIGHT, WIDTH] = [9, 7];
const LABELS = Uint32Array.from({ length: HEIGHT * WIDTH }, (_, i) => (i % 5 === 0 ? 300 + i : 0));
const bytes = (...numbers: number[]): Uint8Array => Uint8Array.from(numbers);

function stackOf(leading: number[] = []): ImageStack {
  const frame = { height: HEIGHT, width: WIDTH, channels: 1, pixels: new Uint8Array(HEIGHT * WIDTH) };
  return { ...singleFrame("cells.tif", frame), leading };
}

for (const bits of [16, 32] as const) {
  test(`labels of ${bits} bit are read again, frame by frame`, async () => {
    const file = await labelsTiff([LABELS, new Uint32Array(0), LABELS], [3, HEIGHT, WIDTH], bits);
    const stack = await openTiff(new Blob([file as BlobPart]), "labels.tif");
    assert.deepEqual([...stack.leading, stack.height, stack.width], [3, HEIGHT, WIDTH]);
    assert.equal(stack.dtype, `uint${bits}`);
    assert.deepEqual(Uint32Array.from((await stack.frame(2)).pixels), LABELS);
    assert.ok((await stack.frame(1)).pixels.every((id) => id === 0));
  });
}

test("what changed in labels is packed again, and nothing else", async () => {
  const [height, width] = [150, 40];
  const labels = new Uint32Array(height * width);
  const strips = new Strips(height, width, 16);
  assert.ok(strips.take(labels).isEmpty);
  const changes: [place: number, id: number][] = [[0, 7], [70 * width, 8], [height * width - 1, 9], [70 * width, 0]];
  let before = await strips.take(labels).strips;
  for (const [place, id] of changes) {
    labels[place] = id;
    strips.forget(Uint32Array.from([place]));
    const taken = strips.take(labels);
    assert.ok(!taken.isEmpty);
    const packed = await taken.strips;
    assert.deepEqual(packed.map((strip, n) => strip === before[n]), packed.map((_, n) => n !== Math.floor(place / (64 * width))));
    const stack = await openTiff(new Blob([tiffOf([packed], [height, width], 16) as BlobPart]), "labels.tif");
    assert.deepEqual(Uint32Array.from((await stack.frame(0)).pixels), labels);
    before = packed;
  }
});

test("a TIFF cut off anywhere is said in a sentence", async () => {
  const file = await labelsTiff([LABELS], [HEIGHT, WIDTH], 16);
  for (let length = 0; length < file.length - 1; length++) {
    const read = openTiff(new Blob([file.slice(0, length) as BlobPart]), "cut.tif").then((stack) => stack.frame(0));
    await assert.rejects(read, (error: Error) => /\. /.test(error.message), `${length} bytes`);
  }
});

test("labels survive a PNG of 16 bit", async () => {
  const frame = await readPng(new Blob([(await labelsPng(LABELS, HEIGHT, WIDTH)) as BlobPart]), "labels.png");
  assert.deepEqual(Uint32Array.from(frame!.pixels), LABELS);
});

test("LZW and PackBits are unpacked as their specifications say", async () => {
  assert.deepEqual(await PACKINGS[32773]!(bytes(0xfe, 0xaa, 0x02, 0x80, 0, 0x2a, 0xfd, 0xaa), 10), bytes(170, 170, 170, 128, 0, 42, 170, 170, 170, 170));
  // Clear, 7, 258 (7 7), 8, end: nine bits each
  assert.deepEqual(await PACKINGS[5]!(bytes(0x80, 0x01, 0xe0, 0x40, 0x88, 0x08), 4), bytes(7, 7, 7, 8));
});

test("axes are those that ImageJ, OME and tifffile tell of", () => {
  const imagej = axesOf("ImageJ=1.11a\nimages=12\nchannels=2\nslices=3\nframes=2\n", 12, 1);
  assert.deepEqual([imagej.leading, imagej.channels, imagej.pageOf(4, 1)], [[2, 3], 2, 9]);
  const ome = axesOf('<OME><Pixels DimensionOrder="XYZCT" SizeC="2" SizeT="1" SizeZ="3"/></OME>', 6, 1);
  assert.deepEqual([ome.leading, ome.channels, ome.pageOf(2, 1)], [[3], 2, 5]);
  assert.deepEqual(axesOf('{"shape": [2, 3, 9, 7]}', 6, 1).leading, [2, 3]);
  assert.deepEqual(axesOf('{"shape": [2, 3, 9, 7]}', 5, 1).leading, [5]);
});

test("a frame's number and its positions are one", () => {
  for (let n = 0; n < 24; n++) assert.equal(frameAt(positionsOf(n, [2, 3, 4]), [2, 3, 4]), n);
});

test("the hash of an image is BLAKE2b", () => {
  assert.equal(blake2b(new Uint8Array(0), 16), "cae66941d9efbd404e4d88758ea67670");
  assert.equal(blake2b(new TextEncoder().encode("abc"), 16), "cf4ab791c62b8d2b2109c90275287816");
  assert.equal(blake2b(new Uint8Array(200).fill(7), 16), "712793b5b138a37f5b5c248cb5dea206");
});

test("COCO counts down the columns, and writes numbers as differences", () => {
  const region = Region.ofPixels(0, 1, 3, 2, bytes(0, 1, 1, 1, 1, 0));
  assert.deepEqual(countsOf(region, 3, 4), [4, 4, 4]);
  assert.deepEqual(countsOf(Region.EMPTY, 3, 4), [12]);
  assert.equal(encoded([4, 4, 4]), "444");
  assert.equal(encoded([100, 3, 2, 1, 900]), "T332NRl0");
});

test("an archive holds what was put in, and a damaged one says so", async () => {
  const files = new Map([["a/session.json", bytes(1, 2, 3)], ["a/frames/0.tif", new Uint8Array(1000)]]);
  const packed = await zip(files);
  assert.deepEqual(await unzip(packed, "s.zip"), files);
  packed[45] = packed[45]! ^ 255;
  await assert.rejects(unzip(packed, "s.zip"), /damaged/);
  await assert.rejects(unzip(bytes(1, 2, 3), "s.zip"), /damaged/);
});

test("a session comes back whole", async () => {
  const stack = stackOf([2, 2]);
  const session = new Session(HEIGHT, WIDTH);
  const request = session.draw(3, [{ kind: "point", vertices: [[4, 4]], label: 1 }])!;
  const mask = Region.ofPixels(2, 2, 3, 3, new Uint8Array(9).fill(1));
  session.land(request, { mask, crop: [1, 2, 8, 7], travelled: false, token: 0, iouPrediction: 0.5, stability: 1, candidates: [] }, { name: "pocket", hash: "h", precision: "fp32" });
  session.addClass("<b>");
  session.giveClass([1], "<b>");
  session.newObject();
  session.draw(1, [{ kind: "point", vertices: [[1, 1]], label: 1 }]);
  const files = await new SessionFiles(session, stack, null, Promise.resolve(null)).write(3);
  const { session: again, shown, problems } = await readSession(files, stack, "s.zip");
  assert.deepEqual(problems, []);
  assert.equal(shown, 3);
  assert.deepEqual(again.labels, session.labels);
  assert.deepEqual(again.annotations, session.annotations);
  assert.deepEqual(again.pending, session.pending);
  assert.deepEqual(again.classes, session.classes);
  assert.deepEqual([again.active, again.highest], [2, 1]);
  await assert.rejects(readSession(files, stackOf([4]), "s.zip"), /belongs to an image of 2 × 2 × 9 × 7/);
});

test("a session that is written again holds what changed since", async () => {
  const stack = stackOf([2]);
  const session = new Session(HEIGHT, WIDTH);
  const written = new SessionFiles(session, stack, null, Promise.resolve(null));
  session.changed = (edits, keys) => written.forget(edits, keys);
  session.paint(0, new Set([1, 2, 3]), false);
  session.newObject();
  session.paint(1, new Set([8, 9]), false);
  const first = await written.write(0);
  const steps: (() => unknown)[] = [
    () => session.paint(1, new Set([9, 10]), true), () => session.undo(), () => session.addClass("a"),
    () => session.remove([2], 1), () => session.undo(), () => session.paint(0, new Set([30]), false), () => (session.highest = 70_000),
  ];
  for (const step of steps) {
    step();
    const { session: again } = await readSession(await written.write(0), stack, "s.zip");
    const filled = [...session.labels].filter(([, labels]) => labels.some((id) => id > 0));
    assert.deepEqual(again.labels, new Map(filled));
    assert.deepEqual(again.annotations, session.annotations);
    assert.deepEqual(again.classes, session.classes);
  }
  const kept = [...(await new SessionFiles(session, stack, null, Promise.resolve(null)).write(0)).keys()].length;
  assert.equal(first.size, kept);
});

test("labels in tiles, as napari saves those of huge frames, are put together", async () => {
  const [height, width, tile] = [2100, 5, 2048];
  const stack = { ...singleFrame("slide.tif", { height, width, channels: 1, pixels: new Uint8Array(height * width) }), leading: [] };
  const session = new Session(height, width);
  session.paint(0, new Set([3, tile * width - 1, tile * width, height * width - 1]), false);
  const files = await new SessionFiles(session, stack, null, Promise.resolve(null)).write(0);
  const manifest = JSON.parse(new TextDecoder().decode(files.get("session.json")!));
  const labels = session.labels.get(0)!;
  const parts = { "0_0": labels.slice(0, tile * width), "1_0": labels.slice(tile * width) };
  const open = async (tiles: Record<string, string>) => {
    for (const [name, pixels] of Object.entries(parts)) {
      files.set(`frames/${name}.tif`, await labelsTiff([pixels], [pixels.length / width, width], 16));
    }
    const frames = { y_x: { ...manifest.frames.y_x, labels: null, tiles } };
    files.set("session.json", new TextEncoder().encode(JSON.stringify({ ...manifest, frames })));
    return readSession(files, stack, "s.zip");
  };
  const opened = await open({ "0_0": "frames/0_0.tif", "1_0": "frames/1_0.tif" });
  assert.deepEqual([opened.problems, opened.session.labels], [[], session.labels]);
  const second = await open({ "1_0": "frames/1_0.tif" });
  assert.deepEqual(second.session.labels.get(0)!.subarray(tile * width), parts["1_0"]);
  for (const outside of ["2_0", "0_1", "1_1", "a"]) {
    assert.equal((await open({ [outside]: "frames/1_0.tif" })).problems.length, 1, outside);
  }
});

test("what is wrong in a session is said, and never run or believed", async () => {
  const stack = stackOf();
  const session = new Session(HEIGHT, WIDTH);
  session.paint(0, new Set([1, 2, 3]), false);
  const files = await new SessionFiles(session, stack, null, Promise.resolve(null)).write(0);
  const manifest = JSON.parse(new TextDecoder().decode(files.get("session.json")!));
  const changes: Record<string, unknown>[] = [
    { frames: { "9_y_x": {} } }, { frames: [] }, { active: "1" }, { active: -1 }, { version: null }, { parents: 3 },
    { classes: [{ name: 1 }] }, { classes: [{ name: "a", colour: "red;background:url(x)", key: 1, objects: [], proposed: {} }] },
    { waiting: [{ frame: "y_x", object_id: 1 }] }, { image: null }, { highest_id: 1e30 },
  ];
  for (const change of changes) {
    const damaged = new Map([...files, ["session.json", new TextEncoder().encode(JSON.stringify({ ...manifest, ...change }))]]);
    await assert.rejects(readSession(damaged, stack, "s.zip"), /s\.zip/, JSON.stringify(change));
  }
  const lost = new Map([["session.json", files.get("session.json")!]]);
  const opened = await readSession(lost, stack, "s.zip");
  assert.deepEqual(opened.problems, ["Frame 1 of this session is damaged and was left out."]);
});
