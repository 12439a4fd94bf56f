/** How large objects are, learned from those segmented lately (`napari_sam.session.cell_size`). */

const ENOUGH_OBJECTS = 3; // segmented before their size says what size to expect
const OBJECTS_REMEMBERED = 64;

export class CellSizes {
  private readonly diameters = new Map<string, { objectId: number; diameter: number }>();

  /** Add a segmented object, or remove it if it has no area. */
  note(key: string, objectId: number, area: number): void {
    this.diameters.delete(key);
    if (area) this.diameters.set(key, { objectId, diameter: 2 * Math.sqrt(area / Math.PI) });
    const [oldest] = this.diameters.keys();
    if (this.diameters.size > OBJECTS_REMEMBERED && oldest !== undefined) this.diameters.delete(oldest);
  }

  /** The median, to two digits, of all objects but one; null while there are too few. */
  usual(besides: number): number | null {
    const known = [...this.diameters.values()].filter((each) => each.objectId !== besides).map((each) => each.diameter);
    if (known.length < ENOUGH_OBJECTS) return null;
    known.sort((a, b) => a - b);
    const middle = known.length >> 1;
    const median = known.length % 2 ? known[middle]! : (known[middle - 1]! + known[middle]!) / 2;
    return Number(median.toPrecision(2));
  }
}
