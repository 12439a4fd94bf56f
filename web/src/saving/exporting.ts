/** What can be saved to a file. */
import { frameCount, type ImageStack } from "../frames/stack";
import type { Session } from "../session/session";
import type { Autosave } from "./autosave";
import { coco } from "./coco";
import { labelsPng } from "./labels_png";
import { labelsTiff } from "./labels_tiff";
import { zip } from "./zip";

export type ExportKind = "tiff" | "png" | "coco" | "session";

/** A file of the work on an image, and what to call it. */
export async function exported(
  kind: ExportKind, session: Session, stack: ImageStack, frame: number, autosave: Autosave,
): Promise<{ name: string; content: Blob }> {
  const stem = stack.name.replace(/\.[^.]*$/, "");
  const blob = (content: Uint8Array | string, type: string): Blob => new Blob([content as BlobPart], { type });
  if (kind === "tiff") {
    const frames = Array.from({ length: frameCount(stack) }, (_, n) => session.labelsOf(n));
    const shape = [...stack.leading, stack.height, stack.width];
    return { name: `${stem}.labels.tif`, content: blob(await labelsTiff(frames, shape, session.highest > 65535 ? 32 : 16), "image/tiff") };
  }
  if (kind === "png") {
    return { name: `${stem}.labels.png`, content: blob(await labelsPng(session.labelsOf(frame), stack.height, stack.width), "image/png") };
  }
  if (kind === "coco") {
    return { name: `${stem}.coco.json`, content: blob(coco(session, stack.name, stack.leading), "application/json") };
  }
  const folder = `${stack.name.replace(/[/\\]/g, "_")}.napari-sam`;
  const files = new Map([...(await autosave.files())].map(([name, bytes]) => [`${folder}/${name}`, bytes]));
  return { name: `${folder}.zip`, content: blob(await zip(files), "application/zip") };
}
