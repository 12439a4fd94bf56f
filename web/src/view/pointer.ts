/** Mouse, pen and fingers on the canvas → gestures. One finger draws, two zoom and pan. */
import type { Point } from "../session/prompts";
import type { Viewer } from "./viewer";

export type Tool = "point" | "box" | "lasso" | "brush";

/** What a gesture means; who listens decides what to do. */
export interface Gestures {
  tool(): Tool;
  negative(): boolean;
  brushDiameter(): number;
  click(point: Point, negative: boolean): void;
  select(point: Point): void;
  box(from: Point, to: Point): void;
  lasso(outline: readonly Point[]): void;
  stroke(path: readonly Point[], negative: boolean): void;
  hover(point: Point | null): void;
}

const SLOP = 4; // screen pixels that a click may move
const PEN_ERASER = 5; // button of the other end of a pen

interface Drag {
  readonly pointer: number;
  readonly kind: "draw" | "pan" | "click";
  readonly negative: boolean;
  readonly shift: boolean;
  readonly startX: number;
  readonly startY: number;
  lastX: number;
  lastY: number;
  moved: boolean;
  readonly points: Point[];
}

/** Listen to a canvas. */
export function listen(canvas: HTMLCanvasElement, viewer: Viewer, gestures: Gestures): void {
  const fingers = new Map<number, { x: number; y: number }>();
  let drag: Drag | null = null;
  let space = false;
  const at = (event: MouseEvent): Point => viewer.camera.toImage(event.offsetX * viewer.density, event.offsetY * viewer.density);

  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (fingers.size > 1) drag = viewer.sketch = null;
    else drag = begun(event, at(event), gestures.tool(), gestures.negative(), space);
  });

  canvas.addEventListener("pointermove", (event) => {
    if (fingers.size > 1 && fingers.has(event.pointerId)) return pinch(event);
    if (!drag || drag.pointer !== event.pointerId) return gestures.hover(at(event));
    drag.moved ||= Math.hypot(event.offsetX - drag.startX, event.offsetY - drag.startY) > SLOP;
    if (drag.kind === "draw") {
      drag.points.push(at(event));
      viewer.sketch = {
        tool: gestures.tool() as "box" | "lasso" | "brush", points: drag.points,
        diameter: gestures.brushDiameter(), negative: drag.negative,
      };
    } else if (drag.moved) {
      viewer.camera.pan((event.offsetX - drag.lastX) * viewer.density, (event.offsetY - drag.lastY) * viewer.density);
    }
    [drag.lastX, drag.lastY] = [event.offsetX, event.offsetY];
    viewer.draw();
  });

  canvas.addEventListener("pointerup", (event) => {
    fingers.delete(event.pointerId);
    const ended = drag;
    drag = viewer.sketch = null;
    viewer.draw();
    if (ended?.pointer === event.pointerId) finish(ended, at(event), gestures);
  });

  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    drag = viewer.sketch = null;
    viewer.draw();
  });

  canvas.addEventListener("pointerleave", () => gestures.hover(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const factor = Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) * 0.004);
    viewer.camera.zoom(factor, event.offsetX * viewer.density, event.offsetY * viewer.density);
    viewer.draw();
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => (space ||= event.key === " "));
  canvas.addEventListener("keyup", (event) => (space &&= event.key !== " "));
  canvas.addEventListener("blur", () => (space = false));

  function pinch(event: PointerEvent): void {
    const [still] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const before = fingers.get(event.pointerId)!;
    const now = { x: event.offsetX, y: event.offsetY };
    fingers.set(event.pointerId, now);
    const spread = (from: { x: number; y: number }): number => Math.hypot(from.x - still!.x, from.y - still!.y);
    const middle = [(now.x + still!.x) / 2, (now.y + still!.y) / 2].map((n) => n * viewer.density);
    viewer.camera.pan(((now.x - before.x) / 2) * viewer.density, ((now.y - before.y) / 2) * viewer.density);
    viewer.camera.zoom(spread(now) / Math.max(1, spread(before)), middle[0]!, middle[1]!);
    viewer.draw();
  }
}

function begun(event: PointerEvent, point: Point, tool: Tool, negative: boolean, space: boolean): Drag {
  const pans = event.button === 1 || space;
  const draws = tool !== "point" && !event.shiftKey && (event.button === 0 || tool === "brush");
  return {
    pointer: event.pointerId,
    kind: pans ? "pan" : draws ? "draw" : "click",
    negative: negative !== (event.button === 2 || event.button === PEN_ERASER || event.ctrlKey || event.metaKey),
    shift: event.shiftKey,
    startX: event.offsetX, startY: event.offsetY, lastX: event.offsetX, lastY: event.offsetY,
    moved: false,
    points: [point],
  };
}

function finish(drag: Drag, point: Point, gestures: Gestures): void {
  const tool = gestures.tool();
  if (drag.kind === "draw") {
    if (tool === "brush") gestures.stroke(drag.points, drag.negative);
    else if (!drag.moved) gestures.click(point, drag.negative);
    else if (tool === "box") gestures.box(drag.points[0]!, point);
    else gestures.lasso(drag.points);
  } else if (drag.kind === "click" && !drag.moved) {
    if (drag.shift) gestures.select(point);
    else gestures.click(point, drag.negative);
  }
}
