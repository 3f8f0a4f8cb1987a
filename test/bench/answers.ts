/**
 * The scenario of a cold start: how long an operator's question, a TAB and a daemon's launch take, as
 * multiples of the shortest program that Node.js runs, since most of each is the start of Node.js.
 */

import type { Host } from '../lab/host.ts';
import { IFNAME, TSWG } from './implementation.ts';
import type { Scenario } from './scenario.ts';
import { median } from './statistics.ts';
import { withTunnel } from './traffic.ts';

/** Row -> what is asked of `tswg`. */
const QUESTIONS: Readonly<Record<string, readonly string[]>> = {
  show: [IFNAME],
  complete: ['--complete', IFNAME, 'wgp'],
};
const LAUNCH = 'launch-node';
const TURNS = 9;

/** In turns, so that all meet the machine in the same mood. The first of each is not counted. */
export const answers: Scenario = {
  name: 'a cold start',
  rows: [LAUNCH, ...Object.keys(QUESTIONS)],
  implementations: [TSWG],
  measure: (context) =>
    withTunnel(context, ({ left: { host }, launchMs }) =>
      context.attempt([LAUNCH, ...Object.keys(QUESTIONS)], async () => {
        const nothing: number[] = [];
        const taken = Object.keys(QUESTIONS).map((): number[] => []);
        for (let turn = 0; turn <= TURNS; turn++) {
          const least = await durationMs(host, process.execPath, ['-e', '0']);
          if (turn > 0) nothing.push(least);
          for (const [i, words] of Object.values(QUESTIONS).entries()) {
            const whole = await durationMs(host, 'tswg', words);
            if (turn > 0) taken[i].push(whole);
          }
        }
        context.record(LAUNCH, launchMs / median(nothing));
        for (const [i, row] of Object.keys(QUESTIONS).entries()) {
          context.record(row, median(taken[i]) / median(nothing));
        }
      }),
    ),
};

async function durationMs(host: Host, program: string, words: readonly string[]): Promise<number> {
  const start = performance.now();
  await host.run(program, words);
  return performance.now() - start;
}
