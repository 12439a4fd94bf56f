/** What is kept in the browser (IndexedDB), so that a reload loses nothing. */
import type { Files } from "./zip";

/** The work on one image. */
export interface Kept {
  readonly key: string; // of the image
  readonly name: string; // of the image
  readonly image: Blob | null; // null: part of the page, or too large to keep
  readonly files: Files; // of the session
  readonly saved: number; // when, milliseconds
}

const [DATABASE, WORK] = ["napari-sam", "work"];
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
      request.onupgradeneeded = () => request.result.createObjectStore(WORK, { keyPath: "key" });
      return new Store(await done(request), page);
    } catch {
      return null;
    }
  }

  async put(work: Kept): Promise<void> {
    const transaction = this.database.transaction(WORK, "readwrite");
    transaction.objectStore(WORK).put({ ...work, key: this.page + work.key });
    await ended(transaction);
  }

  /** The work on an image. */
  async get(key: string): Promise<Kept | null> {
    const request = this.database.transaction(WORK).objectStore(WORK).get(this.page + key);
    return ((await done(request)) as Kept | undefined) ?? null;
  }

  /** The work of this page that was saved last; what is old is forgotten. */
  async last(): Promise<Kept | null> {
    const all = (await done(this.database.transaction(WORK).objectStore(WORK).getAll())) as Kept[];
    const mine = all.filter((work) => work.key.startsWith(this.page)).sort((a, b) => b.saved - a.saved);
    for (const old of mine.slice(MOST_KEPT)) await this.remove(old.key.slice(this.page.length));
    const [last] = mine;
    return last ? { ...last, key: last.key.slice(this.page.length) } : null;
  }

  async remove(key: string): Promise<void> {
    const transaction = this.database.transaction(WORK, "readwrite");
    transaction.objectStore(WORK).delete(this.page + key);
    await ended(transaction);
  }
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
