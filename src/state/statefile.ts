/**
 * The file in which a persistent daemon keeps its state for its successor: private keys are in it,
 * so it is of mode 0600, in a folder of mode 0700 that only this interface's daemon uses. Owns the
 * names, its first line and its checksum, its replacement by whole files only, and the judgement of
 * what is found; what the text says is state/savedstate.ts's.
 *
 *   /var/lib/tswg        root's, 0700: nobody else gets further
 *   /var/lib/tswg/wg0    the daemon's, which has become another user (sandbox.ts)
 *   /var/lib/tswg/wg0/state:
 *
 *     tswg-state 1 sha256=<64 hexadecimal digits of all that follows>
 *     <text>
 *
 * The folder is opened once, and the running daemon reaches the file through that descriptor alone
 * (openat, renameat, unlinkat): what takes a daemon's right to paths away leaves it this.
 */

import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fstatSync,
  fsync,
  fsyncSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { visible } from '../quotation.ts';
import type { WritableDirectory } from '../sandbox/sandbox.ts';
import { makeDirectory } from '../sys/directory.ts';
import {
  close,
  ERRNO,
  errno,
  openat,
  renameat,
  SystemError,
  systemErrorOf,
  unlinkat,
} from '../sys/libc.ts';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_WRONLY } from '../sys/linux.ts';
import { nodeCrypto } from '../sys/nodecrypto.ts';

const STATE_DIRECTORY = '/var/lib/tswg';
const STATE = 'state';
/** Of version 0.1.0, which had all states in one folder. */
const OLD_SUFFIX = '.state';

/**
 * Where states are, unless systemd names the folder of a unit with StateDirectory= (the first).
 *
 * @throws Error with one line for the operator
 */
export function stateDirectory(env: Readonly<Record<string, string | undefined>>): string {
  const directory = env.STATE_DIRECTORY?.split(':')[0] || STATE_DIRECTORY;
  if (isAbsolute(directory)) return directory;
  throw new Error(`STATE_DIRECTORY: ${visible(directory)}: expected a path that begins with /`);
}

/** Whether a daemon of this interface keeps a state, or has left one; false for who may not look. */
export function hasState(name: string, directory: string): boolean {
  return statesOf(name, directory).length > 0;
}

/**
 * Removes the state of an interface that is gone, with its daemon gone before; or nothing. What was
 * put aside goes, too: there are keys in it.
 */
export function removeState(name: string, directory: string): void {
  for (const path of statesOf(name, directory)) rmSync(path, { force: true });
  try {
    rmdirSync(join(directory, name));
  } catch {
    // There was none.
  }
}

/** Their paths, those of version 0.1.0 among them. */
function statesOf(name: string, directory: string): string[] {
  const find = (folder: string, file: string): string[] => {
    try {
      return readdirSync(folder)
        .filter((one) => one === file || one.startsWith(`${file}.corrupt`))
        .map((one) => join(folder, one));
    } catch {
      return [];
    }
  };
  return [...find(join(directory, name), STATE), ...find(directory, `${name}${OLD_SUFFIX}`)];
}

const VERSION = 1;
const HEAD = /^tswg-state (\d{1,9}) sha256=([0-9a-f]{64})$/;
/** 100,000 peers take 50 MB. */
const BYTES_MAX = 256 * 1024 * 1024;
const PRIVATE_MODE = 0o600;
const OTHERS = 0o077;
const OTHERS_MAY_WRITE = 0o022;

const { ENOENT, EACCES } = ERRNO;
const syncLater = promisify(fsync);

export type Found =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'text'; readonly text: string }
  /** It is not to be trusted: `why`, and `keptAs` which path, in words for an operator. */
  | { readonly kind: 'refused'; readonly why: string; readonly keptAs: string };

export class StateFile {
  readonly directory: WritableDirectory;
  readonly #parent: string;
  /** The folder's, which follows the interface's. */
  #name: string;
  readonly #directoryFd: number;

  /**
   * Opens the folder, which is made if it is missing.
   *
   * @param name the interface's
   * @param directory the folder with those of all interfaces
   * @throws {SystemError} in one line for an operator
   */
  constructor(name: string, directory: string) {
    this.#parent = directory;
    this.#name = name;
    const path = join(directory, name);
    close(openPrivateDirectory(directory, [0, process.geteuid?.()]));
    this.#directoryFd = openPrivateDirectory(path);
    this.directory = { path, fd: this.#directoryFd };
    this.#takeOverOld();
  }

  get path(): string {
    return join(this.#parent, this.#name, STATE);
  }

  /** The folder has the interface's new name. */
  renamed(name: string): void {
    this.#name = name;
  }

  /** The one where version 0.1.0, which was root, had it, unless there is a later one. */
  #takeOverOld(): void {
    const old = join(this.#parent, `${this.#name}${OLD_SUFFIX}`);
    const found = lstatSync(old, { throwIfNoEntry: false });
    if (found === undefined || !found.isFile()) return;
    if (![0, process.geteuid?.()].includes(found.uid)) return;
    const present = statSync(this.path, { throwIfNoEntry: false });
    try {
      if (present === undefined || present.mtimeMs < found.mtimeMs) renameSync(old, this.path);
      else rmSync(old);
    } catch (error) {
      throw systemErrorOf(`take the state ${old} over`, 'rename', error);
    }
  }

  /**
   * Reads what a predecessor left. What is refused is first put aside, so that the next
   * write does not destroy it. Only at the start, since it goes by paths.
   *
   * @throws {SystemError}
   */
  read(): Found {
    let fd: number;
    try {
      // Without O_NONBLOCK, opening a pipe would wait for its writer.
      fd = openSync(this.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return { kind: 'nothing' };
      if (code === 'ELOOP') return this.#refuse('it is a symbolic link');
      throw systemErrorOf(`read the state ${this.path}`, 'open', error);
    }
    try {
      const why = this.#mistrust(fstatSync(fd));
      if (why !== null) return this.#refuse(why, fd);
      const judged = this.#judgeBytes(fd);
      return judged.text === undefined
        ? this.#refuse(judged.why, fd)
        : { kind: 'text', text: judged.text };
    } finally {
      closeSync(fd);
    }
  }

  /** For a text whose first line and checksum were right, but which cannot be parsed. */
  refuse(why: string): Found & { readonly kind: 'refused' } {
    return this.#refuse(why);
  }

  /**
   * Replaces the file by one with this text: after a crash at any moment there is the old one or
   * the new one, whole. Waits for the disk without holding the event loop up. One at a time.
   *
   * @throws {SystemError} and the old file is still there
   */
  async write(text: string): Promise<void> {
    const temporary = `.${STATE}.new`;
    unlinkat(this.#directoryFd, temporary, 0);
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    const fd = openat(this.#directoryFd, temporary, flags, PRIVATE_MODE);
    if (fd < 0) throw this.#error('openat');
    const bytes = Buffer.from(`${headOf(text)}\n${text}`);
    try {
      try {
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
        await syncLater(fd);
      } finally {
        closeSync(fd);
      }
      const directory = this.#directoryFd;
      if (renameat(directory, temporary, directory, STATE) < 0) throw this.#error('renameat');
      await syncLater(directory);
    } catch (error) {
      unlinkat(this.#directoryFd, temporary, 0);
      if (error instanceof SystemError) throw error;
      throw systemErrorOf(this.#what, 'write', error);
    } finally {
      bytes.fill(0);
    }
  }

  /** @throws {SystemError} unless the file is gone */
  remove(): void {
    if (unlinkat(this.#directoryFd, STATE, 0) < 0 && errno() !== ENOENT) {
      throw new SystemError(`remove the state ${this.path}`, 'unlinkat', errno());
    }
    fsyncSync(this.#directoryFd);
  }

  close(): void {
    closeSync(this.#directoryFd);
  }

  get #what(): string {
    return `save the state ${this.path}`;
  }

  #error(call: string): SystemError {
    return new SystemError(this.#what, call, errno());
  }

  #judgeBytes(fd: number): ReturnType<typeof judge> {
    let bytes: Buffer;
    try {
      bytes = readFileSync(fd);
    } catch (error) {
      throw systemErrorOf(`read the state ${this.path}`, 'read', error);
    }
    const judged = judge(bytes);
    bytes.fill(0);
    return judged;
  }

  /** Whether somebody else may have written or read it: then it says nothing, and is no secret. */
  #mistrust(status: Stats): string | null {
    if (!status.isFile()) return 'it is not a regular file';
    const owners = [process.geteuid?.(), fstatSync(this.#directoryFd).uid];
    if (!owners.includes(status.uid)) return `it belongs to the user with the id ${status.uid}`;
    // A second name may be anywhere, and of a file that is not ours to judge.
    if (status.nlink > 1) return 'it has a second name (a hard link)';
    const mode = status.mode & 0o7777;
    if ((mode & OTHERS) !== 0) return `its mode is 0${mode.toString(8)}, expected 0600`;
    if (status.size > BYTES_MAX) return `it is longer than ${BYTES_MAX} bytes`;
    return null;
  }

  #refuse(why: string, fd?: number): Found & { readonly kind: 'refused' } {
    let aside = `${this.path}.corrupt`;
    for (let i = 1; existsSync(aside); i++) aside = `${this.path}.corrupt.${i}`;
    try {
      // There may be a private key in it.
      if (fd !== undefined && fstatSync(fd).nlink === 1) fchmodSync(fd, PRIVATE_MODE);
      renameSync(this.path, aside);
    } catch (error) {
      throw systemErrorOf(`put the state ${this.path} aside`, 'rename', error);
    }
    return { kind: 'refused', why, keptAs: aside };
  }
}

/**
 * @param owners who may own it; undefined: anybody
 * @throws {SystemError} also when others may write there: they could exchange the file
 */
function openPrivateDirectory(directory: string, owners?: readonly (number | undefined)[]): number {
  const what = `keep the state in ${directory}`;
  let fd: number;
  try {
    makeDirectory(directory, 0o700);
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw systemErrorOf(what, 'mkdir', error);
  }
  const { mode, uid } = fstatSync(fd);
  const isOwned = owners === undefined || owners.includes(uid);
  if (isOwned && (mode & OTHERS_MAY_WRITE) === 0) return fd;
  closeSync(fd);
  const why = isOwned
    ? 'other users may write there; `chmod 700` fixes it'
    : `it belongs to the user with the id ${uid}; \`chown root\` fixes it`;
  throw new SystemError(what, 'fstat', EACCES!, why);
}

function headOf(text: string): string {
  return `tswg-state ${VERSION} sha256=${nodeCrypto().createHash('sha256').update(text).digest('hex')}`;
}

function judge(bytes: Buffer): { text: string } | { text?: never; why: string } {
  const end = bytes.indexOf('\n');
  const [, version, checksum] = HEAD.exec(bytes.toString('latin1', 0, Math.max(end, 0))) ?? [];
  if (version === undefined) return { why: 'it does not begin like a state of tswgd' };
  if (Number(version) !== VERSION) {
    return { why: `it is of version ${version}, and this tswgd reads version ${VERSION}` };
  }
  const body = bytes.subarray(end + 1);
  if (nodeCrypto().createHash('sha256').update(body).digest('hex') !== checksum) {
    return { why: 'its checksum is wrong: it was cut off or changed' };
  }
  return { text: body.toString('utf8') };
}
