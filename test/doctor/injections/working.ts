/** Clocks, load and capacity. */

import { parseAddress } from '../../../src/packet/address.ts';
import { createFrames, createPayloads } from '../../flood/ammunition.ts';
import { createRandom, POOL_SIZE, randomSource } from '../../flood/sources.ts';
import { Flood, type Rate, wayBetween } from '../../flood/volley.ts';
import { sleep, waitFor } from '../../lab/command.ts';
import { firstPing } from '../../lab/probes.ts';
import type { Case } from '../case.ts';
import { IFNAME, PORT, type Site, type Sites, tswg } from '../sites.ts';
import { clockAhead, keepPinging, otherEnd, restartDaemon } from './means.ts';

const YEAR_MS = 365 * 24 * 3_600_000;
/** Two initiations without an answer, and the time between them. */
const TWO_TRIES_MS = 12_000;
const TALK_MS = 4_000;
/** Until the gate has judged, or the queue is taken for long enough. */
const FLOOD_FIRST_MS = 2_000;
const FLOOD_S = 40;

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

/** Forged initiations from everywhere to A. */
async function flood({ router, a }: Sites, rate: Rate): Promise<void> {
  const publicKey = Buffer.from(a.keys.publicKey, 'base64');
  const none = { publicKey, initiation: new Uint8Array(0), data: [] };
  const target = {
    way: await wayBetween(router, 'wan-a', a.host, 'wan'),
    address: parseAddress(a.wan[4])!,
    port: PORT,
  };
  const random = createRandom(1);
  const sources = Array.from({ length: POOL_SIZE }, () => randomSource(4, random));
  const frames = createFrames(createPayloads('forged initiations', none), target, sources);
  await Flood.start(router, 'wan-a', { frames, seconds: FLOOD_S, rate, isRandom: true });
  await sleep(FLOOD_FIRST_MS);
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
  {
    id: 'underLoad',
    code: 'underLoad',
    inject: async (sites) => {
      await flood(sites, 1_500);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /handshakes without a cookie/,
  },
  {
    id: 'gateShut',
    code: 'gateShut',
    inject: async (sites) => {
      await flood(sites, 'max');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the gate is shut/,
  },
  {
    id: 'queueOverflow',
    code: 'queueOverflow',
    inject: async ({ a, b }) => {
      await firstPing(a.host, b.inner[4]);
      await a.host.ip(`link set ${IFNAME} txqueuelen 4`);
      // Whole bursts at once, which no reader is fast enough for.
      for (let n = 0; n < 4; n++) a.host.spawn('node', ['-e', BURSTS, b.inner[4]]);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the queue of wg0 dropped \d+ packets?[\s\S]*txqueuelen/,
  },
];

const BURSTS = `
const socket = require('dgram').createSocket('udp4');
const packet = Buffer.alloc(1200);
setInterval(() => {
  for (let n = 0; n < 60; n++) socket.send(packet, 9, process.argv[1]);
}, 50);
setTimeout(() => process.exit(), 60_000);
`;
