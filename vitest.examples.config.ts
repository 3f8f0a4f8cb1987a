/** `npm run examples`: the examples and nothing else, with the seconds of each. */

import { defineConfig } from 'vitest/config';

/** They wait more than they compute; more at a time would starve each other on a small machine. */
const WORKERS = 2;
/** Of what waits for the protocol's own time several times over. */
const TIMEOUT_MS = 600_000;

export default defineConfig({
  test: {
    name: 'examples',
    include: ['test/exampletexts.test.ts', 'test/examples/*.test.ts'],
    globalSetup: 'test/lab/announce.ts',
    // Without the rehearsal of the daemon's start, as in the project e2e.
    env: { TSWG_WARM: '0' },
    pool: 'forks',
    maxWorkers: WORKERS,
    testTimeout: TIMEOUT_MS,
    hookTimeout: TIMEOUT_MS,
    reporters: ['default', './test/examples/reporter.ts'],
  },
});
