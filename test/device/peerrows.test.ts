/** Peers that a handover tells of in rows of numbers, and what becomes of numbers that cannot be. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Core } from '../../src/device/core.ts';
import { DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import type { PeerHandover } from '../../src/device/handover.ts';
import { type Peer, PeerCounts } from '../../src/device/peer.ts';
import type { PeerRows, Rows } from '../../src/device/peerrows.ts';
import { setWays } from '../../src/device/steering.ts';
import { become, connected, goAhead, prepare, setPeer } from './successors.ts';
import { A_TO_B, B_TO_A, Site, type World } from './world.ts';

type Act = (peer: Peer, core: Core) => void;

/** Peers who have said nothing, beside the one that has a session: before it, and after it. */
function crowd(): { world: World; a: Site; b: Site } {
  const { world, a, b } = connected();
  const others = Array.from({ length: 6 }, (_, i) => ({
    publicKey: new Uint8Array(32).fill(0x30 + i),
    endpoint: new Endpoint(Uint8Array.of(192, 0, 2, 100 + i), 5_000 + i),
    allowedIps: [],
  }));
  a.configure({ peers: others });
  b.send(B_TO_A(1));
  world.run(10);
  return { world, a, b };
}

const spoken = (site: Site): Peer => [...site.device.core.peers.values()][0]!;
const other = (site: Site): Peer => [...site.device.core.peers.values()][3]!;

/** The successor of A, which was told of what is now; `change` is what the rows become on the way. */
function succeed(world: World, a: Site, act: Act[] = [], change = (rows: PeerRows) => rows) {
  const ahead = goAhead(a);
  for (const one of act) one(other(a), a.device.core);
  const contents = ahead.pack();
  const successor = new Site(world, '192.0.2.9', 1);
  successor.device.down();
  prepare(successor, ahead.text);
  const { device } = contents;
  const rows = change(device.rows!);
  become(successor, { ...contents, device: { ...device, rows } });
  return { successor, device, rows };
}

const assign = (values: object): Act => {
  return (peer) => Object.assign(peer, values);
};
const condition = (values: object): Act => {
  return (peer) => Object.assign(peer.condition, values);
};
const at = (source: Uint8Array | null, link: number): Act => {
  return ({ endpoint }) => Object.assign(endpoint!, { source, sourceInterface: link });
};

/** What has a value of its own in rows, field by field. */
const TOLD: Partial<Record<keyof PeerHandover, Act[]>> = {
  source: [at(Uint8Array.of(192, 0, 2, 1), 0), at(new Uint8Array(16).fill(9), 0)],
  sourceInterface: [at(null, 2), at(Uint8Array.of(192, 0, 2, 1), 3)],
  deadlines: DEADLINE_NAMES.map((_, column): Act => {
    return (peer, core) => core.deadlines.arm(peer.row, column, 1e6 + column / 8);
  }),
  attempts: [assign({ attempts: 7 })],
  initiationAgeMs: [assign({ lastInitiationAt: 3.5 })],
  handshakeRoundTripMs: [assign({ handshakeRoundTripMs: 3.25 })],
  needsAnotherKeepalive: [assign({ needsAnotherKeepalive: true })],
  sentLastMinuteHandshake: [assign({ sentLastMinuteHandshake: true })],
  txBytes: [assign({ txBytes: 2 ** 41 + 1 })],
  rxBytes: [assign({ rxBytes: 2 ** 42 + 1 })],
  drops: [
    (peer) => peer.drops.count('noEndpoint', 3),
    (peer) => {
      peer.drops.count('badPacket');
      peer.drops.count('replayedPacket', 9);
    },
  ],
  counts: (Object.keys(new PeerCounts()) as (keyof PeerCounts)[]).map((name, i): Act => {
    return (peer) => {
      peer.counts[name] = 5 + i;
    };
  }),
  condition: [
    condition({ state: 'lost', sinceMs: 77, heard: 4 }),
    condition({ told: 'disconnected' }),
    condition({ told: 'connected' }),
    condition({ isCalling: true }),
    condition({ lostAt: 5_000.5 }),
    condition({ cause: 'dataUnanswered' }),
    condition({ cause: 'keepaliveMissing' }),
    ({ condition: { rhythm }, counts }) => rhythm.continue(0, 25_000, counts),
  ],
};

describe('a row', () => {
  it.each(Object.entries(TOLD))('tells of a peer its %s', (name, acts) => {
    for (const act of acts) {
      const { world, a } = crowd();
      const { successor, device } = succeed(world, a, [act]);
      expect(device.peers).toEqual([]);
      expect(device.rows!.peers.values).toHaveLength(2 * device.rows!.peers.columns.length);
      const [before, after] = [a, successor].map((site) => site.device.handOver(world.now));
      expect(after!.peers[3]![name as keyof PeerHandover]).not.toEqual(
        after!.peers[4]![name as keyof PeerHandover],
      );
      expect(after!.peers).toEqual(before!.peers);
    }
  });

  it('tells of the preshared keys, of handshakes, and of our own sides of the way', () => {
    const { world, a, b } = crowd();
    const presharedKey = new Uint8Array(32).fill(0x5a);
    setPeer(a, b, { presharedKey });
    for (const [i, peer] of [...a.device.core.peers.values()].entries()) {
      if (i % 2 === 0) peer.handshake.setPresharedKey(new Uint8Array(32).fill(0x60 + i));
      peer.handshake.sentTimestamp = new Uint8Array(12).fill(10 + i);
      peer.handshake.latestTimestamp = new Uint8Array(12).fill(20 + i);
      peer.lastHandshakeMs = 1_000 + i;
      peer.attempts = 1;
      at(i % 3 === 0 ? null : Uint8Array.of(10, 0, 0, i % 3), i >> 2)(peer, a.device.core);
    }
    const { successor, device } = succeed(world, a);
    expect(device.rows!.ownSides).toHaveLength(5);
    expect(successor.device.handOver(world.now)).toEqual(a.device.handOver(world.now));
    expect(successor.device.memories()).toEqual(a.device.memories());
    for (const keys of [device.rows!.presharedKeys, device.rows!.sessionKeys]) {
      expect(keys.length).toBeGreaterThan(0);
      expect(keys.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('is of nobody for whom packets wait, or who has ways', () => {
    const { world, a } = crowd();
    const { device, successor } = succeed(world, a, [
      (peer) => void peer.staged.push(Uint8Array.of(0x45, 1)),
    ]);
    expect(device.peers.map(({ staged }) => staged)).toEqual([[Uint8Array.of(0x45, 1)]]);
    expect(other(successor).staged.packets).toEqual([Uint8Array.of(0x45, 1)]);
    setWays(a.device.core, 0, other(a), [{ host: '192.0.2.7', port: 1, near: null }], null);
    other(a).staged.take();
    expect(goAhead(a).pack().device.peers).toHaveLength(1);
  });

  it('tells of a window what can be set, wherever its greatest counter is', () => {
    for (const greatest of [0, 31, 32, 8_191, 8_192, 2 ** 33 + 5]) {
      const { world, a } = crowd();
      const { replay } = spoken(a).current!;
      for (const back of [40, 33, 3, 0]) if (greatest - back > 0) replay.accept(greatest - back);
      const { successor, device } = succeed(world, a);
      const window = spoken(successor).current!.replay;
      expect(window.greatest).toBe(replay.greatest);
      for (let back = -1; back < 70; back++) {
        const counter = greatest - back;
        if (counter >= 0) expect(window.isNew(counter)).toBe(replay.isNew(counter));
      }
      expect(device.rows!.seen.length).toBeLessThanOrEqual(1_024);
    }
  });
});

/** The same rows, their columns in the order in which `order` has them; those that are new are zero. */
function rearranged({ columns, values }: Rows, order: readonly string[]): Rows {
  const rows = values.length / columns.length;
  const places = order.map((name) => columns.indexOf(name));
  const cells = Array.from({ length: rows }, (_, row) =>
    places.map((place) => (place < 0 ? 0 : values[row * columns.length + place]!)),
  );
  return { columns: order, values: Float64Array.from(cells.flat()) };
}

describe('rows of another version', () => {
  it('may have more columns, and others in between', () => {
    const { world, a } = crowd();
    spoken(a).drops.count('badPacket', 2);
    const { successor } = succeed(world, a, [], (rows) => ({
      ...rows,
      peers: rearranged(rows.peers, ['later', ...rows.peers.columns].reverse()),
      sessions: rearranged(rows.sessions, ['later', ...rows.sessions.columns].reverse()),
    }));
    expect(successor.device.handOver(world.now)).toEqual(a.device.handOver(world.now));
  });

  it('may lack any column: a session then is none, and all else is harmless', () => {
    const { world, a } = crowd();
    const { columns } = goAhead(a).pack().device.rows!.sessions;
    for (const missing of columns) {
      const { successor } = succeed(world, a, [], (rows) => ({
        ...rows,
        sessions: rearranged(
          rows.sessions,
          rows.sessions.columns.filter((name) => name !== missing),
        ),
      }));
      const isKept = missing === 'isInitiator';
      expect(spoken(successor).current === null, missing).toBe(!isKept);
    }
    for (const missing of goAhead(a).pack().device.rows!.peers.columns) {
      const { successor } = succeed(world, a, [], (rows) => ({
        ...rows,
        peers: rearranged(
          rows.peers,
          rows.peers.columns.filter((name) => name !== missing),
        ),
      }));
      expectSane(successor);
    }
  });
});

function expectSane({ device, world }: Site): void {
  for (const peer of device.handOver(world.now).peers) {
    const { attempts, txBytes, rxBytes, handshakeRoundTripMs, initiationAgeMs } = peer;
    const { sinceMs, heard, keepaliveMs, lostInMs } = peer.condition!;
    const counts = [...Object.values(peer.counts), ...Object.values(peer.drops)];
    const { lastHandshakeMs } = [...device.core.peers.values()][0]!;
    const whole = [attempts, txBytes, rxBytes, sinceMs, heard, lastHandshakeMs, ...counts];
    for (const one of whole) expect(Number.isSafeInteger(one) && one >= 0, `${one}`).toBe(true);
    const times = [handshakeRoundTripMs, keepaliveMs, lostInMs, initiationAgeMs];
    for (const one of [...times, ...Object.values(peer.deadlines)]) expect(one).not.toBeNaN();
    for (const { sendCounter, greatest, ageMs } of peer.sessions) {
      expect(Number.isSafeInteger(sendCounter) && sendCounter >= 0).toBe(true);
      expect(Number.isSafeInteger(greatest) && greatest >= -1).toBe(true);
      expect(ageMs).toBeGreaterThanOrEqual(0);
    }
  }
}

describe('rows by a predecessor in other hands', () => {
  const { world, a } = crowd();
  const strange = fc.oneof(
    fc.constantFrom(Number.NaN, -1, 0.5, 1, 2, 7, 2 ** 32, 2 ** 53, -Infinity, Infinity),
    fc.double(),
  );

  it('with any numbers are harmless', () => {
    const places = fc.array(fc.tuple(fc.boolean(), fc.nat(200), strange), { maxLength: 12 });
    fc.assert(
      fc.property(places, (changes) => {
        const { successor } = succeed(world, a, [], (rows) => {
          for (const [isPeer, place, value] of changes) {
            const { values } = isPeer ? rows.peers : rows.sessions;
            values[place % values.length] = value;
          }
          return rows;
        });
        expectSane(successor);
        successor.turn(() => successor.device.handleTimeout(world.now));
      }),
      { numRuns: 150 },
    );
  });

  it.each(['presharedKeys', 'sessionKeys', 'seen', 'timestamps'] as const)(
    'with too few %s are harmless, and a session of which something is missing is none',
    (name) => {
      setPeer(a, world.sites[1]!, { presharedKey: new Uint8Array(32).fill(1) });
      const { successor, rows } = succeed(world, a, [], (whole) => ({
        ...whole,
        [name]: whole[name].subarray(0, -1),
      }));
      expect(rows.sessions.values.length).toBeGreaterThan(0);
      expectSane(successor);
      const isNone = name === 'sessionKeys' || name === 'seen';
      expect(spoken(successor).current === null).toBe(isNone);
      expect(spoken(successor).handshake.hasPresharedKey).toBe(name !== 'presharedKeys');
    },
  );

  it('without any column, or with ours among the peers, are harmless', () => {
    const nothing = { columns: [], values: new Float64Array(3) };
    const { successor } = succeed(world, a, [], (rows) => ({ ...rows, peers: nothing }));
    expect(spoken(successor).current).toBeNull();
    expectSane(successor);
    const ahead = goAhead(a);
    const contents = ahead.pack();
    const { publicKey } = world.sites[1]!;
    const misled = new Site(world, '192.0.2.9', 1);
    misled.device.down();
    prepare(misled, ahead.text);
    // The private key is the one of the peer that has a session.
    const privateKey = world.sites[1]!.privateKey.slice();
    become(misled, { ...contents, device: { ...contents.device, privateKey } });
    const peers = [...misled.device.core.peers.values()];
    expect(peers.some((peer) => peer.publicKey.every((byte, i) => byte === publicKey[i]))).toBe(
      false,
    );
    expect(misled.device.core.indices.size).toBe(0);
  });
});

describe('a session told in a row', () => {
  it('continues both ways, and takes nothing twice', () => {
    const { world, a, b } = crowd();
    const before = b.delivered.length;
    const [taken] = b.sent(4).slice(-1);
    const { successor } = succeed(world, a);
    world.sites.splice(world.sites.indexOf(a), 1);
    world.sites.push(successor);
    world.inject(b, successor, taken!.bytes);
    successor.send(A_TO_B(5));
    world.run(10);
    expect(b.delivered.slice(before)).toEqual([A_TO_B(5)]);
    expect(successor.delivered).toEqual([]);
    expect(successor.sent(1)).toEqual([]);
    expect(successor.device.core.drops.get('replayedPacket')).toBe(1);
  });
});
