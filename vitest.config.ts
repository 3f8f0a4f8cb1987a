import { basename } from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Tests that start programs and build networks: most of their time they wait for these. */
const systemTests = [
  'test/{sys,crypto/openssl,tun,udp,gate,netlink,sandbox,control,state,handover,host,resolver,daemon}/**/*.test.ts',
  'test/{lab,interop,e2e}/**/*.test.ts',
  'test/doctor/gather/**/*.test.ts',
  'test/doctor/injections.test.ts',
  // Of the examples two; `npm run examples` runs them all (vitest.examples.config.ts).
  'test/examples/{two-lans,road-warriors}.test.ts',
];
/**
 * Those of them that look at a daemon as it is shipped: its start, its end, what it takes. The others
 * do without the rehearsal, which is more than half of what a start computes, and they start many.
 */
const asShipped = [
  'test/e2e/{embedded,idle,lifecycle,memory,netstart,readme,resources,sandbox,upgrade}.test.ts',
];
/**
 * Those that wait for the protocol's own time, the longest first: others run meanwhile. Then one that
 * computes for so long that it would be alone at the end.
 */
const LONGEST = [
  ...['rekey.test.ts', 'wireguardgo.test.ts', 'persist.test.ts', 'upgrade.test.ts'],
  ...['lifecycle.test.ts', 'faults.test.ts', 'fulltunnel.test.ts', 'idle.test.ts'],
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

/** Of the projects whose tests need the lab (test/lab). */
const system = {
  pool: 'forks',
  testTimeout: SYSTEM_TIMEOUT_MS,
  hookTimeout: SYSTEM_TIMEOUT_MS,
} as const;

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...systemTests, ...timingTests, 'test/examples/*.test.ts'],
          maxWorkers: WORKERS,
          testTimeout: UNIT_TIMEOUT_MS,
          hookTimeout: UNIT_TIMEOUT_MS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'shipped',
          include: asShipped,
          ...system,
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: systemTests,
          exclude: [...timingTests, ...asShipped],
          globalSetup: 'test/lab/announce.ts',
          env: { TSWG_WARM: '0' },
          ...system,
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'timing',
          include: timingTests,
          ...system,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
