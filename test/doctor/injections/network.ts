/** What the network between, or the other end, does to datagrams: says why, or drops them silently. */

import { waitFor } from '../../lab/command.ts';
import { firstPing } from '../../lab/probes.ts';
import { createPresharedKey } from '../../lab/tunnel.ts';
import type { Case } from '../case.ts';
import { givePresharedKey, IFNAME, PORT, type Site, type Sites, tswg } from '../sites.ts';

/** Of nobody, in the network of B's router. */
const NOBODY = '203.0.113.77';
/** Nowhere in the lab. */
const ELSEWHERE = '192.0.2.10';

function callAt(address: string, port = PORT) {
  return async ({ a, b }: Sites): Promise<undefined> => {
    await tswg(a, `wgpeer ${b.keys.publicKey} wgendpoint ${address} ${port}`);
  };
}

/** Shorter than a session misses its peer. */
const SESSION_TALK_MS = 2_000;
const MS_PER_S = 1_000;

/** Several calls of the peer, since answers may be lost or late. */
const UNCONFIRMED_MS = 17_000;
const NOT_CONFIRMED =
  /they do not arrive there, or the preshared keys differ[\s\S]*each time we answered[\s\S]*--other/;

/** A chain with one rule. */
function filter(hook: 'input' | 'forward' | 'output', rule: string): string {
  return `table inet filter {
    chain ${hook} {
      type filter hook ${hook} priority filter; policy accept;
      ${rule}
    }
  }`;
}

export const REFUSALS: readonly Case[] = [
  {
    id: 'nothingListens/port',
    code: 'nothingListens',
    inject: callAt('203.0.113.10', 9),
    says: /203\.0\.113\.10 port 9/,
  },
  {
    id: 'nothingListens/daemon',
    code: 'nothingListens',
    inject: async ({ b }) => {
      await tswg(b, 'destroy');
    },
  },
  {
    id: 'nothingListens/session',
    code: 'nothingListens',
    inject: async (sites) => {
      const { a, b } = sites;
      await firstPing(a.host, b.inner[4]);
      // Else B would call before long, and be found again.
      await tswg(b, `wgpeer ${a.keys.publicKey} -wgendpoint`);
      return callAt(b.wan[4], 9)(sites);
    },
    talkMs: SESSION_TALK_MS,
    says: /of the daemon to 203\.0\.113\.10 port 9 [\s\S]*(none of \d+ pings|no ping) was answered/,
  },
  {
    id: 'hostUnreachable/there',
    code: 'hostUnreachable',
    inject: callAt(NOBODY),
    says: /203\.0\.113\.77/,
  },
  {
    id: 'hostUnreachable/here',
    code: 'hostUnreachable',
    inject: callAt('198.51.100.77'),
    says: /next hop to 198\.51\.100\.77/,
  },
  {
    id: 'networkUnreachable',
    code: 'networkUnreachable',
    inject: callAt(ELSEWHERE),
    says: /198\.51\.100\.1, a router/,
  },
  {
    id: 'prohibited/router',
    code: 'prohibited',
    inject: async ({ router }) => {
      await router.nft(filter('forward', `udp dport ${PORT} reject with icmpx admin-prohibited`));
    },
    says: /198\.51\.100\.1, a router/,
  },
  {
    id: 'prohibited/portUnreachable',
    code: 'prohibited',
    inject: async ({ router }) => {
      await router.nft(filter('forward', `udp dport ${PORT} reject`));
    },
  },
  {
    id: 'prohibited/session',
    code: 'prohibited',
    inject: async ({ a, b, router }) => {
      await firstPing(a.host, b.inner[4]);
      await router.nft(filter('forward', `udp dport ${PORT} reject`));
    },
    talkMs: SESSION_TALK_MS,
    says: /198\.51\.100\.1, a router/,
  },
  {
    id: 'prohibited/there',
    code: 'prohibited',
    inject: async ({ b }) => {
      await b.host.nft(filter('input', `udp dport ${PORT} reject with icmpx admin-prohibited`));
    },
    says: /firewall of peer .* at 203\.0\.113\.10/,
  },
];

/** Doctor is asked so long after the first packet. */
const EARLY: readonly Case[] = [0, 1_000, 3_000].flatMap((talkMs): Case[] => {
  const at = talkMs === 0 ? 'at once' : `after ${talkMs / MS_PER_S} s`;
  const [closed, away] = [callAt('203.0.113.10', 9), callAt('198.51.100.77')];
  return [
    { id: `silence/${at}`, code: 'silence', inject: dropThere, talkMs },
    { id: `nothingListens/${at}`, code: 'nothingListens', inject: closed, talkMs },
    { id: `hostUnreachable/${at}`, code: 'hostUnreachable', inject: away, talkMs },
  ];
});

/** So that the call precedes all that --quick looks at. */
async function callInVain(sites: Sites): Promise<readonly string[]> {
  const { a, b } = sites;
  await dropThere(sites);
  a.host.spawn('ping', ['-n', '-q', '-c', '1', b.inner[4]]);
  await waitFor(async () => (await calls(a)) > 0, 'a call');
  return ['--quick'];
}

async function calls(side: Site): Promise<number> {
  const { wireguard } = JSON.parse(await tswg(side, '--json'));
  return wireguard.peers[0].counters.initiations_sent;
}

export const FILTERS: readonly Case[] = [
  {
    id: 'forbiddenHere/counted',
    code: 'forbiddenHere',
    inject: async ({ a }) => {
      await a.host.nft(filter('output', `udp dport ${PORT} counter drop`));
    },
    says: /nft delete rule inet filter output handle \d+/,
  },
  {
    id: 'forbiddenHere/uncounted',
    code: 'forbiddenHere',
    inject: async ({ a }) => {
      await a.host.nft(filter('output', `udp dport ${PORT} drop\nudp sport ${PORT} drop`));
    },
    says: /cannot be seen without a counter/,
  },
  {
    id: 'forbiddenHere/policy',
    code: 'forbiddenHere',
    inject: async ({ a }) => {
      await a.host.nft(`table inet filter {
        chain output {
          type filter hook output priority filter; policy drop;
          oifname { "lo", "wg0" } accept
        }
      }`);
    },
    says: /policy of chain output/,
  },
  {
    id: 'inboundFirewall/counted',
    code: 'inboundFirewall',
    inject: async ({ a }) => {
      await a.host.nft(filter('input', `udp dport ${PORT} counter drop`));
    },
    talks: ['a', 'b'],
    says: /nft delete rule inet filter input handle \d+/,
  },
  {
    id: 'inboundFirewall/uncounted',
    code: 'inboundFirewall',
    inject: async ({ a }) => {
      await a.host.nft(filter('input', `udp dport ${PORT} drop`));
    },
    talks: ['a', 'b'],
  },
  {
    id: 'silence/there',
    code: 'silence',
    inject: dropThere,
    says: new RegExp(`drops UDP port ${PORT}`),
  },
  {
    id: 'silence/between',
    code: 'silence',
    inject: async ({ router }) => {
      await router.nft(filter('forward', `udp dport ${PORT} drop`));
    },
  },
  ...EARLY,
  {
    id: 'noAnswerYet/quick',
    code: 'noAnswerYet',
    inject: callInVain,
    talkMs: 0,
    says: /too early to tell[\s\S]*without --quick/,
  },
  {
    id: 'noAnswerYet/it calls',
    code: 'noAnswerYet',
    inject: dropAnswers,
    talks: ['a', 'b'],
    talkMs: 0,
    side: 'b',
    says: /it called \d/,
  },
  { id: 'filteredBeyond/there', code: 'filteredBeyond', inject: dropThere, asksOther: true },
  {
    id: 'filteredBeyond/answers',
    code: 'filteredBeyond',
    plan: { isOneWay: true },
    inject: dropAnswers,
    asksOther: true,
    says: /its answers are lost/,
  },
  {
    id: 'answersLost',
    code: 'answersLost',
    inject: dropAnswers,
    talks: ['a', 'b'],
    talkMs: UNCONFIRMED_MS,
    side: 'b',
    says: /does not arrive there/,
  },
  {
    id: 'answersUnconfirmed/lost',
    code: 'answersUnconfirmed',
    inject: async (sites) => {
      await dropAnswers(sites);
      return ['--quick'];
    },
    talkMs: UNCONFIRMED_MS,
    side: 'b',
    says: NOT_CONFIRMED,
  },
  {
    id: 'answersUnconfirmed/preshared keys',
    code: 'answersUnconfirmed',
    inject: async ({ a, b }) => {
      await givePresharedKey(b, a, createPresharedKey());
      return ['--quick'];
    },
    talkMs: UNCONFIRMED_MS,
    side: 'b',
    says: NOT_CONFIRMED,
  },
  {
    id: 'answersUnconfirmed/nobody to ping',
    code: 'answersUnconfirmed',
    inject: async (sites) => {
      const { a, b } = sites;
      const endpoint = `wgendpoint ${a.wan[4]} ${PORT}`;
      await tswg(b, `-wgpeer ${a.keys.publicKey}`);
      await tswg(b, `wgpeer ${a.keys.publicKey} ${endpoint} wgaip ${a.lan[4]}.0/24`);
      await b.host.ip(`route add ${a.lan[4]}.0/24 dev ${IFNAME}`);
      return dropAnswers(sites);
    },
    talkMs: UNCONFIRMED_MS,
    side: 'b',
    says: NOT_CONFIRMED,
  },
];

async function dropThere({ b }: Sites): Promise<undefined> {
  await b.host.nft(filter('input', `udp dport ${PORT} drop`));
}

/** What B sends. */
async function dropAnswers({ router }: Sites): Promise<undefined> {
  await router.nft(filter('forward', 'iifname "wan-b" udp sport 51820 drop'));
}
