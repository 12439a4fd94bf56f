/** Colours of objects: neighbouring numbers never look alike (`napari_sam.engine.masks.colour_of`). */
import { classNamed, type Classes } from "../session/classes";

export type Colour = readonly [red: number, green: number, blue: number];

const GOLDEN_RATIO = 0.618034; // of a hue circle between two ids

/** Of its class if it has one; else its own. */
export function colourOf(id: number, classes: Classes): Colour {
  const given = classes.given.get(id);
  const colour = given && classNamed(classes, given.name)?.colour;
  return colour ? fromHex(colour) : fromHue((id * GOLDEN_RATIO) % 1);
}

function fromHex(colour: string): Colour {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as unknown as Colour;
}

function fromHue(hue: number): Colour {
  const channel = (offset: number): number => {
    const k = (offset + hue * 6) % 6;
    return Math.round(255 * (1 - 0.75 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

export function css([red, green, blue]: Colour): string {
  return `rgb(${red} ${green} ${blue})`;
}
