import { defineConfig } from 'vitest/config';

/** Tests that start programs and build networks: they take turns with few others. */
const systemTests = [
  'test/{sys,crypto/openssl,tun,udp,gate,netlink,sandbox,control,state,handover,host,daemon}/**/*.test.ts',
  'test/{lab,interop,e2e}/**/*.test.ts',
];
/** Tests that print durations, whose figures mean more when nothing else runs. */
const timingTests = [
  'test/e2e/timing.test.ts',
  'test/flood/flood.test.ts',
  'test/soak/soak.test.ts',
];

/** Catches a hang, also of a test that waits for several things: see HANG_MS in test/lab/command.ts. */
const SYSTEM_TIMEOUT_MS = 300_000;
const UNIT_TIMEOUT_MS = 120_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...systemTests, ...timingTests],
          testTimeout: UNIT_TIMEOUT_MS,
          hookTimeout: UNIT_TIMEOUT_MS,
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
          maxWorkers: 2,
          testTimeout: SYSTEM_TIMEOUT_MS,
          hookTimeout: SYSTEM_TIMEOUT_MS,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'timing',
          include: timingTests,
          pool: 'forks',
          maxWorkers: 1,
          testTimeout: SYSTEM_TIMEOUT_MS,
          hookTimeout: SYSTEM_TIMEOUT_MS,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
