/**
 * Runs against packet by packet: the same inputs to two worlds of the same seed, of which one is given
 * whole runs and the other each packet by itself. Whatever can be seen afterwards must be the same.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HEADROOM_BYTES } from '../../src/arena.ts';
import { DEADLINE, DEADLINE_NAMES } from '../../src/device/deadlines.ts';
import { formatEndpoint } from '../../src/device/endpoint.ts';
import { sendKeepalive } from '../../src/device/send.ts';
import { REPLAY_WINDOW_BYTES } from '../../src/noise/replay.ts';
import { messageStride } from '../../src/packet/padding.ts';
import { A_TO_B, ipv4, ipv6, pair, type Site, type World } from './world.ts';

const DATA = 4;
const MTU = 1_420;
/** Sides of REKEY_AFTER_TIME, of what makes the receiver begin again, and of REJECT_AFTER_TIME. */
const AGES_MS = [0, 9_000, 119_990, 120_010, 164_990, 165_010, 179_980, 180_010];

function connected() {
  const sites = pair();
  sites.a.send(A_TO_B());
  sites.world.run(10);
  return sites;
}

/** All that a run and its packets may not differ in. */
function seen(world: World, sites: readonly Site[]) {
  return {
    wire: world.wire.map(({ from, endpoint, bytes, trafficClass, at }) => ({
      from: sites.indexOf(from),
      to: formatEndpoint(endpoint),
      bytes: Buffer.from(bytes).toString('hex'),
      ...{ trafficClass, at },
    })),
    sites: sites.map((site) => ({
      delivered: site.delivered.map((bytes) => Buffer.from(bytes).toString('hex')),
      events: site.events,
      stats: site.device.stats(world.now),
      next: site.device.nextTimeout(),
      peers: [...site.device.core.peers.values()].map((peer) => ({
        deadlines: DEADLINE_NAMES.map((name) =>
          site.device.core.deadlines.time(peer.row, DEADLINE[name]),
        ),
        heard: peer.condition.heard,
        flags: [peer.needsAnotherKeepalive, peer.sentLastMinuteHandshake, peer.attempts],
        windows: [peer.previous, peer.current, peer.next].map((keypair) => {
          const bits = new Uint8Array(REPLAY_WINDOW_BYTES);
          keypair?.replay.copySeen(bits);
          return [
            keypair?.sendCounter,
            keypair?.replay.greatest,
            Buffer.from(bits).toString('hex'),
          ];
        }),
      })),
    })),
  };
}

interface Outbound {
  readonly length: number;
  readonly lastLength: number;
  readonly count: number;
  readonly isV6: boolean;
  readonly ecn: number;
  readonly ageMs: number;
  /** That of the layout: another one only while it changes. */
  readonly mtu: number;
  readonly to: 'peer' | 'nobody' | 'waiting' | 'behind';
}

const outbound: fc.Arbitrary<Outbound> = fc
  .record({
    length: fc.integer({ min: 44, max: MTU }),
    shorter: fc.integer({ min: 0, max: 1_376 }),
    count: fc.integer({ min: 2, max: 20 }),
    isV6: fc.boolean(),
    ecn: fc.integer({ min: 0, max: 3 }),
    ageMs: fc.constantFrom(...AGES_MS),
    mtu: fc.constantFrom(MTU, MTU, MTU, 1_280, 0),
    to: fc.constantFrom<Outbound['to']>('peer', 'peer', 'peer', 'nobody', 'waiting', 'behind'),
  })
  .map(({ shorter, ...rest }) => ({ ...rest, lastLength: Math.max(44, rest.length - shorter) }));

function send(plan: Outbound, isRun: boolean) {
  const { length, lastLength, count, isV6, ecn, ageMs, mtu, to } = plan;
  const { world, a, b } = connected();
  world.run(ageMs);
  // As after a start: they wait for a session.
  if (to === 'waiting') a.record(b).current = null;
  // And as after one that could not be sent: no packet overtakes it.
  if (to === 'behind') a.record(b).staged.push(A_TO_B());
  const [source, target] = isV6
    ? ['fd00::5', to === 'nobody' ? 'fd77::1' : 'fd20::5']
    : ['10.0.0.5', to === 'nobody' ? '172.16.0.1' : '10.20.0.5'];
  const stride = messageStride(length, mtu);
  const slot = a.arena.allocate(count * stride + 64);
  // What lay there before is no padding.
  a.arena.bytes.fill(0xa5, slot, slot + count * stride + 64);
  const first = slot + HEADROOM_BYTES;
  for (let i = 0; i < count; i++) {
    const bytes = i === count - 1 ? lastLength : length;
    const packet = isV6 ? ipv6(source!, target!, bytes - 40) : ipv4(source!, target!, bytes - 20);
    packet[1]! |= isV6 ? ecn << 4 : ecn;
    packet[bytes - 1] = i;
    a.arena.bytes.set(packet, first + i * stride);
  }
  a.turn(() => {
    if (isRun) a.device.sendRun(world.now, first, length, count, stride, lastLength);
    else {
      for (let i = 0; i < count; i++) {
        const bytes = i === count - 1 ? lastLength : length;
        a.device.sendPacket(world.now, first + i * stride, bytes);
      }
    }
  });
  world.run(20);
  return seen(world, [a, b]);
}

/** What happens to a run under way. */
type Mishap =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'lose' | 'double'; readonly at: number }
  | { readonly kind: 'swap'; readonly at: number; readonly other: number };

const at = fc.integer({ min: 0, max: 30 });
const mishap: fc.Arbitrary<Mishap> = fc.oneof(
  fc.record({
    kind: fc.constant('flip' as const),
    at,
    // Header and ciphertext alike.
    bit: fc.oneof(fc.integer({ min: 0, max: 127 }), fc.integer({ min: 128, max: 100_000 })),
  }),
  fc.record({ kind: fc.constantFrom('lose' as const, 'double' as const), at }),
  fc.record({ kind: fc.constant('swap' as const), at, other: at }),
);

interface Inbound {
  readonly length: number;
  readonly count: number;
  readonly isV6: boolean;
  /** Every so many from an address that the peer may not have; 0 for none. */
  readonly strange: number;
  readonly trafficClass: number;
  readonly ecn: number;
  readonly ageMs: number;
  readonly lateMs: number;
  readonly isNewPlace: boolean;
  readonly isBeforeConfirmed: boolean;
  /** Only the initiator renews a session. */
  readonly isFromResponder: boolean;
  readonly ending: 'alike' | 'shorter' | 'keepalive' | 'cut';
  readonly mishaps: readonly Mishap[];
}

const inbound: fc.Arbitrary<Inbound> = fc.record({
  length: fc.integer({ min: 44, max: MTU }),
  count: fc.integer({ min: 2, max: 20 }),
  isV6: fc.boolean(),
  strange: fc.integer({ min: 0, max: 6 }),
  trafficClass: fc.integer({ min: 0, max: 3 }),
  ecn: fc.integer({ min: 0, max: 3 }),
  ageMs: fc.constantFrom(...AGES_MS),
  lateMs: fc.constantFrom(0, 0, 0, 61_000, 180_001),
  isNewPlace: fc.boolean(),
  isBeforeConfirmed: fc.boolean(),
  isFromResponder: fc.boolean(),
  ending: fc.constantFrom<Inbound['ending']>('alike', 'alike', 'shorter', 'keepalive', 'cut'),
  mishaps: fc.array(mishap, { maxLength: 4 }),
});

const FORTH4 = ['10.0.0.5', '10.20.0.5'] as const;
const FORTH6 = ['fd00::5', 'fd20::5'] as const;
const BACK4 = ['10.20.0.5', '10.0.0.5'] as const;
const BACK6 = ['fd20::5', 'fd00::5'] as const;

function receive(plan: Inbound, isRun: boolean) {
  const { world, a, b } = plan.isBeforeConfirmed ? pair() : connected();
  const isBack = plan.isFromResponder && !plan.isBeforeConfirmed;
  const [sender, receiver] = isBack ? [b, a] : [a, b];
  const kept: Uint8Array[] = [];
  if (plan.isBeforeConfirmed) {
    // The initiator's data is the first that its peer hears under the new session.
    world.filter = ({ from, bytes }) => from !== a || bytes[0] !== DATA;
    a.send(A_TO_B());
    world.run(10);
  }
  world.run(plan.ageMs);
  world.filter = ({ from, bytes }) => {
    if (from !== sender || bytes[0] !== DATA) return true;
    kept.push(bytes);
    return false;
  };
  const { length, count, isV6, ecn } = plan;
  for (let i = 0; i < count; i++) {
    const isStrange = plan.strange > 0 && i % plan.strange === plan.strange - 1;
    const last = i === count - 1 && plan.ending === 'shorter' ? 44 : length;
    const [strange4, own4, far4] = ['10.66.0.1', ...(isBack ? BACK4 : FORTH4)] as const;
    const [strange6, own6, far6] = ['fd66::1', ...(isBack ? BACK6 : FORTH6)] as const;
    const packet = isV6
      ? ipv6(isStrange ? strange6 : own6, far6, last - 40)
      : ipv4(isStrange ? strange4 : own4, far4, last - 20);
    packet[1]! |= isV6 ? ecn << 4 : ecn;
    packet[last - 1] = i;
    sender.send(packet);
  }
  if (plan.ending === 'keepalive') {
    sender.turn(() => sendKeepalive(sender.device.core, world.now, sender.record(receiver)));
  }
  world.run(plan.lateMs);
  world.filter = () => true;
  const run = kept.slice(0, count + 1).map((bytes) => bytes.slice());
  if (run.length === 0) return seen(world, [a, b]);
  if (plan.ending === 'cut') run[run.length - 1] = run.at(-1)!.slice(0, 31);
  for (const one of plan.mishaps) {
    const i = one.at % run.length;
    if (one.kind === 'flip') {
      const bit = one.bit % (8 * run[i]!.length);
      run[i]![bit >> 3]! ^= 1 << (bit & 7);
    } else if (one.kind === 'lose' && run.length > 1) run.splice(i, 1);
    else if (one.kind === 'double') run.splice(i, 0, run[i]!.slice());
    else if (one.kind === 'swap') {
      const j = one.other % run.length;
      [run[i], run[j]] = [run[j]!, run[i]!];
    }
  }
  const size = run[0]!.length;
  // As the kernel merges them: alike but for a last one that is shorter.
  const end = run.findIndex(({ length: own }, i) => own !== size && (i > 0 || own > size));
  const merged = end < 0 ? run : run.slice(0, run[end]!.length < size ? end + 1 : end);
  const total = merged.reduce((sum, bytes) => sum + bytes.length, 0);
  const offset = receiver.arena.allocate(total);
  receiver.arena.bytes.set(Buffer.concat(merged), offset);
  if (plan.isNewPlace) sender.endpoint = sender.another('192.0.2.99');
  const { endpoint } = sender;
  receiver.turn(() => {
    const lastLength = merged.at(-1)!.length;
    const { trafficClass } = plan;
    const { now } = world;
    if (isRun) {
      receiver.device.receiveRun(
        now,
        offset,
        size,
        endpoint,
        trafficClass,
        merged.length,
        lastLength,
      );
    } else {
      for (const [i, { length: own }] of merged.entries()) {
        receiver.device.receiveDatagram(now, offset + i * size, own, endpoint, trafficClass);
      }
    }
  });
  world.run(20);
  return seen(world, [a, b]);
}

describe('a run is no different from its packets', () => {
  it('on the way out', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(outbound, (plan) => {
        expect(send(plan, true)).toEqual(send(plan, false));
      }),
      { numRuns: 80 },
    );
  });

  it('on the way in, whatever happened to it', { timeout: 120_000 }, () => {
    fc.assert(
      fc.property(inbound, (plan) => {
        expect(receive(plan, true)).toEqual(receive(plan, false));
      }),
      { numRuns: 160 },
    );
  });
});
