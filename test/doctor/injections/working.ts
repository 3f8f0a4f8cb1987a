/** Clocks. */

import { sleep, waitFor } from '../../lab/command.ts';
import type { Case } from '../case.ts';
import { type Site, type Sites, tswg } from '../sites.ts';
import { clockAhead, keepPinging, otherEnd, restartDaemon } from './means.ts';

const YEAR_MS = 365 * 24 * 3_600_000;
/** Two initiations without an answer, and the time between them. */
const TWO_TRIES_MS = 12_000;
const TALK_MS = 4_000;

/**
 * A handshake of the future, and then the present again without a memory of it. Keepalives alone make
 * it: who had sent data would begin a handshake of his own, and all would be well.
 */
async function setBack(sites: Sites, side: Site, other: Site): Promise<void> {
  await restartDaemon(side, sites.words(side), clockAhead(YEAR_MS));
  await tswg(side, `wgpeer ${other.keys.publicKey} wgpka 1`);
  await waitFor(
    async () => /"latestHandshake": ?[1-9]/.test(await tswg(other, '--json')),
    'a handshake of the future',
  );
  await restartDaemon(side, sites.words(side));
}

export const WORKING: readonly Case[] = [
  {
    id: 'timestampsRefused',
    code: 'timestampsRefused',
    inject: async (sites) => {
      await setBack(sites, sites.b, sites.a);
      return undefined;
    },
    talks: ['b'],
    talkMs: TWO_TRIES_MS,
    says: /since the last handshake, 3 initiations of it/,
  },
  {
    id: 'clockSetBack',
    code: 'clockSetBack',
    inject: async (sites) => {
      await setBack(sites, sites.a, sites.b);
      keepPinging(sites.a.host, sites.b.inner[4]);
      await sleep(TWO_TRIES_MS);
      return otherEnd(sites.b, sites.a);
    },
    talkMs: TALK_MS,
    says: /refused \d+ initiations? of ours/,
  },
];
