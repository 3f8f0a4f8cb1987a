/**
 * The gate before a UDP socket, with real sockets on loopback, of which every address of
 * 127.0.0.0/8 may be a sender. What the kernel does takes root and bpf(2); the rest does not.
 */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { attachFilter, createMap, detachFilter } from '../../src/io/bpf.ts';
import { close } from '../../src/io/libc.ts';
import { adoptUdp, type DatagramSink, openUdp, type Udp } from '../../src/io/udp.ts';
import { openDescriptors } from './namespace.ts';

const clock = vi.hoisted(() => ({ now: 0 }));
const bpf = vi.hoisted(() => ({ isAllowed: true }));

vi.mock('../../src/io/clock.ts', async (importOriginal) => ({
  ...(await importOriginal<object>()),
  monotonicMs: () => clock.now,
}));
vi.mock('../../src/io/bpf.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/io/bpf.ts')>();
  return {
    ...original,
    createMap: (plan: Parameters<typeof createMap>[0]) =>
      bpf.isAllowed ? original.createMap(plan) : -1,
  };
});

/** A turn's worth of strangers (as many as the arena takes), and a thousand more: a flood. */
const FLOOD = 1_600;
const REOPENING_MS = 6_000;

let notes: string[];
let overflow: number;
let arena: Arena;
let victim: Udp;
const others: Udp[] = [];

beforeEach(() => {
  bpf.isAllowed = true;
  notes = [];
  overflow = 0;
  arena = new Arena(8 << 20);
  victim = open({
    onDrop: (reason, packets) => {
      expect(reason).toBe('receiveOverflow');
      overflow += packets;
    },
    onNote: (note) => notes.push(note),
  });
});
afterEach(() => {
  for (const udp of [victim, ...others.splice(0)]) udp.close();
});

function open(more: Partial<Parameters<typeof openUdp>[0]> = {}): Udp {
  const common = { arena, port: 0, fwmark: 0, offload: false };
  return openUdp({ ...common, onDrop: () => {}, onNote: () => {}, ...more });
}

/** Sends `count` datagrams from one address of loopback to the victim. */
function send(from: string, count = 1, sender = others[0] ?? other()): void {
  const isV4 = !from.includes(':');
  const source = isV4 ? Uint8Array.from(from.split('.'), Number) : LOOPBACK_6;
  const target = new Endpoint(isV4 ? LOOPBACK_4 : LOOPBACK_6, victim.port, 0, source, 0);
  const offset = arena.allocate(32);
  for (let i = 0; i < count; i++) sender.transmit(offset, 32, target, 0);
  sender.flush();
  arena.reset();
}

const LOOPBACK_4 = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_6 = Uint8Array.of(...new Array(15).fill(0), 1);

function other(): Udp {
  const udp = open();
  others.push(udp);
  return udp;
}

/** What can be read now; `meet` sees the endpoint of each. */
function receive(meet: (endpoint: Endpoint) => void = () => {}): number {
  let count = 0;
  for (const socket of victim.sockets) {
    const take: DatagramSink = (_offset, _length, endpoint) => {
      count++;
      meet(endpoint);
    };
    while (socket.receive(take, Number.POSITIVE_INFINITY) > 0) arena.reset();
  }
  return count;
}

/** Strangers of all addresses of a /16 and more; few enough at a time for the socket's buffer. */
function flood(count = FLOOD): void {
  for (let i = 0; i < count; i++) send(`127.${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}`);
}

function authenticate(endpoint: Endpoint): void {
  endpoint.isAuthenticated = true;
}

/** Whether this process may do what the gate does. */
function canUseBpf(): boolean {
  const map = createMap({ type: 2, keyBytes: 4, valueBytes: 8, entries: 1, flags: 0 });
  if (map >= 0) close(map);
  return map >= 0;
}

const isPossible = canUseBpf();
if (!isPossible) console.warn('SKIPPED: the flood gate: needs root and bpf(2)');

describe.skipIf(!isPossible)('the gate before a socket (needs root and bpf(2))', () => {
  it('is open while strangers are few', () => {
    for (let i = 0; i < 10; i++) {
      send('127.0.0.2', 100);
      clock.now += 200;
      expect(receive()).toBe(100);
    }
    expect(notes).toEqual([]);
    expect(overflow).toBe(0);
  });

  it('is shut by a flood, and then lets one datagram of each source pass', () => {
    flood();
    receive();
    expect(notes).toEqual([
      expect.stringMatching(/^udp: a flood, \d+ datagrams a second from strangers over IPv4: /),
    ]);
    send('127.0.0.2', 5);
    send('127.0.0.3', 5);
    clock.now += 200;
    expect(receive()).toBe(2);
    expect(overflow).toBe(8);
  });

  it('lets everything pass that comes from where a peer was authenticated, before and after', () => {
    send('127.0.0.4');
    receive(authenticate);
    flood();
    receive();
    send('127.0.0.4', 50);
    expect(receive(authenticate)).toBe(50);
    // The first one is a stranger's, and then it is not.
    send('127.0.0.5');
    expect(receive(authenticate)).toBe(1);
    send('127.0.0.5', 50);
    expect(receive()).toBe(50);
  });

  it('knows a peer that is authenticated later than its datagram is read', () => {
    flood();
    receive();
    let late: Endpoint | undefined;
    send('127.0.0.6');
    receive((endpoint) => {
      late = endpoint;
    });
    // As the Device does when the message has waited in its queue: it answers.
    authenticate(late!);
    victim.transmit(arena.allocate(32), 32, late!, 0);
    victim.flush();
    arena.reset();
    send('127.0.0.6', 50);
    expect(receive()).toBe(50);
  });

  it('does not take another port of a known address for it', () => {
    send('127.0.0.7');
    receive(authenticate);
    flood();
    receive();
    send('127.0.0.7', 5, other());
    expect(receive()).toBe(1);
  });

  it('takes a peer that has gone elsewhere for a stranger again', () => {
    let left: Endpoint | undefined;
    send('127.0.0.8');
    receive((endpoint) => {
      authenticate(endpoint);
      left = endpoint;
    });
    left!.isAuthenticated = false;
    flood();
    receive();
    send('127.0.0.8', 5);
    expect(receive()).toBe(1);
  });

  it('holds back IPv6 by itself, a /64 as one source', () => {
    send('::1', FLOOD);
    receive();
    expect(notes.join()).toContain('over IPv6');
    send('::1', 5);
    expect(receive()).toBe(1);
    send('127.0.0.9', 5);
    expect(receive()).toBe(5);
  });

  it('opens when the flood has ebbed, and gives back what it took', () => {
    other();
    const before = openDescriptors();
    flood();
    receive();
    expect(openDescriptors()).toBeGreaterThan(before);
    for (let i = 0; i < 3; i++) {
      clock.now += REOPENING_MS;
      send(`127.0.1.${i}`);
      receive();
    }
    expect(notes.at(-1)).toBe('udp: the flood over IPv4 has ebbed');
    send('127.0.0.2', 50);
    expect(receive()).toBe(50);
    expect(openDescriptors()).toBe(before);
  });

  it('stays shut while the kernel turns a flood away', () => {
    flood();
    receive();
    for (let i = 0; i < 20; i++) {
      send('127.0.0.2', 1_000);
      clock.now += 400;
      receive();
    }
    expect(notes).toHaveLength(1);
  });

  it('is not left shut behind by a daemon that hands its sockets over', () => {
    flood();
    receive();
    const { port, sockets } = victim;
    const options = { arena, fwmark: 0, offload: false, onDrop: () => {}, onNote: () => {} };
    const old = victim;
    victim = adoptUdp({ port, sockets }, options);
    send('127.0.0.2', 5);
    expect(receive()).toBe(5);
    // Only now: both have the same descriptors here.
    old.close();
  });

  it('leaves no descriptor behind when the socket is closed', () => {
    const before = openDescriptors();
    const own = victim;
    flood();
    receive();
    own.close();
    expect(openDescriptors()).toBeLessThanOrEqual(before);
  });

  it('replaces and removes a filter', () => {
    expect(attachFilter(victim.sockets[0]!.fd, [])).toBe(false);
    detachFilter(victim.sockets[0]!.fd);
    send('127.0.0.2', 2);
    expect(receive()).toBe(2);
  });
});

describe('without bpf(2)', () => {
  it('the gate stays open, and says so once', () => {
    bpf.isAllowed = false;
    for (let i = 0; i < 3; i++) {
      send('127.0.0.2', FLOOD);
      clock.now += 200;
      expect(receive()).toBe(FLOOD);
    }
    expect(notes).toEqual([
      expect.stringMatching(/without bpf\(2\) they cannot be held back in the kernel$/),
    ]);
  });
});
