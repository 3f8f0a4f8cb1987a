/**
 * Runs seed after seed until one fails, and prints what was found as one line of JSON. A program of
 * its own, because faults.ts runs it with other cores than this one.
 *
 *     node hunt.js SEEDS HOURS
 */

import { run } from './run.ts';
import { createScenario } from './scenario.ts';

export interface Finding {
  /** How many seeds it took; all of them when nothing was found. */
  readonly seeds: number;
  /** null: not found. */
  readonly invariant: string | null;
  readonly sentence: string;
  /** Virtual hours of all Devices until then. */
  readonly deviceHours: number;
}

function hunt(seeds: number, hours: number): Finding {
  let deviceMs = 0;
  for (let seed = 1; seed <= seeds; seed++) {
    const result = run(createScenario(seed, hours), { crypto: 'fast' });
    deviceMs += result.deviceMs;
    if (result.failure === null) continue;
    const { invariant, sentence } = result.failure;
    return { seeds: seed, invariant, sentence, deviceHours: deviceMs / 3_600_000 };
  }
  return { seeds, invariant: null, sentence: '', deviceHours: deviceMs / 3_600_000 };
}

const [seeds, hours] = process.argv.slice(2).map(Number);
console.log(JSON.stringify(hunt(seeds, hours)));
