/** What is kept in the browser (IndexedDB), so that a reload loses nothing. */
import type { Files } from "./zip";

/** The work on one image. */
export interface Kept {
  readonly key: string; // of the image
  readonly name: string; // of the image
  readonly image: Blob | null; // null: part of the page, or too large to keep
  readonly files: Files; // of the session
  readonly saved: number; // when, milliseconds
  readonly run: string; // who saved it
}

type Entry = Pick<Kept, "key" | "name" | "saved" | "run">;

const [DATABASE, WORK, FILES] = ["napari-sam-page", "work", "files"];
const IMAGE = "image"; // its name among the files
const MOST_KEPT = 20; // images whose work is kept

export class Store {
  private constructor(
    private readonly database: IDBDatabase,
    private readonly page: string, // pages opened from files share one database
  ) {}

  /** Null if the browser refuses: a private window, or storage switched off. */
  static async open(page: string): Promise<Store | null> {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(WORK, { keyPath: "key" });
        request.result.createObjectStore(FILES); // under [key of the work, name]
      };
      return new Store(await done(request), page);
    } catch {
      return null;
    }
  }

  /**
   * Keep the work on an image: all of it, or nothing.
   *
   * @param before the files that the same run kept last; of these only what differs is written
   */
  async put(work: Kept, before: Files | null): Promise<void> {
    const [key, { name, saved, run }] = [this.page + work.key, work];
    const transaction = this.database.transaction([WORK, FILES], "readwrite");
    const [entries, files] = [transaction.objectStore(WORK), transaction.objectStore(FILES)];
    const last = (await done(entries.get(key))) as Entry | undefined;
    const known = last?.run === run ? before : null;
    if (!known) {
      files.delete(filesOf(key));
      if (work.image) files.put(work.image, [key, IMAGE]);
    }
    for (const old of known?.keys() ?? []) if (!work.files.has(old)) files.delete([key, old]);
    for (const [each, bytes] of work.files) if (known?.get(each) !== bytes) files.put(bytes, [key, each]);
    entries.put({ key, name, saved, run } satisfies Entry);
    await ended(transaction);
  }

  /** The work on an image. */
  async get(key: string): Promise<Kept | null> {
    const transaction = this.database.transaction([WORK, FILES]);
    const all = filesOf(this.page + key);
    const [entry, names, contents] = (await Promise.all([
      done(transaction.objectStore(WORK).get(this.page + key)),
      done(transaction.objectStore(FILES).getAllKeys(all)),
      done(transaction.objectStore(FILES).getAll(all)),
    ])) as [Entry | undefined, [string, string][], (Uint8Array | Blob)[]];
    if (!entry) return null;
    const files = new Map(names.map(([, name], n) => [name, contents[n]!]));
    const image = (files.get(IMAGE) as Blob | undefined) ?? null;
    files.delete(IMAGE);
    return { ...entry, key, image, files: files as Files };
  }

  /** The work of this page that was saved last; what is old is forgotten. */
  async last(): Promise<Kept | null> {
    const all = (await done(this.database.transaction(WORK).objectStore(WORK).getAll())) as Entry[];
    const mine = all.filter((work) => work.key.startsWith(this.page)).sort((a, b) => b.saved - a.saved);
    for (const old of mine.slice(MOST_KEPT)) await this.remove(old.key);
    const [last] = mine;
    return last ? this.get(last.key.slice(this.page.length)) : null;
  }

  private async remove(key: string): Promise<void> {
    const transaction = this.database.transaction([WORK, FILES], "readwrite");
    transaction.objectStore(WORK).delete(key);
    transaction.objectStore(FILES).delete(filesOf(key));
    await ended(transaction);
  }
}

/** All files of some work. */
function filesOf(key: string): IDBKeyRange {
  return IDBKeyRange.bound([key], [key, []]);
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = transaction.onerror = () => reject(transaction.error);
  });
}
