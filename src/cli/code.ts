/**
 * Loads the parts of a program (packaging/bundle.mjs), and keeps what the engine has compiled of them in
 * a file beside them, as Python does: compiling is most of what loading takes. Owns that file. What is
 * kept is believed without a look at it, as the parts themselves are: both lie in one folder, which is
 * its owner's, and it is on the disk before it has its name.
 *
 *     TSWGCODE, 32 bits: the length of the list, the list in JSON, and what it tells of, one after the other
 */

import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

const MAGIC = 'TSWGCODE';
const HEAD_BYTES = 12;
const MODE = 0o644;

/** What is written around a part: the names that Node.js gives to a module in CommonJS. */
const BEFORE = '(function (exports, require, module, __filename, __dirname) { ';
const AFTER = '\n})';

type Require = (id: string) => unknown;
type Wrapped = (
  exports: unknown,
  require: Require,
  module: { exports: unknown },
  file: string,
  folder: string,
) => void;

interface Kept {
  readonly file: string;
  /** Of the part that it was made of: what `stat` tells, since the engine compares no more than the length. */
  readonly mark: string;
  readonly bytes: number;
}

interface List {
  readonly node: string;
  readonly list: readonly Kept[];
}

/** By the part's file. */
type AllKept = Map<string, { mark: string; data: Buffer }>;

interface Part {
  readonly module: { exports: unknown };
  /** Whether the engine took what was kept. */
  readonly isKept: boolean;
}

export interface Program {
  /** Resolves to the exit code. `keep`: see Code. */
  main(
    argv: readonly string[],
    env: Record<string, string | undefined>,
    keep: () => void,
  ): Promise<number>;
}

/** Loads the program of that name, which lies beside this file. `requireOther`: see Code. */
export function load(name: string, requireOther: Require): Pick<Program, 'main'> {
  const code = new Code(dirname(fileURLToPath(import.meta.url)), name, requireOther);
  const { main } = code.require(`./${name}.cjs`) as Program;
  // What the engine makes under other options it does not take without them, nor the other way round.
  const hasOptions = process.execArgv.length > 0 || Boolean(process.env.NODE_OPTIONS);
  const keep = (): void => {
    if (!hasOptions) code.keep();
  };
  return { main: (argv, env) => main(argv, env, keep) };
}

export class Code {
  readonly #folder: string;
  readonly #file: string;
  readonly #requireOther: Require;
  readonly #kept: AllKept;
  readonly #parts = new Map<string, Part>();

  /**
   * @param folder where the parts are
   * @param name the program's; its first part is NAME.cjs
   * @param requireOther loads what is no part
   */
  constructor(folder: string, name: string, requireOther: Require) {
    this.#folder = folder;
    this.#file = join(folder, `${name}.code`);
    this.#requireOther = requireOther;
    this.#kept = readKept(this.#file);
  }

  /** The exports of a part, run when it is first asked for. `id`: as in `require`, ./FILE */
  readonly require: Require = (id) => {
    if (!id.startsWith('./')) return this.#requireOther(id);
    const file = id.slice(2);
    return (this.#parts.get(file) ?? this.#load(file)).module.exports;
  };

  #load(file: string): Part {
    const path = join(this.#folder, file);
    const { text, mark } = readPart(path);
    const found = this.#kept.get(file);
    const cachedData = found?.mark === mark ? found.data : undefined;
    const options = { filename: path, ...(cachedData && { cachedData }) };
    const script = new Script(text, options);
    const isKept = script.cachedDataRejected === false;
    const part: Part = { module: { exports: {} }, isKept };
    // Before it is run: parts may ask for each other in a circle.
    this.#parts.set(file, part);
    const { module } = part;
    const run = script.runInThisContext() as Wrapped;
    run.call(module.exports, module.exports, this.require, module, path, dirname(path));
    return part;
  }

  /**
   * Writes what is not kept yet of the parts that were asked for: with a new version, a new Node.js, or
   * a part that was not asked for before. That takes as long as a start. Without the right to do so it
   * does nothing.
   */
  keep(): void {
    const missing = [...this.#parts].filter(([, { isKept }]) => !isKept).map(([file]) => file);
    if (missing.length === 0) return;
    const draft = this.#file.replace(/code$/, `${process.pid}.code`);
    try {
      const fd = openSync(draft, 'wx', MODE);
      try {
        // Under the mask of an operator who was making a key, none but root could read it.
        fchmodSync(fd, MODE);
        // Another process may have kept others meanwhile.
        const all = readKept(this.#file);
        for (const file of missing) all.set(file, compile(join(this.#folder, file)));
        writeFileSync(fd, pack(all));
        // Else a name may come to be of a file that is empty, with the machine's end.
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(draft, this.#file);
    } catch {
      // It may not, or the disk is full: next time, perhaps.
      discard(draft);
    }
  }
}

function discard(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is not there, or stays.
  }
}

/**
 * Every function of a part. By itself the engine compiles what is called, and a daemon that has confined
 * itself, from which most is called, could not write that any more.
 */
function compile(path: string): { mark: string; data: Buffer } {
  // Not loaded for every start.
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  const { text, mark } = readPart(path);
  // It would find the part as it was loaded.
  const flags = ['lazy', 'compilation-cache'];
  for (const flag of flags) setFlagsFromString(`--no-${flag}`);
  let script: Script;
  try {
    script = new Script(text, { filename: path });
  } finally {
    // Also where the part is being replaced, and is half of another one. What is kept tells the flags
    // that it was made with.
    for (const flag of flags) setFlagsFromString(`--${flag}`);
  }
  return { mark, data: script.createCachedData() };
}

function pack(all: AllKept): Buffer {
  const list = [...all].map(([file, { mark, data }]) => ({ file, mark, bytes: data.length }));
  const text = Buffer.from(JSON.stringify({ node: process.version, list }));
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(MAGIC);
  head.writeUInt32LE(text.length, MAGIC.length);
  return Buffer.concat([head, text, ...[...all.values()].map(({ data }) => data)]);
}

/** The bundler writes ASCII, which is read faster when nothing else is expected. */
function readPart(path: string): { text: string; mark: string } {
  const fd = openSync(path, 'r');
  try {
    const { ino, size, ctimeMs } = fstatSync(fd);
    // In one piece: putting strings together would copy them once more.
    const bytes = Buffer.allocUnsafe(BEFORE.length + size + AFTER.length);
    bytes.write(BEFORE, 'latin1');
    const end = BEFORE.length + readSync(fd, bytes, BEFORE.length, size, 0);
    bytes.write(AFTER, end, 'latin1');
    return {
      text: bytes.toString('latin1', 0, end + AFTER.length),
      mark: `${ino}.${size}.${ctimeMs}`,
    };
  } finally {
    closeSync(fd);
  }
}

/** Nothing where the file is not there, or of another Node.js. */
function readKept(path: string): AllKept {
  const kept: AllKept = new Map();
  try {
    const file = readFileSync(path);
    if (file.toString('latin1', 0, MAGIC.length) !== MAGIC) return kept;
    let at = HEAD_BYTES + file.readUInt32LE(MAGIC.length);
    const { node, list } = JSON.parse(file.toString('utf8', HEAD_BYTES, at)) as List;
    if (node !== process.version) return kept;
    for (const { file: name, mark, bytes } of list) {
      kept.set(name, { mark, data: file.subarray(at, at + bytes) });
      at += bytes;
    }
  } catch {
    // It is not there, or is not ours.
  }
  return kept;
}
