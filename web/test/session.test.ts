import assert from "node:assert/strict";
import { test } from "node:test";
import type { Answer, Request } from "../src/session/annotation";
import { withClass, NO_CLASSES } from "../src/session/classes";
import { polygonRegion } from "../src/session/polygon";
import { fitted, NO_PROMPTS, onBase, promptsFrom, type Drawing } from "../src/session/prompts";
import { Region } from "../src/session/region";
import { Session } from "../src/session/session";
import type { Box, Crop } from "../src/session/crop";
import { cropOnScreen, whereToLook } from "../src/session/where_to_look";

const MODEL = { name: "pocket", hash: "0", precision: "fp32" };
const SIZE = 20;

function square(top: number, left: number, size: number): Region {
  return Region.ofPixels(top, left, size, size, new Uint8Array(size * size).fill(1));
}

function answer(mask: Region): Answer {
  return { mask, crop: null, travelled: false, token: 0, iouPrediction: 0.9, stability: 0.95, candidates: [] };
}

function click(y: number, x: number, label: 0 | 1 = 1): Drawing {
  return { kind: "point", vertices: [[y, x]], label };
}

function segmented(session: Session, mask: Region, at: Drawing): Request {
  const request = session.draw(0, [at])!;
  assert.equal(session.land(request, answer(mask), MODEL), null);
  return request;
}

test("a region is cut to its pixels and survives its runs", () => {
  const pixels = Uint8Array.from([0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0]);
  const region = Region.ofPixels(5, 7, 4, 3, pixels);
  assert.deepEqual([region.top, region.left, region.height, region.width, region.area], [6, 7, 2, 2, 3]);
  assert.deepEqual(region.toRuns(), { top: 6, left: 7, height: 2, width: 2, runs: [1, 3] });
  assert.deepEqual(Region.fromRuns(region.toRuns()), region);
  assert.deepEqual(Region.fromRuns(null), Region.EMPTY);
});

test("regions unite, intersect and subtract", () => {
  const [a, b] = [square(0, 0, 4), square(2, 2, 4)];
  assert.equal(a.united(b).area, 28);
  assert.equal(a.common(b).area, 4);
  assert.equal(a.without(b).area, 12);
  assert.equal(a.without(a), Region.EMPTY);
});

test("polygons that share an edge share no pixel and leave none out", () => {
  const left = polygonRegion([[0, 0], [0, 5], [10, 5], [10, 0]], SIZE, SIZE);
  const right = polygonRegion([[0, 5], [0, 9], [10, 9], [10, 5]], SIZE, SIZE);
  assert.equal(left.common(right).area, 0);
  assert.equal(left.area + right.area, 90);
});

test("drawings add up: points in their order, the last box", () => {
  const box = (size: number): Drawing => ({ kind: "rectangle", vertices: [[0, 0], [0, size], [size, size], [size, 0]], label: 1 });
  const prompts = promptsFrom([click(1, 1), box(5), click(2, 2, 0), box(8), box(1)], SIZE, SIZE);
  assert.deepEqual(prompts.points, [[1, 1], [2, 2]]);
  assert.deepEqual(prompts.labels, [1, 0]);
  assert.deepEqual(prompts.box, [0, 0, 8, 8]); // the one of a pixel was no drag
});

test("of two points in a pixel the last counts, and points outside are left out", () => {
  const prompts = { points: [[1, 1], [1.2, 1.2], [-5, 0]], labels: [0, 1, 1], box: null, mask: null } as const;
  assert.deepEqual(fitted(prompts, SIZE, SIZE).points, [[1.2, 1.2]]);
  assert.throws(() => fitted({ ...prompts, labels: [1, 0, 1] }, SIZE, SIZE), /Click the object itself/);
});

test("a correction starts from what is there", () => {
  const prompts = onBase(promptsFrom([click(10, 10)], SIZE, SIZE), square(2, 2, 3));
  assert.equal(prompts.mask!.area, 9);
  assert.deepEqual(prompts.box, [1.5, 1.5, 10, 10]);
});

test("neighbours keep their pixels, and every step is undone and redone", () => {
  const session = new Session(SIZE, SIZE);
  segmented(session, square(0, 0, 6), click(1, 1));
  assert.equal(session.newObject(), 2);
  segmented(session, square(3, 3, 6), click(8, 8));
  assert.equal(session.region(1, 0).area, 36);
  assert.equal(session.region(2, 0).area, 27);
  const after = session.labelsOf(0).slice();
  assert.equal(session.undo(), "prompt");
  assert.equal(session.region(2, 0).area, 0);
  assert.equal(session.redo(), "prompt");
  assert.deepEqual(session.labelsOf(0), after);
  session.undo();
  session.undo();
  assert.ok(session.labelsOf(0).every((id) => id === 0));
  assert.equal(session.undo(), null);
});

/** Numbers from 0 to n - 1, the same each time. */
function dice(seed: number): (n: number) => number {
  return (n) => (seed = (seed * 48271) % 2147483647) % n;
}

test("objects are where their pixels are, through strokes, deletions and undo", () => {
  const session = new Session(SIZE, SIZE);
  const roll = dice(7);
  for (let step = 0; step < 300; step++) {
    session.active = 1 + roll(4);
    session.protectNeighbours = roll(2) === 0;
    const what = roll(8);
    if (what === 0) session.undo();
    else if (what === 1) session.redo();
    else if (what === 2) session.remove([1 + roll(4)], 0);
    else session.paint(0, new Set(Array.from({ length: 1 + roll(20) }, () => roll(SIZE * SIZE))), what > 5);
    const labels = session.labelsOf(0);
    assert.deepEqual(session.objects().map(({ id }) => id), [...new Set(labels)].filter(Boolean).sort());
    for (let id = 1; id <= 4; id++) {
      const region = session.region(id, 0);
      assert.ok(labels.every((label, at) => (label === id) === region.has(Math.floor(at / SIZE), at % SIZE)));
      const known = session.annotation(id, 0);
      if (known) assert.equal(known.landed.area, region.area);
    }
  }
});

test("what is painted stays, what is erased stays away, through the next click", () => {
  const session = new Session(SIZE, SIZE);
  const request = segmented(session, square(5, 5, 5), click(6, 6));
  session.paint(0, new Set([0, 1]), false);
  session.paint(0, new Set([5 * SIZE + 5]), true);
  const corrected = session.draw(0, [...request.drawings, click(9, 9)])!;
  session.land(corrected, answer(square(5, 5, 6)), MODEL);
  assert.equal(session.idAt(0, 0, 0), 1);
  assert.equal(session.idAt(0, 5, 5), 0);
  assert.equal(session.region(1, 0).area, 36 - 1 + 2);
});

test("a mask inside another object is that object", () => {
  const session = new Session(SIZE, SIZE);
  segmented(session, square(0, 0, 8), click(1, 1));
  session.newObject();
  const request = session.draw(0, [click(2, 2)])!;
  assert.equal(session.land(request, answer(square(1, 1, 4)), MODEL), 1);
  assert.equal(session.objects().length, 1);
});

test("the next object is another one while the first waits for its mask", () => {
  const session = new Session(SIZE, SIZE);
  const first = session.draw(0, [click(4, 4)])!;
  assert.equal(session.newObject(), 2);
  const second = session.draw(0, [click(14, 14)])!;
  session.land(first, answer(square(2, 2, 5)), MODEL);
  session.land(second, answer(square(12, 12, 5)), MODEL);
  assert.deepEqual(session.objects().map(({ id }) => id), [1, 2]);
});

test("a late answer to an old request is dropped", () => {
  const session = new Session(SIZE, SIZE);
  const late = session.draw(0, [click(1, 1)])!;
  const newer = session.draw(0, [click(1, 1), click(5, 5)])!;
  session.land(newer, answer(square(0, 0, 6)), MODEL);
  session.land(late, answer(square(0, 0, 2)), MODEL);
  assert.equal(session.region(1, 0).area, 36);
});

test("classes are undone as one step and refuse names that are none", () => {
  const session = new Session(SIZE, SIZE);
  session.addClass("mitotic");
  session.giveClass([1, 2], "mitotic");
  assert.equal(session.undo(), "class");
  assert.equal(session.classes.given.size, 0);
  for (const name of ["", " ", "a\u0000b", "x".repeat(61)]) assert.throws(() => withClass(NO_CLASSES, name));
  assert.throws(() => session.addClass("Mitotic"), /already/);
});

test("parts of large frames are those that Python looks at", () => {
  const point = (y: number, x: number) => ({ ...NO_PROMPTS, points: [[y, x]] as const, labels: [1] as const });
  const box = (...box: Box) => ({ ...NO_PROMPTS, box });
  const whole: Crop = [0, 0, 4000, 4000];
  const cases: [Parameters<typeof whereToLook>, Crop[]][] = [
    [[point(100, 200), [1024, 1024], null, null, null], []],
    [[point(1900, 2100), [4000, 4000], null, null, null], [[1536, 1536, 2560, 2560], whole]],
    [[point(1900.5, 2100), [4000, 4000], null, [1500, 1700, 2299, 2499], null], [[1280, 1536, 2304, 2560], whole]],
    [[point(30, 3990), [4000, 4000], null, [0, 0, 3999, 3999], null], [[0, 2976, 1024, 4000], whole]],
    [[point(1900, 2100), [4000, 4000], 35, null, null], [[1536, 1792, 2048, 2304]]],
    [[box(100, 100, 700, 650), [4000, 3000], null, null, null], [[0, 0, 4000, 3000]]],
    [[box(100, 100, 130, 120), [4000, 3000], null, null, null], [[0, 0, 512, 512]]],
    [[point(1900, 2100), [4000, 4000], null, null, [1536, 1536, 2560, 2560]], [[1536, 1536, 2560, 2560]]],
    [[point(9000, 9000), [20000, 20000], null, [0, 0, 19999, 19999], null], [[8192, 8192, 12288, 12288], [0, 0, 20000, 20000]]],
  ];
  for (const [given, expected] of cases) assert.deepEqual(whereToLook(...given), expected, JSON.stringify(given));
  const there: Crop[] = [[1536, 1536, 2560, 2560], [1792, 1792, 2304, 2304], [1536, 1792, 2048, 2304]];
  const inThere: [Parameters<typeof whereToLook>, Crop | undefined][] = [
    [[point(1900, 2100), [4000, 4000], null, null, null, there], there[2]], // the smallest that holds it
    [[point(2000, 2050), [4000, 4000], null, null, null, there.slice(0, 2)], there[1]],
    [[point(1650, 2100), [4000, 4000], null, null, null, there], there[2]],
    [[point(1700, 1700), [4000, 4000], null, null, null, there], there[0]],
    [[point(1900, 2100), [4000, 4000], 5, null, null, there.slice(0, 1)], undefined], // five of 1024 pixels
    [[point(1900, 2100), [4000, 4000], null, null, [1408, 1408, 2432, 2432], there], [1408, 1408, 2432, 2432]],
    [[point(100, 2100), [4000, 4000], null, null, null, there], undefined],
  ];
  for (const [given, expected] of inThere) {
    const crops = whereToLook(...given);
    if (expected) assert.deepEqual(crops, [expected], JSON.stringify(given));
    else assert.deepEqual(crops, whereToLook(given[0], given[1], given[2], given[3], given[4]), JSON.stringify(given));
  }
  const seen: [Box, Crop | null][] = [
    [[1500, 1700, 2299, 2499], [1280, 1536, 2304, 2560]], [[1500, 1700, 1699, 1999], [1280, 1536, 1792, 2048]],
    [[100, 100, 1500, 1800], [256, 512, 1280, 1536]], [[0, 0, 3999, 3999], null],
  ];
  for (const [box, crop] of seen) assert.deepEqual(cropOnScreen([4000, 4000], null, box), crop);
});
