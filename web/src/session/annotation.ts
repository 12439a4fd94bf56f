/** One object in one frame: its prompts, and where its mask came from. */
import type { Crop } from "./crop";
import { NO_PROMPTS, type Drawing, type Prompts } from "./prompts";
import { Region } from "./region";

export interface Annotation {
  readonly prompts: Prompts; // what was decoded: the drawings on the base
  readonly drawings: readonly Drawing[];
  readonly candidate: number | null; // the mask token the user chose
  readonly diameter: number | null; // of objects as expected when it was first prompted, in pixels
  readonly iouPrediction: number | null;
  readonly stability: number | null;
  readonly model: string;
  readonly modelHash: string;
  readonly precision: string;
  readonly source: readonly (number | null)[] | null; // the frame it was propagated from
  readonly foundBy: string;
  readonly score: number | null;
  readonly doubt: string;
  readonly stopped: string;
  readonly crop: Crop | null; // of a large frame: where it was found
  readonly base: Region; // what was there before the first prompt
  readonly landed: Region; // all pixels after the last change by prompts
  readonly painted: Region; // of these, painted by hand
  readonly erased: Region; // taken away by hand
}

export const NO_ANNOTATION: Annotation = {
  prompts: NO_PROMPTS, drawings: [], candidate: null, diameter: null, iouPrediction: null, stability: null,
  model: "", modelHash: "", precision: "", source: null, foundBy: "", score: null, doubt: "", stopped: "",
  crop: null, base: Region.EMPTY, landed: Region.EMPTY, painted: Region.EMPTY, erased: Region.EMPTY,
};

/** Whether it is the user's own: neither propagated nor found without a prompt. */
export function isOwn(annotation: Annotation): boolean {
  return annotation.source === null && annotation.foundBy === "";
}

export type Key = `${number}@${number}`; // object and frame

export function keyOf(objectId: number, frame: number): Key {
  return `${objectId}@${frame}`;
}

export function partsOf(key: Key): [objectId: number, frame: number] {
  const [objectId, frame] = key.split("@").map(Number);
  return [objectId!, frame!];
}

/** A mask to be decoded. */
export interface Request {
  readonly objectId: number;
  readonly frame: number;
  readonly prompts: Prompts;
  readonly drawings: readonly Drawing[];
  readonly candidate: number | null;
  readonly diameter: number | null;
  readonly crops: readonly Crop[]; // of a large frame, to be looked at in this order
  readonly base: Region;
}

/** The network's answer to a request. */
export interface Answer {
  readonly mask: Region;
  readonly crop: Crop | null; // of a large frame: where it was found
  readonly travelled: boolean; // decoded from an embedding that travelled in the page
  readonly token: number; // of the mask
  readonly iouPrediction: number;
  readonly stability: number;
  readonly candidates: readonly Candidate[];
}

export interface Candidate {
  readonly token: number;
  readonly score: number;
  readonly mask: Region;
}

/** Which network answers. */
export interface Model {
  readonly name: string;
  readonly hash: string;
  readonly precision: string;
}
