/**
 * `node dist/test/bench/crowdmain.js [PEERS...] [--go]`: what crowds of peers cost tswgd (and
 * wireguard-go), as a table. By default 1,000 and 10,000 peers.
 */

import { runCommand } from '../lab/openlabs.ts';
import { type CrowdCost, measureCrowd } from './crowd.ts';
import { TSWG, WIREGUARD_GO } from './implementation.ts';

const DEFAULT_COUNTS = [1_000, 10_000];

async function main(words: readonly string[]): Promise<number> {
  const counts = words.filter((word) => /^\d+$/.test(word)).map(Number);
  const implementations = words.includes('--go') ? [TSWG, WIREGUARD_GO] : [TSWG];
  for (const count of counts.length === 0 ? DEFAULT_COUNTS : counts) {
    for (const implementation of implementations) {
      console.log(`${implementation.name}: ${format(await measureCrowd(implementation, count))}`);
    }
  }
  return 0;
}

function format({ peers, steps, upgradePauseMs, ...memory }: CrowdCost): string {
  const { rssBeforeMb, rssOnceMb, rssThriceMb, peakMb } = memory;
  const lines = Object.entries(steps).map(
    ([name, { ms, silenceMs }]) =>
      `  ${name.padEnd(26)}${ms.toFixed(0).padStart(6)} ms, silence ${silenceMs.toFixed(0)} ms`,
  );
  const mb = [rssBeforeMb, rssOnceMb, rssThriceMb].map((one) => one.toFixed(0)).join(', ');
  return [
    `${peers} peers`,
    ...lines,
    `  memory before, once, thrice: ${mb} MB, peak ${peakMb.toFixed(0)} MB`,
    ...(upgradePauseMs === null ? [] : [`  upgrade: a pause of ${upgradePauseMs} ms`]),
  ].join('\n');
}

await runCommand('crowd', main);
