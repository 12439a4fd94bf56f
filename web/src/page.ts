/** The page: what was opened, what is shown, and what buttons, keys and gestures do. */
import { Autosave } from "./saving/autosave";
import { exported, type ExportKind } from "./saving/exporting";
import { sentenceOf } from "./failure";
import type { ImageStack } from "./frames/stack";
import type { NetworkClient } from "./network/client";
import type { Answer, Model } from "./session/annotation";
import type { Point } from "./session/prompts";
import { Session } from "./session/session";
import { element, notify, onSlide, say } from "./view/elements";
import { commandOf, type Command } from "./view/keys";
import { showCandidates, showClasses, showModel, showObjects, walkObjects } from "./view/panel";
import { listen, type Tool } from "./view/pointer";
import { Viewer } from "./view/viewer";
import { Work, type SeenBefore } from "./work";

const TOKENS = [0, 1, 2, 3]; // of the single mask and the candidates
const STILL = 400; // milliseconds after which one looks at what is on screen
const TOOLS: readonly Tool[] = ["point", "box", "lasso", "brush"];

export class Page {
  private readonly viewer = new Viewer(element<HTMLCanvasElement>("canvas"));
  private readonly selected = new Set<number>();
  private work: Work | null = null;
  private autosave: Autosave | null = null;
  private tool: Tool = "point";
  private answer: Answer | null = null;
  private hovered: Point | null = null;
  private settling = 0; // a timer
  private refreshing = false; // asked for, and not done yet
  private readonly switches = { "not-this": false, "one-each": false, preview: false };

  constructor(
    private readonly network: NetworkClient,
    private readonly model: Model,
  ) {
    this.viewer.painted = () => {
      clearTimeout(this.settling);
      this.settling = window.setTimeout(() => this.settled(), STILL);
    };
    this.wireButtons();
    this.wireSliders();
    document.addEventListener("keydown", (event) => this.pressed(event));
    listen(element<HTMLCanvasElement>("canvas"), this.viewer, {
      tool: () => this.tool,
      negative: () => this.switches["not-this"],
      brushDiameter: () => element<HTMLInputElement>("brush-diameter").valueAsNumber,
      click: (point, negative) => this.draw(() => this.work!.prompt({ kind: "point", vertices: [point], label: negative ? 0 : 1 }), !negative),
      select: (point) => this.selectAt(point),
      box: ([y0, x0], [y1, x1]) =>
        this.draw(() => this.work!.prompt({ kind: "rectangle", vertices: [[y0, x0], [y0, x1], [y1, x1], [y1, x0]], label: 1 }), true),
      lasso: (outline) => this.draw(() => this.work!.prompt({ kind: "polygon", vertices: outline, label: 1 }), true),
      stroke: (path, negative) => this.draw(() => this.paint(path, negative), false),
      hover: (point) => this.hover(point),
    });
    walkObjects({ objects: () => this.session?.objects() ?? [], active: () => this.session?.active ?? 0 }, this.actions);
  }

  get session(): Session | null {
    return this.work?.session ?? null;
  }

  get stack(): ImageStack | null {
    return this.work?.stack ?? null;
  }

  /** Work on an image; the autosave is of its session. */
  async open(stack: ImageStack, session: Session, shown: number, autosave: Autosave, seenBefore: SeenBefore | null): Promise<void> {
    await this.network.forget();
    this.autosave = autosave;
    this.selected.clear();
    this.answer = null;
    this.work = new Work(stack, session, this.network, this.model, seenBefore, {
      answered: (answer) => this.answered(answer),
      progress: say,
      failed: (sentence) => this.failed(sentence),
    });
    session.changed = (edits, keys) => {
      autosave.changed(edits, keys);
      for (const { frame, places } of edits) if (frame === this.work?.frame) this.viewer.changed(places, session.width);
      this.refresh();
    };
    element("welcome").hidden = true;
    element("image-name").textContent = stack.name;
    const slider = element<HTMLInputElement>("frame");
    slider.max = String(this.work.frames);
    slider.disabled = this.work.frames < 2;
    await this.showFrame(shown);
    this.viewer.fit();
  }

  /** Nothing on screen has moved for a while. */
  private settled(): void {
    const [work, seen] = [this.work, this.viewer.seen()];
    if (work && seen?.join() !== work.session.seen?.join()) void work.look(seen);
  }

  private async showFrame(frame: number): Promise<void> {
    const { work } = this;
    if (!work) return;
    element<HTMLInputElement>("frame").value = String(frame + 1);
    element("frames").querySelector("output")!.textContent = `${frame + 1} / ${work.frames}`;
    showModel(work.modelsIn(frame));
    this.viewer.showPreview(null);
    this.answer = null;
    try {
      await work.show(frame);
      await this.showPixels();
    } catch (error) {
      this.failed(sentenceOf(error));
    }
    this.autosave?.shown(frame);
    this.refresh();
  }

  private async showPixels(): Promise<void> {
    const { work } = this;
    if (!work) return;
    const [black, white] = ["black", "white"].map((id) => element<HTMLInputElement>(id).valueAsNumber / 100);
    const rgb = await work.displayed(black!, Math.max(white!, black! + 0.02));
    this.viewer.showFrame(rgb, work.stack.height, work.stack.width);
  }

  /** Show labels, prompts, objects and candidates, once, as they are when all that changes them is done. */
  private refresh(): void {
    if (this.refreshing) return;
    this.refreshing = true;
    queueMicrotask(() => {
      this.refreshing = false;
      this.showState();
    });
  }

  private showState(): void {
    const { work } = this;
    if (!work) return;
    const { session, frame } = work;
    this.viewer.showLabels(session.labelsOf(frame), session.height, session.width, session.classes);
    this.viewer.showCurrent(session.region(session.active, frame), work.drawings);
    showObjects(session, this.selected, this.actions);
    showClasses(session, this.actions);
    const picture = work.rgb && { rgb: work.rgb, height: session.height, width: session.width };
    showCandidates(this.answer?.candidates ?? [], this.answer?.token ?? -1, picture, this.actions);
    for (const [id, what] of [["undo", session.canUndo], ["redo", session.canRedo]] as const) {
      element<HTMLButtonElement>(id).disabled = what === null;
    }
  }

  private answered(answer: Answer | null): void {
    this.answer = answer;
    if (answer) {
      this.select(this.session!.active, false, false);
      const { session, frame } = this.work!;
      const by = session.travelled(frame).length ? `, by ${session.annotation(session.active, frame)?.model}` : "";
      say(`Object ${session.active}: score ${answer.iouPrediction.toFixed(2)}, ${answer.mask.area} pixels${by}.`);
    }
    this.viewer.showPreview(null);
    this.refresh();
  }

  private failed(sentence: string): void {
    notify(sentence);
    this.refresh();
  }

  /** Do what draws, for a new object if each prompt begins one. */
  private draw(action: () => void, beginsObject: boolean): void {
    const { work } = this;
    if (!work) return say("Open an image first.");
    try {
      work.session.seen = this.viewer.seen();
      const hasPrompts = work.drawings.length > 0 || !work.session.region(work.session.active, work.frame).isEmpty;
      if (beginsObject && this.switches["one-each"] && hasPrompts) work.session.newObject();
      action();
      this.refresh();
    } catch (error) {
      this.failed(sentenceOf(error));
    }
  }

  private paint(path: readonly Point[], negative: boolean): void {
    const { work } = this;
    const diameter = element<HTMLInputElement>("brush-diameter").valueAsNumber;
    work!.session.paint(work!.frame, covered(path, diameter / 2, work!.session.height, work!.session.width), negative);
    this.answer = null;
    this.select(work!.session.active, false);
  }

  private selectAt([y, x]: Point): void {
    const id = this.session?.idAt(this.work!.frame, y, x);
    if (id) this.select(id, false);
    else say("There is no object. Click without Shift to make one.");
  }

  private select(id: number, more: boolean, forget = true): void {
    if (!this.session) return;
    if (!more) this.selected.clear();
    if (more && this.selected.has(id)) this.selected.delete(id);
    else this.selected.add(id);
    if (forget && id !== this.session.active) this.answer = null;
    this.session.active = id;
    this.refresh();
  }

  private readonly actions = {
    choose: (token: number) => this.work?.choose(token),
    select: (id: number, more: boolean) => this.select(id, more),
    giveClass: (name: string) => this.giveClass(name),
  };

  private giveClass(name: string): void {
    if (!this.session) return;
    const selected = this.selected.size ? [...this.selected] : [this.session.active];
    const all = selected.every((id) => this.session!.classes.given.get(id)?.name === name);
    this.session.giveClass(selected, all ? null : name);
    say(all ? "The class was taken away." : `${selected.length === 1 ? `Object ${selected[0]} is` : `${selected.length} objects are`} ${name}.`);
  }

  private hover(point: Point | null): void {
    this.hovered = point;
    if (!this.switches.preview || !this.work || this.tool !== "point") return;
    if (!point) return this.viewer.showPreview(null);
    this.work.session.seen = this.viewer.seen();
    void this.work.preview(point).then((region) => {
      if (region && this.hovered && this.switches.preview) this.viewer.showPreview(region);
    });
  }

  private wireButtons(): void {
    for (const tool of TOOLS) {
      document.querySelector(`[data-tool="${tool}"]`)!.addEventListener("click", () => this.run(tool));
    }
    for (const id of ["not-this", "one-each", "preview", "undo", "redo", "fit", "next", "delete"] as const) {
      element(id).addEventListener("click", () => this.run(id));
    }
    const menu = element<HTMLDetailsElement>("save");
    menu.addEventListener("keydown", ({ key }) => key === "Escape" && this.closeMenu());
    document.addEventListener("pointerdown", ({ target }) => (menu.open &&= menu.contains(target as Node)));
    for (const button of document.querySelectorAll<HTMLButtonElement>("[data-save]")) {
      button.addEventListener("click", () => void this.save(button.dataset["save"] as ExportKind));
    }
    element<HTMLFormElement>("add-class").addEventListener("submit", (event) => {
      event.preventDefault();
      const input = element<HTMLInputElement>("class-name");
      if (!this.session) return say("Open an image first.");
      try {
        this.session.addClass(input.value);
        input.value = "";
      } catch (error) {
        this.failed(sentenceOf(error));
      }
    });
  }

  private wireSliders(): void {
    onSlide("frame", (n) => `${n} / ${this.work?.frames ?? 1}`, (n) => void this.showFrame(n - 1));
    onSlide("black", (n) => `${n} %`, () => void this.showPixels());
    onSlide("white", (n) => `${n} %`, () => void this.showPixels());
    onSlide("brush-diameter", String, () => {});
    onSlide("opacity", (n) => `${n} %`, (n) => {
      this.viewer.opacity = n / 100;
      this.viewer.draw();
    });
  }

  private closeMenu(): void {
    const menu = element<HTMLDetailsElement>("save");
    menu.open = false;
    menu.querySelector("summary")!.focus();
  }

  private async save(kind: ExportKind): Promise<void> {
    this.closeMenu();
    if (!this.work || !this.autosave) return say("Open an image first.");
    try {
      const { name, content } = await exported(kind, this.work.session, this.work.stack, this.work.frame, this.autosave);
      const url = URL.createObjectURL(content);
      const link = document.createElement("a");
      link.href = url;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      say(`Saved ${name}.`);
    } catch (error) {
      this.failed(sentenceOf(error));
    }
  }

  private pressed(event: KeyboardEvent): void {
    const onCanvas = event.target === element("canvas");
    if (onCanvas && this.moveCursor(event)) return event.preventDefault();
    const command = commandOf(event);
    if (!command || !this.work) return;
    event.preventDefault();
    this.run(command);
  }

  /** Arrow keys move a cursor over the image, Enter clicks there. */
  private moveCursor(event: KeyboardEvent): boolean {
    if (!this.work) return false;
    const step = event.shiftKey ? 10 : 1;
    const moves: Record<string, Point> = { ArrowUp: [-step, 0], ArrowDown: [step, 0], ArrowLeft: [0, -step], ArrowRight: [0, step] };
    const { height, width } = this.work.stack;
    const [y, x] = this.viewer.cursor ?? [Math.round(height / 2), Math.round(width / 2)];
    if (event.key === "Enter") {
      const label = this.switches["not-this"] ? 0 : 1;
      this.draw(() => this.work!.prompt({ kind: "point", vertices: [[y, x]], label }), label === 1);
      return true;
    }
    const move = moves[event.key];
    if (!move) return false;
    this.viewer.cursor = [Math.min(Math.max(0, y + move[0]), height - 1), Math.min(Math.max(0, x + move[1]), width - 1)];
    this.hover(this.viewer.cursor);
    this.viewer.draw();
    return true;
  }

  private run(command: Command): void {
    const { session, work } = this;
    if ((TOOLS as readonly string[]).includes(command)) return this.chooseTool(command as Tool);
    if (command in this.switches) return this.toggle(command as keyof typeof this.switches);
    if (!session || !work) return say("Open an image first.");
    const canvas = element<HTMLCanvasElement>("canvas");
    const zoom = (factor: number): void => this.viewer.camera.zoom(factor, canvas.width / 2, canvas.height / 2);
    if (command === "undo" || command === "redo") this.step(session, command);
    else if (command === "next") this.nextObject(session);
    else if (command === "candidate") this.nextCandidate();
    else if (command === "delete") session.remove(this.selected.size ? [...this.selected] : [session.active], work.frame);
    else if (command === "fit") this.viewer.fit();
    else if (command === "zoom-to") this.viewer.zoomTo(session.region(session.active, work.frame));
    else if (command === "zoom-in") zoom(1.25);
    else if (command === "zoom-out") zoom(0.8);
    else if (command === "frame-back" || command === "frame-on") {
      const frame = work.frame + (command === "frame-on" ? 1 : -1);
      if (frame >= 0 && frame < work.frames) void this.showFrame(frame);
    } else {
      const key = Number(command.replace("class-", ""));
      const found = session.classes.defined.find((each) => each.key === key);
      if (found) this.giveClass(found.name);
    }
    this.viewer.draw();
  }

  private step(session: Session, command: "undo" | "redo"): void {
    this.answer = null;
    const what = session[command]();
    say(what ? `${command === "undo" ? "Undone" : "Done again"}: ${what}.` : `There is nothing to ${command}.`);
    this.refresh();
  }

  private nextObject(session: Session): void {
    this.answer = null;
    this.selected.clear();
    session.newObject();
    say(`Object ${session.active}: click on it.`);
    this.refresh();
  }

  private nextCandidate(): void {
    const { answer, work } = this;
    const newest = work!.session.newest(work!.frame);
    if (!newest?.drawings.length) return say("Click on an object first: then there are candidates.");
    const tokens = answer?.candidates.map(({ token }) => token) ?? TOKENS;
    const at = tokens.indexOf(answer?.token ?? newest.candidate ?? 0);
    work!.choose(tokens[(at + 1) % tokens.length]!);
  }

  private chooseTool(tool: Tool): void {
    this.tool = tool;
    for (const each of TOOLS) document.querySelector(`[data-tool="${each}"]`)!.ariaChecked = String(each === tool);
    element("brush-size").hidden = tool !== "brush";
    this.viewer.showPreview(null);
  }

  private toggle(name: keyof typeof this.switches): void {
    this.switches[name] = !this.switches[name];
    element(name).ariaPressed = String(this.switches[name]);
    if (name === "preview") this.hover(this.hovered);
    if (!this.switches.preview) this.viewer.showPreview(null);
  }
}

/** The pixels within a radius of a path. */
function covered(path: readonly Point[], radius: number, height: number, width: number): Set<number> {
  const places = new Set<number>();
  const dot = (cy: number, cx: number): void => {
    for (let y = Math.max(0, Math.ceil(cy - radius)); y <= Math.min(height - 1, cy + radius); y++) {
      for (let x = Math.max(0, Math.ceil(cx - radius)); x <= Math.min(width - 1, cx + radius); x++) {
        if ((y - cy) ** 2 + (x - cx) ** 2 <= radius ** 2) places.add(y * width + x);
      }
    }
  };
  path.forEach(([y, x], n) => {
    const [fromY, fromX] = path[Math.max(0, n - 1)]!;
    const steps = Math.max(1, Math.ceil(Math.hypot(y - fromY, x - fromX) / Math.max(0.5, radius / 2)));
    for (let k = 1; k <= steps; k++) dot(fromY + ((y - fromY) * k) / steps, fromX + ((x - fromX) * k) / steps);
  });
  return places;
}
