/** Small files that hold secrets, and the standard streams when they carry one: bytes and modes. */

import { constants, fstatSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { isatty } from 'node:tty';

const STDIN = 0;
const STDOUT = 1;

export interface SmallFile {
  readonly isRegular: boolean;
  /** Permission bits. */
  readonly mode: number;
  /** Its user's number. */
  readonly owner: number;
  /** Its first bytes, a character each; empty when it is not a regular file. */
  readonly text: string;
}

/** Reads at most `maxBytes`. @throws NodeJS.ErrnoException */
export async function readSmallFile(path: string, maxBytes: number): Promise<SmallFile> {
  // Without O_NONBLOCK, opening a pipe would wait for its writer.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await file.stat();
    const mode = status.mode & 0o7777;
    const owner = status.uid;
    if (!status.isFile()) return { isRegular: false, mode, owner, text: '' };
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(maxBytes) });
    return { isRegular: true, mode, owner, text: buffer.toString('latin1', 0, bytesRead) };
  } finally {
    await file.close();
  }
}

/** Standard input up to its end, or a little beyond `maxBytes`. */
export async function readStandardInput(maxBytes: number): Promise<string> {
  let text = '';
  process.stdin.setEncoding('latin1');
  for await (const chunk of process.stdin) {
    text += chunk;
    if (text.length > maxBytes) break;
  }
  return text;
}

/** Whether a person would have to type it. */
export function isInputTerminal(): boolean {
  return isatty(STDIN);
}

/** Permission bits of the file that standard output goes to; null when that is no regular file. */
export function standardOutputMode(): number | null {
  const status = fstatSync(STDOUT);
  return status.isFile() ? status.mode & 0o7777 : null;
}
