/**
 * The scenario of a cold start: how long an operator's question, a TAB and a daemon's launch take, as
 * multiples of the shortest program that Node.js runs, since most of each is the start of Node.js.
 */

import { setTimeout } from 'node:timers/promises';
import type { Host } from '../lab/host.ts';
import { IFNAME, TSWG } from './implementation.ts';
import type { Context, Scenario } from './scenario.ts';
import { median } from './statistics.ts';
import { withTunnel } from './traffic.ts';

/** Row -> what is asked of `tswg`. */
const QUESTIONS: Readonly<Record<string, readonly string[]>> = {
  show: [IFNAME],
  complete: ['--complete', IFNAME, 'wgp'],
};
const LAUNCH = 'launch-node';
const TURNS = 9;
/** By then both daemons have ended their rehearsals, which would compete for the two cores. */
const REST_MS = 3_000;

/** In turns, so that all meet the machine in the same mood. The first of each is not counted. */
export const answers: Scenario = {
  name: 'a cold start',
  rows: [LAUNCH, ...Object.keys(QUESTIONS)],
  implementations: [TSWG],
  measure: (context) =>
    withTunnel(context, async ({ left: { host }, launchMs }) => {
      const asked = await answerable(context, host);
      await context.attempt([LAUNCH, ...asked.keys()], async () => {
        await setTimeout(REST_MS);
        const nothing: number[] = [];
        const taken = [...asked.keys()].map((): number[] => []);
        for (let turn = 0; turn < TURNS; turn++) {
          nothing.push(await durationMs(host, process.execPath, ['-e', '0']));
          for (const [i, words] of [...asked.values()].entries()) {
            taken[i].push(await durationMs(host, context.implementation.tool, words));
          }
        }
        context.record(LAUNCH, launchMs / median(nothing));
        for (const [i, row] of [...asked.keys()].entries()) {
          context.record(row, median(taken[i]) / median(nothing));
        }
      });
    }),
};

/** The questions that the tool knows: an earlier one may know fewer. Each has been asked once. */
async function answerable(context: Context, host: Host): Promise<Map<string, readonly string[]>> {
  const asked = new Map<string, readonly string[]>();
  await durationMs(host, process.execPath, ['-e', '0']);
  for (const [row, words] of Object.entries(QUESTIONS)) {
    await context.attempt([row], async () => {
      await durationMs(host, context.implementation.tool, words);
      asked.set(row, words);
    });
  }
  return asked;
}

async function durationMs(host: Host, program: string, words: readonly string[]): Promise<number> {
  const start = performance.now();
  await host.run(program, words);
  return performance.now() - start;
}
