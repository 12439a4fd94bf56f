/**
 * The network as the page sees it. One order is in the worker at a time, so that the newest goes
 * next: a click before a frame to be encoded ahead, and both before a preview.
 */
import { Failure } from "../failure";
import type { Answer, Request } from "../session/annotation";
import type { Crop } from "../session/crop";
import { Region } from "../session/region";
import type { Order, PlainAnswer, PlainPrompts, PlainRegion, Programs, Report } from "./messages";
import type { Prompts } from "../session/prompts";

type Unnumbered = Order extends infer Each ? (Each extends Order ? Omit<Each, "id"> : never) : never;

interface Waiting {
  readonly order: Unnumbered;
  readonly urgency: number; // the highest goes next
  readonly instead: string; // a later one of the same name takes its place
  readonly progress: (share: number) => void;
  readonly resolve: (answer: PlainAnswer | null) => void;
  readonly reject: (error: Error) => void;
}

/** A function that returns a vector of 128 bit: the smallest module that needs SIMD. */
const SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

/** Thrown to who asked when a newer order took the place of an older one. */
export class Overtaken extends Error {}

export class NetworkClient {
  private readonly worker: Worker;
  private readonly waiting: Waiting[] = [];
  private current: Waiting | null = null;
  private id = 0;
  private started = false; // nothing else is ordered before
  private decoded = false;

  constructor(url: string) {
    this.worker = new Worker(url);
    this.worker.onmessage = ({ data }: MessageEvent<Report>) => this.reported(data);
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.finish()?.reject(new Failure("The network stopped, perhaps because memory is full. Reload the page: your work is kept."));
    };
  }

  /** Throws a Failure where the network cannot run. */
  async start(programs: Programs): Promise<void> {
    if (typeof WebAssembly === "undefined" || !WebAssembly.validate(SIMD)) {
      throw new Failure("This browser is too old to run the network (no WebAssembly SIMD). Update it.");
    }
    await this.order({ kind: "start", ...programs } as Unnumbered, 9, "start");
    this.started = true;
    this.next();
  }

  /** Forget the embeddings of another image. */
  async forget(): Promise<void> {
    for (const each of this.waiting.splice(0)) each.reject(new Overtaken());
    await this.order({ kind: "forget" } as Unnumbered, 8, "forget");
  }

  async encode(frame: number, rgb: Uint8Array, height: number, width: number, progress: (share: number) => void): Promise<void> {
    await this.order({ kind: "encode", frame, rgb, height, width } as Unnumbered, 3, "encode", progress);
  }

  /** Take an embedding in half precision for that of a frame, or of a crop of it; height and width are of either. */
  async place(frame: number, crop: Crop | null, halves: Uint16Array, height: number, width: number): Promise<void> {
    await this.order({ kind: "place", frame, crop, halves, height, width } as Unnumbered, 3, crop ? `place ${crop.join()}` : "encode");
  }

  /** Encode a part of a large frame when nothing else is to be done. */
  async prepare(frame: number, crop: Crop): Promise<void> {
    await this.order({ kind: "prepare", frame, crop } as Unnumbered, 0, "prepare");
  }

  /** Whether anything was decoded: the first time takes three times as long as a later one. */
  get isWarm(): boolean {
    return this.decoded;
  }

  async decode({ objectId, frame, prompts, candidate, diameter, crops }: Request, progress: (share: number) => void): Promise<Answer> {
    const order = { kind: "decode", frame, prompts: plainOf(prompts), candidate, diameter, crops, preview: false };
    const answer = answerOf(await this.order(order as Unnumbered, 2, `${objectId}@${frame}`, progress));
    this.decoded = true;
    return answer;
  }

  /** The mask that a click would give. */
  async preview(frame: number, prompts: Prompts, crops: readonly Crop[]): Promise<Region> {
    const order = { kind: "decode", frame, prompts: plainOf(prompts), candidate: null, diameter: null, crops, preview: true };
    const region = regionOf((await this.order(order as Unnumbered, 1, "preview"))!.mask);
    this.decoded ||= !region.isEmpty; // a part of a large frame may not be encoded yet
    return region;
  }

  private order(
    order: Unnumbered, urgency: number, instead: string, progress: (share: number) => void = () => {},
  ): Promise<PlainAnswer | null> {
    return new Promise((resolve, reject) => {
      const overtaken = this.waiting.findIndex((each) => each.instead === instead);
      if (overtaken >= 0) this.waiting.splice(overtaken, 1)[0]!.reject(new Overtaken());
      this.waiting.push({ order, urgency, instead, progress, resolve, reject });
      this.next();
    });
  }

  private next(): void {
    if (this.current || !this.waiting.length) return;
    if (!this.started && !this.waiting.some(({ order }) => order.kind === "start")) return;
    const first = this.waiting.reduce((best, each, n) => (each.urgency > this.waiting[best]!.urgency ? n : best), 0);
    this.current = this.waiting.splice(first, 1)[0]!;
    this.worker.postMessage({ ...this.current.order, id: ++this.id });
  }

  private reported(report: Report): void {
    if (report.id !== this.id) return;
    if (report.kind === "progress") this.current?.progress(report.share);
    else if (report.kind === "done") this.finish()?.resolve(report.answer);
    else this.finish()?.reject(new Failure(report.sentence));
  }

  private finish(): Waiting | null {
    const finished = this.current;
    this.current = null;
    this.next();
    return finished;
  }
}

function plainOf(prompts: Prompts): PlainPrompts {
  const { mask } = prompts;
  return { ...prompts, mask: mask && { top: mask.top, left: mask.left, height: mask.height, width: mask.width, pixels: mask.pixels } };
}

function regionOf({ top, left, height, width, pixels }: PlainRegion): Region {
  return pixels.length ? Region.ofPixels(top, left, height, width, pixels) : Region.EMPTY;
}

function answerOf(plain: PlainAnswer | null): Answer {
  const { mask, candidates, ...rest } = plain!;
  return {
    ...rest,
    mask: regionOf(mask),
    candidates: candidates.map((each) => ({ ...each, mask: regionOf(each.mask) })),
  };
}
