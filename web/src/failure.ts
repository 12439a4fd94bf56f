/** What went wrong, in a sentence for the user: what was given, what is wanted, what to do. */
export class Failure extends Error {}

/** The sentence of any error. */
export function sentenceOf(error: unknown): string {
  if (error instanceof Failure) return error.message;
  if (error instanceof RangeError) {
    return "There is not enough memory for this. Close other tabs, or use a smaller image.";
  }
  const reason = error instanceof Error ? error.message : String(error);
  return `Something went wrong: ${reason}. Your annotations are kept.`;
}
