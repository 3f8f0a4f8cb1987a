/**
 * The simulator against cores that are wrong on purpose: each patch of `faults/` is applied to a
 * copy of the sources, compiled, and simulated until an invariant fails. A simulator that finds
 * nothing in these would prove nothing about the real one.
 */

import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { REPOSITORY } from '../lab/repository.ts';
import type { Finding } from './hunt.ts';

const execute = promisify(execFile);

const NAME_WIDTH = 36;
const FOLDER = path.join(REPOSITORY, 'test/simulator/faults');
/** What the simulator and the fuzzer are made of, besides packages. */
const COPIED = [
  ...['src', 'test/simulator', 'test/fuzz', 'test/noise', 'test/packet'],
  ...['test/device/world.ts', 'test/lab/repository.ts', 'package.json'],
];

/** Names of the faults, in order. */
export function faultNames(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => path.basename(file, '.patch'))
    .sort();
}

/** Simulates the core with the fault, for at most so many seeds of so many hours. */
export async function findFault(name: string, seeds: number, hours: number): Promise<Finding> {
  return JSON.parse(await runWithFault(name, 'test/simulator/hunt', [seeds, hours]));
}

/**
 * What a program prints that is compiled from the sources with the fault.
 * @throws when the patch does not apply any more, or what it makes does not compile, or it fails.
 */
export async function runWithFault(
  name: string,
  program: string,
  args: readonly (string | number)[],
): Promise<string> {
  const copy = mkdtempSync(path.join(tmpdir(), 'tswg-fault-'));
  try {
    for (const one of COPIED)
      cpSync(path.join(REPOSITORY, one), path.join(copy, one), { recursive: true });
    symlinkSync(path.join(REPOSITORY, 'node_modules'), path.join(copy, 'node_modules'));
    await apply(name, copy);
    const script = await compile(copy, program);
    const { stdout } = await execute(process.execPath, [script, ...args.map(String)]);
    return stdout;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Applies the patch to the tree at `root`, which is in no repository; the lines about it may have changed. */
async function apply(name: string, root: string): Promise<void> {
  const patch = path.join(FOLDER, `${name}.patch`);
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: path.dirname(root) };
  await execute('git', ['apply', '-C1', '--whitespace=nowarn', patch], { cwd: root, env });
}

/** Compiles without checking types; returns the program to run. */
async function compile(root: string, program: string): Promise<string> {
  const config = {
    extends: path.join(REPOSITORY, 'tsconfig.json'),
    compilerOptions: {
      rootDir: root,
      outDir: path.join(root, 'dist'),
      ...{ noCheck: true, incremental: false, tsBuildInfoFile: null },
      ...{ sourceMap: false, declaration: false },
    },
    include: [],
    files: [`${program}.ts`],
  };
  writeFileSync(path.join(root, 'tsconfig.json'), JSON.stringify(config));
  mkdirSync(path.join(root, 'dist'), { recursive: true });
  const tsc = path.join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  await execute(process.execPath, [tsc, '-p', root], { cwd: root });
  return path.join(root, 'dist', `${program}.js`);
}

/** One line a fault: what it is, how many seeds it took, and what found it. */
export function formatFinding(name: string, finding: Finding): string {
  const { seeds, invariant, sentence, deviceHours } = finding;
  if (invariant === null) return `${name.padEnd(NAME_WIDTH)} NOT FOUND in ${seeds} seeds`;
  const count = `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`.padStart(9);
  const hours = `${deviceHours.toFixed(1)} device-hours`.padStart(20);
  return `${name.padEnd(NAME_WIDTH)}${count}${hours}  ${invariant}: ${sentence.split('\n')[0]}`;
}
