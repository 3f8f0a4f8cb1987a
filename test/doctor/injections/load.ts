/** Load and capacity. Every load ends by itself. */

import { randomFillSync } from 'node:crypto';
import { Arena } from '../../../src/arena.ts';
import { createOpensslSuite } from '../../../src/crypto/openssl/openssl.ts';
import { createPortableSuite } from '../../../src/crypto/portable.ts';
import { CookieMaker } from '../../../src/noise/cookie.ts';
import { Handshake } from '../../../src/noise/handshake.ts';
import { INITIATION_BYTES } from '../../../src/noise/messages.ts';
import { parseAddress } from '../../../src/packet/address.ts';
import { createFrames, createPayloads } from '../../flood/ammunition.ts';
import { createRandom, POOL_SIZE, randomSource } from '../../flood/sources.ts';
import { Flood, type Rate, wayBetween } from '../../flood/volley.ts';
import { sleep } from '../../lab/command.ts';
import { firstPing } from '../../lab/probes.ts';
import { compiledProgram } from '../../lab/repository.ts';
import type { Case } from '../case.ts';
import { daemonPid, IFNAME, PORT, type Site, type Sites, writeHostnameFile } from '../sites.ts';

const TALK_MS = 4_000;
/** Until the gate has judged, or the queue is taken for long enough. */
const FLOOD_FIRST_MS = 2_000;
const FLOOD_S = 40;
/** Enough to be under load, and too few for the gate to shut. */
const FLOODED_PER_S = 1_900;
/** A hundred times what one address may. */
const GREEDY_PER_S = 2_000;
/** Longer than the socket's buffer lasts, and shorter than doctor waits for an answer. */
const STOPPED_S = 0.8;
/** Shorter than doctor takes, who sees one stop at least from its beginning to its end. */
const RUNNING_S = 0.3;
/** More than one thread can carry. */
const SMALL_PER_S = 2_000_000;
const SMALL_BYTES = 32;
const ARENA_BYTES = 1 << 20;
/** Twice what one peer may. */
const RESTLESS_PER_S = 100;
/** Shorter than the time between two initiations. */
const FORGET_S = 2;
/** Two initiations without an answer, and the time between them. */
const TWO_TRIES_MS = 12_000;

/** Forged initiations from everywhere to a side. */
async function flood({ router }: Sites, victim: Site, rate: Rate): Promise<void> {
  const publicKey = Buffer.from(victim.keys.publicKey, 'base64');
  const none = { publicKey, initiation: new Uint8Array(0), data: [] };
  const target = {
    way: await wayBetween(router, `wan-${victim.letter}`, victim.host, 'wan'),
    address: parseAddress(victim.wan[4])!,
    port: PORT,
  };
  const random = createRandom(1);
  const sources = Array.from({ length: POOL_SIZE }, () => randomSource(4, random));
  const frames = createFrames(createPayloads('forged initiations', none), target, sources);
  await Flood.start(router, `wan-${victim.letter}`, {
    frames,
    seconds: FLOOD_S,
    rate,
    isRandom: true,
  });
  // Before all others, where we may: a load that pauses is none at that moment.
  if (rate !== 'max') await router.sh('chrt -f -p 1 "$(pgrep -nf attacker.js)" || true');
  await sleep(FLOOD_FIRST_MS);
}

/** The router gives A's datagrams an address of its own, and another port after each silence. */
async function forgetSoon({ router }: Sites): Promise<void> {
  await router.nft(`
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan-b" masquerade fully-random
  }
}`);
  for (const name of ['udp_timeout', 'udp_timeout_stream']) {
    await router.sysctl(`net.netfilter.nf_conntrack_${name}`, FORGET_S);
  }
}

/** The router calls a side, with a cookie, from the address of that side's link. */
async function callGreedily({ router }: Sites, victim: Site): Promise<void> {
  const caller = router.spawn(process.execPath, [
    ...[compiledProgram('test/doctor/caller.ts'), victim.keys.publicKey, victim.wan[4]],
    ...[`${PORT}`, `${GREEDY_PER_S}`, `${FLOOD_S}`],
  ]);
  await caller.waitForOutput(/cookie/);
}

/** Initiations of B to A, each with a later timestamp, as a program makes them that never waits. */
async function callRestlessly({ router, a, b }: Sites): Promise<void> {
  // By the fastest that there is: other cases wait for this process meanwhile.
  const arena = new Arena(ARENA_BYTES);
  const suite = createOpensslSuite(arena) ?? createPortableSuite(arena);
  const remoteStatic = Buffer.from(a.keys.publicKey, 'base64');
  const privateKey = Buffer.from(b.keys.privateKey, 'base64');
  const identity = { privateKey, publicKey: Buffer.from(b.keys.publicKey, 'base64') };
  const handshake = new Handshake(suite, identity, remoteStatic);
  const maker = new CookieMaker(remoteStatic);
  const payloads = Array.from({ length: RESTLESS_PER_S * FLOOD_S }, (_, index) => {
    const message = new Uint8Array(INITIATION_BYTES);
    handshake.createInitiation(message, index + 1, Date.now(), (out) => void randomFillSync(out));
    maker.addMacs(message, 0);
    return message;
  });
  const way = await wayBetween(router, 'wan-a', a.host, 'wan');
  const target = { way, address: parseAddress(a.wan[4])!, port: PORT };
  const frames = createFrames(payloads, target, [{ address: parseAddress(b.wan[4])!, port: PORT }]);
  const orders = { frames, seconds: FLOOD_S, rate: RESTLESS_PER_S, isRandom: false };
  await Flood.start(router, 'wan-a', orders);
}

/** One TCP stream from A to B, as fast as it goes. */
async function sendStream({ a, b }: Sites): Promise<void> {
  const listener = b.host.spawn('timeout', [`${FLOOD_S}`, 'iperf3', '-s', '-1', '--forceflush']);
  await listener.waitForOutput(/Server listening/);
  a.host.spawn('timeout', [`${FLOOD_S}`, 'iperf3', '-c', b.inner[4], '-t', `${FLOOD_S}`]);
}

/** The daemon has to share one processor with three programs that never sleep. */
async function crowdProcessor(side: Site): Promise<void> {
  const pid = await daemonPid(side);
  await side.host.run('taskset', ['-acp', '0', `${pid}`]);
  for (let n = 0; n < 3; n++) {
    const loop = ['taskset', '-c', '0', 'sh', '-c', 'while :; do :; done'];
    side.host.spawn('timeout', [`${FLOOD_S}`, ...loop]);
  }
}

/** Datagrams from B to A, at a rate that A can take well. */
async function sendDatagrams({ a, b }: Sites): Promise<void> {
  const listener = a.host.spawn('timeout', [`${FLOOD_S}`, 'iperf3', '-s', '-1', '--forceflush']);
  await listener.waitForOutput(/Server listening/);
  const rate = ['-u', '-b', '200M', '-l', '1200'];
  b.host.spawn('timeout', [`${FLOOD_S}`, 'iperf3', '-c', a.inner[4], ...rate, '-t', `${FLOOD_S}`]);
}

/** The daemon is stopped again and again, as by a hypervisor that has others to serve. */
async function stutter(side: Site): Promise<void> {
  const pid = await daemonPid(side);
  const beats = Math.round(FLOOD_S / (STOPPED_S + RUNNING_S));
  const beat = `kill -STOP ${pid}; sleep ${STOPPED_S}; kill -CONT ${pid}; sleep ${RUNNING_S}`;
  side.host.spawn('sh', ['-c', `for n in $(seq ${beats}); do ${beat}; done`]);
}

export const LOADS: readonly Case[] = [
  {
    // A cookie holds for one address and port, and the NAT has given another one at the next try.
    id: 'peerUnderLoad/again',
    code: 'peerUnderLoad',
    inject: async (sites) => {
      await forgetSoon(sites);
      await flood(sites, sites.b, FLOODED_PER_S);
      return undefined;
    },
    talkMs: TWO_TRIES_MS,
    says: /\d cookies of it/,
  },
  {
    id: 'peerUnderLoad/first call',
    code: 'peerUnderLoad',
    inject: async (sites) => {
      await flood(sites, sites.b, FLOODED_PER_S);
      return undefined;
    },
    talks: [],
    says: /1 cookie of it/,
  },
  {
    id: 'rateLimited/address',
    code: 'rateLimited',
    inject: async (sites) => {
      await callGreedily(sites, sites.a);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /handshakes over the limit were dropped/,
  },
  {
    id: 'rateLimited/peer',
    code: 'rateLimited',
    inject: async (sites) => {
      await firstPing(sites.a.host, sites.b.inner[4]);
      await callRestlessly(sites);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /initiations of it were dropped/,
  },
  {
    id: 'processorSaturated/starved',
    code: 'processorSaturated',
    inject: async (sites) => {
      await sendStream(sites);
      await crowdProcessor(sites.a);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /keep the daemon from the processors[\s\S]*it was ready to and had no processor[\s\S]*renice/,
  },
  {
    id: 'processorSaturated/small packets',
    code: 'processorSaturated',
    inject: async ({ a, b }) => {
      await firstPing(a.host, b.inner[4]);
      const program = compiledProgram('test/flood/talker.ts');
      const words = [`${FLOOD_S}`, `${SMALL_PER_S}`, `${SMALL_BYTES}`, b.inner[4]];
      // Each on a processor of its own, as far as there are some.
      await a.host.run('taskset', ['-acp', '0', `${await daemonPid(a)}`]);
      await b.host.run('taskset', ['-acp', '1', `${await daemonPid(b)}`]);
      a.host.spawn('taskset', ['-c', '1', process.execPath, program, ...words]);
      return undefined;
    },
    talkMs: TALK_MS,
    // Where others are at work on this machine, too, the daemon gets no whole one.
    says: /uses a whole processor|keep the daemon from the processors/,
  },
  {
    id: 'receiveOverflow',
    code: 'receiveOverflow',
    inject: async (sites) => {
      await firstPing(sites.a.host, sites.b.inner[4]);
      await sendDatagrams(sites);
      await stutter(sites.a);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the socket of UDP port 51820 dropped \d+ packets/,
  },
  {
    id: 'underLoad',
    code: 'underLoad',
    inject: async (sites) => {
      await flood(sites, sites.a, FLOODED_PER_S);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /handshakes without a cookie/,
  },
  {
    id: 'gateShut',
    code: 'gateShut',
    inject: async (sites) => {
      await writeHostnameFile(sites.a, sites.words(sites.a));
      await flood(sites, sites.a, 'max');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the gate is shut[\s\S]*nft add rule .* saddr != '\{ 203\.0\.113\.10 \}' drop/,
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
