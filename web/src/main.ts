/** Begins: the network from the page's own parts, the image of the page, or the work of last time. */
import { sentenceOf } from "./failure";
import { openImage } from "./frames/open";
import type { ImageStack } from "./frames/stack";
import { NetworkClient } from "./network/client";
import type { PocketDescription } from "./network/pocket_graphs";
import type { SamDescription } from "./network/sam";
import { Page } from "./page";
import { dropPart, jsonPart, neededPart, part } from "./parts";
import { Autosave } from "./saving/autosave";
import { contentOf } from "./saving/image_record";
import type { Record_ } from "./saving/records";
import { readSession, SessionFiles, type Opened } from "./saving/session_file";
import { Store } from "./saving/store";
import { unzip, type Files } from "./saving/zip";
import type { Crop } from "./session/crop";
import { Session } from "./session/session";
import type { SeenBefore } from "./work";
import { element, notify, say } from "./view/elements";

const config = (await jsonPart<PocketDescription>("network.json"))!;
const samConfig = await jsonPart<SamDescription>("sam.json");
const about = await jsonPart<{ id: string; image?: string }>("page.json");
const network = new NetworkClient(await workerUrl());
const page = new Page(network, config);
const store = await Store.open(`${about?.id ?? ""}:`);
let autosave: Autosave | null = null;
let current: { key: string; image: Blob | null } = { key: "", image: null }; // no blob: the page's own

listenForFiles();
startNetwork().catch((error: unknown) => notify(sentenceOf(error)));
await begin().catch((error: unknown) => {
  notify(sentenceOf(error));
  say("Open an image, or drop one here.");
});

/** The worker's program travels in the page, too: a page opened from a file cannot load another. */
async function workerUrl(): Promise<string> {
  const program = await neededPart("worker.js");
  dropPart("worker.js");
  return URL.createObjectURL(new Blob([program as BlobPart], { type: "text/javascript" }));
}

async function startNetwork(): Promise<void> {
  const read = async (name: string): Promise<Uint8Array> => {
    const content = await neededPart(name);
    dropPart(name);
    return content;
  };
  await network.start({
    runtime: (await read("runtime.wasm")).buffer as ArrayBuffer,
    pocket: { encoder: await read("encoder.onnx"), decoder: await read("decoder.onnx"), config },
    sam: samConfig && { decoder: await read("sam-decoder.onnx"), config: samConfig },
  });
}

/** The network whose embeddings of the page's image are in the page. */
function seenBefore(sam: SamDescription): SeenBefore {
  const partOf = (frame: number, crop: Crop | null): number =>
    sam.embeddings.findIndex(([n, where]) => n === frame && where?.join() === crop?.join());
  return {
    model: sam,
    has: (frame) => partOf(frame, null) >= 0,
    crops: (frame) => sam.embeddings.flatMap(([n, crop]) => (n === frame && crop ? [crop] : [])),
    embedding: async (frame, crop) => new Uint16Array((await neededPart(`embedding-${partOf(frame, crop)}`)).buffer),
  };
}

/** The image of the page, or the one of last time. */
async function begin(): Promise<void> {
  const image = await part("image");
  const last = await store?.last().catch(() => null);
  if (image) await open(new Blob([image as BlobPart]), about?.image ?? "image", true);
  else if (last?.image) await open(last.image, last.name, false);
  else say("Open an image, or drop one here.");
}

/** Open an image, and the work on it that is there. */
async function open(file: Blob, name: string, isOfPage: boolean): Promise<void> {
  say(`Opening ${name} …`);
  const stack = await openImage(file, name);
  await stack.frame(0); // a damaged image does not take the place of the one that is open
  const key = `${name}/${file.size}/${[...stack.leading, stack.height, stack.width].join("x")}`;
  const kept = await store?.get(key).catch(() => null);
  const archive = isOfPage && !kept ? await part("session.zip") : null;
  const files = kept?.files ?? (archive && (await unzip(archive, "The session of this page")));
  await show(stack, key, isOfPage ? null : file, files);
}

async function show(stack: ImageStack, key: string, image: Blob | null, files: Files | null): Promise<void> {
  const opened = files ? await readSession(files, stack, "The session").catch(explained) : null;
  await work(stack, key, image, opened);
}

/** A session that cannot be read is said, and the image is opened without it. */
function explained(error: unknown): null {
  notify(sentenceOf(error));
  return null;
}

async function work(stack: ImageStack, key: string, image: Blob | null, opened: Opened | null): Promise<void> {
  await autosave?.flush();
  current = { key, image };
  const session = opened?.session ?? new Session(stack.height, stack.width);
  const files = new SessionFiles(session, stack, opened?.manifest ?? null, contentOf(stack).catch(() => null));
  autosave = new Autosave(store, { key, name: stack.name, image }, files, {
    saving: () => showSaved("Saving …", false),
    saved: (when) => showSaved(`Saved in this browser ${when.toLocaleTimeString([], { timeStyle: "short" })}`, false),
    failed: (sentence) => {
      notify(sentence);
      showSaved("Not saved!", true);
    },
  });
  for (const problem of opened?.problems ?? []) notify(problem);
  await page.open(stack, session, opened?.shown ?? 0, autosave, image || !samConfig ? null : seenBefore(samConfig));
}

function showSaved(text: string, failing: boolean): void {
  element("saved").textContent = text;
  element("saved").classList.toggle("failing", failing);
}

/** Images first, then the sessions of them. */
async function openFiles(files: readonly File[]): Promise<void> {
  const isArchive = (file: File): boolean => file.name.toLowerCase().endsWith(".zip");
  for (const file of [...files].sort((a, b) => Number(isArchive(a)) - Number(isArchive(b)))) {
    try {
      if (isArchive(file)) await openSession(file);
      else await open(file, file.name, false);
    } catch (error) {
      notify(sentenceOf(error));
      say(`${file.name} was not opened.`);
    }
  }
}

async function openSession(file: File): Promise<void> {
  const { stack } = page;
  if (!stack) return notify(`Open the image of ${file.name} first, then the session.`);
  const opened = await readSession(await unzip(new Uint8Array(await file.arrayBuffer()), file.name), stack, file.name);
  await checkContent(opened.manifest, stack, file.name);
  await work(stack, current.key, current.image, opened);
  autosave!.changed();
}

async function checkContent(manifest: Record_, stack: ImageStack, name: string): Promise<void> {
  const recorded = (manifest["image"] as Record_)["content"];
  if (recorded && recorded !== (await contentOf(stack))) {
    notify(`The image is not the one ${name} was made with: its pixels differ. Check that the objects still fit.`);
  }
}

function listenForFiles(): void {
  const input = element<HTMLInputElement>("file");
  element("open").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    void openFiles([...(input.files ?? [])]);
    input.value = "";
  });
  if (input.files?.length) input.dispatchEvent(new Event("change")); // chosen before anyone listened
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    element("stage").classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) element("stage").classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    element("stage").classList.remove("dropping");
    void openFiles([...(event.dataTransfer?.files ?? [])]);
  });
  document.addEventListener("visibilitychange", () => void autosave?.flush());
  window.addEventListener("beforeunload", (event) => {
    if (autosave?.isUnsaved) event.preventDefault();
  });
}
