import { defineConfig } from 'vitest/config';

/** Tests that start programs and build networks: they take turns with few others. */
const systemTests = ['test/{io,lab,interop,e2e}/**/*.test.ts'];
/** Tests of durations, which want the machine for themselves. */
const timingTests = [
  'test/e2e/timing.test.ts',
  'test/flood/flood.test.ts',
  'test/soak/soak.test.ts',
];

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...systemTests, ...timingTests],
          testTimeout: 20_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: systemTests,
          globalSetup: 'test/lab/announce.ts',
          exclude: timingTests,
          pool: 'forks',
          // Durations and real peers on a machine that may be busy: a failure has to repeat itself.
          retry: 1,
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'timing',
          include: timingTests,
          pool: 'forks',
          retry: 1,
          maxWorkers: 1,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
