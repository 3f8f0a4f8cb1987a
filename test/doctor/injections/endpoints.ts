/** Where the peer is said to be, and which way leads there. */

import type { Case } from '../case.ts';
import { PORT, type Site, type Sites, tswg, writeHostnameFile } from '../sites.ts';

const NAME = 'vpn.example.net';

/** A hosts file of its own, in place of the link to that of the machine that the tests run on. */
async function writeHosts({ host }: Site, lines: string): Promise<void> {
  await host.run('rm', ['-f', '/etc/hosts', '/etc/resolv.conf']);
  await host.writeFile('/etc/hosts', `127.0.0.1 localhost\n${lines}\n`, '644');
  await host.writeFile('/etc/resolv.conf', '', '644');
}

/** B's place in A's hostname file is a name that means `meaning`, or nothing, now. */
async function writeName({ a, b }: Sites, meaning: string | null): Promise<void> {
  const words = `wgpeer ${b.keys.publicKey} wgendpoint ${NAME} ${PORT}`;
  await writeHostnameFile(a, `${words} wgaip ${b.inner[4]}/32 wgaip ${b.inner[6]}/128`);
  await writeHosts(a, meaning === null ? '' : `${meaning} ${NAME}`);
}

/** A calls B by that name while it means this. */
async function callByName({ a, b }: Sites, meaning: string): Promise<void> {
  await writeHosts(a, `${meaning} ${NAME}`);
  await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint ${NAME} ${PORT}`);
}

/** A second address of A's, as of another line. */
const SECOND = '198.51.100.200';

/** It is there when the words ask for it, and then it is not. */
async function loseAddress({ a }: Sites, words: string): Promise<void> {
  await a.host.ip(`address add ${SECOND}/24 dev wan`);
  await tswg(a, words);
  await a.host.ip(`address delete ${SECOND}/24 dev wan`);
}

export const ENDPOINTS: readonly Case[] = [
  {
    id: 'wrongPort/other',
    code: 'wrongPort',
    inject: async ({ a, b }) => {
      await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint ${b.wan[4]} 9`);
    },
    asksOther: true,
    says: /port 9, but it is at port 51820/,
  },
  {
    id: 'wrongPort/heard',
    code: 'wrongPort',
    inject: async ({ a, b }) => {
      const words = `wgpeer ${b.keys.publicKey} wgendpoint ${b.wan[4]} 9`;
      await writeHostnameFile(a, `${words} wgaip ${b.inner[4]}/32 wgaip ${b.inner[6]}/128`);
      await tswg(a, words);
    },
    talks: ['b'],
    talkMs: 5_000,
    says: /wgendpoint 203\.0\.113\.10 51820/,
  },
  {
    id: 'nameUnresolved',
    code: 'nameUnresolved',
    inject: async (sites) => {
      await callByName(sites, '203.0.113.77');
      await writeName(sites, null);
    },
    says: /vpn\.example\.net/,
  },
  {
    id: 'nameElsewhere',
    code: 'nameElsewhere',
    // As of a daemon that knows the address alone.
    inject: async (sites) => {
      const { a, b } = sites;
      await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint 203.0.113.77 ${PORT}`);
      await writeName(sites, '203.0.113.10');
    },
    says: /wgendpoint vpn\.example\.net 51820/,
  },
  {
    id: 'nameFamilyUnroutable',
    code: 'nameFamilyUnroutable',
    inject: async (sites) => {
      await sites.a.host.sysctl('net.ipv6.conf.wan.disable_ipv6', 1);
      await callByName(sites, '2001:db8:b::10');
      await writeName(sites, '2001:db8:b::10');
    },
    says: /IPv6 addresses only/,
  },
  {
    id: 'noEndpoint',
    code: 'noEndpoint',
    inject: async ({ a, b }) => {
      await tswg(b, `wgpeer ${a.keys.publicKey} -wgendpoint`);
      await tswg(a, `wgpeer ${b.keys.publicKey} -wgendpoint`);
    },
    talkMs: 3_000,
  },
];

export const WAYS_OUT: readonly Case[] = [
  {
    id: 'routingLoop/route',
    code: 'routingLoop',
    inject: async ({ a, b }) => {
      // Without a mark the daemon goes around the tunnel by itself.
      await tswg(a, 'wgfwmark 51820');
      await a.host.ip(`route add ${b.wan[4]} dev wg0`);
    },
    talkMs: 6_000,
    says: /ip route replace 203\.0\.113\.10\/32 via 198\.51\.100\.1 dev wan/,
  },
  {
    id: 'routingLoop/default',
    code: 'routingLoop',
    inject: async ({ a, b }) => {
      await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 0.0.0.0/0`);
      await a.host.ip('route replace default dev wg0');
    },
    talkMs: 6_000,
    says: /wgfwmark/,
  },
  {
    id: 'endpointNoRoute/default',
    code: 'endpointNoRoute',
    inject: async ({ a }) => {
      await a.host.ip('route delete default');
    },
    talkMs: 6_000,
    says: /ENETUNREACH/,
  },
  {
    id: 'endpointNoRoute/prohibit',
    code: 'endpointNoRoute',
    inject: async ({ a, b }) => {
      await a.host.ip(`route add prohibit ${b.wan[4]}`);
    },
    talkMs: 6_000,
    says: /ip route delete prohibit/,
  },
  {
    id: 'sourceGone/wgbind',
    code: 'sourceGone',
    inject: async (sites) => {
      await loseAddress(sites, `wgbind ${SECOND}`);
    },
    says: /which wgbind asks for/,
  },
  {
    id: 'sourceGone/via',
    code: 'sourceGone',
    inject: async (sites) => {
      const { b } = sites;
      const place = `wgendpoint ${b.wan[4]} ${PORT} via ${SECOND}`;
      await loseAddress(sites, `wgpeer ${b.keys.publicKey} ${place}`);
    },
    says: /which via asks for/,
  },
  {
    id: 'endpointRouteUnexpected/neighbour',
    code: 'endpointRouteUnexpected',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await a.host.ip(`route add ${b.wan[4]} via 10.0.0.77 dev lan`);
    },
    says: /leaves by lan/,
  },
  {
    id: 'endpointRouteUnexpected/blackHole',
    code: 'endpointRouteUnexpected',
    plan: { lans: true },
    inject: async ({ a, b }) => {
      await a.host.ip(`route add ${b.wan[4]} via 10.0.0.5 dev lan`);
    },
    says: /leaves by lan/,
  },
];
