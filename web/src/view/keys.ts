/** Keys, as in napari (docs/annotate.md), and those that a page without a mouse needs. */

export type Command =
  | "point" | "box" | "lasso" | "brush" | "next" | "candidate" | "not-this" | "one-each" | "preview"
  | "zoom-to" | "delete" | "undo" | "redo" | "fit" | "zoom-in" | "zoom-out" | "frame-back" | "frame-on" | `class-${number}`;

const PLAIN: Record<string, Command> = {
  q: "point", w: "box", e: "lasso", r: "brush", n: "next", k: "candidate", g: "not-this", j: "one-each", h: "preview",
  "/": "zoom-to", delete: "delete", backspace: "delete", "0": "fit", "+": "zoom-in", "=": "zoom-in", "-": "zoom-out",
  pageup: "frame-back", pagedown: "frame-on",
};

/** The command of a key; null if it has none, or is typed into a field. */
export function commandOf(event: KeyboardEvent): Command | null {
  if (event.target instanceof HTMLInputElement && event.target.type !== "range") return null;
  const key = event.key.toLowerCase();
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return event.shiftKey ? "redo" : "undo";
    if (key === "y") return "redo";
    return /^[1-9]$/.test(key) ? `class-${Number(key)}` : null;
  }
  return event.altKey ? null : (PLAIN[key] ?? null);
}
