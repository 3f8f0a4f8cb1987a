/**
 * The fuzzer finds what the simulator finds: of the faults that were put into the core on purpose,
 * those of the receiving side of runs (test/simulator/faults).
 */

import { describe, expect, it } from 'vitest';
import { faultNames, runWithFault } from '../simulator/faults.ts';
import type { Found } from './hunt.ts';

const TIMEOUT_MS = 300_000;
const SEED = 1;
/** Twice what the dearest took when this was written. */
const INPUTS = 3_100;

/** A counter that is used twice is the sending side's. */
const RECEIVING = faultNames().filter((name) => /-run-(?!leaves-a-counter)/.test(name));

describe('a deliberate fault in what is done once a run', () => {
  it('is one of at least five', () => {
    expect(RECEIVING.length).toBeGreaterThanOrEqual(5);
  });

  it.each(RECEIVING)(
    `%s is found within ${INPUTS} inputs`,
    { timeout: TIMEOUT_MS },
    async (name) => {
      const found: Found = JSON.parse(await runWithFault(name, 'test/fuzz/hunt', [SEED, INPUTS]));
      expect(found.what, JSON.stringify(found)).not.toBeNull();
    },
  );
});
