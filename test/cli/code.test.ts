/** What the engine has compiled of a program, kept beside it: src/cli/code.ts. */

import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Script } from 'node:vm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Code } from '../../src/cli/code.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'tswg-code-'));
  put('program.cjs', "exports.answer = () => require('./program-part.cjs').answer;\n");
  put('program-part.cjs', 'exports.answer = 1;\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const put = (file: string, text: string): void => writeFileSync(path.join(folder, file), text);
const kept = (): Buffer => readFileSync(path.join(folder, 'program.code'));
const open = (): Code => new Code(folder, 'program', createRequire(import.meta.url));
const answerOf = (code: Code): unknown =>
  (code.require('./program.cjs') as { answer(): unknown }).answer();

/** Runs the program once, and keeps what it has compiled. */
function run(): unknown {
  const code = open();
  const answer = answerOf(code);
  code.keep();
  return answer;
}

describe('the parts of a program', () => {
  it('are run once each, get what Node.js gives to a module, and reach what is no part', () => {
    put(
      'program.cjs',
      `globalThis.runs = (globalThis.runs ?? 0) + 1;
      exports.names = [__filename, __dirname, module.exports === exports, this === exports];
      exports.other = require('node:path').sep;`,
    );
    const code = open();
    const names = [path.join(folder, 'program.cjs'), folder, true, true];
    expect(code.require('./program.cjs')).toEqual({ names, other: '/' });
    expect(code.require('./program.cjs')).toBe(code.require('./program.cjs'));
    expect((globalThis as { runs?: number }).runs).toBe(1);
    expect(() => code.require('./absent.cjs')).toThrow('ENOENT');
  });

  it('may ask for each other in a circle', () => {
    put('program.cjs', "exports.first = 1; exports.seen = require('./program-part.cjs').seen;");
    put('program-part.cjs', "exports.seen = require('./program.cjs').first;");
    expect(open().require('./program.cjs')).toEqual({ first: 1, seen: 1 });
  });
});

describe('what is kept of them', () => {
  it('is used by the next one, which has nothing to write', () => {
    expect(run()).toBe(1);
    const code = open();
    expect(answerOf(code)).toBe(1);
    rmSync(path.join(folder, 'program.code'));
    code.keep();
    expect(readdirSync(folder).sort()).toEqual(['program-part.cjs', 'program.cjs']);
  });

  it('can be read by everybody, also when an operator who was making a key was the first', () => {
    const mask = process.umask(0o077);
    try {
      run();
    } finally {
      process.umask(mask);
    }
    expect(statSync(path.join(folder, 'program.code')).mode & 0o777).toBe(0o644);
  });

  it('is no longer used when the part is another of the same length', () => {
    expect(run()).toBe(1);
    rmSync(path.join(folder, 'program-part.cjs'));
    put('program-part.cjs', 'exports.answer = 2;\n');
    expect(run()).toBe(2);
    expect(run()).toBe(2);
  });

  it('takes further parts in beside those that are there', () => {
    put(
      'program.cjs',
      "exports.answer = () => 0; exports.more = () => require('./program-part.cjs');",
    );
    expect(run()).toBe(0);
    const before = kept().length;
    const code = open();
    (code.require('./program.cjs') as { more(): unknown }).more();
    // A third has kept something meanwhile.
    put('program-third.cjs', 'exports.third = 3;');
    const other = open();
    other.require('./program-third.cjs');
    other.keep();
    code.keep();
    const list = kept().toString('latin1');
    for (const name of ['program.cjs', 'program-part.cjs', 'program-third.cjs']) {
      expect(list).toContain(`"${name}"`);
    }
    expect(kept().length).toBeGreaterThan(before);
  });

  it.each([
    ['empty', () => Buffer.alloc(0)],
    ['something else', () => Buffer.from('something else that is longer than a head')],
    ['cut off in its head', (file: Buffer) => file.subarray(0, 10)],
    ['cut off in its list', (file: Buffer) => file.subarray(0, 40)],
    ['cut off in its last part', (file: Buffer) => file.subarray(0, -8)],
    [
      'of another Node.js',
      (file: Buffer) =>
        Buffer.from(file.toString('latin1').replace(process.version, 'v00.00.0'), 'latin1'),
    ],
  ])('is made again where the file is %s', (_, spoil) => {
    run();
    writeFileSync(path.join(folder, 'program.code'), spoil(kept()));
    expect(run()).toBe(1);
    expect(kept().toString('latin1')).toContain(`"node":"${process.version}"`);
    const code = open();
    expect(answerOf(code)).toBe(1);
    renameSync(path.join(folder, 'program.code'), path.join(folder, 'was'));
    code.keep();
    expect(readdirSync(folder)).not.toContain('program.code');
  });

  it('is not made of a part that is being replaced, and the engine is set as before', () => {
    // Of what the engine compiles only when it is called, it keeps less as long as it was not.
    const text = `function never() { return [${'1, '.repeat(1_000)}]; }`;
    const keptBytes = (name: string): number =>
      new Script(text, { filename: name }).createCachedData().length;
    const before = keptBytes('before');
    const code = open();
    expect(answerOf(code)).toBe(1);
    put('program-part.cjs', 'exports.answer = (');
    code.keep();
    expect(keptBytes('behind')).toBe(before);
    expect(readdirSync(folder).sort()).toEqual(['program-part.cjs', 'program.cjs']);
  });

  it('is not there where nothing can be written, which is no error', () => {
    const code = open();
    expect(answerOf(code)).toBe(1);
    rmSync(folder, { recursive: true });
    code.keep();
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  });
});
