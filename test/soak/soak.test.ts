/**
 * A soak of half a minute, with all that happens in an hour closer together: what must hold on any
 * machine. `npm run soak` goes on for as long as memory takes to show that it grows.
 */

import { expect, it } from 'vitest';
import { describeInLab } from '../lab/suite.ts';
import { evaluate } from './outcome.ts';
import { formatOutcome } from './report.ts';
import { runSoak } from './soak.ts';

const BEAT_MS = 2_500;
const DURATION_MS = 30_000;
/** Printed with a failure. */
const SEED = 1 + (Date.now() % 1_000);

describeInLab('half a minute of trouble', ['wg', 'iperf3'], () => {
  it('costs no more packets than it may, no stream and no process', async () => {
    const settings = { durationMs: DURATION_MS, seed: SEED, beatMs: BEAT_MS };
    const recording = await runSoak(settings, () => {});
    const outcome = evaluate(recording);
    const broken = outcome.verdicts.filter(({ passed }) => passed === false);
    for (const { name, detail, isOfSpeed } of outcome.verdicts) {
      if (isOfSpeed) console.info(`half a minute of trouble: ${name}: ${detail}`);
    }
    // How soon traffic is back is judged by `npm run soak`.
    const failed = broken.filter(({ isOfSpeed }) => !isOfSpeed);
    expect(failed, `seed ${SEED}\n${formatOutcome(outcome)}`).toEqual([]);
    const kinds = new Set(recording.events.map(({ kind }) => kind));
    const all = ['start', 'reconfiguration', 'burst', 'kill', 'upgrade', 'down'];
    expect([...kinds].sort()).toEqual(all.sort());
    const upgrades = outcome.costs.filter(({ event }) => event.kind === 'upgrade');
    for (const { lostPings, lostDatagrams } of upgrades) {
      expect(lostPings + lostDatagrams, `seed ${SEED}\n${formatOutcome(outcome)}`).toBe(0);
    }
  });
});
