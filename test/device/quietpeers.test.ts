/** Peers that a handover tells of together, since nothing is known of them but their configuration. */

import { describe, expect, it } from 'vitest';
import type { Core } from '../../src/device/core.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { PeerHandover } from '../../src/device/handover.ts';
import type { Peer } from '../../src/device/peer.ts';
import { isQuiet } from '../../src/device/quietpeers.ts';
import { setWays } from '../../src/device/steering.ts';
import type { ConditionHandover } from '../../src/device/succession.ts';
import { connected } from './successors.ts';

type Act = (peer: Peer, core: Core) => void;

const assign = (values: object): Act => {
  return (peer) => Object.assign(peer, values);
};
const say: Act = (peer, core) => {
  setWays(core, 0, peer, [{ host: 'gw.example', port: 1, near: null }], null);
};
const at = (source: Uint8Array | null, link: number): Act =>
  assign({ endpoint: new Endpoint(Uint8Array.of(192, 0, 2, 9), 1, 0, source, link) });
const borrow = (place: 'previous' | 'current' | 'next'): Act => {
  return (peer, core) => {
    peer[place] = [...core.peers.values()][0]!.current;
  };
};
const condition = (values: object): Act => {
  return (peer) => Object.assign(peer.condition, values);
};

/** What makes a difference to a field of what is handed over; `sinceMs` and the key are told of all. */
const DIFFERENCES: Record<Exclude<keyof PeerHandover, 'publicKey' | 'presharedKey'>, Act[]> = {
  ways: [say],
  wayInUse: [say],
  isProvisional: [say],
  sessions: [borrow('previous'), borrow('current'), borrow('next')],
  staged: [(peer) => void peer.staged.push(new Uint8Array())],
  source: [at(Uint8Array.of(192, 0, 2, 1), 0)],
  sourceInterface: [at(null, 2)],
  deadlines: [0, 1, 2, 3, 4, 5, 6].map((column): Act => {
    return (peer, core) => core.deadlines.arm(peer.row, column, 1e9);
  }),
  isCalling: [assign({ handshakeIndex: 5 })],
  attempts: [assign({ attempts: 1 })],
  initiationAgeMs: [assign({ lastInitiationAt: 0 })],
  handshakeRoundTripMs: [assign({ handshakeRoundTripMs: 3 })],
  needsAnotherKeepalive: [assign({ needsAnotherKeepalive: true })],
  sentLastMinuteHandshake: [assign({ sentLastMinuteHandshake: true })],
  txBytes: [assign({ txBytes: 1 })],
  rxBytes: [assign({ rxBytes: 1 })],
  drops: [(peer) => peer.drops.count('noEndpoint')],
  counts: (['initiationsReceived', 'roams', 'rxPackets'] as const).map((name): Act => {
    return (peer) => {
      peer.counts[name] = 1;
    };
  }),
  condition: Object.values<Act>({
    state: condition({ state: 'lost' }),
    told: condition({ told: 'disconnected' }),
    isCalling: condition({ isCalling: true }),
    lostInMs: condition({ lostAt: 5 }),
    cause: condition({ cause: 'dataUnanswered' }),
    heard: condition({ heard: 1 }),
    keepaliveMs: ({ condition: { rhythm }, counts }) => rhythm.continue(0, 25_000, counts),
  } satisfies Record<Exclude<keyof ConditionHandover, 'sinceMs'>, Act>),
};

/** A peer that was configured and no more, beside another one that has a session. */
function quietOne(): { core: Core; peer: Peer } {
  const { a } = connected();
  const endpoint = new Endpoint(Uint8Array.of(192, 0, 2, 9), 1);
  const presharedKey = new Uint8Array(32).fill(7);
  const publicKey = new Uint8Array(32).fill(1);
  a.configure({ peers: [{ publicKey, presharedKey, endpoint, allowedIps: [] }] });
  const { core } = a.device;
  return { core, peer: [...core.peers.values()][1]! };
}

describe('a quiet peer', () => {
  it('is one that was configured and no more', () => {
    const { core, peer } = quietOne();
    expect(isQuiet(core, peer)).toBe(true);
    expect(isQuiet(core, [...core.peers.values()][0]!)).toBe(false);
  });

  it.each(Object.entries(DIFFERENCES))('is none when there is more to say of its %s', (_, acts) => {
    for (const act of acts) {
      const { core, peer } = quietOne();
      act(peer, core);
      expect(isQuiet(core, peer)).toBe(false);
    }
  });
});
