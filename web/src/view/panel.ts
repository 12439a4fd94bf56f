/** The panel: the current object and its candidates, the list of objects, the classes. */
import type { Candidate } from "../session/annotation";
import type { Session } from "../session/session";
import { colourOf, css } from "./colours";
import { element, made } from "./elements";

export interface PanelActions {
  choose(token: number): void;
  select(id: number, more: boolean): void;
  giveClass(name: string): void;
}

const THUMBNAIL = 56; // pixels of a candidate's picture
const MOST_LISTED = 2000;

/** Say which network answers in the frame shown. */
export function showModel(names: string): void {
  element("model").textContent = `Model: ${names}`;
}

/** Show the list of objects; those selected are highlighted. */
export function showObjects(session: Session, selected: ReadonlySet<number>, actions: PanelActions): void {
  const objects = session.objects();
  const list = element("objects");
  element("count").textContent = objects.length === 1 ? "1 object" : objects.length ? `${objects.length} objects` : "No objects";
  element<HTMLButtonElement>("delete").disabled = !objects.some(({ id }) => selected.has(id));
  const focused = document.activeElement === list;
  list.replaceChildren(
    ...objects.slice(0, MOST_LISTED).map(({ id, frames, score, prompts }) => {
      const name = session.classes.given.get(id)?.name ?? "";
      const item = made("li");
      item.id = `object-${id}`;
      item.role = "option";
      item.ariaSelected = String(selected.has(id));
      item.ariaLabel = [
        `Object ${id}`, name, score === null ? "" : `score ${score.toFixed(2)}`,
        frames.length > 1 ? `${frames.length} frames` : "", prompts === 1 ? "1 prompt" : `${prompts} prompts`,
      ].filter(Boolean).join(", ");
      const swatch = made("span", "swatch");
      swatch.style.background = css(colourOf(id, session.classes));
      const where = frames.length > 1 ? `${frames.length} frames` : "";
      item.append(swatch, made("span", "", String(id)), made("span", "of-class", name || where), made("span", "score", score === null ? "" : score.toFixed(2)));
      item.addEventListener("click", (event) => actions.select(id, event.ctrlKey || event.metaKey));
      return item;
    }),
  );
  if (!objects.length) list.append(made("li", "empty", "Click on a cell in the image."));
  if (objects.length > MOST_LISTED) list.append(made("li", "empty", `The first ${MOST_LISTED} are listed.`));
  list.setAttribute("aria-activedescendant", `object-${session.active}`);
  const active = document.getElementById(`object-${session.active}`);
  if (active) scrollTo(list, active);
  if (focused) list.focus();
  element("current").textContent = `Object ${session.active}`;
}

/** Bring an item of a list into sight; the page around the list stays where it is. */
function scrollTo(list: HTMLElement, item: HTMLElement): void {
  const top = item.offsetTop - list.offsetTop;
  if (top < list.scrollTop) list.scrollTop = top;
  const below = top + item.offsetHeight - list.clientHeight;
  if (below > list.scrollTop) list.scrollTop = below;
}

/** Arrow keys move through the list of objects. */
export function walkObjects(
  list: { objects(): readonly { id: number }[]; active(): number }, actions: PanelActions,
): void {
  element("objects").addEventListener("keydown", (event) => {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const ids = list.objects().map(({ id }) => id);
    const at = ids.indexOf(list.active());
    const next = ids[Math.min(Math.max(0, at + step), ids.length - 1)];
    if (next !== undefined) actions.select(next, event.shiftKey);
  });
}

/** Show the candidates of the last answer over their part of the frame. */
export function showCandidates(
  candidates: readonly Candidate[], chosen: number, frame: { rgb: Uint8Array; height: number; width: number } | null, actions: PanelActions,
): void {
  element("candidates").replaceChildren(
    ...candidates.map((candidate, n) => {
      const button = made("button");
      button.type = "button";
      button.ariaPressed = String(candidate.token === chosen);
      button.ariaLabel = `Candidate ${n + 1}, score ${candidate.score.toFixed(2)}`;
      button.title = `Candidate ${n + 1} (K: the next one)`;
      if (frame) button.append(thumbnail(candidate, candidates, frame));
      button.append(made("span", "", candidate.score.toFixed(2)));
      button.addEventListener("click", () => actions.choose(candidate.token));
      const item = made("li");
      item.append(button);
      return item;
    }),
  );
}

/** A candidate in the window that holds all candidates. */
function thumbnail(candidate: Candidate, all: readonly Candidate[], frame: { rgb: Uint8Array; height: number; width: number }): HTMLCanvasElement {
  const canvas = made("canvas");
  canvas.width = canvas.height = THUMBNAIL;
  const masks = all.map(({ mask }) => mask).filter((mask) => !mask.isEmpty);
  const [top, bottom] = [Math.min(...masks.map((m) => m.top)), Math.max(...masks.map((m) => m.bottom))];
  const [left, right] = [Math.min(...masks.map((m) => m.left)), Math.max(...masks.map((m) => m.right))];
  if (!masks.length) return canvas;
  const size = 1.2 * Math.max(bottom - top, right - left);
  const picture = new ImageData(THUMBNAIL, THUMBNAIL);
  for (let i = 0; i < THUMBNAIL ** 2; i++) {
    const y = Math.floor((top + bottom) / 2 + (Math.floor(i / THUMBNAIL) / THUMBNAIL - 0.5) * size);
    const x = Math.floor((left + right) / 2 + ((i % THUMBNAIL) / THUMBNAIL - 0.5) * size);
    if (y < 0 || x < 0 || y >= frame.height || x >= frame.width) continue;
    const tint = candidate.mask.has(y, x) ? 0.5 : 0;
    const rgb = frame.rgb.subarray((y * frame.width + x) * 3);
    [255, 221, 51].forEach((yellow, c) => (picture.data[4 * i + c] = rgb[c]! * (1 - tint) + yellow * tint));
    picture.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(picture, 0, 0);
  return canvas;
}

/** Show the classes as buttons that give them to the selected objects. */
export function showClasses(session: Session, actions: PanelActions): void {
  element("classes").replaceChildren(
    ...session.classes.defined.map(({ name, colour, key }) => {
      const button = made("button");
      button.type = "button";
      button.title = key ? `Give the selected objects this class (Ctrl-${key})` : "Give the selected objects this class";
      const swatch = made("span", "swatch");
      swatch.style.background = colour;
      button.append(swatch, made("span", "of-class", name));
      if (key) button.append(made("kbd", "", String(key)));
      button.addEventListener("click", () => actions.giveClass(name));
      const item = made("li");
      item.append(button);
      return item;
    }),
  );
}
