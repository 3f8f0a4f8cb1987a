/** Allowed IPs that lack something, here or at the other end. */

import { createKeyPair } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { PORT, type Site, type Sites, tswg } from '../sites.ts';
import { keepPinging, otherEnd } from './means.ts';

/** A handshake, and some packets after it. */
const TALK_MS = 4_000;

/** Gives the peer these allowed IPs, in place of those that it has. */
function allow(side: Site, peer: Site, ...prefixes: readonly string[]): Promise<string> {
  const words = prefixes.map((prefix) => `wgaip ${prefix}`);
  return tswg(side, [`wgpeer ${peer.keys.publicKey}`, ...words].join(' '));
}

async function forgetAllowedIps({ a, b }: Sites): Promise<void> {
  await tswg(a, `-wgpeer ${b.keys.publicKey}`);
  await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint ${b.wan[4]} ${PORT}`);
}

/** A second peer, of which nobody knows where it is. */
function addPeer(side: Site, prefix: string): Promise<string> {
  return tswg(side, `wgpeer ${createKeyPair().publicKey} wgdescr paris wgaip ${prefix}`);
}

export const ALLOWED_IPS: readonly Case[] = [
  {
    id: 'noAllowedIps',
    code: 'noAllowedIps',
    inject: async (sites) => {
      await forgetAllowedIps(sites);
      return undefined;
    },
    talks: ['b'],
    talkMs: TALK_MS,
    says: /wgaip 10\.99\.0\.2\/32/,
  },
  {
    id: 'allowedIpsTaken/equal',
    code: 'allowedIpsTaken',
    beside: ['noEndpoint'],
    inject: async ({ a }) => {
      await addPeer(a, '10.99.0.2/32');
      return undefined;
    },
    talks: ['b'],
    talkMs: TALK_MS,
    says: /peer paris has wgaip 10\.99\.0\.2\/32[\s\S]*-wgaip 10\.99\.0\.2\/32\n[\s\S]*wgaip 10\.99\.0\.2\/32$/m,
  },
  {
    id: 'allowedIpsTaken/longer',
    code: 'allowedIpsTaken',
    beside: ['noEndpoint'],
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await addPeer(a, '10.20.0.5/32');
      keepPinging(b.behind!, '10.0.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /takes 10\.20\.0\.5 from[\s\S]*-wgaip 10\.20\.0\.5\/32$/m,
  },
  {
    id: 'allowedIpsLackAddress/received',
    code: 'allowedIpsLackAddress',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(a, b, '10.20.0.0/24', 'fd00:b::/64');
      return undefined;
    },
    talks: ['b'],
    talkMs: TALK_MS,
    says: /the last from 10\.99\.0\.2[\s\S]*wgaip 10\.20\.0\.0\/24 wgaip fd00:b::\/64 wgaip 10\.99\.0\.2\/32/,
  },
  {
    id: 'allowedIpsLackAddress/sent',
    code: 'allowedIpsLackAddress',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(a, b, '10.20.0.0/24', 'fd00:b::/64');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /wgaip 10\.99\.0\.2\/32$/m,
  },
  {
    id: 'allowedIpsLackNetwork/routed',
    code: 'allowedIpsLackNetwork',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(a, b, '10.99.0.2/32', 'fd00:99::2/128', 'fd00:b::/64');
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /10\.20\.0\.0\/24 is routed into wg0, but is no peer's/,
  },
  {
    id: 'allowedIpsLackNetwork/silent',
    code: 'allowedIpsLackNetwork',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(a, b, '10.99.0.2/32', 'fd00:99::2/128', '10.20.0.0/24');
      return undefined;
    },
    talks: [],
    says: /fd00:b::\/64/,
  },
  {
    id: 'allowedIpsLackNetwork/received',
    code: 'allowedIpsLackNetwork',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(a, b, '10.99.0.2/32', 'fd00:99::2/128', '10.20.0.0/30', 'fd00:b::/64');
      keepPinging(b.behind!, '10.0.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the last from 10\.20\.0\.5/,
  },
  {
    id: 'otherLacksAllowedIps',
    code: 'otherLacksAllowedIps',
    inject: async ({ a, b }) => {
      await allow(b, a, 'fd00:99::1/128');
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /lack 10\.99\.0\.1[\s\S]*# at the other end/,
  },
  {
    id: 'otherLacksAllowedIps/of a LAN',
    code: 'otherLacksAllowedIps',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await allow(b, a, '10.99.0.1/32', 'fd00:99::1/128', 'fd00:a::/64');
      keepPinging(a.behind!, '10.20.0.5');
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /lack 10\.0\.0\.5/,
  },
  {
    id: 'nothingComesBack',
    code: 'nothingComesBack',
    inject: async ({ a, b }) => {
      await allow(b, a, '192.0.2.0/24');
      return undefined;
    },
    // The other end's keepalive comes ten seconds after the first of them.
    talkMs: 13_000,
    says: /0 received, but \d+ keepalives?/,
  },
  {
    id: 'nothingComesBack/one family',
    code: 'nothingComesBack',
    inject: async ({ a, b }) => {
      await allow(b, a, 'fd00:99::1/128');
      keepPinging(a.host, '10.99.0.2');
      return undefined;
    },
    says: /of others than doctor went to 10\.99\.0\.2/,
  },
];
