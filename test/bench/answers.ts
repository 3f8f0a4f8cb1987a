/**
 * The scenario of an operator's question: how long `tswg IF` takes, as a multiple of the shortest
 * program that Node.js runs, since most of it is the start of Node.js.
 */

import type { Host } from '../lab/host.ts';
import { IFNAME, TSWG } from './implementation.ts';
import type { Scenario } from './scenario.ts';
import { median } from './statistics.ts';
import { withTunnel } from './traffic.ts';

const ROW = 'show';
const TURNS = 9;

/** In turns, so that both meet the machine in the same mood. The first of each is not counted. */
export const answers: Scenario = {
  name: 'an answer of tswg',
  rows: [ROW],
  implementations: [TSWG],
  measure: (context) =>
    withTunnel(context, ({ left: { host } }) =>
      context.attempt([ROW], async () => {
        const nothing: number[] = [];
        const shown: number[] = [];
        for (let turn = 0; turn <= TURNS; turn++) {
          const least = await durationMs(host, process.execPath, ['-e', '0']);
          const whole = await durationMs(host, 'tswg', [IFNAME]);
          if (turn === 0) continue;
          nothing.push(least);
          shown.push(whole);
        }
        context.record(ROW, median(shown) / median(nothing));
      }),
    ),
};

async function durationMs(host: Host, program: string, words: readonly string[]): Promise<number> {
  const start = performance.now();
  await host.run(program, words);
  return performance.now() - start;
}
