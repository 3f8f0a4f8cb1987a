/**
 * The scenarios of size: one active peer among many, one active prefix among many, and the
 * lookup of an allowed IP by itself.
 */

import { AllowedIps } from '../../src/device/allowedips.ts';
import { createKeyPair } from '../lab/tunnel.ts';
import { TSWG, WIREGUARD_GO } from './implementation.ts';
import { gigabitsPerSecond } from './iperf.ts';
import { PEER_COUNTS, PREFIX_COUNTS } from './rows.ts';
import type { Context, Scenario } from './scenario.ts';
import { mean } from './statistics.ts';
import { load, measureTcp, withTunnel } from './traffic.ts';
import type { Tunnel } from './tunnel.ts';

const BOTH = [WIREGUARD_GO, TSWG];
const CROWD = 1_000;
/** Even, so that both are first equally often. */
const CROWD_TURNS = 4;
const LOOKUPS = 2_000_000;
const WARM_UP_LOOKUPS = 200_000;
const PROBES = 4_096;
const NS_PER_MS = 1e6;
/** 10.0.0.0/8, in which the tunnel's own addresses lie, so that they share the table's path. */
const NET = 0x0a000000;
/** 10.99.0.0/24 is the tunnel's. */
const TUNNEL_NET = 0x0a6300;

/** In order of growth: each count adds to the peers of the last. */
export const peers: Scenario = {
  name: 'many peers',
  rows: PEER_COUNTS.map((count) => `peers-${count}`),
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      let present = 1;
      for (const count of context.settings.peerCounts) {
        if (!context.wants(`peers-${count}`)) continue;
        await tunnel.addConfiguration(idlePeers(present, count));
        present = count;
        await measureTcp(context, tunnel, `peers-${count}`);
      }
    }),
};

/**
 * What is left of the throughput among many peers: two tunnels at once, one with a single peer, in
 * turns, since a machine that others share too moves more from one minute to the next than the
 * peers can cost. The first load of each warms it up and is not counted.
 */
export const crowd: Scenario = {
  name: 'a crowd of peers',
  rows: ['peers-kept'],
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, (alone) =>
      withTunnel(context, async (crowded) => {
        await crowded.addConfiguration(idlePeers(1, CROWD));
        await context.attempt(['peers-kept'], async () => {
          const rates = new Map<Tunnel, number[]>([
            [alone, []],
            [crowded, []],
          ]);
          const turns = [...rates];
          for (let turn = 0; turn <= CROWD_TURNS; turn++) {
            // Whoever is first this time is second the next.
            for (const [tunnel, measured] of turns.reverse()) {
              const rate = gigabitsPerSecond(await load(context, tunnel, {}));
              if (turn > 0) measured.push(rate);
            }
          }
          const [single, many] = [...rates.values()].map(mean);
          context.record('peers-kept', many / single);
        });
      }),
    ),
};

/** The table's other prefixes all belong to one peer that never speaks. */
export const prefixes: Scenario = {
  name: 'many allowed IPs',
  rows: PREFIX_COUNTS.map((count) => `prefixes-${count}`),
  implementations: BOTH,
  measure: (context) =>
    withTunnel(context, async (tunnel) => {
      const { publicKey } = createKeyPair();
      for (const count of context.settings.prefixCounts) {
        if (!context.wants(`prefixes-${count}`)) continue;
        if (count > 1) await giveIdlePrefixes(tunnel, publicKey, count - 1);
        await measureTcp(context, tunnel, `prefixes-${count}`);
      }
    }),
};

/** In this very process, without a daemon around it. */
export const lookups: Scenario = {
  name: 'lookups of allowed IPs',
  rows: PREFIX_COUNTS.map((count) => `lookup-${count}`),
  implementations: [TSWG],
  isInProcess: true,
  measure: async (context) => {
    for (const count of context.settings.prefixCounts) measureLookup(context, count);
  },
};

function giveIdlePrefixes(tunnel: Tunnel, publicKey: string, count: number): Promise<void> {
  const list = randomPrefixes(count).map(({ word, length }) => `${dotted(word)}/${length}`);
  return tunnel.addConfiguration(peerSection(publicKey, list.join(', ')));
}

/** Sections for peers of which the first `from` are there already. */
export function idlePeers(from: number, to: number): string {
  // Any 32 bytes are a public key; these belong to nobody.
  const sections = Array.from({ length: to - from }, (_, i) => {
    const key = createIdleKey();
    return peerSection(key, `${dotted(NET + 0x800000 + from + i)}/32`);
  });
  return sections.join('');
}

function createIdleKey(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64');
}

function peerSection(publicKey: string, allowedIps: string): string {
  return `[Peer]\nPublicKey = ${publicKey}\nAllowedIPs = ${allowedIps}\n`;
}

interface NumericPrefix {
  /** The IPv4 address as an unsigned number. */
  readonly word: number;
  readonly length: number;
}

/** Different prefixes of 10.0.0.0/8, /20 to /32, none of them inside the tunnel's /24. */
export function randomPrefixes(count: number): NumericPrefix[] {
  const random = generator();
  const found = new Map<string, NumericPrefix>();
  while (found.size < count) {
    const length = 20 + (random() % 13);
    const host = 2 ** (32 - length);
    const word = NET + Math.floor((random() % 2 ** 24) / host) * host;
    if (word >>> 8 === TUNNEL_NET) continue;
    found.set(`${word}/${length}`, { word, length });
  }
  return [...found.values()];
}

/** Always the same sequence, so that every implementation gets the same table. */
function generator(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function dotted(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.');
}

function measureLookup(context: Context, count: number): void {
  const table = new AllowedIps<number>();
  const held = randomPrefixes(count);
  held.forEach(({ word, length }, index) => {
    const address = Uint8Array.of(word >>> 24, word >>> 16, word >>> 8, word);
    table.insert({ address, length }, index);
  });
  const addresses = new Uint8Array(4 * PROBES);
  const random = generator();
  const view = new DataView(addresses.buffer);
  for (let i = 0; i < PROBES; i++) view.setUint32(4 * i, held[random() % count].word);
  let hits = 0;
  const run = (lookupCount: number): void => {
    for (let i = 0; i < lookupCount; i++) {
      if (table.lookup4(addresses, 4 * (i % PROBES)) !== null) hits++;
    }
  };
  run(WARM_UP_LOOKUPS);
  const start = performance.now();
  run(LOOKUPS);
  const elapsedMs = performance.now() - start;
  if (hits !== WARM_UP_LOOKUPS + LOOKUPS) throw new Error('lookup: an address was not found');
  context.record(`lookup-${count}`, (elapsedMs * NS_PER_MS) / LOOKUPS);
}
