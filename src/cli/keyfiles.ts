/** Secrets on their way in and out of files: what may be read, and what is better not written to. */

import {
  isInputTerminal,
  readStandardInput as readInput,
  readSmallFile,
  standardOutputMode,
} from '../host/secretfile.ts';
import { couldHoldKey, visible } from '../quotation.ts';
import type { Draft, KeySource } from './command.ts';
import { parseKey } from './keys.ts';
import { Refusal } from './refusal.ts';
import { quoteShellWord } from './shellwords.ts';

/** More than any key file holds; the rest is not read. */
const KEY_FILE_BYTES_MAX = 4096;
/** Readable or writable by the group or by everybody. */
const LOOSE_MODE = 0o066;

/**
 * The key in the file that a word such as wgkeyfile names.
 *
 * @throws Refusal unless it is a regular file that is its owner's alone and holds one key
 */
export async function readKeyFile(word: string, path: string): Promise<Uint8Array> {
  const shown = visible(path);
  try {
    const file = await readSmallFile(path, KEY_FILE_BYTES_MAX);
    if (!file.isRegular) {
      throw new Refusal(`${word}: ${shown}: expected a regular file, or - for standard input`);
    }
    // First of all it must be a key file: nobody is to be told to chmod /etc/passwd.
    const key = keyIn(file.text, word, shown);
    const loose = looseMistake(path, file.mode);
    if (loose !== null) throw new Refusal(`${word}: ${shown}: ${loose}`);
    return key;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(`${word}: ${shown}: ${explainFile((error as NodeJS.ErrnoException).code)}`);
  }
}

/** The key in the text that came from `shown`; a Refusal when it is none. */
export function keyIn(text: string, word: string, shown: string): Uint8Array {
  const key = parseKey(text.trim());
  if (key !== null) return key;
  const tool = word === 'wgkeyfile' ? 'genkey' : 'genpsk';
  throw new Refusal(
    `${word}: ${shown}: expected one line with a key of 44 base64 characters, as \`tswg ${tool}\` writes it`,
  );
}

/** What is wrong with the mode of a file of secrets, and how to fix it; null when nothing is. */
export function looseMistake(path: string, mode: number): string | null {
  if ((mode & LOOSE_MODE) === 0) return null;
  const shown = mode.toString(8).padStart(3, '0');
  const command = couldHoldKey(path) ? 'chmod 600' : `chmod 600 ${quotePath(path)}`;
  return `other users can access this file (mode ${shown}); fix it with: ${command}`;
}

export function explainFile(code: string | undefined): string {
  switch (code) {
    case 'ENOENT':
      return 'there is no such file';
    case 'EACCES':
    case 'EPERM':
      return 'reading it is not permitted; are you root?';
    default:
      return `cannot be read (${code ?? 'unknown reason'})`;
  }
}

/** For a shell, where a path that begins like an option has to say that it is none. */
function quotePath(path: string): string {
  return quoteShellWord(path.startsWith('-') ? `./${path}` : path);
}

/** All of standard input, as far as a key could reach. */
export function readStandardInput(): Promise<string> {
  // Without a word it would look as if it hung.
  if (isInputTerminal()) {
    process.stderr.write('tswg: waiting for a key on standard input; Ctrl-D ends it\n');
  }
  return readInput(KEY_FILE_BYTES_MAX);
}

/** Says so on standard error when a new secret goes to a file that others can read. */
export function warnOfLooseOutput(): void {
  if (((standardOutputMode() ?? 0) & LOOSE_MODE) === 0) return;
  process.stderr.write(
    'tswg: other users can access the file that this secret is written to; fix it with chmod 600, or use umask 077\n',
  );
}

/** What is to be said of secrets that stand on a command line. */
export function warnOfOpenKeys({ privateKey, peers }: Draft): string[] {
  const isOpen = (source: KeySource | undefined): boolean =>
    source?.kind === 'given' && source.key.some((octet) => octet !== 0);
  const words = [
    ...(isOpen(privateKey) ? ['wgkey'] : []),
    ...(peers.some((peer) => isOpen(peer.presharedKey)) ? ['wgpsk'] : []),
  ];
  return words.map(
    (word) => `${word}: other users can see this key in \`ps\`: ${word}file reads it from a file`,
  );
}
