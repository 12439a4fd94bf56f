/** What a class is, and which object has which (`napari_sam.session.object_class`). */
import { Failure } from "../failure";

export interface ObjectClass {
  readonly name: string;
  readonly colour: string; // #rrggbb
  readonly key: number | null; // 1 to 9
  readonly parent: string;
}

export interface Given {
  readonly name: string;
  readonly probability: number | null; // where it was proposed; null: the user said so
}

/** The classes that there are, and the objects that have one; never modified. */
export interface Classes {
  readonly defined: readonly ObjectClass[];
  readonly given: ReadonlyMap<number, Given>;
}

export const NO_CLASSES: Classes = { defined: [], given: new Map() };
const LONGEST_NAME = 60;
const MOST_CLASSES = 200;
const COLOURS = [
  // Okabe and Ito, told apart by everyone; then more
  "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#b15928", "#6a3d9a",
];

/** With a class more. Throws a Failure if it cannot be one. */
export function withClass(classes: Classes, typed: string): Classes {
  const name = typed.trim();
  if (!name) throw new Failure("A class needs a name. Type one, such as “mitotic”.");
  if (name.length > LONGEST_NAME || /[\p{C}\p{Zl}\p{Zp}]/u.test(name)) {
    throw new Failure(`“${name.slice(0, 20)}…” is not the name of a class. Use up to 60 characters in one line.`);
  }
  if (classes.defined.some((each) => each.name.toLowerCase() === name.toLowerCase())) {
    throw new Failure(`There is a class “${name}” already. Choose another name.`);
  }
  if (classes.defined.length >= MOST_CLASSES) throw new Failure("There can be 200 classes.");
  const keys = new Set(classes.defined.map((each) => each.key));
  const key = [1, 2, 3, 4, 5, 6, 7, 8, 9].find((n) => !keys.has(n)) ?? null;
  const used = new Set(classes.defined.map((each) => each.colour));
  const colour = COLOURS.find((each) => !used.has(each)) ?? COLOURS[classes.defined.length % COLOURS.length]!;
  return { ...classes, defined: [...classes.defined, { name, colour, key, parent: "" }] };
}

/** With some objects of a class; null takes their class away. */
export function withGiven(classes: Classes, objects: readonly number[], name: string | null): Classes {
  const given = new Map(classes.given);
  for (const id of objects) {
    if (name === null) given.delete(id);
    else given.set(id, { name, probability: null });
  }
  return { ...classes, given };
}

export function classNamed(classes: Classes, name: string): ObjectClass | null {
  return classes.defined.find((each) => each.name === name) ?? null;
}
