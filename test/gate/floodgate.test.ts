/**
 * The gate before UDP sockets, with real sockets on loopback, of which every address of 127.0.0.0/8
 * may be a sender. What the kernel does takes root and bpf(2); the rest does not.
 */

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Floodgate, openFloodgate } from '../../src/gate/floodgate.ts';
import { shareOut } from '../../src/gate/shareout.ts';
import { adoptUdp, type Udp } from '../../src/udp/udp.ts';
import { endpointOf, message, openOnLoopback, readAll, sendAlike } from './loopback.ts';

const clock = vi.hoisted(() => ({ now: 0 }));
vi.mock('../../src/sys/clock.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  monotonicMs: () => clock.now,
  idleMs: () => clock.now,
}));

const OURS = 0x89ab_cdef;
const NOT_OURS = 0x1234_5678;
const PERIOD_MS = 100;

let notes: string[];
let drops: Record<string, number>;
let arena: Arena;
let gate: Floodgate;
let victim: Udp;
const others: Udp[] = [];

beforeEach(() => {
  notes = [];
  drops = {};
  arena = new Arena(8 << 20);
  gate = openGate();
  victim = open(true);
  gate.guard(victim.sockets);
});
afterEach(() => {
  gate.close();
  for (const udp of [victim, ...others.splice(0)]) udp.close();
});

function openGate(): Floodgate {
  return openFloodgate({
    onDrop: (reason, count) => {
      drops[reason] = (drops[reason] ?? 0) + count;
    },
    onNote: (note) => notes.push(note),
  });
}

const open = (offload = false): Udp => openOnLoopback(arena, offload);

function other(): Udp {
  const udp = open(true);
  others.push(udp);
  return udp;
}

interface Shot {
  readonly count?: number;
  readonly sender?: Udp;
}

function send(from: string, bytes: Uint8Array, { count = 1, sender = others[0] }: Shot = {}) {
  sendAlike(arena, sender, victim, from, bytes, count);
}

const receive = (): number => readAll(arena, victim);

/** How many of these arrive. */
function passes(from: string, bytes: Uint8Array, shot: Shot = {}): number {
  send(from, bytes, shot);
  return receive();
}

const initiation = (cookie = 0): Uint8Array => {
  const bytes = message(1, 148, 7);
  return bytes.fill(cookie, 132);
};

/** `at` is where the receiver's index stands. */
function named(type: number, length: number, index: number, indexAt = 4): Uint8Array {
  const bytes = message(type, length);
  new DataView(bytes.buffer).setUint32(indexAt, index, true);
  return bytes;
}

const data = (index: number, length = 112): Uint8Array => named(4, length, index);
const response = (index: number): Uint8Array => named(2, 92, index, 8);
const cookieReply = (index: number): Uint8Array => named(3, 64, index);

/** A period in which strangers took this part of our time. */
function period(share: number, strangers = 10_000): void {
  clock.now += PERIOD_MS;
  gate.turned(strangers, share * PERIOD_MS, share * PERIOD_MS, clock.now);
}

/** Shuts it so that strangers have next to nothing: what they cost is as much as can be. */
function shutTight(): void {
  const sender = other();
  // Half of the time goes to sessions, so that there is none to spare.
  for (let i = 0; i < 40; i++) {
    clock.now += PERIOD_MS;
    gate.turned(500, 0.9 * PERIOD_MS, 1.5 * PERIOD_MS, clock.now);
  }
  expect(gate.isShut).toBe(true);
  // A flood of each kind, which the next periods remember.
  for (let i = 0; i < 1_500; i++) {
    send('127.9.9.9', initiation(), { sender });
    send('127.9.9.9', initiation(1), { sender });
  }
  receive();
  clock.now += PERIOD_MS;
  gate.turned(0, 0, 0, clock.now);
}

const isPossible = openFloodgate({ onDrop: () => {}, onNote: () => {} }).state.word === 'open';
if (!isPossible) console.warn('SKIPPED: the flood gate: needs root and bpf(2)');

describe.skipIf(!isPossible)('the gate before sockets (needs root and bpf(2))', () => {
  it('leaves no memory behind, and knows nothing after its end', () => {
    const boards = (): number => readFileSync('/proc/self/maps', 'utf8').split('bpf-map').length;
    const before = boards();
    const another = openFloodgate({ onDrop: () => {}, onNote: () => {} });
    expect(boards()).toBe(before + 1);
    another.close();
    expect(boards()).toBe(before);
    another.expectIndex(OURS);
    another.forgetPlace(endpointOf('127.0.0.9', victim));
    another.turned(100_000, PERIOD_MS, PERIOD_MS, clock.now + PERIOD_MS);
    another.close();
    expect(boards()).toBe(before);
  });

  it('is open while those who call turn out to be peers, however many they are', () => {
    for (let i = 0; i < 20; i++) {
      gate.vindicate(9_900);
      period(0.9);
    }
    expect(gate.state.word).toBe('open');
    gate.vindicate(5_000);
    period(0.9);
    expect(gate.state.word).toBe('shut');
    expect(notes).toEqual([expect.stringContaining('50000 useless datagrams a second')]);
  });

  it('is open while strangers take less time than there is to spare', () => {
    for (let i = 0; i < 20; i++) period(0.4);
    expect(gate.state).toEqual({ word: 'open', share: 1 });
    expect(notes).toEqual([]);
  });

  it('is open while strangers are few, whatever they cost', () => {
    for (let i = 0; i < 20; i++) period(0.9, 100);
    expect(gate.isShut).toBe(false);
  });

  it('is shut when strangers take more than there is to spare, sooner beside busy sessions', () => {
    period(0.8);
    const { word, share } = gate.state;
    expect(word).toBe('shut');
    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThan(1);
    expect(notes[0]).toMatch(/^udp: flood: 100000 useless datagrams a second: /);
    gate.close();
    gate = openGate();
    period(0.1);
    expect(gate.isShut).toBe(false);
    clock.now += PERIOD_MS;
    gate.turned(10_000, 0.1 * PERIOD_MS, 0.7 * PERIOD_MS, clock.now);
    expect(gate.isShut).toBe(true);
  });

  it('opens on the same scale, and says so', () => {
    period(0.8);
    for (let i = 0; i < 60 && gate.isShut; i++) period(0, 0);
    expect(gate.isShut).toBe(false);
    expect(notes.at(-1)).toBe('udp: the flood is over');
    // Before anything else is judged.
    expect(passes('127.0.0.2', data(NOT_OURS), { sender: other() })).toBe(1);
  });

  it('opens by itself when nothing comes any more', async () => {
    period(0.8);
    await vi.waitFor(
      () => {
        clock.now += 10 * PERIOD_MS;
        expect(gate.isShut).toBe(false);
      },
      { timeout: 30_000, interval: 50 },
    );
  });

  it('turns away what has no form, and what names nothing of ours, before anything else', () => {
    period(0.8);
    const sender = other();
    gate.expectIndex(OURS);
    gate.expectPlace(endpointOf('127.0.0.2', sender));
    const refused = [
      message(1, 147),
      message(1, 149),
      named(2, 91, OURS, 8),
      named(3, 65, OURS),
      data(OURS, 31),
      message(0, 148),
      message(5, 148),
      message(4, 0),
      Uint8Array.of(1),
      initiation().fill(1, 1, 2),
      data(OURS).fill(1, 3, 4),
      data(NOT_OURS),
      response(NOT_OURS),
      cookieReply(NOT_OURS),
    ];
    for (const bytes of refused) expect(passes('127.0.0.2', bytes, { sender })).toBe(0);
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    expect(drops).toEqual({ turnedAway: refused.length });
  });

  it('lets pass what names an index of ours, from wherever, as long as there is time for it', () => {
    period(0.8);
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    const sender = other();
    gate.expectIndex(OURS);
    for (const bytes of [data(OURS), response(OURS), cookieReply(OURS), data(OURS, 1_452)]) {
      expect(passes('127.0.0.3', bytes, { sender })).toBe(1);
      expect(passes('::1', bytes, { sender })).toBe(1);
    }
    gate.forgetIndex(OURS);
    expect(passes('127.0.0.3', data(OURS), { sender })).toBe(0);
  });

  it('lets every datagram of a session pass from where its peer is known, runs as well', () => {
    shutTight();
    const sender = other();
    gate.expectIndex(OURS);
    for (const place of ['127.0.0.4', '::1']) {
      gate.expectPlace(endpointOf(place, sender));
      expect(passes(place, data(OURS), { sender, count: 500 })).toBe(500);
      gate.forgetPlace(endpointOf(place, sender));
    }
  });

  it('draws the calls of strangers from their own lot, and a peer’s from its own', () => {
    shutTight();
    const sender = other();
    let strangers = 0;
    for (let i = 0; i < 400; i++) strangers += passes('127.0.0.5', initiation(), { sender });
    expect(strangers).toBeLessThan(300);
    // Some one in a hundred passes.
    for (let i = 0; strangers === 0 && i < 5_000; i++) {
      strangers += passes('127.0.0.5', initiation(), { sender });
    }
    expect(strangers).toBeGreaterThan(0);
    gate.expectPlace(endpointOf('127.0.0.6', sender));
    let peers = 0;
    for (let i = 0; i < 50; i++) peers += passes('127.0.0.6', initiation(), { sender });
    expect(peers).toBe(50);
    // Another port of that address is not the peer's, nor is another address.
    let neighbours = 0;
    for (let i = 0; i < 400; i++) {
      neighbours += passes('127.0.0.6', initiation(), { sender: others[0] });
    }
    expect(neighbours).toBeLessThan(300);
  });

  it('lets no run of a stranger’s calls pass, and what is in one with a peer’s', () => {
    period(0.8);
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    const sender = other();
    expect(passes('127.0.0.7', initiation(), { sender, count: 40 })).toBe(0);
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    expect(drops.turnedAway).toBe(40);
    gate.expectPlace(endpointOf('127.0.0.7', sender));
    expect(passes('127.0.0.7', initiation(), { sender, count: 40 })).toBe(40);
  });

  it('is not shut by sessions that keep a socket from being empty, beside a few strangers', () => {
    for (let i = 0; i < 20; i++) {
      gate.wasRead(4, false, clock.now);
      clock.now += PERIOD_MS - 1;
      gate.wasRead(4, false, clock.now);
      clock.now += 1;
      gate.turned(500, 0.005 * PERIOD_MS, 0.9 * PERIOD_MS, clock.now);
    }
    expect(gate.isShut).toBe(false);
  });

  it('is shut within milliseconds by as many as keep a socket from being empty', () => {
    gate.wasRead(4, false, clock.now);
    clock.now += 6;
    gate.wasRead(4, false, clock.now);
    gate.turned(1_000, 0, 0, clock.now);
    expect(gate.isShut).toBe(true);
  });

  it('does not take a socket for full that has been left alone or replaced', () => {
    for (let i = 0; i < 2; i++) {
      gate.wasRead(6, false, clock.now);
      if (i === 0) clock.now += 10 * PERIOD_MS;
      else gate.guard(victim.sockets);
      clock.now += 6;
      gate.turned(100_000, 0, 0, clock.now);
      expect(gate.isShut).toBe(false);
    }
  });

  it('asks for cookies only while calls are held back', () => {
    period(0.8);
    expect(gate.isPressed).toBe(true);
    for (let i = 0; i < 3; i++) {
      clock.now += PERIOD_MS;
      gate.turned(0, 0, 0, clock.now);
    }
    expect([gate.isShut, gate.isPressed]).toEqual([true, false]);
  });

  it('knows a place until the last peer has left it', () => {
    shutTight();
    const sender = other();
    const place = endpointOf('127.0.0.8', sender);
    const called = (): number => {
      let count = 0;
      for (let i = 0; i < 100; i++) count += passes('127.0.0.8', initiation(), { sender });
      return count;
    };
    gate.expectPlace(place);
    gate.expectPlace(place);
    gate.forgetPlace(place);
    expect(called()).toBe(100);
    gate.forgetPlace(place);
    expect(called()).toBeLessThan(90);
  });

  it('guards new sockets while it is shut, and is not left shut before those handed over', () => {
    period(0.8);
    const { port, sockets } = victim;
    expect(passes('127.0.0.2', data(NOT_OURS), { sender: other() })).toBe(0);
    const old = victim;
    const quiet = { onDrop: () => {}, onNote: () => {} };
    victim = adoptUdp({ port, sockets }, { arena, fwmark: 0, offload: false, ...quiet });
    expect(passes('127.0.0.2', data(NOT_OURS))).toBe(1);
    // The successor failed: the next judgement shuts it again.
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    expect(passes('127.0.0.2', data(NOT_OURS))).toBe(0);
    victim = open();
    old.close();
    gate.guard(victim.sockets);
    expect(passes('127.0.0.2', data(NOT_OURS))).toBe(0);
  });

  it('tells the same of the last moments of sockets that are replaced', () => {
    period(0.8);
    const sender = open();
    others.push(sender);
    // Turned away since the last judgement: no overflow of the sockets of before, or of the next.
    for (let i = 0; i < 5_000; i++) send('127.0.0.2', data(NOT_OURS), { sender });
    const old = victim;
    victim = open();
    gate.guard(victim.sockets);
    old.close();
    const judged = (): number => {
      clock.now += PERIOD_MS;
      gate.turned(0, 0, 0, clock.now);
      return drops.receiveOverflow ?? 0;
    };
    expect(judged()).toBe(0);
    expect(drops.turnedAway).toBe(5_000);
    gate.expectIndex(OURS);
    gate.expectPlace(endpointOf('127.0.0.2', sender));
    for (let i = 0; i < 8_000; i++) send('127.0.0.2', data(OURS, 1_000), { sender });
    const overflow = judged();
    expect(overflow).toBeGreaterThan(0);
    expect(overflow + receive()).toBe(8_000);
    // Those of before do not count again for whoever guards the same sockets from here.
    gate.guard(victim.sockets);
    expect(judged()).toBe(overflow);
  });

  it('is open again to all before sockets that a failed successor left its own filter at', () => {
    period(0.8);
    for (let i = 0; i < 30; i++) period(0, 0);
    expect(gate.isShut).toBe(false);
    const successor = openFloodgate({ onDrop: () => {}, onNote: () => {} });
    successor.guard(victim.sockets);
    clock.now += PERIOD_MS;
    successor.turned(10_000, 0.8 * PERIOD_MS, 0.8 * PERIOD_MS, clock.now);
    expect(passes('127.0.0.2', data(NOT_OURS), { sender: other() })).toBe(0);
    successor.close();
    period(0, 0);
    expect(passes('127.0.0.2', data(NOT_OURS))).toBe(1);
  });

  it('tells what it turned away from what the socket could not hold', () => {
    const sender = open();
    others.push(sender);
    for (let i = 0; i < 8_000; i++) send('127.0.0.2', data(NOT_OURS, 1_000), { sender });
    clock.now += PERIOD_MS;
    gate.turned(0, 0, 0, clock.now);
    expect(drops.receiveOverflow).toBeGreaterThan(0);
    expect(drops.turnedAway).toBeUndefined();
    expect(drops.receiveOverflow! + receive()).toBe(8_000);
  });
});

describe('without bpf(2)', () => {
  it('the gate stays open, and says so once', () => {
    gate = new Floodgate(
      { onDrop: () => {}, onNote: (note) => notes.push(note) },
      null,
      'bpf: EPERM',
    );
    for (let i = 0; i < 3; i++) period(0.9);
    expect(gate.state).toEqual({ word: 'none', share: 1, refusal: 'bpf: EPERM' });
    expect(notes).toEqual([
      'udp: flood: 100000 useless datagrams a second; they cannot be filtered in the kernel (bpf: EPERM)',
    ]);
  });
});

describe('what classes get of a budget', () => {
  it.each([
    { budget: 100, wanted: [0, 0, 0], shares: [1, 1, 1] },
    { budget: 100, wanted: [10, 20, 30], shares: [1, 1, 1] },
    { budget: 100, wanted: [10, 900, 0], shares: [1, 0.1, 1] },
    { budget: 100, wanted: [500, 1_000, 20], shares: [0.08, 0.04, 1] },
  ])('$budget for $wanted', ({ budget, wanted, shares }) => {
    expect(shareOut(budget, wanted)).toEqual(shares);
  });
});
