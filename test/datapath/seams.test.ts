/**
 * What stands at either side of a path: two paths joined by memory alone, without a descriptor, a
 * system call or Linux's names, carry packets; and what each side is promised holds.
 */

import { describe, expect, it } from 'vitest';
import { Arena } from '../../src/arena.ts';
import { createPortableSuite } from '../../src/crypto/portable.ts';
import { DAEMON_METRICS, type DaemonSubject } from '../../src/daemon/metrics.ts';
import { Datapath, type DatapathOptions } from '../../src/datapath/datapath.ts';
import type { DeviceEvent } from '../../src/device/events.ts';
import { FAR_END, Line, Program } from './inprocess.ts';

const CAPACITY = 300;

/** A path, its two sides, and what it reported. */
class Site {
  readonly arena = new Arena(4 << 20);
  readonly suite = createPortableSuite(this.arena);
  readonly program = new Program(this.arena);
  readonly line: Line;
  readonly events: DeviceEvent[] = [];
  readonly holds: boolean[] = [];
  readonly path: Datapath;
  readonly privateKey: Uint8Array;
  readonly address: Uint8Array;

  constructor(number: number, options: Partial<DatapathOptions> & { link?: number } = {}) {
    this.line = new Line(this.arena, CAPACITY, options.link);
    this.path = new Datapath({
      arena: this.arena,
      suite: this.suite,
      onHold: (isHeld) => this.holds.push(isHeld),
      ...options,
    });
    this.path.device.observe((event) => this.events.push(event));
    this.privateKey = new Uint8Array(32).fill(number);
    this.address = Uint8Array.of(10, 0, 0, number);
    this.path.attachInterface(this.program);
    this.path.attachTransport(this.line);
  }

  meet(other: Site): void {
    const publicKey = other.suite.publicKey(other.privateKey);
    const prefix = { address: other.address, length: 32 };
    const peer = { publicKey, endpoint: FAR_END, allowedIps: [{ prefix, remove: false }] };
    this.path.turn(() => {
      const { device, now } = this.path;
      device.configure(now, { privateKey: this.privateKey, peers: [peer] });
      device.up(now);
    });
  }

  /** An IPv4 packet to the other site that says which one it is. */
  packet(to: Site, number = 0): Uint8Array {
    const packet = new Uint8Array(64);
    const view = new DataView(packet.buffer);
    packet[0] = 0x45;
    view.setUint16(2, packet.length);
    packet.set(this.address, 12);
    packet.set(to.address, 16);
    view.setUint32(20, number);
    return packet;
  }

  /** Reads what its line brought; false when that was nothing. */
  receive(): boolean {
    if (this.line.waiting === 0) return false;
    this.path.receive(this.line);
    return true;
  }
}

function join(options: ConstructorParameters<typeof Site>[1] = {}): readonly [Site, Site] {
  const [left, right] = [new Site(1, options), new Site(2)];
  left.line.join(right.line);
  left.meet(right);
  right.meet(left);
  return [left, right];
}

/** Until nothing more comes. */
function carry(left: Site, right: Site): void {
  while (left.receive() || right.receive());
}

describe('two paths joined in one process', () => {
  it('carry packets both ways', () => {
    const [left, right] = join();
    const there = left.packet(right);
    const back = right.packet(left);
    left.program.outbox.push(there);
    left.path.readInterface();
    carry(left, right);
    expect(right.program.inbox).toEqual([there]);
    right.program.outbox.push(back);
    right.path.readInterface();
    carry(left, right);
    expect(left.program.inbox).toEqual([back]);
    expect(left.path.moved).toBeGreaterThan(1);
  });

  it('read what the interface answers to a packet in the same call', () => {
    const [left, right] = join();
    left.program.outbox.push(left.packet(right));
    left.path.readInterface();
    carry(left, right);
    left.program.outbox.push(left.packet(right));
    left.path.readInterface();
    const answer = right.packet(left);
    right.program.outbox.push(answer);
    right.receive();
    left.receive();
    expect(left.program.inbox).toEqual([answer]);
  });

  it('show their sides by their own words', () => {
    const [left] = join();
    left.line.errors.set('full', 3);
    left.program.errors.set('gone', 1);
    const shown = (name: string) => {
      const metric = DAEMON_METRICS.find((one) => one.name === name)!;
      const subject = { path: left.path } as DaemonSubject;
      return 'readEach' in metric ? [...metric.readEach(subject)] : metric.read(subject);
    };
    expect(shown('offload')).toEqual([
      ['interface', { word: 'no' }],
      ['line', { word: 'no' }],
    ]);
    // Their errors are none of those that UDP and TUN have rows for.
    expect([shown('udp'), shown('tun')]).toEqual([[], []]);
    left.path.detachTransport();
    expect(shown('offload')).toEqual([['interface', { word: 'no' }]]);
    expect(shown('gate')).toEqual({ word: 'none' });
  });

  it('read either side to stay warm, and have nothing to do in pauses when that is off', () => {
    const [left, right] = join();
    left.program.outbox.push(left.packet(right));
    for (let i = 0; i < 4; i++) for (const site of [left, right]) site.path.stayWarm!();
    expect(right.program.inbox).toHaveLength(1);
    expect(new Site(3, { warm: false }).path.stayWarm).toBeUndefined();
  });
});

describe('a transport that takes no more', () => {
  it('leaves packets to the interface, in order and without a loss, until it does', () => {
    const [left, right] = join();
    left.program.outbox.push(left.packet(right));
    left.path.readInterface();
    carry(left, right);
    const sent = Array.from({ length: 1_000 }, (_, i) => left.packet(right, i));
    left.program.outbox.push(...sent);
    left.path.readInterface();
    expect(left.holds).toEqual([true]);
    expect(left.program.outbox).toHaveLength(1_000 - 256);
    left.path.readInterface();
    left.path.handleTimeout();
    expect(left.program.outbox).toHaveLength(1_000 - 256);
    expect(left.holds).toEqual([true]);
    for (let turns = 0; turns < 4; turns++) {
      carry(left, right);
      left.path.handleTimeout();
      expect(left.holds.at(-1)).toBe(false);
      left.path.readInterface();
    }
    carry(left, right);
    expect(right.program.inbox.slice(1)).toEqual(sent);
    expect([...left.line.errors]).toEqual([]);
  });

  it('holds nothing once it is gone', () => {
    const [left, right] = join();
    left.program.outbox.push(left.packet(right));
    left.path.readInterface();
    carry(left, right);
    left.program.outbox.push(...Array.from({ length: 300 }, () => left.packet(right)));
    left.path.readInterface();
    left.path.turn(() => left.path.detachTransport());
    expect(left.holds).toEqual([true, false]);
  });
});

describe('a transport over the routes of a machine', () => {
  const kinds = ({ events }: Site) => events.map(({ kind }) => kind);

  it('says that a peer is reached through the tunnel itself', () => {
    const [left, right] = join({ link: 7 });
    left.path.setLink(7);
    left.program.outbox.push(left.packet(right));
    left.path.readInterface();
    expect(kinds(left)).toContain('routingLoop');
    expect(right.line.waiting).toBe(0);
  });

  it('leads into the tunnel only while that is in the same network, and one without routes never', () => {
    for (const [left, right] of [join({ link: 7 }), join({ link: 0 }), join()]) {
      if (left.line.lead === undefined) left.path.setLink(7);
      left.program.outbox.push(left.packet(right));
      left.path.readInterface();
      expect(kinds(left)).not.toContain('routingLoop');
      expect(right.line.waiting).toBe(1);
    }
  });
});

describe('turns', () => {
  it('do not lie in each other', () => {
    const { path, line, program } = new Site(1);
    const within = 'a turn within a turn';
    expect(() => path.turn(() => path.readInterface())).toThrow(within);
    expect(() => path.turn(() => path.receive(line))).toThrow(within);
    expect(() => path.turn(() => path.handleTimeout())).toThrow(within);
    expect(() => path.turn(() => path.turn(() => {}))).toThrow(within);
    expect(() => path.turn(() => path.readClock())).toThrow('a turn has one time');
    program.flush = () => path.readInterface();
    expect(() => path.handleTimeout()).toThrow(within);
    program.flush = () => {};
    line.receive = () => {
      path.readInterface();
      return 0;
    };
    expect(() => path.receive(line)).toThrow(within);
  });

  it('end when what they do throws, without sending what it had put out', () => {
    const [left, right] = join();
    left.path.turn(() => {});
    const flushes: number[] = [];
    left.line.flush = () => void flushes.push(1);
    const planted = (): never => {
      throw new Error('planted');
    };
    expect(() => left.path.turn(planted)).toThrow('planted');
    left.program.read = planted;
    expect(() => left.path.readInterface()).toThrow('planted');
    left.line.receive = planted;
    expect(() => left.path.receive(left.line)).toThrow('planted');
    expect(flushes).toEqual([]);
    expect(left.path.turn(() => 'the next')).toBe('the next');
    expect(flushes).toEqual([1]);
    expect(right.line.waiting).toBe(0);
  });

  it('leave one interface and one transport at a time', () => {
    const site = new Site(1);
    expect(() => site.path.attachInterface(site.program)).toThrow('there is an interface');
    expect(() => site.path.attachTransport(site.line)).toThrow('there is a transport');
    site.path.detachInterface();
    site.path.detachTransport();
    site.path.attachInterface(site.program);
    site.path.attachTransport(site.line);
    expect([site.path.interface, site.path.transport]).toEqual([site.program, site.line]);
  });
});
