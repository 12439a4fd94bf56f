/** What the page and its worker tell each other. */
import type { Crop } from "../session/crop";
import type { Prompts } from "../session/prompts";
import type { PocketDescription } from "./pocket_graphs";
import type { SamDescription } from "./sam";

/** A region as it travels: a worker gets the fields of an object, not its class. */
export interface PlainRegion {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
  readonly pixels: Uint8Array;
}

export type PlainPrompts = Omit<Prompts, "mask"> & { readonly mask: PlainRegion | null };

/** Embeddings of parts of a large frame that travelled in the page, of which the worker keeps so many. */
export const MOST_PLACED = 6;

/** What the worker runs. */
export interface Programs {
  readonly runtime: ArrayBuffer;
  readonly pocket: { readonly encoder: Uint8Array; readonly decoder: Uint8Array; readonly config: PocketDescription };
  readonly sam: { readonly decoder: Uint8Array; readonly config: SamDescription } | null;
}

/** To the worker; each is answered once, under its number. */
export type Order = { readonly id: number } & (
  | ({ readonly kind: "start" } & Programs)
  | { readonly kind: "encode"; frame: number; rgb: Uint8Array; height: number; width: number }
  | { readonly kind: "place"; frame: number; crop: Crop | null; halves: Uint16Array; height: number; width: number } // an embedding that is there
  | { readonly kind: "prepare"; frame: number; crop: Crop } // of a large frame, before it is asked for
  | { readonly kind: "forget" }
  | {
      readonly kind: "decode"; frame: number; prompts: PlainPrompts; crops: readonly Crop[];
      candidate: number | null; diameter: number | null;
      preview: boolean; // the best mask alone, and nothing is encoded for it
    }
);

export interface PlainAnswer {
  readonly mask: PlainRegion;
  readonly crop: Crop | null;
  readonly travelled: boolean;
  readonly token: number;
  readonly iouPrediction: number;
  readonly stability: number;
  readonly candidates: readonly { token: number; score: number; mask: PlainRegion }[];
}

/** From the worker. */
export type Report = { readonly id: number } & (
  | { readonly kind: "done"; answer: PlainAnswer | null }
  | { readonly kind: "progress"; share: number }
  | { readonly kind: "failed"; sentence: string }
);
