/**
 * Fuzzes the messages target until it fails, and prints what was found as one line of JSON. A program
 * of its own, because faults.test.ts runs it with other cores than this one.
 *
 *     node hunt.js SEED INPUTS
 */

import { fuzz } from './run.ts';
import { messages } from './targets/messages.ts';

export interface Found {
  /** How many inputs it took; all of them when nothing was found. */
  readonly inputs: number;
  /** null: not found. */
  readonly what: string | null;
}

const [seed, inputs] = process.argv.slice(2).map(Number);
const report = await fuzz(messages, { seed, inputs });
const found: Found = { inputs: report.inputs, what: report.failure?.what ?? null };
console.log(JSON.stringify(found));
