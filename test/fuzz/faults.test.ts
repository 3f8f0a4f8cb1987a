/**
 * The fuzzer finds what the simulator finds: of the faults that were put into the core on purpose
 * (test/simulator/faults), those in what is done once a run.
 */

import { describe, expect, it } from 'vitest';
import { faultNames, runWithFault } from '../simulator/faults.ts';
import type { Found } from './hunt.ts';

const TIMEOUT_MS = 300_000;
const SEED = 1;
/** Twice what the dearest took when this was written. */
const INPUTS = 3_100;

/** A counter that is used twice is the sending side's. */
const FAULTS = faultNames()
  .filter((name) => name.includes('-run-'))
  .map((name) => ({ name, target: name.endsWith('leaves-a-counter') ? 'frames' : 'messages' }));

describe('a deliberate fault in what is done once a run', () => {
  it('is one of at least six', () => {
    expect(FAULTS.length).toBeGreaterThanOrEqual(6);
  });

  it.each(FAULTS)(
    `$name is found within ${INPUTS} inputs of the $target`,
    { timeout: TIMEOUT_MS },
    async ({ name, target }) => {
      const found: Found = JSON.parse(
        await runWithFault(name, 'test/fuzz/hunt', [target, SEED, INPUTS]),
      );
      expect(found.what, JSON.stringify(found)).not.toBeNull();
    },
  );
});
