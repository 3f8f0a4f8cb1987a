/** Routes into the tunnel and addresses of the interface. */

import type { Case } from '../case.ts';
import { IFNAME, tswg } from '../sites.ts';
import { keepPinging, otherEnd } from './means.ts';

const TALK_MS = 4_000;
/** Of the router, on A's side. */
const GATEWAY = '198.51.100.1';

export const WAYS: readonly Case[] = [
  {
    id: 'noRoute/4',
    code: 'noRoute',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route delete 10.20.0.0/24 dev ${IFNAME}`);
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /via 198\.51\.100\.1 over wan[\s\S]*ip route replace 10\.20\.0\.0\/24 dev wg0/,
  },
  {
    id: 'noRoute/6',
    code: 'noRoute',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route delete fd00:b::/64 dev ${IFNAME}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /ip route replace fd00:b::\/64 dev wg0/,
  },
  {
    id: 'routeShadowed/specific',
    code: 'routeShadowed',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route add 10.20.0.0/25 via ${GATEWAY}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /ip route delete 10\.20\.0\.0\/25 via 198\.51\.100\.1 dev wan/,
  },
  {
    id: 'routeShadowed/part',
    code: 'routeShadowed',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route add 10.20.0.128/25 via ${GATEWAY}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /10\.20\.0\.128\/25/,
  },
  {
    id: 'routeShadowed/table',
    code: 'routeShadowed',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route add default via ${GATEWAY} table 100`);
      await a.host.ip('rule add to 10.20.0.0/24 lookup 100');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /of table 100/,
  },
  {
    id: 'routeShadowed/LAN',
    code: 'routeShadowed',
    plan: { lans: true },
    inject: async ({ a }) => {
      await a.host.ip(`route delete 10.20.0.0/24 dev ${IFNAME}`);
      await a.host.ip(`route add 10.20.0.0/24 dev ${IFNAME} metric 50`);
      await a.host.ip('address add 10.20.0.77/24 dev lan');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /10\.20\.0\.0\/24 over lan/,
  },
  {
    id: 'addressMissing/4',
    code: 'addressMissing',
    inject: async ({ a, b }) => {
      await a.host.ip(`address delete 10.99.0.1/24 dev ${IFNAME}`);
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /no IPv4 address[\s\S]*tswg wg0 inet 10\.99\.0\.1\/24/,
  },
  {
    id: 'addressMissing/6',
    code: 'addressMissing',
    inject: async ({ a }) => {
      await a.host.ip(`address delete fd00:99::1/64 dev ${IFNAME}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /no IPv6 address/,
  },
  {
    id: 'wrongPrefixLength/host',
    code: 'wrongPrefixLength',
    inject: async ({ a }) => {
      await tswg(a, 'inet 10.99.0.1/32');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /tswg wg0 inet 10\.99\.0\.1\/24/,
  },
  {
    id: 'wrongPrefixLength/6',
    code: 'wrongPrefixLength',
    inject: async ({ a }) => {
      await a.host.ip(`address delete fd00:99::1/64 dev ${IFNAME}`);
      await a.host.ip(`address add fd00:99::1/128 dev ${IFNAME}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /tswg wg0 inet6 fd00:99::1\/64/,
  },
  {
    id: 'sameInnerAddress/seen',
    code: 'sameInnerAddress',
    side: 'b',
    inject: async ({ b }) => {
      await tswg(b, 'inet 10.99.0.1/24');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /packets of it were dropped[\s\S]*tswg wg0 inet 10\.99\.0\.2\/24/,
  },
  {
    id: 'sameInnerAddress/told',
    code: 'sameInnerAddress',
    inject: async ({ a, b }) => {
      await tswg(b, 'inet 10.99.0.1/24');
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /tswg wg0 inet 10\.99\.0\.2\/24 # at the other end/,
  },
];
