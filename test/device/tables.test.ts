import { describe, expect, it } from 'vitest';
import { DEADLINE, DeadlineTable } from '../../src/device/deadlines.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { HandshakeQueue, MAX_QUEUED_HANDSHAKES } from '../../src/device/handshakequeue.ts';
import { IndexTable } from '../../src/device/indextable.ts';
import type { Peer } from '../../src/device/peer.ts';
import { BURST_PACKETS, PACKETS_PER_SECOND, RateLimiter } from '../../src/device/ratelimiter.ts';
import { remoteId } from '../../src/device/send.ts';
import { MAX_STAGED_PACKETS, StagedPackets } from '../../src/device/staged.ts';
import { parseAddress } from '../../src/packet/address.ts';

describe('deadlines', () => {
  it('expire in one pass, and what they arm in the past waits for the next', () => {
    const table = new DeadlineTable();
    const row = table.addRow();
    const other = table.addRow();
    table.arm(row, DEADLINE.sendKeepalive, 10);
    table.arm(other, DEADLINE.newHandshake, 5);
    table.arm(row, DEADLINE.zeroKeyMaterial, 30);
    expect(table.next).toBe(5);
    const expired: number[][] = [];
    table.expire(10, (r, column) => {
      expired.push([r, column]);
      if (r === other) table.arm(other, DEADLINE.newHandshake, 7);
    });
    expect(expired).toEqual([
      [row, DEADLINE.sendKeepalive],
      [other, DEADLINE.newHandshake],
    ]);
    expect(table.next).toBe(7);
    table.disarm(other, DEADLINE.newHandshake);
    table.expire(7, () => expect.fail('disarmed'));
    expect(table.next).toBe(30);
  });

  it('never tells a next time that is too late, whatever is armed and disarmed', () => {
    const table = new DeadlineTable();
    const model = new Map<string, number>();
    let state = 7;
    const random = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % n;
    };
    for (let i = 0; i < 40; i++) table.addRow();
    let now = 0;
    for (let step = 0; step < 20_000; step++) {
      const row = random(40);
      const column = random(5);
      const key = `${row},${column}`;
      if (random(3) > 0) {
        table.arm(row, column, now + random(500));
        model.set(key, 0);
        // The model keeps only which deadlines are armed; times are checked by expiry below.
      } else {
        table.disarm(row, column);
        model.delete(key);
      }
      if (random(10) === 0) {
        now += random(100);
        table.expire(now, (r, c) => expect(model.delete(`${r},${c}`)).toBe(true));
        expect(table.next).toBeGreaterThan(now);
        for (const k of model.keys()) {
          const [r, c] = k.split(',').map(Number);
          expect(table.isArmed(r, c)).toBe(true);
        }
      }
    }
    table.expire(Number.MAX_SAFE_INTEGER, (r, c) => model.delete(`${r},${c}`));
    expect(model.size).toBe(0);
    expect(table.next).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('rate limiter', () => {
  it('lets a burst and then 20 a second through, as a slow oracle reckons', () => {
    const limiter = new RateLimiter();
    const address = parseAddress('192.0.2.1')!;
    let state = 99;
    const random = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % n;
    };
    // The oracle: tokens as a fraction, stepped a millisecond at a time.
    let tokens = BURST_PACKETS;
    let now = 0;
    for (let step = 0; step < 5_000; step++) {
      const wait = random(120);
      for (let ms = 0; ms < wait; ms++)
        tokens = Math.min(BURST_PACKETS, tokens + PACKETS_PER_SECOND / 1_000);
      now += wait;
      const expected = tokens >= 1 - 1e-9;
      expect(limiter.allow(address, now)).toBe(expected);
      if (expected) tokens -= 1;
    }
  });

  it('counts an IPv6 /64 as one source and each IPv4 address as its own', () => {
    const limiter = new RateLimiter();
    for (let i = 0; i < BURST_PACKETS; i++)
      expect(limiter.allow(parseAddress(`2001:db8::${i + 1}`)!, 0)).toBe(true);
    expect(limiter.allow(parseAddress('2001:db8::ffff')!, 0)).toBe(false);
    expect(limiter.allow(parseAddress('2001:db8:0:1::1')!, 0)).toBe(true);
    for (let i = 0; i < 100; i++)
      expect(limiter.allow(parseAddress(`192.0.2.${i}`)!, 0)).toBe(true);
  });

  it('stays within its bound and forgets the silent', () => {
    const limiter = new RateLimiter();
    for (let i = 0; i < 20_000; i++) limiter.allow(new Uint8Array([10, i >> 16, i >> 8, i]), 0);
    expect(limiter.size).toBe(8_192);
    expect(limiter.allow(parseAddress('192.0.2.1')!, 2_000)).toBe(true);
    expect(limiter.size).toBe(1);
  });
});

describe('index table', () => {
  it('gives unique indices even when the random source repeats itself, never 0', () => {
    const sequence = [0, 7, 7, 7, 9];
    const random = (out: Uint8Array): void =>
      new DataView(out.buffer).setUint32(0, sequence.shift()!, true);
    const table = new IndexTable(random);
    const peer = {} as Peer;
    expect([table.create(peer), table.create(peer)]).toEqual([7, 9]);
    table.remove(7);
    expect(table.lookup(7)).toBeUndefined();
    expect(table.lookup(9)?.peer).toBe(peer);
  });

  it('takes indices above 2^31', () => {
    const table = new IndexTable((out) => out.fill(0xff));
    const index = table.create({} as Peer);
    expect(index).toBe(0xffffffff);
    expect(table.lookup(index)).toBeDefined();
  });
});

describe('queues', () => {
  it('staged packets are bounded and the oldest goes first', () => {
    const staged = new StagedPackets();
    let pushedOut = 0;
    for (let i = 0; i < MAX_STAGED_PACKETS + 5; i++) pushedOut += staged.push(new Uint8Array([i]));
    expect(pushedOut).toBe(5);
    const packets = staged.take();
    expect(packets.length).toBe(MAX_STAGED_PACKETS);
    expect(packets[0][0]).toBe(5);
    expect(staged.length).toBe(0);
  });

  it('the handshake queue is bounded, and under load from half of it for a second', () => {
    const queue = new HandshakeQueue();
    const endpoint = new Endpoint(parseAddress('192.0.2.1')!, 1);
    const half = MAX_QUEUED_HANDSHAKES / 2;
    for (let i = 1; i < half; i++) queue.push(new Uint8Array(148), endpoint, 0);
    expect(queue.isUnderLoad(0)).toBe(false);
    queue.push(new Uint8Array(148), endpoint, 0);
    expect(queue.isUnderLoad(999)).toBe(true);
    expect(queue.isUnderLoad(1_000)).toBe(false);
    while (queue.length < MAX_QUEUED_HANDSHAKES)
      expect(queue.push(new Uint8Array(148), endpoint, 0)).toBe(true);
    expect(queue.push(new Uint8Array(148), endpoint, 0)).toBe(false);
    for (let i = 0; i < MAX_QUEUED_HANDSHAKES; i++) expect(queue.shift()).toBeDefined();
    expect(queue.shift()).toBeUndefined();
  });

  it('the handshake queue gives back what was put in, in order, however often it goes round', () => {
    const queue = new HandshakeQueue();
    const endpoints = [1, 2, 3].map((port) => new Endpoint(parseAddress('192.0.2.1')!, port));
    for (let i = 0; i < 3 * MAX_QUEUED_HANDSHAKES; i++) {
      const messages = [148, 92].map((length) => new Uint8Array(length).fill(i + length));
      const entries = messages.map((message, which) => {
        return { message, endpoint: endpoints[(i + which) % 3] };
      });
      for (const { message, endpoint } of entries) queue.push(message, endpoint, 0);
      expect([queue.shift(), queue.shift()]).toEqual(entries);
    }
    expect(queue.length).toBe(0);
  });

  it('a thousand messages a second that came to nothing are a load, a few less are not', () => {
    const queue = new HandshakeQueue();
    for (let i = 0; i < 999; i++) queue.countFutile(i / 10);
    expect(queue.isUnderLoad(99)).toBe(false);
    for (let i = 0; i < 999; i++) queue.countFutile(1_000 + i / 10);
    expect(queue.isUnderLoad(1_099)).toBe(false);
    queue.countFutile(1_500);
    expect(queue.isUnderLoad(2_499)).toBe(true);
    expect(queue.isUnderLoad(2_500)).toBe(false);
  });
});

describe('what a cookie is bound to', () => {
  it('is address and port, in IPv4 and IPv6 by turns', () => {
    const idOf = (address: string, port: number) =>
      Buffer.from(remoteId(new Endpoint(parseAddress(address)!, port))).toString('hex');
    for (let round = 0; round < 2; round++) {
      expect(idOf('192.0.2.1', 0xcafe)).toBe('c0000201cafe');
      expect(idOf('2001:db8::1', 0xcafe)).toBe('20010db8000000000000000000000001cafe');
      expect(idOf('::', 1)).toBe(`${'00'.repeat(16)}0001`);
      expect(idOf('0.0.0.0', 256)).toBe('000000000100');
    }
  });
});
