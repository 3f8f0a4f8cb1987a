/** Load and capacity. Every load ends by itself. */

import { parseAddress } from '../../../src/packet/address.ts';
import { createFrames, createPayloads } from '../../flood/ammunition.ts';
import { createRandom, POOL_SIZE, randomSource } from '../../flood/sources.ts';
import { Flood, type Rate, wayBetween } from '../../flood/volley.ts';
import { sleep } from '../../lab/command.ts';
import { firstPing } from '../../lab/probes.ts';
import type { Case } from '../case.ts';
import { IFNAME, PORT, type Sites } from '../sites.ts';

const TALK_MS = 4_000;
/** Until the gate has judged, or the queue is taken for long enough. */
const FLOOD_FIRST_MS = 2_000;
const FLOOD_S = 40;

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

export const LOADS: readonly Case[] = [
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
