/** What forwards, filters, translates and cuts packets on their way between the LANs. */

import { firstPing } from '../../lab/probes.ts';
import type { Case } from '../case.ts';
import { IFNAME, PORT, type Site, tswg } from '../sites.ts';
import { keepPinging, otherEnd } from './means.ts';

const TALK_MS = 4_000;
const LANS = { lans: true } as const;

const filterForward = (policy: string, rule = ''): string => `
table inet filter {
  chain forward {
    type filter hook forward priority filter; policy ${policy};
    ${rule}
  }
}`;

const translate = (rule: string): string => `
table inet nat {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ${rule}
  }
}`;

/** Of the router: what it does with the tunnel's datagrams from A to B. */
const onTheWay = (rule: string): string => `
table inet filter {
  chain forward {
    type filter hook forward priority filter;
    ${rule}
  }
}`;

/** B's packets to A's LAN, and what A does with them. */
function between(id: string, says: RegExp, inject: (a: Site) => Promise<void>): Case {
  return {
    id,
    code: id.split('/')[0],
    plan: LANS,
    inject: async ({ a, b }) => {
      // Two first calls at once would cross each other.
      await firstPing(a.host, b.inner[4]);
      await inject(a);
      keepPinging(b.behind!, '10.0.0.5');
      keepPinging(b.behind!, 'fd00:a::5');
      return undefined;
    },
    talkMs: TALK_MS,
    says,
  };
}

export const PASSING: readonly Case[] = [
  between(
    'forwardingOff/4',
    /out of the tunnel for 10\.0\.0\.5[\s\S]*net\.ipv4\.ip_forward=1/,
    ({ host }) => host.sysctl('net.ipv4.ip_forward', 0),
  ),
  between(
    'forwardingOff/6',
    /out of the tunnel for fd00:a::5[\s\S]*net\.ipv6\.conf\.all\.forwarding=1/,
    ({ host }) => host.sysctl('net.ipv6.conf.all.forwarding', 0),
  ),
  {
    id: 'forwardingOff/from the LAN',
    code: 'forwardingOff',
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /the kernel refused \d+ packets? over the run/,
  },
  {
    id: 'forwardingOff/told',
    code: 'forwardingOff',
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.sysctl('net.ipv4.ip_forward', 0);
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /sends 10\.0\.0\.0\/24 to us, which is the network of lan/,
  },
  {
    id: 'reversePathEndpoint',
    code: 'reversePathEndpoint',
    inject: async ({ a, b }) => {
      await tswg(a, 'wgfwmark 51820');
      await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 0.0.0.0/0`);
      await a.host.ip(`route add default dev ${IFNAME} table 51820`);
      await a.host.ip('rule add not fwmark 51820 table 51820');
      await a.host.ip('rule add table main suppress_prefixlength 0');
      await a.host.sysctl('net.ipv4.conf.wan.rp_filter', 1);
      return undefined;
    },
    says: /arrives on wan[\s\S]*net\.ipv4\.conf\.wan\.rp_filter=2/,
  },
  {
    id: 'reversePathTunnel',
    code: 'reversePathTunnel',
    inject: async ({ a, b }) => {
      await tswg(a, `wgpeer ${b.keys.publicKey} wgaip 0.0.0.0/0 wgaip fd00:99::2/128`);
      await a.host.sysctl(`net.ipv4.conf.${IFNAME}.rp_filter`, 1);
      await b.host.ip('address add 192.0.2.77/32 dev lo');
      await firstPing(a.host, b.inner[4]);
      keepPinging(b.host, '10.99.0.1', '-I', '192.0.2.77');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /net\.ipv4\.conf\.wg0\.rp_filter=2/,
  },
  between('firewallForward/rule', /rule 1 of chain forward[\s\S]*nft delete rule/, ({ host }) =>
    host.nft(filterForward('accept', `iifname "${IFNAME}" counter drop`)),
  ),
  between('firewallForward/other rule', /oifname "wg0" accept/, ({ host }) =>
    host.nft(filterForward('accept', 'ip saddr 10.20.0.0/16 counter reject')),
  ),
  between('firewallForward/policy', /policy of chain forward[\s\S]*cannot be seen/, ({ host }) =>
    host.nft(filterForward('drop')),
  ),
  between('firewallForward/iptables', /iptables -t filter -D FORWARD 1/, async ({ host }) => {
    await host.run('iptables', ['-A', 'FORWARD', '-i', IFNAME, '-j', 'DROP']);
  }),
  between(
    'firewallForward/iptables-legacy',
    /iptables-legacy -t filter -D FORWARD 1/,
    async ({ host }) => {
      await host.run('iptables-legacy', ['-A', 'FORWARD', '-i', IFNAME, '-j', 'DROP']);
    },
  ),
  {
    id: 'masquerade/all links',
    code: 'masquerade',
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.nft(translate('counter masquerade'));
      keepPinging(a.behind!, '10.20.0.5');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /sees 10\.99\.0\.1 in place of 10\.0\.0\.5/,
  },
  {
    id: 'masquerade/told',
    code: 'masquerade',
    plan: LANS,
    inject: async ({ a, b }) => {
      await a.host.nft(translate(`oifname "${IFNAME}" masquerade`));
      keepPinging(a.behind!, '10.20.0.5');
      return otherEnd(b, a);
    },
    talkMs: TALK_MS,
    says: /allows us 10\.0\.0\.0\/24 as it is/,
  },
  {
    id: 'mtuBlackHole',
    code: 'mtuBlackHole',
    inject: async ({ router }) => {
      await router.nft(onTheWay(`meta length > 1380 udp dport ${PORT} drop`));
      return undefined;
    },
    talkMs: TALK_MS,
    says: /tswg wg0 mtu 1(2\d\d|3[01]\d|320)$/m,
  },
  {
    id: 'fragmentsDropped',
    code: 'fragmentsDropped',
    inject: async ({ router, b }) => {
      await router.ip('link set wan-b mtu 1400');
      await b.host.nft(`
table inet filter {
  chain early {
    type filter hook prerouting priority -450;
    ip frag-off & 0x3fff != 0 drop
  }
}`);
      return undefined;
    },
    talkMs: TALK_MS,
    says: /1400 bytes, as 198\.51\.100\.1 says[\s\S]*tswg wg0 mtu 1340$/m,
  },
  {
    id: 'mtuTooLarge/router',
    code: 'mtuTooLarge',
    inject: async ({ router, b }) => {
      await router.ip('link set wan-b mtu 1400');
      await b.host.ip('link set wan mtu 1400');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /tswg wg0 mtu 1340$/m,
  },
  {
    id: 'mtuTooLarge/here',
    code: 'mtuTooLarge',
    inject: async ({ a }) => {
      await a.host.ip('link set wan mtu 1450');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /by the kernel here[\s\S]*tswg wg0 mtu 1390$/m,
  },
  {
    id: 'mtuTooLarge/6',
    code: 'mtuTooLarge',
    plan: { outer: 6 },
    inject: async ({ a }) => {
      await a.host.ip('link set wan mtu 1450');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /tswg wg0 mtu 1370$/m,
  },
  {
    id: 'tooBigFiltered',
    code: 'tooBigFiltered',
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.nft(`
table inet filter {
  chain output {
    type filter hook output priority filter;
    icmp type destination-unreachable icmp code frag-needed counter drop
  }
}`);
      keepPinging(a.behind!, '10.20.0.5', '-M', 'do', '-s', '1472');
      return undefined;
    },
    talkMs: TALK_MS,
    says: /nft delete rule inet filter output handle/,
  },
  {
    id: 'mssTooLarge',
    code: 'mssTooLarge',
    plan: LANS,
    inject: async ({ a }) => {
      await a.host.nft(filterForward('accept', 'tcp flags syn tcp option maxseg size set 1460'));
      return undefined;
    },
    talkMs: TALK_MS,
    says: /leaves 1380[\s\S]*maxseg size set rt mtu/,
  },
];
