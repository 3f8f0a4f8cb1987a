/**
 * Fuzzes one target until it fails, and prints what was found as one line of JSON. A program
 * of its own, because faults.test.ts runs it with other cores than this one.
 *
 *     node hunt.js TARGET SEED INPUTS
 */

import { fuzz } from './run.ts';
import type { Target } from './target.ts';
import { frames } from './targets/frames.ts';
import { messages } from './targets/messages.ts';

export interface Found {
  /** How many inputs it took; all of them when nothing was found. */
  readonly inputs: number;
  /** null: not found. */
  readonly what: string | null;
}

/** Those that reach the core. */
const TARGETS: Readonly<Record<string, Target>> = { messages, frames };

const [name, ...numbers] = process.argv.slice(2);
const [seed, inputs] = numbers.map(Number);
const report = await fuzz(TARGETS[name], { seed, inputs });
const found: Found = { inputs: report.inputs, what: report.failure?.what ?? null };
console.log(JSON.stringify(found));
