/** Healthy tunnels over and between different networks. */

import { firstPing } from '../../lab/probes.ts';
import type { Case } from '../case.ts';
import { keepPinging, otherEnd } from '../injections/means.ts';
import { IFNAME, PORT, type Sites, tswg } from '../sites.ts';
import { well } from './well.ts';

const LANS = { plan: { lans: true } } as const;
const MARK = 51_820;

const use = ({ a, b }: Sites) => firstPing(a.host, b.inner[4]);

/** wg-quick's way: all but the tunnel's own datagrams goes into the tunnel. */
async function fullTunnel({ a, b }: Sites): Promise<void> {
  await tswg(a, `wgfwmark ${MARK}`);
  await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 0.0.0.0/0 wgaip ::/0`);
  for (const family of ['-4', '-6']) {
    await a.host.ip(`${family} route add default dev ${IFNAME} table ${MARK}`);
    await a.host.ip(`${family} rule add not fwmark ${MARK} table ${MARK}`);
    await a.host.ip(`${family} rule add table main suppress_prefixlength 0`);
  }
}

/** Two halves before the default route, and a way of its own for the endpoint. */
async function halves({ a, b }: Sites): Promise<void> {
  await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 0.0.0.0/0`);
  await a.host.ip(`route add ${b.wan[4]}/32 via ${a.routerWan[4]}`);
  await a.host.ip(`route add 0.0.0.0/1 dev ${IFNAME}`);
  await a.host.ip(`route add 128.0.0.0/1 dev ${IFNAME}`);
}

/** B's host and A's talk, each behind its gateway. */
async function talkThrough({ a, b }: Sites): Promise<void> {
  await firstPing(a.behind!, '10.20.0.5');
  keepPinging(a.behind!, '10.20.0.5');
  keepPinging(b.behind!, 'fd00:a::5');
}

const forwardFilter = `
table inet filter {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related counter accept
    iifname "lan" oifname "${IFNAME}" counter accept
    iifname "${IFNAME}" oifname "lan" counter accept
    counter drop
  }
}`;

export const NETWORKS: readonly Case[] = [
  well('IPv6 outside', use, { plan: { outer: 6 } }),
  well(
    'IPv6 only',
    async ({ a, b }) => {
      for (const { host } of [a, b]) await host.ip('-4 address flush dev wan');
      for (const side of [a, b]) {
        const other = side === a ? b : a;
        await side.host.ip(`-4 address flush dev ${IFNAME}`);
        await tswg(side, `wgpeer ${other.keys.publicKey} wgaip ${other.inner[6]}/128`);
      }
      keepPinging(a.host, b.inner[6]);
    },
    { plan: { outer: 6 }, talks: [] },
  ),
  well('behind NAT', use, { plan: { nat: true, keepalive: 5 } }),
  well('behind NAT, which we are not', use, { plan: { nat: true, keepalive: 5 }, side: 'b' }),
  well('behind NAT without wgpka, but in use', use, { plan: { nat: true } }),
  well('two LANs', talkThrough, LANS),
  well(
    'two LANs, as both ends see them',
    async (sites) => {
      await talkThrough(sites);
      return otherEnd(sites.b, sites.a);
    },
    LANS,
  ),
  well(
    'a firewall between two LANs',
    async (sites) => {
      await sites.a.host.nft(forwardFilter);
      await talkThrough(sites);
    },
    LANS,
  ),
  well('a firewall that opens one port', async (sites) => {
    await sites.a.host.nft(`
table inet filter {
  chain input {
    type filter hook input priority filter; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
    iifname "wan" udp dport ${PORT} counter accept
    iifname "${IFNAME}" accept
    counter drop
  }
}`);
    await use(sites);
  }),
  well(
    'a masquerade of the LAN towards the Internet',
    async (sites) => {
      await sites.a.host.nft(`
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "wan" counter masquerade
  }
}`);
      await talkThrough(sites);
    },
    LANS,
  ),
  well(
    'a LAN that hides in the tunnel',
    async (sites) => {
      const { a, b } = sites;
      await tswg(b, `wgpeer ${a.keys.publicKey} wgaip 10.99.0.1/32 wgaip fd00:99::1/128`);
      await b.host.ip(`route delete 10.0.0.0/24 dev ${IFNAME}`);
      await b.host.ip(`route delete fd00:a::/64 dev ${IFNAME}`);
      await a.host.nft(`
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "${IFNAME}" counter masquerade
  }
}`);
      keepPinging(a.behind!, '10.20.0.5');
    },
    LANS,
  ),
  well(
    'strict reverse paths',
    async (sites) => {
      for (const { host } of [sites.a, sites.b]) {
        await host.sysctl('net.ipv4.conf.all.rp_filter', 1);
      }
      await talkThrough(sites);
    },
    LANS,
  ),
  well('full tunnel with a mark', fullTunnel),
  well('full tunnel with a mark, and loose reverse paths', async (sites) => {
    await fullTunnel(sites);
    await sites.a.host.sysctl('net.ipv4.conf.all.rp_filter', 2);
  }),
  well('full tunnel in two halves', halves),
  well('a smaller MTU all the way', async (sites) => {
    const { a, b, router } = sites;
    await router.ip('link set wan-b mtu 1492');
    await b.host.ip('link set wan mtu 1492');
    for (const side of [a, b]) await tswg(side, 'mtu 1412');
  }),
  well('the smallest MTU', async ({ a, b }) => {
    for (const side of [a, b]) await tswg(side, 'mtu 1280');
  }),
];
