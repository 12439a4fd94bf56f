/** The image that is open and its session: prompts to the network, answers into the labels. */
import { Failure, sentenceOf } from "./failure";
import { frameLimits, toRgb, type Limits } from "./frames/contrast";
import { frameCount, type ImageStack } from "./frames/stack";
import { NetworkClient, Overtaken } from "./network/client";
import { MOST_PLACED } from "./network/messages";
import type { Answer, Model, Request } from "./session/annotation";
import { contains, isLarge, type Box, type Crop } from "./session/crop";
import { NO_PROMPTS, type Drawing, type Point, type Prompts } from "./session/prompts";
import { Region } from "./session/region";
import type { Session } from "./session/session";
import { cropOnScreen, whereToLook } from "./session/where_to_look";

/** A network that has seen some frames of an image already. */
export interface SeenBefore {
  readonly model: Model;
  has(frame: number): boolean; // all of it
  crops(frame: number): readonly Crop[]; // of a large one
  embedding(frame: number, crop: Crop | null): Promise<Uint16Array>; // in half precision
}

const FRAMES_ENCODED = 4; // as many as the worker keeps, of large ones 1

/** What the page shows of the work. */
export interface WorkEvents {
  answered(answer: Answer | null): void; // to the current object's prompts
  progress(text: string): void;
  failed(sentence: string): void;
}

export class Work {
  frame = 0;
  rgb: Uint8Array | null = null; // of the frame shown, as the network sees it
  private readonly encoded = new Map<number, Promise<void>>();
  private readonly placed = new Map<string, Promise<void>>(); // crops of the last large frame
  private limits: Limits = [];

  constructor(
    readonly stack: ImageStack,
    readonly session: Session,
    private readonly network: NetworkClient,
    private readonly own: Model,
    private readonly seenBefore: SeenBefore | null,
    private readonly events: WorkEvents,
  ) {
    session.travelled = (frame) => seenBefore?.crops(frame) ?? [];
  }

  get frames(): number {
    return frameCount(this.stack);
  }

  /** Which network answers in a frame. */
  modelsIn(frame: number): string {
    const { seenBefore, own } = this;
    if (seenBefore?.has(frame)) return seenBefore.model.name;
    const parts = this.session.travelled(frame).length;
    return parts ? `${seenBefore!.model.name} in ${parts === 1 ? "one part" : `${parts} parts`} of this frame, ${own.name} elsewhere` : own.name;
  }

  /** Read a frame and begin to encode it. */
  async show(frame: number): Promise<void> {
    this.frame = frame;
    this.session.seen = null;
    const pixels = await this.stack.frame(frame);
    if (this.frame !== frame) return;
    this.limits = frameLimits(pixels, this.stack.rgb);
    this.rgb = toRgb(pixels, this.limits);
    this.encode(frame).catch((error: unknown) => this.report(error));
    const waiting = [...this.session.pending.values()].filter((request) => request.frame === frame);
    for (const request of waiting) void this.answer(request);
  }

  /** The frame as it is to be displayed: black and white are shares of the network's own range. */
  async displayed(black: number, white: number): Promise<Uint8Array> {
    if (black === 0 && white === 1 && this.rgb) return this.rgb;
    const limits = this.limits.map(([low, high]) => [low + black * (high - low), low + white * (high - low)] as const);
    return toRgb(await this.stack.frame(this.frame), limits);
  }

  /** One drawing more for the current object. */
  prompt(drawing: Drawing): void {
    this.redraw([...this.drawings, drawing]);
  }

  /** The current object's drawings in the frame shown. */
  get drawings(): readonly Drawing[] {
    return this.session.newest(this.frame)?.drawings ?? [];
  }

  /** All of the current object's drawings in the frame shown. */
  redraw(drawings: readonly Drawing[]): void {
    const request = this.session.draw(this.frame, drawings);
    if (request) void this.answer(request);
    else this.events.answered(null);
  }

  choose(token: number): void {
    const request = this.session.choose(this.frame, token);
    if (request) void this.answer(request);
  }

  /** The mask that a click would give; null if another was asked for meanwhile. */
  async preview([y, x]: Point): Promise<Region | null> {
    const { frame } = this;
    try {
      await this.encode(frame);
      const prompts: Prompts = { ...NO_PROMPTS, points: [[y, x]], labels: [1] };
      const crops = whereToLook(prompts, [this.stack.height, this.stack.width], null, this.session.seen, null, this.session.travelled(frame));
      await this.place(frame, crops);
      return await this.network.preview(frame, prompts, crops);
    } catch (error) {
      if (!(error instanceof Overtaken)) this.report(error);
      return null;
    }
  }

  /** The part of a frame on screen is this one: a click in it is to be answered soon. */
  async look(seen: Box | null): Promise<void> {
    this.session.seen = seen;
    const { frame } = this;
    const crop = cropOnScreen([this.stack.height, this.stack.width], this.session.usualDiameter, seen);
    if (!crop || this.session.travelled(frame).some((known) => contains(known, seen!))) return;
    try {
      await this.encode(frame);
      await this.network.prepare(frame, crop);
      this.warmUp([(seen![0] + seen![2]) / 2, (seen![1] + seen![3]) / 2]);
    } catch (error) {
      this.report(error);
    }
  }

  /** Decode a click that nobody made, so that the first one made is as quick as the next. */
  private warmUp(at: Point): void {
    if (!this.network.isWarm) void this.preview(at);
  }

  private async answer(request: Request): Promise<void> {
    try {
      await this.encode(request.frame);
      await this.place(request.frame, request.crops);
      const answer = await this.network.decode(request, (share) =>
        this.events.progress(`Looking at the part around it … ${Math.round(100 * share)} %`),
      );
      const owner = this.session.land(request, answer, answer.travelled ? this.seenBefore!.model : this.own);
      if (owner === 0) this.events.failed("Nothing was found there. Draw a box around the object, or click on its middle.");
      else if (owner !== null) this.events.failed(`That is object ${owner}: Shift-click to continue with it.`);
      if (request.objectId === this.session.active) this.events.answered(owner === null ? answer : null);
    } catch (error) {
      if (error instanceof Overtaken) return;
      this.encoded.delete(request.frame);
      this.placed.clear();
      this.session.giveUp(request);
      this.report(error);
    }
  }

  /** Encode a frame once. */
  private encode(frame: number): Promise<void> {
    const known = this.encoded.get(frame);
    if (known) return known;
    const begun = this.encodeNow(frame);
    this.encoded.set(frame, begun);
    begun.catch(() => this.encoded.delete(frame));
    const [oldest] = this.encoded.keys();
    const most = isLarge([this.stack.height, this.stack.width]) ? 1 : FRAMES_ENCODED;
    if (this.encoded.size > most && oldest !== undefined) this.encoded.delete(oldest);
    return begun;
  }

  private async encodeNow(frame: number): Promise<void> {
    const { height, width } = this.stack;
    this.placed.clear(); // the worker forgets them with their frame
    if (this.seenBefore?.has(frame)) {
      await this.network.place(frame, null, await this.seenBefore.embedding(frame, null), height, width);
      this.events.progress("Ready: click on a cell.");
      return;
    }
    const pixels = await this.stack.frame(frame);
    const rgb = toRgb(pixels, frameLimits(pixels, this.stack.rgb));
    this.events.progress("Encoding the image …");
    await this.network.encode(frame, rgb, height, width, (share) =>
      this.events.progress(`Encoding the image … ${Math.round(100 * share)} %`),
    );
    this.events.progress("Ready: click on a cell.");
    this.warmUp([height / 2, width / 2]);
  }

  /** Give the worker those embeddings of crops that travelled. */
  private async place(frame: number, crops: readonly Crop[]): Promise<void> {
    for (const crop of this.session.travelled(frame).filter((each) => crops.some((wanted) => wanted.join() === each.join()))) {
      const key = `${frame}/${crop.join()}`;
      if (!this.placed.has(key)) this.placed.set(key, this.placeNow(frame, crop));
      const [oldest] = this.placed.keys();
      if (this.placed.size > MOST_PLACED) this.placed.delete(oldest!);
      await this.placed.get(key);
    }
  }

  private async placeNow(frame: number, crop: Crop): Promise<void> {
    const [top, left, bottom, right] = crop;
    await this.network.place(frame, crop, await this.seenBefore!.embedding(frame, crop), bottom - top, right - left);
  }

  private report(error: unknown): void {
    if (!(error instanceof Overtaken)) this.events.failed(error instanceof Failure ? error.message : sentenceOf(error));
  }
}
