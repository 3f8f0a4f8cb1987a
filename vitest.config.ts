import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests that start programs and build networks: most of their time they wait for these. */
const systemTests = [
  'test/{sys,crypto/openssl,tun,udp,gate,netlink,sandbox,control,state,handover,host,daemon}/**/*.test.ts',
  'test/{lab,interop,e2e}/**/*.test.ts',
];
/** Those that wait for the protocol's own time, the longest first: others run meanwhile. */
const LONGEST = [
  ...['rekey.test.ts', 'wireguardgo.test.ts', 'persist.test.ts', 'upgrade.test.ts'],
  ...['lifecycle.test.ts', 'idle.test.ts'],
];
/**
 * More than a small machine has processors, since system tests wait; few enough that none starves.
 * Unit tests, which do not wait, fill the pauses: one group with them, so one number for both.
 */
const WORKERS = 5;
/** Tests that print durations, whose figures mean more when nothing else runs. */
const timingTests = [
  'test/e2e/timing.test.ts',
  'test/flood/flood.test.ts',
  'test/soak/soak.test.ts',
];

/** Catches a hang, also of a test that waits for several things: see HANG_MS in test/lab/command.ts. */
const SYSTEM_TIMEOUT_MS = 300_000;
const UNIT_TIMEOUT_MS = 120_000;

/** A bare clone has no durations of a run before, by which Vitest would order the files. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(basename(moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...systemTests, ...timingTests],
          maxWorkers: WORKERS,
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
          maxWorkers: WORKERS,
          testTimeout: SYSTEM_TIMEOUT_MS,
          hookTimeout: SYSTEM_TIMEOUT_MS,
          sequence: { groupOrder: 0 },
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
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
