/** The simulator finds every fault that was put into the core on purpose (npm run simulate -- --faults). */

import { describe, expect, it } from 'vitest';
import { faultNames, findFault } from './faults.ts';

const TIMEOUT_MS = 600_000;
const HOURS = 1;
/** Twice what the dearest took when this was written. */
const SEEDS = 330;

describe('a deliberate fault', () => {
  it('is one of at least ten', () => {
    expect(faultNames().length).toBeGreaterThanOrEqual(10);
  });

  it.each(faultNames())(
    `%s is found within ${SEEDS} seeds`,
    { timeout: TIMEOUT_MS },
    async (name) => {
      const finding = await findFault(name, SEEDS, HOURS);
      expect(finding.invariant, JSON.stringify(finding)).not.toBeNull();
      expect(finding.invariant).not.toBe('exception');
    },
  );
});
