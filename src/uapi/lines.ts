/**
 * The lines `KEY=VALUE` of an answer, one after the other. A daemon with thousands of peers says the
 * same keys for each of them: a key is told from the text once, and after that expected where it came
 * the last time. Owns no meaning of keys and values.
 */

const EQUALS = 0x3d;
const NEWLINE = '\n';

/** A key, and what its reader has made of it. */
interface Known<T> {
  readonly key: string;
  readonly meaning: T;
  /** What the line after it was of the last time. */
  next: Known<T> | null;
}

/**
 * Calls `read` for each line with an `=`, the last one without a newline, too; what has none is
 * skipped.
 *
 * @param meaningOf asked once for each different key; null for one whose lines are to be skipped
 */
export function readLines<T>(
  text: string,
  meaningOf: (key: string) => T | null,
  read: (meaning: T, value: string) => void,
): void {
  const known = new Map<string, Known<T | null>>();
  let before: Known<T | null> = { key: '', meaning: null, next: null };
  for (let at = 0, end = 0; at < text.length; at = end + 1) {
    end = text.indexOf(NEWLINE, at);
    if (end < 0) end = text.length;
    let found = before.next;
    if (found === null || !isAt(text, at, found.key)) {
      const line = text.slice(at, end);
      const equals = line.indexOf('=');
      if (equals < 0) continue;
      const key = line.slice(0, equals);
      found = known.get(key) ?? { key, meaning: meaningOf(key), next: null };
      known.set(key, found);
      before.next = found;
    }
    before = found;
    if (found.meaning !== null) read(found.meaning, text.slice(at + found.key.length + 1, end));
  }
}

/** Whether the line that begins there is of the key, which holds no newline. */
function isAt(text: string, at: number, key: string): boolean {
  return text.charCodeAt(at + key.length) === EQUALS && text.startsWith(key, at);
}
