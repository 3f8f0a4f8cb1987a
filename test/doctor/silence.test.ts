import { expect, it } from 'vitest';
import { silentPeers, unsettledPeers } from '../../src/doctor/gather/silence.ts';
import type { ReportedStats } from '../../src/uapi/stats.ts';

const NO_ANSWER = 'noAnswer';
const CALLED = { initiations_sent: 1, packets_waiting: 1 };

function statsOf(counters: Readonly<Record<string, number>>, ...codes: string[]): ReportedStats {
  const troubles = codes.map((code) => ({ code, values: {} }));
  const peer = { publicKey: new Uint8Array(32).fill(1), facts: {}, counters, troubles };
  return { facts: {}, counters: {}, troubles: [], peers: [peer], errno: 0 };
}

it.each<[string, ReportedStats | null, boolean]>([
  ['nobody who tells nothing', null, false],
  ['none that is idle', statsOf({ initiations_sent: 7, packets_waiting: 0 }), false],
  ['none that was never called', statsOf({ initiations_sent: 0, packets_waiting: 2 }), false],
  ['one whose handshake is under way', statsOf(CALLED), true],
  ['one that the daemon says does not answer', statsOf({ initiations_sent: 2 }, NO_ANSWER), true],
  ['none of which the daemon knows the trouble', statsOf(CALLED, 'undecipherable'), false],
  ['one that has a trouble of another kind, too', statsOf(CALLED, 'noAllowedIps'), true],
])('silent is %s', (_, stats, isSilent) => {
  expect(silentPeers(stats).length).toBe(isSilent ? 1 : 0);
});

it.each<[string, ReportedStats | null, ReportedStats | null, boolean]>([
  ['called before doctor was asked', statsOf(CALLED), statsOf(CALLED), true],
  ['called by its pings', statsOf({ initiations_sent: 0 }), statsOf(CALLED), true],
  ['called for 5 s', statsOf(CALLED), statsOf({ initiations_sent: 1 }, NO_ANSWER), true],
  ['called again', statsOf(CALLED), statsOf({ initiations_sent: 2 }, NO_ANSWER), false],
  ['called by its pings, 5 s ago', statsOf({}), statsOf({ initiations_sent: 1 }, NO_ANSWER), false],
  [
    'with a cookie of before',
    statsOf({ ...CALLED, cookies_received: 1 }),
    statsOf({ ...CALLED, cookies_received: 1 }),
    true,
  ],
  [
    'called while it calls us',
    statsOf({}),
    statsOf({ initiations_sent: 1, initiations_received: 1 }, NO_ANSWER),
    true,
  ],
  [
    'called again after it called us',
    statsOf({}),
    statsOf({ initiations_sent: 2, initiations_received: 1 }, NO_ANSWER),
    false,
  ],
  [
    'that has called us before',
    statsOf({ initiations_received: 1 }),
    statsOf({ initiations_sent: 1, initiations_received: 1 }, NO_ANSWER),
    false,
  ],
  ['with a cookie of now', statsOf(CALLED), statsOf({ ...CALLED, cookies_received: 1 }), false],
  [
    'that has answered',
    statsOf(CALLED),
    statsOf({ initiations_sent: 1, packets_waiting: 0 }),
    false,
  ],
  ['of a daemon that is gone', statsOf(CALLED), null, false],
])('waits or not for one %s', (_, first, now, isUnsettled) => {
  expect(unsettledPeers(first, now).peers.length).toBe(isUnsettled ? 1 : 0);
});

it('knows of one that calls us as we call it, for which takes longer', () => {
  const crossed = statsOf({ ...CALLED, initiations_received: 1 });
  expect(unsettledPeers(statsOf({}), crossed).isCrossing).toBe(true);
  expect(unsettledPeers(crossed, crossed).isCrossing).toBe(false);
});
