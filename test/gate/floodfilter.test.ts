/**
 * The filter itself, run by the kernel before real sockets on loopback: in which class it counts a
 * datagram, and how many of a class it lets pass. What the gate makes of that: floodgate.test.ts.
 */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { Endpoint } from '../../src/device/endpoint.ts';
import { attachFilter, loadFilter, openBoard } from '../../src/gate/bpf.ts';
import { BOARD_BYTES, createHashKeys, FloodBoard, TRAFFIC } from '../../src/gate/floodboard.ts';
import { createFloodFilter } from '../../src/gate/floodfilter.ts';
import { ReplayWindow } from '../../src/noise/replay.ts';
import { parseAddress } from '../../src/packet/address.ts';
import { random } from '../../src/sys/clock.ts';
import { close } from '../../src/sys/libc.ts';
import type { Udp } from '../../src/udp/udp.ts';
import { endpointOf, message, openOnLoopback, readAll, sendAlike } from './loopback.ts';

const OURS = 0x89ab_cdef;
const NOT_OURS = 0x1234_5678;
type Class = keyof typeof TRAFFIC;
const NAMES = Object.keys(TRAFFIC) as Class[];

let arena: Arena;
let board: FloodBoard;
let victim: Udp;
let sender: Udp;
let filters: number[];

/** All classes pass. */
function prepare(): void {
  arena = new Arena(8 << 20);
  const memory = openBoard(BOARD_BYTES);
  if ('refusal' in memory) throw new Error(memory.refusal);
  const keys = createHashKeys(random);
  board = new FloodBoard(memory.memory, keys);
  victim = openOnLoopback(arena, true);
  sender = openOnLoopback(arena, true);
  filters = victim.sockets.map(({ family, fd }) => {
    const filter = loadFilter(createFloodFilter(family, memory.fd, keys));
    if (typeof filter !== 'number') throw new Error(filter.refusal);
    expect(attachFilter(fd, filter)).toBe(true);
    return filter;
  });
  close(memory.fd);
  for (const name of NAMES) board.setShare(TRAFFIC[name], 1);
}

function cleanUp(): void {
  for (const filter of filters) close(filter);
  for (const udp of [victim, sender]) udp.close();
}

const send = (from: string, bytes: Uint8Array, count: number): void =>
  sendAlike(arena, sender, victim, from, bytes, count);

const receive = (): number => readAll(arena, victim);

/** Which classes count it, and how often. */
function counted(from: string, bytes: Uint8Array, count = 1): Partial<Record<Class, number>> {
  const before = NAMES.map((name) => board.arrived(TRAFFIC[name]));
  send(from, bytes, count);
  const entries = NAMES.map((name, i) => [name, board.arrived(TRAFFIC[name]) - before[i]] as const);
  return Object.fromEntries(entries.filter(([, difference]) => difference > 0));
}

const at = (from: string): Endpoint => endpointOf(from, sender);

/** `at` is where the receiver's index stands. */
function named(type: number, length: number, index: number, at = 4): Uint8Array {
  const bytes = message(type, length);
  new DataView(bytes.buffer).setUint32(at, index, true);
  return bytes;
}

/** With one byte of a cookie at `cookie`, unless it is 0. */
function initiation(cookie = 0): Uint8Array {
  const bytes = message(1, 148).fill(7, 4, 132);
  if (cookie > 0) bytes[cookie] = 1;
  return bytes;
}

const data = (index: number): Uint8Array => named(4, 112, index);

const isPossible = !('refusal' in openBoard(BOARD_BYTES));
if (!isPossible) console.warn('SKIPPED: the flood filter: needs root and bpf(2)');

describe.skipIf(!isPossible)('the filter before a socket (needs root and bpf(2))', () => {
  beforeEach(prepare);
  afterEach(cleanUp);

  describe.each(['127.0.0.2', '::1'])('from %s', (from) => {
    beforeEach(() => board.countIndex(OURS, 1));

    it.each<[string, Uint8Array]>([
      ['no byte', message(4, 0)],
      ['one byte', message(1, 1)],
      ['less than the shortest message', named(4, 31, OURS)],
      ['type 0', message(0, 148)],
      ['type 5', message(5, 148)],
      ['a short initiation', message(1, 147)],
      ['a long initiation', message(1, 149)],
      ['a short response', named(2, 91, OURS, 8)],
      ['a long response', named(2, 93, OURS, 8)],
      ['a short cookie reply', named(3, 63, OURS)],
      ['a long cookie reply', named(3, 65, OURS)],
      ['an initiation with reserved bytes', initiation().fill(1, 1, 2)],
      ['data with reserved bytes', data(OURS).fill(1, 3, 4)],
    ])('%s is malformed, whoever sends it', (_, bytes) => {
      expect(counted(from, bytes)).toEqual({ malformed: 1 });
      board.countPlace(at(from), 1);
      expect(counted(from, bytes)).toEqual({ malformed: 1 });
    });

    it.each<[string, (index: number) => Uint8Array]>([
      ['data', data],
      ['the shortest data', (index) => named(4, 32, index)],
      ['a response', (index) => named(2, 92, index, 8)],
      ['a cookie reply', (index) => named(3, 64, index)],
    ])('%s is sorted by its index and its place', (_, bytes) => {
      expect(counted(from, bytes(NOT_OURS))).toEqual({ unexpected: 1 });
      expect(counted(from, bytes(OURS))).toEqual({ moved: 1 });
      board.countPlace(at(from), 1);
      expect(counted(from, bytes(NOT_OURS))).toEqual({ unexpected: 1 });
      expect(counted(from, bytes(OURS))).toEqual({ session: 1 });
      board.countPlace(at(from), -1);
      expect(counted(from, bytes(OURS))).toEqual({ moved: 1 });
      board.countIndex(OURS, -1);
      expect(counted(from, bytes(OURS))).toEqual({ unexpected: 1 });
    });

    it('a call is sorted by its place, and a stranger’s by whether there is a cookie', () => {
      expect(counted(from, initiation())).toEqual({ strangersCall: 1 });
      // Its first word is enough to tell.
      for (const cookie of [132, 135])
        expect(counted(from, initiation(cookie))).toEqual({ secondCall: 1 });
      board.countPlace(at(from), 1);
      expect(counted(from, initiation())).toEqual({ peersCall: 1 });
      expect(counted(from, initiation(132))).toEqual({ peersCall: 1 });
    });

    it('a place is an address and a port, all of both', () => {
      const elsewhere = from.includes(':') ? ['::2', '1::1', '0:0:1::1'] : ['127.0.0.3', '1.0.0.2'];
      const otherPorts = [sender.port ^ 1, sender.port ^ 0x100];
      const others = [
        ...elsewhere.map(at),
        ...otherPorts.map((port) => new Endpoint(parseAddress(from)!, port)),
      ];
      let strangers = 0;
      for (const other of others) {
        board.countPlace(other, 1);
        if (counted(from, data(OURS)).moved === 1) strangers++;
        board.countPlace(other, -1);
      }
      // One of 2,048 is taken for another by chance.
      expect(strangers).toBeGreaterThanOrEqual(others.length - 1);
    });

    it('a run is counted by its datagrams, and as one buffer; a stranger’s calls are none', () => {
      expect(counted(from, data(OURS), 40)).toEqual({ moved: 40 });
      expect(counted(from, initiation(), 40)).toEqual({ malformed: 40 });
      board.countPlace(at(from), 1);
      expect(counted(from, initiation(), 40)).toEqual({ peersCall: 40 });
      receive();
      board.setShare(TRAFFIC.unexpected, 0);
      const buffers = board.droppedBuffers;
      const dropped = board.dropped(TRAFFIC.unexpected);
      send(from, data(NOT_OURS), 40);
      expect(board.dropped(TRAFFIC.unexpected) - dropped).toBe(40);
      expect(board.droppedBuffers - buffers).toBe(1);
      expect(receive()).toBe(0);
    });
  });

  describe('data that a session’s window has left behind', () => {
    const FROM = '127.0.0.2';
    const GREATEST = 100_000;
    /** Of the same window: what it is kept by is in the other half of an index. */
    const SHARER = OURS ^ 1;
    const dataWith = (counter: number): Uint8Array => {
      const bytes = data(OURS);
      new DataView(bytes.buffer).setBigUint64(8, BigInt(counter), true);
      return bytes;
    };
    beforeEach(() => {
      board.countIndex(OURS, 1);
      board.countPlace(at(FROM), 1);
    });

    it('is refused as if nobody awaited it, wherever it is from', () => {
      expect(counted(FROM, dataWith(0))).toEqual({ session: 1 });
      board.setWindow(OURS, GREATEST);
      for (const from of [FROM, '127.0.0.3'])
        expect(counted(from, dataWith(0))).toEqual({ unexpected: 1 });
    });

    it('is never what the session would take', () => {
      let refused = 0;
      for (const greatest of [-1, 0, 8_191, 8_448, 99_999, GREATEST, 2 ** 32 + 5, 2 ** 41]) {
        const window = new ReplayWindow();
        if (greatest >= 0) window.accept(greatest);
        board.setWindow(OURS, greatest);
        const near = Array.from({ length: 60 }, (_, i) => greatest - 8_192 + 17 * (i - 30));
        const far = Array.from({ length: 52 }, (_, i) => 2 ** i - 1);
        const unlike = [2 ** 40, 2 ** 40 + 1, 2 ** 48, 2 ** 52, greatest - 8_191, greatest + 1];
        for (const counter of [...near, ...far, ...unlike].filter((each) => each >= 0)) {
          if (counted(FROM, dataWith(counter)).unexpected !== 1) continue;
          expect(window.isNew(counter), `${counter} after ${greatest}`).toBe(false);
          refused++;
        }
      }
      expect(refused).toBeGreaterThan(100);
    });

    it('passes in a run, which may hold more than a replay, and is no answer', () => {
      board.setWindow(OURS, GREATEST);
      expect(counted(FROM, dataWith(0), 40)).toEqual({ session: 40 });
      expect(counted(FROM, named(2, 92, OURS, 8))).toEqual({ session: 1 });
      expect(counted(FROM, named(3, 64, OURS))).toEqual({ session: 1 });
    });

    it('passes while another index shares the window, and until it is told of again', () => {
      board.setWindow(OURS, GREATEST);
      board.countIndex(SHARER, 1);
      expect(counted(FROM, dataWith(0))).toEqual({ session: 1 });
      board.setWindow(OURS, GREATEST);
      expect(counted(FROM, dataWith(0))).toEqual({ session: 1 });
      board.countIndex(SHARER, -1);
      expect(counted(FROM, dataWith(0))).toEqual({ session: 1 });
      board.setWindow(OURS, GREATEST);
      expect(counted(FROM, dataWith(0))).toEqual({ unexpected: 1 });
    });

    it('passes once the index is another session’s', () => {
      board.setWindow(OURS, GREATEST);
      board.countIndex(OURS, -1);
      board.countIndex(OURS, 1);
      expect(counted(FROM, dataWith(0))).toEqual({ session: 1 });
    });
  });

  it('of a class as many pass as its share says, and no other class is touched', () => {
    board.countIndex(OURS, 1);
    const passed = (bytes: Uint8Array): number => {
      let count = 0;
      for (let i = 0; i < 400; i++) {
        send('127.0.0.2', bytes, 1);
        count += receive();
      }
      return count;
    };
    board.setShare(TRAFFIC.strangersCall, 0);
    expect(passed(initiation())).toBe(0);
    expect(board.dropped(TRAFFIC.strangersCall)).toBe(400);
    expect(passed(data(OURS))).toBe(400);
    // A half, give or take eight deviations.
    board.setShare(TRAFFIC.strangersCall, 0.5);
    const half = passed(initiation());
    expect(half).toBeGreaterThan(120);
    expect(half).toBeLessThan(280);
    board.setShare(TRAFFIC.strangersCall, 1);
    expect(passed(initiation())).toBe(400);
    expect(board.dropped(TRAFFIC.moved)).toBe(0);
  });

  it('draws one by one, and from elsewhere after each stir', () => {
    board.setShare(TRAFFIC.strangersCall, 0.5);
    const drawn = (start: number): string => {
      board.stir((out) => out.fill(start));
      let passes = '';
      for (let i = 0; i < 128; i++) {
        send('127.0.0.2', initiation(), 1);
        passes += receive();
      }
      return passes;
    };
    const one = drawn(0x5a);
    expect(drawn(0x5a)).toBe(one);
    const other = drawn(0xc3);
    expect(other).not.toBe(one);
    for (const passes of [one, other]) {
      const changes = [...passes].filter((each, i) => each !== passes[i - 1]);
      // 64, give or take six deviations.
      expect(changes.length).toBeGreaterThan(30);
      expect(changes.length).toBeLessThan(98);
      expect(passes).not.toMatch(/0{24}|1{24}/);
    }
  });

  it('a small share passes as seldom as it says, however often the draw is stirred', () => {
    board.setShare(TRAFFIC.strangersCall, 1 / 32);
    let count = 0;
    for (let i = 0; i < 6_400; i++) {
      if (i % 64 === 0) board.stir(random);
      send('127.0.0.2', initiation(), 1);
      count += receive();
    }
    // 200, give or take seven deviations.
    expect(count).toBeGreaterThan(100);
    expect(count).toBeLessThan(300);
  });

  it('finds each of thousands of indices and places, and few others', () => {
    const index = (i: number): number => Math.imul(i + 1, 0x9e37_79b1) >>> 0;
    const place = (i: number): Endpoint => new Endpoint(parseAddress('127.0.0.2')!, 20_000 + i);
    for (let i = 0; i < 3_000; i++) board.countIndex(index(i), 1);
    for (let i = 0; i < 3_000; i++) board.countPlace(place(i), 1);
    for (let i = 0; i < 3_000; i += 2) board.countIndex(index(i), -1);
    let found = 0;
    let mistaken = 0;
    for (let i = 0; i < 600; i++) {
      if (counted('127.0.0.4', data(index(i))).unexpected === 1) continue;
      if (i % 2 === 1) found++;
      else mistaken++;
    }
    expect(found).toBe(300);
    expect(mistaken).toBeLessThan(30);
    let strangers = 0;
    for (let i = 0; i < 100; i++) {
      const from = `127.0.1.${i}`;
      strangers += counted(from, initiation()).strangersCall ?? 0;
      board.countPlace(at(from), 1);
      expect(counted(from, initiation())).toEqual({ peersCall: 1 });
    }
    expect(strangers).toBeGreaterThan(80);
  });

  it('knows a place where more peers are than a count can hold', () => {
    for (let i = 0; i < 256; i++) board.countPlace(at('127.0.0.2'), 1);
    expect(counted('127.0.0.2', initiation())).toEqual({ peersCall: 1 });
    for (let i = 0; i < 255; i++) board.countPlace(at('127.0.0.2'), -1);
    expect(counted('127.0.0.2', initiation())).toEqual({ peersCall: 1 });
  });
});

describe('the board', () => {
  it('holds nothing of what was forgotten, whatever its tables grew to meanwhile', () => {
    const memory = new ArrayBuffer(BOARD_BYTES);
    const tables = new Uint8Array(memory, 4_096);
    const own = new FloodBoard(memory, createHashKeys(random));
    const endpoint = (i: number) => new Endpoint(Uint8Array.of(10, i >> 16, i >> 8, i), i & 0xffff);
    const all = Array.from({ length: 500 }, (_, i) => i);
    const change = (by: 1 | -1): void => {
      for (const i of all) {
        own.countIndex(Math.imul(i + 1, 0x9e37_79b1), by);
        own.countPlace(endpoint(i), by);
      }
    };
    change(1);
    expect(tables.reduce((sum, count) => sum + count, 0)).toBe(2 * all.length);
    change(-1);
    expect(tables.every((count) => count === 0)).toBe(true);
  });

  it('cannot forget what it does not know', () => {
    const own = new FloodBoard(new ArrayBuffer(BOARD_BYTES), createHashKeys(random));
    expect(() => own.countIndex(OURS, -1)).toThrow('flood board');
  });
});
