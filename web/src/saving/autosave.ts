/** Saves a session in the browser soon after each change. */
import { SessionFiles } from "./session_file";
import type { Kept, Store } from "./store";
import type { Files } from "./zip";

const SOON = 400; // milliseconds after the last change

export interface AutosaveEvents {
  saving(): void;
  saved(when: Date): void;
  failed(sentence: string): void;
}

export class Autosave {
  private timer = 0;
  private frame = 0;
  private writing: Promise<void> = Promise.resolve();
  private unsaved = false;
  private told = false; // that it cannot be saved

  constructor(
    private readonly store: Store | null,
    private readonly work: Pick<Kept, "key" | "name" | "image">,
    private readonly session: SessionFiles,
    private readonly events: AutosaveEvents,
  ) {}

  /** Whether closing the page would lose something. */
  get isUnsaved(): boolean {
    return this.unsaved;
  }

  /** The session has changed in a frame; null: in any. */
  changed(frame: number | null): void {
    this.session.forget(frame);
    this.soon();
  }

  shown(frame: number): void {
    this.frame = frame;
    this.soon();
  }

  /** Save what is not saved yet, now. */
  flush(): Promise<void> {
    clearTimeout(this.timer);
    if (this.unsaved) this.writing = this.writing.then(() => this.save());
    return this.writing;
  }

  /** All files of the session as it is now. */
  files(): Promise<Files> {
    return this.session.write(this.frame);
  }

  private soon(): void {
    this.unsaved = true;
    if (!this.told) this.events.saving();
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.flush(), SOON);
  }

  private async save(): Promise<void> {
    try {
      if (!this.store) throw new Error("no storage");
      this.unsaved = false;
      await this.store.put({ ...this.work, files: await this.files(), saved: Date.now() });
      this.told = false;
      if (!this.unsaved) this.events.saved(new Date());
    } catch {
      this.unsaved = true;
      if (this.told) return;
      this.told = true;
      this.events.failed(
        "The browser does not keep your work: its storage is full or switched off. " +
          "Save the session to a file before you close this page.",
      );
    }
  }
}
