/** Saves a session in the browser soon after each change. */
import type { Key } from "../session/annotation";
import type { Edit } from "../session/edits";
import { SessionFiles } from "./session_file";
import type { Kept, Store } from "./store";
import type { Files } from "./zip";

const SOON = 200; // milliseconds after a change

export interface AutosaveEvents {
  saving(): void;
  saved(when: Date): void;
  failed(sentence: string): void;
}

export class Autosave {
  private timer = 0;
  private frame = 0;
  private writing: Promise<void> = Promise.resolve();
  private changes = 0;
  private saved = 0; // of the changes
  private kept: Files | null = null; // in the store
  private readonly run = crypto.randomUUID(); // another tab may have the same image open
  private told = false; // that it cannot be saved

  constructor(
    private readonly store: Store | null,
    private readonly work: Pick<Kept, "key" | "name" | "image">,
    private readonly session: SessionFiles,
    private readonly events: AutosaveEvents,
  ) {}

  /** Whether closing the page would lose something. */
  get isUnsaved(): boolean {
    return this.saved < this.changes;
  }

  /** The session has changed: these pixels, these annotations, or something else. */
  changed(edits: readonly Edit[] = [], keys: readonly Key[] = []): void {
    this.session.forget(edits, keys);
    this.soon();
  }

  shown(frame: number): void {
    this.frame = frame;
    this.soon();
  }

  /** Save what is not saved yet, now. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = 0;
    this.writing = this.writing.then(() => this.save());
    return this.writing;
  }

  /** All files of the session as it is now. */
  files(): Promise<Files> {
    return this.session.write(this.frame);
  }

  private soon(): void {
    this.changes++;
    if (!this.told) this.events.saving();
    this.timer ||= window.setTimeout(() => void this.flush(), SOON);
  }

  private async save(): Promise<void> {
    if (!this.isUnsaved) return;
    const changes = this.changes;
    try {
      if (!this.store) throw new Error("no storage");
      const files = await this.files();
      await this.store.put({ ...this.work, run: this.run, files, saved: Date.now() }, this.kept);
      this.kept = files;
      this.saved = changes;
      this.told = false;
      if (!this.isUnsaved) this.events.saved(new Date());
    } catch {
      if (this.told) return;
      this.told = true;
      this.events.failed(
        "The browser does not keep your work: its storage is full or switched off. " +
          "Save the session to a file before you close this page.",
      );
    }
  }
}
