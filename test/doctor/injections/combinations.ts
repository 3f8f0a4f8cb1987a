/**
 * Two or three mistakes at once, as they come in life: each has to be named in one run, what hurts
 * most first. Of one that hides another's traces there is other evidence.
 */

import { firstPing } from '../../lab/probes.ts';
import { createKeyPair, createPresharedKey } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { givePresharedKey, IFNAME, PORT, type Site, tswg } from '../sites.ts';
import { keepPinging } from './means.ts';

const TALK_MS = 4_000;
const LANS = { lans: true } as const;

const chain = (
  hook: string,
  kind: string,
  priority: string,
  rule: string,
  policy = 'accept',
): string => `
table inet ${kind} {
  chain ${hook} {
    type ${kind} hook ${hook} priority ${priority}; policy ${policy};
    ${rule}
  }
}`;

const dropForwarded = (rule: string): string => chain('forward', 'filter', 'filter', rule);

/** The LANs ask each other, once there is a session: two first calls at once would cross each other. */
async function askBothWays(a: Site, b: Site): Promise<void> {
  await firstPing(a.host, b.inner[4]);
  keepPinging(b.behind!, '10.0.0.5');
  keepPinging(a.behind!, '10.20.0.5');
}

export const COMBINATIONS: readonly Case[] = [
  {
    id: 'forwardingOff/and a rule that drops, and an MTU',
    code: 'forwardingOff',
    also: ['firewallForward', 'mtuTooLarge'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      await a.host.nft(dropForwarded(`iifname "${IFNAME}" counter drop`));
      await a.host.ip('link set wan mtu 1450');
      await askBothWays(a, b);
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'forwardingOff/and a rule of iptables that drops',
    code: 'forwardingOff',
    also: ['firewallForward'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.run('iptables', ['-A', 'FORWARD', '-i', IFNAME, '-j', 'DROP']);
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      await askBothWays(a, b);
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'unknownKeyCalls/and no route, and a reverse path',
    code: 'unknownKeyCalls',
    also: ['noRoute', 'reversePathTunnel'],
    plan: LANS,
    inject: async ({ lab, router, a, b }) => {
      const stranger = await lab.host('stranger');
      await stranger.connect('wan', router, 'wan-c');
      await router.configure('wan-c', '192.0.2.1/24');
      await stranger.configure('wan', '192.0.2.10/24');
      await stranger.ip('route add default via 192.0.2.1');
      await stranger.writeFile('/etc/wg/private.key', `${createKeyPair().privateKey}\n`);
      const words = `create wgkeyfile /etc/wg/private.key inet 10.99.0.9/24 wgpeer ${a.keys.publicKey} wgendpoint ${a.wan[4]} ${PORT} wgaip ${a.inner[4]}/32 wgpka 5`;
      await stranger.run('tswg', [IFNAME, ...words.split(' ')]);
      await a.host.ip(`route delete 10.20.0.0/24 dev ${IFNAME}`);
      await a.host.sysctl(`net.ipv4.conf.${IFNAME}.rp_filter`, 1);
      await firstPing(a.host, b.inner[4]);
      keepPinging(b.behind!, '10.0.0.5');
      return undefined;
    },
    talkMs: 6_000,
    says: /from 192\.0\.2\.10/,
  },
  {
    id: 'noRoute/and forwarding off, and a reverse path',
    code: 'noRoute',
    also: ['forwardingOff', 'reversePathTunnel'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.ip(`route delete 10.20.0.0/24 dev ${IFNAME}`);
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      await a.host.sysctl(`net.ipv4.conf.${IFNAME}.rp_filter`, 1);
      await firstPing(a.host, b.inner[4]);
      keepPinging(b.behind!, '10.0.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'forwardingOff/and a policy that drops',
    code: 'forwardingOff',
    also: ['firewallForward'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      await a.host.nft(chain('forward', 'filter', 'filter', 'ct state established accept', 'drop'));
      await askBothWays(a, b);
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'nothingListens/and no route',
    code: 'nothingListens',
    also: ['noRoute'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint ${b.wan[4]} 9`);
      await a.host.ip(`route delete 10.20.0.0/24 dev ${IFNAME}`);
      return undefined;
    },
  },
  {
    id: 'presharedKeysDiffer/and a prefix that is too long',
    code: 'presharedKeysDiffer',
    also: ['wrongPrefixLength'],
    inject: async ({ a, b }) => {
      await givePresharedKey(a, b, createPresharedKey());
      await givePresharedKey(b, a, createPresharedKey());
      await tswg(a, `inet ${a.inner[4]}/32`);
      return undefined;
    },
    asksOther: true,
  },
  {
    id: 'addressMissing/and forwarding off',
    code: 'addressMissing',
    also: ['forwardingOff'],
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.ip(`route delete fd00:b::/64 dev ${IFNAME}`);
      await a.host.ip(`address delete fd00:99::1/64 dev ${IFNAME}`);
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      await askBothWays(a, b);
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'routeShadowed/and a masquerade',
    code: 'routeShadowed',
    also: ['masquerade'],
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.ip('route add 10.20.0.128/25 via 198.51.100.1');
      await a.host.nft(chain('postrouting', 'nat', 'srcnat', 'counter masquerade'));
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'noRoute/and an MTU black hole',
    code: 'noRoute',
    also: ['mtuBlackHole'],
    plan: LANS,
    inject: async ({ a, router }) => {
      await a.host.ip(`route delete fd00:b::/64 dev ${IFNAME}`);
      await router.nft(dropForwarded(`meta length > 1380 udp dport ${PORT} drop`));
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'allowedIpsTaken/and forwarding off',
    code: 'allowedIpsTaken',
    also: ['forwardingOff'],
    beside: ['noEndpoint'],
    plan: LANS,
    inject: async ({ a, b }) => {
      const { publicKey } = createKeyPair();
      await tswg(a, `wgpeer ${publicKey} wgdescr paris wgaip 10.20.0.5/32`);
      await a.host.sysctl('net.ipv6.conf.all.forwarding', 0);
      await firstPing(a.host, b.inner[4]);
      keepPinging(b.behind!, '10.0.0.5');
      keepPinging(b.behind!, 'fd00:a::5');
      return undefined;
    },
    talkMs: TALK_MS,
  },
  {
    id: 'endpointNoRoute/and forwarding off',
    code: 'endpointNoRoute',
    also: ['forwardingOff'],
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.ip('route delete default');
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: 6_000,
  },
];
